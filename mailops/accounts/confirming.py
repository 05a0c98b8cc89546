"""Asks for the password again before a dangerous act, then goes on with what was posted."""

import base64
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.account.utils import get_next_redirect_url
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.urls import resolve, reverse

from mailops.lib.htmx import path_of_page
from mailops.lib.secrets import Place, Secret, Unsealable, seal, unseal

RESUME = "mailops.accounts.confirming.resume"


def recently_confirmed(request: HttpRequest) -> bool:
    """Tell whether the user logged in or confirmed the password in the last 15 minutes; a time to come was by a wrong clock."""
    records = get_authentication_records(request, request.user)
    return any(_is_recent(record["at"]) for record in records)


def _is_recent(at: float) -> bool:
    return abs(time.time() - at) < float(settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)


def suspend(request: HttpRequest) -> HttpResponse:
    """Send to allauth's confirmation; what was posted waits in the session, sealed, for it may hold a secret.

    Files are not kept.
    """
    request.session.pop(STATE_SESSION_KEY, None)
    path = request.get_full_path()
    if request.method == "POST":
        posted = Secret(request.POST.urlencode())
        sealed = base64.b64encode(seal(posted, _place(request, path))).decode()
        state = {"path": path, "at": time.time(), "posted": sealed}
        request.session[STATE_SESSION_KEY] = {"state": state, "callback": RESUME}
    is_htmx = request.headers.get("HX-Request") == "true"
    if is_htmx and request.method != "POST":
        path = path_of_page(request)
    query = urlencode({REDIRECT_FIELD_NAME: path})
    methods = get_adapter().get_reauthentication_methods(request.user)
    url = f"{methods[0]['url'] if methods else reverse('account_login')}?{query}"
    if not is_htmx:
        return HttpResponseRedirect(url)
    response = HttpResponse(status=204)
    response["HX-Redirect"] = url  # the page must be left, not filled with a log-in form
    return response


def resume(request: HttpRequest, state: dict[str, Any]) -> HttpResponseBase:
    """Do what was posted, but only where this confirmation was for it, and not long after."""
    wanted = get_next_redirect_url(request, REDIRECT_FIELD_NAME) or "/"
    if wanted != state["path"] or not _is_recent(state["at"]):
        return HttpResponseRedirect(wanted)
    try:
        sealed = base64.b64decode(state["posted"])
        posted = unseal(sealed, _place(request, state["path"])).reveal()
    except Unsealable:
        messages.warning(request, "What you had typed could not be kept. Please send it again.")
        return HttpResponseRedirect(wanted)
    return _answer(request, state["path"], QueryDict(posted))


def _answer(request: HttpRequest, full_path: str, posted: QueryDict) -> HttpResponseBase:
    path = urlsplit(full_path)
    request.method = "POST"
    request.POST = posted  # type: ignore[assignment]
    request.GET = QueryDict(path.query)
    request.META["QUERY_STRING"] = path.query
    request.path = request.path_info = path.path
    match = resolve(path.path)
    request.resolver_match = match
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    return response


def _place(request: HttpRequest, path: str) -> Place:
    return Place(table="session", column="posted", row=str(request.user.pk), endpoint=path)
