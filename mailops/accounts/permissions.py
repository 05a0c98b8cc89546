"""Who may do what: the role matrix, enforced in one place."""

from collections.abc import Callable
from enum import Enum
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from mailops.accounts.confirming import recently_confirmed, suspend
from mailops.accounts.models import Role, User
from mailops.lib.htmx import path_of_page


class Act(Enum):
    SEE = "see"  # everything but secrets and the bodies of sensitive streams
    CONFIGURE = "configure"  # domains, transports, streams, credentials, users, settings
    SEND = "send"  # audiences, imports, suppressions, campaigns: make, launch, cancel, retry
    AUTHOR = "author"  # templates: edit, preview, test send, publish
    # pause, resume, hold, release, settle uncertain, incidents, test a transport
    OPERATE = "operate"
    SIGN = "sign"  # sign a checklist item, override a gate


MATRIX: dict[str, frozenset[Act]] = {
    Role.ADMIN: frozenset(Act),
    Role.OPERATOR: frozenset({Act.SEE, Act.SEND, Act.AUTHOR, Act.OPERATE, Act.SIGN}),
    Role.EDITOR: frozenset({Act.SEE, Act.AUTHOR}),
    Role.ONCALL: frozenset({Act.SEE, Act.OPERATE}),
    Role.VIEWER: frozenset({Act.SEE}),
    Role.NONE: frozenset(),
}

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # methods that change nothing
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class Anyone(Enum):
    """Marks a view that asks for no role."""

    ANYONE = "anyone"  # no log-in either; the reason stands beside the decorator's call
    USER = "user"  # whoever is logged in, also without a role


def may(user: Any, act: Act) -> bool:
    """Tell whether `user`, logged in or anonymous, may do `act`."""
    return isinstance(user, User) and user.is_active and act in MATRIX[user.role]


def needs(act: Act, *, to_change: Act | None = None) -> Callable[[View[P]], View[P]]:
    """Guard a view: any method needs `act`, and a POST needs `to_change` where given.

    The anonymous are sent to log in, or told to where they post; a user who may not gets 403.
    """

    def guard(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            return turned_away(request, guarded) or view(request, *args, **kwargs)

        guarded.permission = (act, to_change)  # type: ignore[attr-defined]
        return cast("View[P]", guarded)

    return guard


def turned_away(request: HttpRequest, view: Any) -> HttpResponseBase | None:
    """Return how to log in for the `view` that `needs` guards, None for whoever may; others: PermissionDenied."""
    if not request.user.is_authenticated:
        return to_login(request)
    act, to_change = view.permission
    wanted = act if request.method in SAFE else (to_change or act)
    if not may(request.user, wanted):
        raise PermissionDenied(needed(wanted))
    return None


def needed(act: Act) -> str:
    """Say which roles may do `act`, for the page that tells somebody they may not."""
    *others, last = (role.label for role in reversed(Role) if act in MATRIX[role])
    return f"This needs the role {', '.join(others)}{' or ' if others else ''}{last}."


def to_login(request: HttpRequest) -> HttpResponseBase:
    """Send to the log-in page, and back afterwards; htmx must leave its page for it, not draw it inside.

    What is posted is refused (401) instead, by a page that leads back to what was typed: after a log-in that would be gone.
    """
    is_htmx = request.headers.get("HX-Request") == "true"
    if request.method not in SAFE:
        return HttpResponse(status=401) if is_htmx else render(request, "401.html", status=401)
    if not is_htmx:
        return redirect_to_login(request.get_full_path())
    response = HttpResponse(status=204)
    response["HX-Redirect"] = redirect_to_login(path_of_page(request)).url
    return response


def for_users(view: View[P]) -> View[P]:
    """Guard a view that is for everybody who is logged in, with or without a role: one's own profile."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return to_login(request)
        return view(request, *args, **kwargs)

    guarded.permission = Anyone.USER  # type: ignore[attr-defined]
    return cast("View[P]", guarded)


def for_anyone(view: View[P]) -> View[P]:
    """Mark a view that the public may call: an unsubscribe link, a provider's webhook, a health check."""
    view.permission = Anyone.ANYONE  # type: ignore[attr-defined]
    return view


def confirm_password(view: View[P]) -> View[P]:
    """Guard a dangerous act: the password, or the second factor, was given in the last 15 minutes.

    Stands below `needs`. allauth asks again, keeps what was posted, and goes on with it.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not recently_confirmed(request):
            if request.method == "POST":
                messages.info(request, "What you sent is kept: it is done once you confirm.")
            return suspend(request)
        return view(request, *args, **kwargs)

    return cast("View[P]", guarded)


def confirm_password_to_change(view: View[P]) -> View[P]:
    """Guard as `confirm_password` does what a POST changes; who only looks is not asked."""
    confirmed = confirm_password(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return (confirmed if request.method == "POST" else view)(request, *args, **kwargs)

    return cast("View[P]", guarded)


def confirm_password_keep_nothing(view: View[P]) -> View[P]:
    """Guard as `confirm_password` does, but let nothing that was posted rest in the session: it holds a secret."""
    confirmed = confirm_password(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.method == "POST" and not recently_confirmed(request):
            messages.warning(
                request,
                "The form was open for long, so your password is asked for first. What you typed was not kept, since it may hold a secret.",
            )
            return redirect(request.get_full_path())
        return confirmed(request, *args, **kwargs)

    return cast("View[P]", guarded)


def user_of(request: HttpRequest) -> User:
    """Return the logged-in user of a guarded view."""
    return cast("User", request.user)
