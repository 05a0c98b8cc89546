"""The message pages: the list, one message's timeline, and what a person may do with it."""

from collections.abc import Callable, Iterator
from uuid import UUID

from django.contrib import messages as toasts
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, confirm_password, may, needed, needs, user_of
from mailops.content.forms import LookForm
from mailops.content.framing import framed
from mailops.content.models import TemplateVersion
from mailops.lib.csv_export import by_steps, stream_csv, wrong_filter
from mailops.lib.htmx import render_page
from mailops.lib.whole_numbers import whole_number
from mailops.outbox import settling
from mailops.outbox.doubtful import attempts, what_settles
from mailops.outbox.forms import MessageFilterForm, TestSendForm, words_of
from mailops.outbox.listing import Page, read_page
from mailops.outbox.models import Message, QueueEntry, Signature
from mailops.outbox.retrying import can_be_retried, retry_message
from mailops.outbox.searching import chosen_by
from mailops.outbox.showing import show_mail
from mailops.outbox.submission import RefusedSubmission
from mailops.outbox.testing import send_test
from mailops.suppressions.models import Suppression

CSV_HEADER = [
    "recipient",
    "status",
    "reason",
    "reply",
    "stream",
    "campaign",
    "message_id",
    "made",
    "settled",
]


@needs(Act.SEE)
def message_list(request: HttpRequest) -> HttpResponse:
    form = MessageFilterForm(request.GET)
    page = read_page(form.cleaned_data) if form.is_valid() else Page([])
    return render_page(
        request,
        "outbox/message_list.html",
        {
            "form": form,
            "page": page,
            "chosen": words_of(form.cleaned_data) if form.is_valid() else [],
            "is_filtered": any(request.GET.get(name) for name in form.fields),
        },
        fragment="results",
        status=200 if form.is_valid() else 422,
    )


@needs(Act.SEE)
def message_export(request: HttpRequest) -> HttpResponseBase:
    form = MessageFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    found = chosen_by(form.cleaned_data).select_related("stream", "campaign", "identity__domain")
    rows = by_steps(found, newest_first=True)
    return stream_csv("messages.csv", CSV_HEADER, _csv_rows(rows))


def _csv_rows(messages: Iterator[Message]) -> Iterator[list[object]]:
    for message in messages:
        yield [
            message.recipient,
            message.status,
            message.reason,
            message.reply_line,
            message.stream.name,
            message.campaign.name if message.campaign else "",
            message.message_id,
            message.created_at.isoformat(),
            message.settled_at.isoformat() if message.settled_at else "",
        ]


@needs(Act.SEE)
def message_detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    message = _message(public_id)
    events = list(message.events.select_related("transport").order_by("occurred_at", "pk"))
    return render_page(
        request,
        "outbox/message_detail.html",
        {
            "message": message,
            "entry": QueueEntry.objects.filter(pk=message.pk).first(),
            "events": events,
            "seen": max((event.pk for event in events), default=0),
            "shown": show_mail(message),
            "signature": _signature(message),
            "suppressions": Suppression.objects.covering(message.address_key, message.stream),
            "may_retry": may(request.user, _act_of_retry(message)) and can_be_retried(message),
            **(_doubt(message) if message.is_doubtful else {}),
        },
        fragment="timeline",
    )


def _signature(message: Message) -> Signature | None:
    """Return what its last negative reply means, with the fix."""
    if message.signature_id is None:
        return None
    return Signature.objects.filter(pk=message.signature_id).first()


def _doubt(message: Message) -> dict[str, object]:
    return {"attempt": attempts([message]).get(message.pk), "settles": what_settles(message)}


def _message(public_id: UUID) -> Message:
    related = Message.objects.select_related(
        "stream", "campaign", "identity__domain", "version__template__test_of", "transport"
    )
    return get_object_or_404(related, public_id=public_id)


