"""What the palette (Ctrl or Cmd and K) offers: places to go, and the acts the user may start."""

from typing import Any

from mailops.accounts.models import User
from mailops.accounts.permissions import Act, may
from mailops.lib.templatetags.navigation import PLACES, resolve

ACTIONS = [
    ("New campaign", "campaigns:add", Act.SEND),
    ("New template", "content:new", Act.AUTHOR),
    ("New audience", "audiences:add", Act.SEND),
    ("Add a domain", "domains:add", Act.CONFIGURE),
    ("Add a transport", "transports:add", Act.CONFIGURE),
    ("Add a stream", "transports:stream-add", Act.CONFIGURE),
    ("Suppress an address", "suppressions:add", Act.SEND),
    ("Invite a user", "accounts:user-new", Act.CONFIGURE),
    ("Uncertain messages", "outbox:doubtful", Act.SEE),
    ("Settle by the relay's log", "outbox:relay-log-upload", Act.OPERATE),
    ("Mailbox simulator", "sandbox:simulator", Act.SEE),
    ("Audit trail", "accounts:audit", Act.SEE),
    ("Weekly digest", "digests:mine", Act.SEE),
    ("Your profile", "accounts:profile", Act.SEE),
]


def offers(user: User) -> dict[str, Any]:
    """Return places, acts and the address that searches, as far as apps answer to them."""
    places = [
        {"label": place.label, "url": url, "key": place.key}
        for place in PLACES
        if may(user, Act.SEE) and (url := resolve(place.url_name))
    ]
    actions = [
        {"label": label, "url": url}
        for label, name, act in ACTIONS
        if may(user, act) and (url := resolve(name))
    ]
    return {"places": places, "actions": actions, "search": resolve("reports:search-json")}
