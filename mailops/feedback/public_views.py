"""What the public may call: the unsubscribe page and providers' webhooks; both prove themselves by their address."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mailops.accounts.permissions import for_anyone
from mailops.feedback import matching
from mailops.feedback.forms import LeaveForm
from mailops.feedback.intake import (
    MAX_WEBHOOK,
    NOT_HERE,
    TOO_LARGE,
    Answer,
    declared_size,
    receive,
)
from mailops.feedback.leaving import has_left, leave
from mailops.feedback.taking import door_of
from mailops.lib.public_pages import posted, render_public
from mailops.lib.sound_requests import takes_any_charset
from mailops.outbox.models import Message
from mailops.outbox.tokens import leaving_page
from mailops.protocol import unsubscribe


@takes_any_charset  # many programs call their ASCII ISO-8859-1
@for_anyone  # the signed token in the address proves who asks; so a mailbox provider may post for its user
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    match = matching.by_unsubscribe_token(unsubscribe.parse_token(token))
    if match is None or _leaves_elsewhere(match.message):
        return render_public(request, "feedback/unsubscribe_unknown.html", {}, status=404)
    message = match.message
    if request.method != "POST":
        left_stream, left_all = has_left(message)
        context = {
            "sender": message.identity.name or message.identity.domain.name,
            "address": _masked(message.recipient),
            "left_stream": left_stream,
            "left_all": left_all,
        }
        return render_public(request, "feedback/unsubscribe.html", context)
    fields = posted(request)
    is_one_click, form = unsubscribe.is_one_click(fields), LeaveForm(fields)
    from_all = form.is_valid() and form.cleaned_data["scope"] == "all"
    leave(message, way="one-click" if is_one_click else "page", from_all=from_all)
    if is_one_click:
        return HttpResponse("Unsubscribed.\n", content_type="text/plain")
    return redirect("feedback:unsubscribe", token)


def _leaves_elsewhere(message: Message) -> bool:
    """Tell whether the message's link is for another page: whoever has a digest may stop it, but not every mail to its reader."""
    return message.campaign_id is None and bool(leaving_page(message.merge_data))


@for_anyone  # the secret in the address lets it be stored; only a provider's signature lets it count
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def webhook(request: HttpRequest, secret: str) -> HttpResponse:
    if request.method != "POST":
        # some look whether somebody is there before they register an address
        return HttpResponse() if door_of(secret) else _plain(NOT_HERE)
    if (declared := declared_size(request.META)) is None or declared > MAX_WEBHOOK:
        return _plain(TOO_LARGE)
    return _plain(receive(secret, request.body, request.META))


def _plain(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.text, content_type="text/plain", status=answer.status)


def _masked(address: str) -> str:
    """Return the address as its owner knows it and a stranger with a forwarded mail doesn't learn it."""
    local_part, _, domain = address.rpartition("@")
    return f"{local_part[:1]}…@{domain}"