@xframe_options_sameorigin
@needs(Act.SEE)
def message_html(request: HttpRequest, public_id: UUID) -> HttpResponse:
    shown = show_mail(_message(public_id))
    if shown.mail is None:
        raise Http404(shown.sentence)
    return framed(shown.mail.html, LookForm(request.GET))


def _act(
    request: HttpRequest, message: Message, verb: Callable[..., bool], done: str, refused: str
) -> HttpResponse:
    if _has_changed(message, whole_number(request.POST.get("seen", ""))):
        toasts.warning(
            request, "Nothing was done: the message changed since you looked. See it as it is now."
        )
    elif verb(message=message, actor=user_of(request)):
        toasts.success(request, done)
    else:
        toasts.error(request, refused)
    return redirect("outbox:detail", message.public_id)


def _has_changed(message: Message, seen: int | None) -> bool:
    """Tell whether anything counts of a message that is newer than the last event which its page showed."""
    return seen is not None and message.events.filter(pk__gt=seen, was_applied=True).exists()


@require_POST
@needs(Act.OPERATE)
def message_hold(request: HttpRequest, public_id: UUID) -> HttpResponse:
    return _act(
        request, _message(public_id), settling.hold, "Held: it stays here until somebody releases it.",
        "It could not be held: it has left, or is being sent right now.",
    )  # fmt: skip


@require_POST
@needs(Act.OPERATE)
def message_release(request: HttpRequest, public_id: UUID) -> HttpResponse:
    return _act(
        request,
        _message(public_id),
        settling.release,
        "Released: it may leave again.",
        "It is not held any more.",
    )


@require_POST
@needs(Act.OPERATE)
def message_settle(request: HttpRequest, public_id: UUID) -> HttpResponse:
    return _act(
        request,
        _message(public_id),
        settling.settle_as_accepted,
        "Settled: it counts as accepted.",
        "It is not uncertain any more.",
    )


@require_POST
@needs(Act.OPERATE)
def message_retry(request: HttpRequest, public_id: UUID) -> HttpResponse:
    message = _message(public_id)
    act = _act_of_retry(message)
    if not may(request.user, act):
        raise PermissionDenied(needed(act))
    return _act(
        request, message, retry_message, "Queued again, with the same Message-ID.",
        "It can't be sent again: it is on its way, has arrived, its address is suppressed, its content was not kept, "
        "or its campaign is over and fits its stream no more.",
    )  # fmt: skip


def _act_of_retry(message: Message) -> Act:
    """Return what sending it again is: on call settles what is uncertain, the rest is an operator's."""
    return Act.OPERATE if message.is_doubtful else Act.SEND


@needs(Act.AUTHOR)
@confirm_password
def test_send(request: HttpRequest) -> HttpResponse:
    version = _asked_version(request)
    form = TestSendForm(request.POST or None, actor=user_of(request), version=version)
    if request.method == "POST" and form.is_valid():
        try:
            message, is_new = send_test(
                **form.cleaned_data, version=version, actor=user_of(request)
            )
        except RefusedSubmission as error:
            form.add_error("recipient", str(error))
        else:
            if is_new:
                toasts.success(request, "The test is on its way; this page follows it.")
            else:
                toasts.info(request, "This test was sent already. For another, open its form anew.")
            return redirect("outbox:detail", message.public_id)
    return render_page(
        request,
        "outbox/test_send.html",
        {"form": form, "version": version, "back": _came_from(version)},
        status=422 if form.errors else 200,
    )


def _came_from(version: TemplateVersion) -> str:
    """Return the page where a test is asked for: a draft's is its editor."""
    if tested := version.template.test_of_id:
        return reverse("content:edit", args=[tested])
    return reverse("content:version", args=[version.template_id, version.number])


def _asked_version(request: HttpRequest) -> TemplateVersion:
    asked = whole_number(request.GET.get("version", ""))
    if asked is None:
        raise Http404("No such version.")
    return get_object_or_404(TemplateVersion.objects.select_related("template__test_of"), pk=asked)
