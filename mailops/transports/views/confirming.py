"""Password confirmation for forms that hold a secret."""

from functools import wraps
from typing import ParamSpec, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from mailops.accounts.confirming import recently_confirmed
from mailops.accounts.permissions import View, confirm_password

P = ParamSpec("P")


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
