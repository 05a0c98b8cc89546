"""One example for each address with a part to fill in, so that every page can be opened by tests.

Add a line for each detail page: the name of the address, and a function that makes a row and returns the kwargs.
"""

from collections.abc import Callable
from typing import Any

from mailops.accounts.models import User

EXAMPLES: dict[str, Callable[[], dict[str, Any]]] = {
    "accounts:user": lambda: {"user_id": User.objects.create_user("example@example.com").pk},
    "accounts:user-deactivate": lambda: {
        "user_id": User.objects.create_user("leaving@example.com").pk
    },
}
