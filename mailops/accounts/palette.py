"""What the palette (Ctrl or Cmd and K) offers: places to go, and the acts the user may start."""

from typing import Any

from mailops.accounts.models import User
from mailops.accounts.permissions import Act, may
from mailops.lib.templatetags.navigation import PLACES, resolve

ACTIONS = [
    ("New campaign", "campaigns:new", Act.SEND),
    ("New template", "content:new", Act.AUTHOR),
    ("New audience", "audiences:new", Act.SEND),
    ("Import recipients", "audiences:import", Act.SEND),
    ("Add a domain", "domains:new", Act.CONFIGURE),
    ("Add a transport", "transports:new", Act.CONFIGURE),
    ("Add a stream", "transports:stream-new", Act.CONFIGURE),
    ("Suppress an address", "suppressions:new", Act.SEND),
    ("Invite a user", "accounts:user-new", Act.CONFIGURE),
    ("Audit trail", "accounts:audit", Act.SEE),
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
