"""The feedback pages: what came back, why it counts or doesn't, and the source of each piece."""

from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.cache import add_never_cache_headers
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from mailops.accounts.models import User
from mailops.accounts.permissions import Act, confirm_password, may, needs, user_of
from mailops.feedback.confirming import ConfirmationFailed, confirm_subscription
from mailops.feedback.endpoints import make_endpoint, renew_endpoint, set_key
from mailops.feedback.forms import FeedbackFilterForm, KeysetForm, WebhookKeyForm
from mailops.feedback.models import Mailbox, RawFeedback, WebhookEndpoint, return_path_hosts
from mailops.feedback.proving import PROOFS, USER
from mailops.feedback.replaying import replay
from mailops.lib.csv_export import by_steps, stream_csv, wrong_filter
from mailops.lib.htmx import render_page
from mailops.transports.kinds.apis import APIS, TELLING
from mailops.transports.models import Stream, Transport

PAGE = 50
SHOWN = 200_000  # octets of source on a page; the download has all


@needs(Act.SEE)
def feedback_list(request: HttpRequest) -> HttpResponse:
    form, keyset = FeedbackFilterForm(request.GET), KeysetForm(request.GET)
    is_valid = form.is_valid() and keyset.is_valid()
    rows = RawFeedback.objects.light().select_related("message").order_by("-id")
    if is_valid:
        rows = rows.filter(**form.lookups)
        if before := keyset.cleaned_data["before"]:
            rows = rows.filter(id__lt=before)
    page = list(rows[: PAGE + 1]) if is_valid else []
    return render_page(
        request,
        "feedback/feedback_list.html",
        {
            "form": form,
            "rows": page[:PAGE],
            "next": page[PAGE - 1].pk if len(page) > PAGE else None,
            "is_filtered": any(request.GET.values()),
            "quarantined": RawFeedback.objects.quarantined().count(),
            "is_demo": settings.MAILOPS_DEMO,
            "tab": "quarantine"
            if form["state"].value() == RawFeedback.State.QUARANTINED
            else "list",
        },
        fragment="results",
        status=200 if is_valid else 422,
    )


@needs(Act.SEE)
def feedback_export(request: HttpRequest) -> Any:
    form = FeedbackFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    rows = RawFeedback.objects.light().select_related("message").filter(**form.lookups)
    return stream_csv(
        "feedback.csv",
        ["received_at", "source", "kind", "state", "verified", "recipient", "peer", "reason"],
        (
            (
                row.received_at.isoformat(), row.source, row.kind, row.state, row.is_verified,
                row.message.recipient if row.message else "", row.peer, row.reason,
            )
            for row in by_steps(rows, newest_first=True)
        ),
    )  # fmt: skip


@needs(Act.SEE)
def feedback_detail(request: HttpRequest, feedback_id: int) -> HttpResponse:
    row = get_object_or_404(
        RawFeedback.objects.select_related("message__stream", "transport"), id=feedback_id
    )
    source = row.raw
    hides_source = _hides_source(row, user_of(request))
    return render_page(
        request,
        "feedback/feedback_detail.html",
        {
            "row": row,
            "read": row.result.get("recipients") or row.result.get("events"),
            "source": "" if hides_source else source[:SHOWN].decode("utf-8", "replace"),
            "is_cut": len(source) > SHOWN,
            "hides_source": hides_source,
        },
    )


@needs(Act.SEE)
@never_cache
def feedback_source(request: HttpRequest, feedback_id: int) -> HttpResponse:
    row = get_object_or_404(RawFeedback.objects.select_related("message__stream"), id=feedback_id)
    if _hides_source(row, user_of(request)):
        return HttpResponse("The bodies of sensitive streams are not shown.", status=403)
    name = f"feedback-{row.pk}.{'eml' if row.is_mail else 'json'}"
    return HttpResponse(
        row.raw,
        content_type="application/octet-stream",
        headers={"Content-Disposition": content_disposition_header(True, name) or ""},
    )


def _hides_source(row: RawFeedback, user: User) -> bool:
    """Tell whether the source is, or may be, a mail of a sensitive stream, which bounces and replies quote.

    Of what belongs to no message nobody knows; who configures must be able to learn why.
    """
    if row.message is not None:
        return row.message.stream.is_sensitive
    is_possible = row.is_mail and Stream.objects.filter(is_sensitive=True).exists()
    return is_possible and not may(user, Act.CONFIGURE)


