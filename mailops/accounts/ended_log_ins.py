"""Tells whoever had a log-in here that it has ended, and why, on the next page they see."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponseBase

from mailops.accounts.managing import RESET
from mailops.accounts.models import AuditEntry, User

_IF_NOT_YOU = "If that was not you, tell an admin at once."
_IF_NOT_ASKED = "If you did not ask for this, tell an admin at once."
_ENDING = {  # what ends sessions → who did what, and what to do
    "user.log_out_elsewhere": ("you pressed “Log out everywhere else” elsewhere", _IF_NOT_YOU),
    "user.password_changed": ("your password was changed", _IF_NOT_YOU),
    "user.password_reset": ("your password was set by a link", _IF_NOT_YOU),
    "user.password_set": ("your password was set", _IF_NOT_YOU),
    "user.deactivate": ("{who} deactivated your account", "An admin can reactivate it."),
    RESET: ("{who} reset your second factor", _IF_NOT_ASKED),
}


class EndedLogInMiddleware:
    """Stands where nobody asked yet who it is: Django forgets a session that holds no more as it is asked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            had = dict(request.session.items())
            if SESSION_KEY in had and not request.user.is_authenticated:
                request.session.flush()  # of a deactivated person Django keeps it
                messages.warning(request, _why_ended(had))
        return self.get_response(request)


def _why_ended(had: dict[str, Any]) -> str:
    """Say why the session that `had` this ended; of what nobody wrote down, only that it did."""
    found = (
        AuditEntry.objects.about(User, [int(had[SESSION_KEY])])
        .filter(verb__in=_ENDING, at__gte=_logged_in_at(had))
        .order_by("-at")
        .first()
    )
    if found is None:
        return "You were logged out here. Log in again to go on."
    cause, to_do = _ENDING[found.verb]
    told = cause.format(who=found.actor_label)
    return f"You were logged out here: {told} on {found.at:%-d %b %Y at %H:%M} UTC. {to_do}"


def _logged_in_at(had: dict[str, Any]) -> datetime:
    """Return when the session began: what ended others before it is not its reason."""
    records = had.get(AUTHENTICATION_METHODS_SESSION_KEY) or [{}]
    return datetime.fromtimestamp(records[0].get("at", 0), UTC)
