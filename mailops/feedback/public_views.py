"""What the public may call: the unsubscribe page and providers' webhooks; both prove themselves by their address."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mailops.accounts.permissions import for_anyone
from mailops.feedback import matching
from mailops.feedback.forms import LeaveForm
from mailops.feedback.leaving import has_left, leave
from mailops.feedback.models import WebhookEndpoint
from mailops.feedback.proving import BASIC, PROOFS, worth_of
from mailops.feedback.taking import door_of, take
from mailops.protocol import unsubscribe

MAX_WEBHOOK = 2_000_000  # octets; SNS sends 256 KB at most, the others a thousand events
_KEPT_HEADERS = (
    "Content-Type", "User-Agent", "X-Amz-Sns-Message-Type", "X-Amz-Sns-Topic-Arn",
    *(name for proof in PROOFS.values() for name in proof.headers),
)  # fmt: skip
_NO_INDEX = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}


@for_anyone  # the signed token in the address proves who asks; so a mailbox provider may post for its user
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    match = matching.by_unsubscribe_token(unsubscribe.parse_token(token))
    if match is None:
        return _public(request, "feedback/unsubscribe_unknown.html", {}, status=404)
    message, is_one_click = match.message, unsubscribe.is_one_click(request.POST.dict())
    if request.method != "POST":
        left_stream, left_all = has_left(message)
        context = {
            "sender": message.identity.name or message.identity.domain.name,
            "address": _masked(message.recipient),
            "left_stream": left_stream,
            "left_all": left_all,
        }
        return _public(request, "feedback/unsubscribe.html", context)
    form = LeaveForm(request.POST)
    from_all = form.is_valid() and form.cleaned_data["scope"] == "all"
    leave(message, way="one-click" if is_one_click else "page", from_all=from_all)
    if is_one_click:
        return HttpResponse("Unsubscribed.\n", content_type="text/plain")
    return redirect("feedback:unsubscribe", token)


@for_anyone  # the secret in the address lets it be stored; only a provider's signature lets it count
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def webhook(request: HttpRequest, secret: str) -> HttpResponse:
    door = door_of(secret)
    if door is None:
        return HttpResponse("There is no webhook here.\n", content_type="text/plain", status=404)
    if request.method != "POST":
        return HttpResponse()  # some look whether somebody is there before they register an address
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not declared.isdecimal() or int(declared) > MAX_WEBHOOK or len(request.body) > MAX_WEBHOOK:
        return HttpResponse(status=413)
    take(
        door,
        content=request.body,
        peer=request.META.get("REMOTE_ADDR", ""),
        headers=_kept(request, door.endpoint),
    )
    return HttpResponse("Stored.\n", content_type="text/plain")


def _kept(request: HttpRequest, endpoint: WebhookEndpoint) -> dict[str, str]:
    """Return the headers that are archived; of a password, only what it was worth."""
    kept = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
    proof = PROOFS.get(endpoint.transport.kind)
    if proof and proof.is_password:
        given = request.headers.get("Authorization", "")
        kept[BASIC] = worth_of(given, endpoint.revealed_key())
    return kept


def _masked(address: str) -> str:
    """Return the address as its owner knows it and a stranger with a forwarded mail doesn't learn it."""
    local_part, _, domain = address.rpartition("@")
    return f"{local_part[:1]}…@{domain}"


def _public(
    request: HttpRequest, template: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    response = render(request, template, context, status=status)
    for name, value in _NO_INDEX.items():
        response[name] = value
    return response