@needs(Act.OPERATE)
@require_POST
def feedback_replay(request: HttpRequest, feedback_id: int) -> HttpResponse:
    row = get_object_or_404(RawFeedback, id=feedback_id)
    replay(row=row, actor=user_of(request))
    toasts.success(request, f"Read again: {row.reason}")
    return redirect(row)


@needs(Act.CONFIGURE)
@confirm_password
def feedback_confirm(request: HttpRequest, feedback_id: int) -> HttpResponse:
    row = get_object_or_404(RawFeedback.objects.select_related("transport"), id=feedback_id)
    if request.method != "POST":
        return redirect(row)
    try:
        confirm_subscription(row=row, actor=user_of(request))
    except ConfirmationFailed as failed:
        toasts.error(request, failed.sentence)
    else:
        toasts.success(request, f"Confirmed. {row.result['topic']} sends its events here.")
    return redirect(row)


@needs(Act.SEE)
def webhook_list(request: HttpRequest) -> HttpResponse:
    transports = Transport.objects.filter(kind__in=TELLING).order_by("name")
    endpoints = {one.transport_id: one for one in WebhookEndpoint.objects.all()}
    mail = RawFeedback.objects.light().filter(source=RawFeedback.Source.MAIL)
    return render_page(
        request,
        "feedback/webhook_list.html",
        {
            "webhooks": [(one, endpoints.get(one.pk)) for one in transports],
            "hosts": sorted(return_path_hosts()),
            "listener": settings.MAILOPS_FEEDBACK_LISTENER,
            "last_mail": mail.order_by("-id").first(),
            "mailboxes": Mailbox.objects.broken_first(),
        },
    )


@needs(Act.SEE, to_change=Act.CONFIGURE)
def webhook_detail(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, id=transport_id, kind__in=TELLING)
    if request.method == "POST":
        make_endpoint(transport=transport, actor=user_of(request))
        return redirect("feedback:webhook-of", transport_id)
    return _webhook_page(request, transport, WebhookKeyForm())


@needs(Act.CONFIGURE)
@confirm_password
@require_POST
def webhook_key(request: HttpRequest, transport_id: int) -> HttpResponse:
    endpoint = get_object_or_404(
        WebhookEndpoint.objects.select_related("transport"), transport_id=transport_id
    )
    form = WebhookKeyForm(request.POST)
    if not form.is_valid():
        return _webhook_page(request, endpoint.transport, form, status=422)
    set_key(endpoint=endpoint, key=form.cleaned_data["key"], actor=user_of(request))
    toasts.success(request, "Kept. Calls that came before can be read again from their pages.")
    return redirect("feedback:webhook-of", transport_id)


@needs(Act.CONFIGURE)
@confirm_password
def webhook_renew(request: HttpRequest, transport_id: int) -> HttpResponse:
    endpoint = get_object_or_404(
        WebhookEndpoint.objects.select_related("transport"), transport_id=transport_id
    )
    if request.method == "POST":
        renew_endpoint(endpoint=endpoint, actor=user_of(request))
        toasts.success(request, "The address is new. Register it at the provider now.")
        return redirect("feedback:webhook-of", transport_id)
    return render_page(request, "feedback/webhook_renew.html", {"endpoint": endpoint})


def _webhook_page(
    request: HttpRequest, transport: Transport, form: WebhookKeyForm, *, status: int = 200
) -> HttpResponse:
    endpoint = WebhookEndpoint.objects.filter(transport=transport).first()
    proof, is_shown = PROOFS.get(transport.kind), may(request.user, Act.CONFIGURE)
    if proof and proof.key_label:
        form.fields["key"].label = proof.key_label[:1].upper() + proof.key_label[1:]
    rows = RawFeedback.objects.light().filter(transport=transport).order_by("-id")
    page = render_page(
        request,
        "feedback/webhook_detail.html",
        {
            "transport": transport,
            "endpoint": endpoint,
            "api": APIS[transport.kind],
            "proof": proof,
            "form": form,
            "url": endpoint.url if endpoint and is_shown else "",
            "password": endpoint.revealed_key()
            if endpoint and is_shown and proof and proof.is_password
            else "",
            "user": USER,
            "rows": list(rows[:10]),
        },
        status=status,
    )
    if is_shown:
        add_never_cache_headers(page)
    return page
