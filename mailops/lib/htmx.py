"""One view, one template: the whole page, or one fragment of it for htmx."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django_htmx.http import HTMX_STOP_POLLING
from django_htmx.middleware import HtmxDetails


def wants_fragment(request: HttpRequest) -> bool:
    """Tell whether htmx asks for a part of the page (not a boosted visit, not a restored history entry)."""
    asked = HtmxDetails(request)  # also where a request came no farther than its middleware
    return bool(asked) and not (asked.boosted or asked.history_restore_request)


def polled_status(request: HttpRequest, *, goes_on: bool) -> int:
    """Return the status of a part of a page that asks for itself again and again, as long as something `goes_on`."""
    return 200 if goes_on or not wants_fragment(request) else HTMX_STOP_POLLING


def path_of_page(request: HttpRequest) -> str:
    """Return the path of the page that htmx asked from, with its query string, or the home page's."""
    try:
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:  # not a URL
        return "/"
    is_ours = page.path.startswith("/") and not page.path.startswith("//")
    return urlunsplit(("", "", page.path, page.query, "")) if is_ours else "/"


def _is_narrowed(request: HttpRequest) -> bool:
    """Tell whether a page asks for itself by another query string: its filter was used."""
    page = path_of_page(request)
    is_itself = urlsplit(page).path == request.path
    return request.method == "GET" and is_itself and page != request.get_full_path()


def go_on(request: HttpRequest, address: str) -> HttpResponse:
    """Send the browser on to `address`; htmx must leave its page for it, not draw it inside."""
    if not wants_fragment(request):
        return redirect(address)
    return HttpResponse(status=204, headers={"HX-Redirect": address})


def render_page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any] | None = None,
    *,
    fragment: str = "",
    status: int = 200,
) -> HttpResponse:
    """Return `template`, or only its partial `fragment` (and new toasts) where htmx asks for it; `Vary: HX-Request` always."""
    if fragment and wants_fragment(request):
        response = render(request, f"{template}#{fragment}", context, status=status)
        response.write(render_to_string("_parts/toasts.html", {"oob": True}, request))
        if status == 422 and _is_narrowed(request):
            # the fragment has no field to say why
            response["HX-Redirect"] = request.get_full_path()
    else:
        response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
