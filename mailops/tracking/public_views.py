"""What the recipients of tracked mail call: the picture in it, and its links."""

from base64 import b64decode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.encoding import iri_to_uri
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mailops.accounts.permissions import for_anyone
from mailops.lib.public_pages import kept_private
from mailops.outbox.tokens import token_key
from mailops.protocol import looks
from mailops.tracking.models import Hit
from mailops.tracking.taking import intake

_PICTURE = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_AHEAD = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


@for_anyone  # the signed token in the address says what was asked for, and where it may lead
@csrf_exempt
@require_http_methods(["GET", "HEAD"])
def click(request: HttpRequest, token: str) -> HttpResponse:
    """Lead on to the page that was signed for this message, and to no other; the database isn't asked."""
    found = _proven(token)
    if found is None or not found.target:
        return _with_headers(render(request, "tracking/link_damaged.html", status=404))
    _note(request, found, Hit.Kind.CLICK)
    response = HttpResponse(status=302)
    response["Location"] = iri_to_uri(found.target)
    return _with_headers(response)


@for_anyone  # as above
@csrf_exempt
@require_http_methods(["GET", "HEAD"])
def picture(request: HttpRequest, token: str) -> HttpResponse:
    found = _proven(token)
    if found is None or found.target:
        answer = HttpResponse("There is no picture here.\n", content_type="text/plain", status=404)
        return _with_headers(answer)
    _note(request, found, Hit.Kind.OPEN)
    return _with_headers(HttpResponse(_PICTURE, content_type="image/gif"))


def _proven(token: str) -> looks.LookToken | None:
    found = looks.parse_token(token)
    key = token_key(found.key_id) if found else None
    return found if found and key and found.is_signed_by(key) else None


def _note(request: HttpRequest, found: looks.LookToken, kind: Hit.Kind) -> None:
    """Keep that it was asked for; nothing of who wishes not to be tracked, and nothing but a hint of who didn't look."""
    if request.headers.get("DNT") == "1" or request.headers.get("Sec-GPC") == "1":
        return
    is_ahead = any("prefetch" in request.headers.get(name, "").lower() for name in _AHEAD)
    intake.note(
        kind=Hit.Kind.PROBE if is_ahead or request.method == "HEAD" else kind,
        public_id=found.public_id,
        link=found.link,
        user_agent=request.headers.get("User-Agent", ""),
        at=timezone.now(),
    )
    intake.start()


def _with_headers(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return kept_private(response)
