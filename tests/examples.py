"""One example for each address with a part to fill in, so that every page can be opened by tests.

Add a line for each detail page: the name of the address, and a function that makes a row and returns the kwargs.
"""

from collections.abc import Callable
from typing import Any

from mailops.accounts.models import User
from mailops.incidents.models import Threshold
from tests.factories import (
    make_captured,
    make_channel,
    make_incident,
    make_suppression,
    make_suppression_import,
)

MAIL = b"Subject: Hello\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n"

EXAMPLES: dict[str, Callable[[], dict[str, Any]]] = {
    "accounts:user": lambda: {"user_id": User.objects.create_user("example@example.com").pk},
    "accounts:user-deactivate": lambda: {
        "user_id": User.objects.create_user("leaving@example.com").pk
    },
    "sandbox:inbox": lambda: {"inbox_id": make_captured(MAIL).inbox_id},
    "sandbox:inbox-delete": lambda: {"inbox_id": make_captured(MAIL).inbox_id},
    "sandbox:message": lambda: {"message_id": make_captured(MAIL).pk},
    "suppressions:remove": lambda: {"suppression_id": make_suppression().pk},
    "suppressions:import": lambda: {"run_id": make_suppression_import().pk},
    "incidents:detail": lambda: {"incident_id": make_incident().pk},
    "incidents:threshold": lambda: {"threshold_id": Threshold.objects.get(measure="complaints").pk},
    "incidents:channel-add": lambda: {"kind": "mail"},
    "incidents:channel": lambda: {"channel_id": make_channel().pk},
    "incidents:channel-delete": lambda: {"channel_id": make_channel().pk},
}
