"""The pages of a relay's log: upload, what it says, and doing that."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

from django.contrib import messages as toasts
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect

from mailops.accounts.body_sizes import takes_uploads
from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.lib.csv_export import stream_csv
from mailops.lib.htmx import polled_status, render_page
from mailops.outbox.bulk_settling import NOT_READ, NothingToSettle, plan, start_settlement
from mailops.outbox.doubtful import moment
from mailops.outbox.doubtful_forms import LogSettleForm, RelayLogForm
from mailops.outbox.doubtful_views import settle_soon
from mailops.outbox.models import RelayLog, RelayLogFinding, Settlement
from mailops.outbox.relay_log_taking import MAX_FILE_BYTES, NotALog, take_log
from mailops.outbox.relay_log_verdicts import (
    BECOMES_ACCEPTED,
    account,
    covers,
    settling,
    still_doubtful,
)
from mailops.outbox.tasks import continue_relay_log

SHOWN = 20
CSV_HEADER = ["recipient", "message_id", "verdict", "by", "at", "queue_id", "relay", "reply"]


@takes_uploads(MAX_FILE_BYTES)
@needs(Act.OPERATE)
def relay_log_upload(request: HttpRequest) -> HttpResponse:
    form = RelayLogForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            log = take_log(
                file=form.cleaned_data["file"],
                transport=form.cleaned_data["transport"],
                time_zone=form.cleaned_data["time_zone"],
                is_current=form.cleaned_data["is_current"],
                actor=user_of(request),
            )
        except NotALog as error:
            form.add_error("file", str(error))
        else:
            transaction.on_commit(partial(continue_relay_log.delay, log.pk), robust=True)
            return redirect("outbox:relay-log", log.pk)
    return render_page(
        request, "outbox/relay_log_form.html", {"form": form}, status=422 if form.errors else 200
    )


@needs(Act.SEE)
def relay_log_detail(request: HttpRequest, log_id: int) -> HttpResponse:
    log = _log(log_id)
    return render_page(
        request,
        "outbox/relay_log_detail.html",
        {"log": log, **(_account(log) if log.is_completed else {})},
        fragment="progress",
        status=polled_status(request, goes_on=log.is_running),
    )


def _log(log_id: int) -> RelayLog:
    return get_object_or_404(RelayLog.objects.select_related("transport", "created_by"), pk=log_id)


def _account(log: RelayLog) -> dict[str, Any]:
    named = settling(log, trusts_recipients=False).count()
    return {
        "account": account(log),
        "named": named,
        "guessed": settling(log, trusts_recipients=True).count() - named,
        "silent": plan(act=Settlement.Act.AGAIN, log=log).does,
        "covers": covers(log),
        "findings": _findings(log)[:SHOWN],
        "settlements": log.settlements.order_by("-id"),
    }


def _findings(log: RelayLog) -> Any:
    related = still_doubtful(log).select_related("message__identity__domain")
    return related.order_by("-verdict", "message_id")


@needs(Act.SEE)
def relay_log_export(request: HttpRequest, log_id: int) -> HttpResponseBase:  # noqa: ARG001
    found = _findings(_log(log_id)).iterator(chunk_size=2000)
    return stream_csv("relay-log.csv", CSV_HEADER, _csv_rows(found))


def _csv_rows(findings: Iterator[RelayLogFinding]) -> Iterator[list[object]]:
    for finding in findings:
        yield [
            finding.message.recipient,
            finding.message.message_id,
            finding.get_verdict_display(),
            "recipient alone" if finding.is_by_recipient else "Message-ID",
            finding.at.isoformat(),
            finding.queue_id,
            finding.relay,
            finding.text,
        ]


@needs(Act.OPERATE)
@confirm_password
def relay_log_settle(request: HttpRequest, log_id: int) -> HttpResponse:
    """Show what doing as a log says would come to; do it on POST."""
    log = _log(log_id)
    if not log.is_completed:
        toasts.info(request, NOT_READ)
        return redirect("outbox:relay-log", log.pk)
    is_pressed = request.method == "POST"
    form = LogSettleForm(request.POST or request.GET, is_pressed=is_pressed)
    if form.is_valid() and is_pressed:
        try:
            run = start_settlement(
                key=form.cleaned_data["key"],
                act=form.cleaned_data["act"],
                actor=user_of(request),
                until=form.cleaned_data["until"],
                log=log,
                trusts_recipients=form.cleaned_data["trusts_recipients"],
            )
        except NothingToSettle as nothing:
            toasts.info(request, str(nothing))
            return redirect("outbox:relay-log", log.pk)
        settle_soon(run)
        return redirect("outbox:settlement", run.pk)
    until, _ = moment()
    return render_page(
        request,
        "outbox/relay_log_settle.html",
        {"log": log, "form": form, "key": uuid4(), "until": until, **_what_follows(log, form)},
        status=422 if form.errors else 200,
    )


def _what_follows(log: RelayLog, form: LogSettleForm) -> dict[str, Any]:
    act = form.cleaned_data.get("act", Settlement.Act.BY_LOG)
    if act == Settlement.Act.AGAIN:
        planned = plan(act=act, log=log)
        return {"act": act, "plan": planned, "n": planned.does}
    trusts = bool(form.cleaned_data.get("trusts_recipients"))
    found = settling(log, trusts_recipients=trusts)
    n, accepted = found.count(), found.filter(verdict__in=BECOMES_ACCEPTED).count()
    return {"act": act, "trusts": trusts, "n": n, "accepted": accepted, "bounced": n - accepted}
