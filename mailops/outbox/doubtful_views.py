"""The pages of uncertain messages: what is known of each, and a person's act on many."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

from django.contrib import messages as toasts
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.campaigns.models import Campaign
from mailops.lib.csv_export import stream_csv, wrong_filter
from mailops.lib.htmx import polled_status, render_page
from mailops.outbox.bulk_settling import (
    NothingToSettle,
    choice_of,
    plan,
    start_settlement,
    stop_settlement,
)
from mailops.outbox.doubtful import (
    Choice,
    attempts,
    count_doubtful,
    moment,
    newest,
    what_settles,
)
from mailops.outbox.doubtful_forms import DoubtFilterForm, SettleForm, words_of
from mailops.outbox.forms import PressedForm
from mailops.outbox.models import Message, QueueEntry, RelayLog, Settlement
from mailops.outbox.tasks import continue_settlement
from mailops.transports.models import Stream

PAGE = 50
LATELY = 5
COUNTED = 100_000  # what a page counts at most
CSV_HEADER = [
    "recipient", "message_id", "status", "stream", "campaign", "transport", "why", "phase", "peer",
    "content_sent_from", "given_up_at", "detail",
]  # fmt: skip


@needs(Act.SEE)
def doubtful_list(request: HttpRequest) -> HttpResponse:
    form = DoubtFilterForm(request.GET)
    is_valid = form.is_valid()
    choice = form.choice if is_valid else Choice()
    rows = newest(choice, before=form.cleaned_data["before"], limit=PAGE + 1) if is_valid else []
    return render_page(
        request,
        "outbox/doubtful_list.html",
        {
            "form": form,
            "rows": _with_attempts(rows[:PAGE]),
            "last": rows[PAGE - 1].pk if len(rows) > PAGE else None,
            "n": count_doubtful(choice, most=COUNTED) if is_valid else 0,
            "is_filtered": not is_valid or choice.is_narrowed,
            "chosen": words_of(choice),
            "settlements": Settlement.objects.select_related("created_by").order_by("-id")[:LATELY],
            "logs": RelayLog.objects.select_related("created_by", "transport").order_by("-id")[
                :LATELY
            ],
        },
        fragment="results",
        status=200 if is_valid else 422,
    )


def _with_attempts(rows: list[Message]) -> list[dict[str, Any]]:
    known = attempts(rows)
    return [
        {"message": row, "attempt": known.get(row.pk), "settles": what_settles(row)} for row in rows
    ]


@needs(Act.SEE)
def doubtful_export(request: HttpRequest) -> HttpResponseBase:
    form = DoubtFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    return stream_csv("uncertain.csv", CSV_HEADER, _csv_rows(form.choice))


def _csv_rows(choice: Choice) -> Iterator[list[object]]:
    before = None
    while rows := newest(choice, before=before, limit=1000):
        known = attempts(rows)
        for message in rows:
            attempt = known.get(message.pk)
            yield [
                message.recipient,
                message.message_id,
                message.status,
                message.stream.name,
                message.campaign.name if message.campaign else "",
                message.transport.name if message.transport else "",
                message.reason,
                attempt.phase if attempt else "",
                attempt.peer if attempt else "",
                attempt.marked_at.isoformat() if attempt and attempt.marked_at else "",
                attempt.at.isoformat() if attempt else "",
                attempt.detail if attempt else "",
            ]
        before = rows[-1].pk


@needs(Act.OPERATE)
@confirm_password
def settle_many(request: HttpRequest) -> HttpResponse:
    """Show what an act would do to those chosen, with its numbers; do it on POST."""
    is_pressed = request.method == "POST"
    form = SettleForm(request.POST or request.GET, is_pressed=is_pressed)
    if form.is_valid() and is_pressed:
        try:
            run = start_settlement(
                key=form.cleaned_data["key"],
                act=form.cleaned_data["act"],
                actor=user_of(request),
                until=form.cleaned_data["until"],
                choice=form.choice,
            )
        except NothingToSettle as nothing:
            toasts.info(request, str(nothing))
            return redirect("outbox:doubtful")
        settle_soon(run)
        return redirect("outbox:settlement", run.pk)
    # an old preview is shown anew, with what was chosen
    choice = None if _field_errors(form) else form.choice
    act = form.cleaned_data.get("act")
    planned = plan(act=act, choice=choice) if act and choice else None
    return render_page(
        request,
        "outbox/settle_many.html",
        {
            "form": form,
            "plan": planned,
            "key": uuid4(),
            "chosen": words_of(choice) if choice else [],
            "campaign": choice.campaign if choice else None,
        },
        fragment="chosen",
        status=422 if form.errors else 200,
    )


def _field_errors(form: SettleForm) -> bool:
    return any(name != "__all__" for name in form.errors)


def settle_soon(run: Settlement) -> None:
    """Have an act worked off once it is committed."""
    transaction.on_commit(partial(continue_settlement.delay, run.pk), robust=True)


@needs(Act.SEE)
def settlement_detail(request: HttpRequest, settlement_id: int) -> HttpResponse:
    related = ("campaign", "stream", "transport", "relay_log", "created_by")
    run = get_object_or_404(Settlement.objects.select_related(*related), pk=settlement_id)
    return render_page(
        request,
        "outbox/settlement_detail.html",
        {
            "run": run,
            "chosen": words_of(choice_of(run)),
            "looked_at": run.settled + run.passed_over,
        },
        fragment="progress",
        status=polled_status(request, goes_on=run.is_running),
    )


@needs(Act.OPERATE)
def campaign_doubt(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Put what a campaign owes after a restore in doubt, so that the relay's log can tell what was sent."""
    campaign = get_object_or_404(Campaign.objects.select_related("stream"), pk=campaign_id)
    if not campaign.was_restored or campaign.stream.guarantee == Stream.Guarantee.RESEND:
        toasts.info(request, f"“{campaign}” has nothing to find out by a relay's log.")
        return redirect("campaigns:detail", campaign_id)
    until, _ = moment()
    form = PressedForm(
        request.POST or None, is_pressed=True, initial={"key": uuid4(), "until": until.isoformat()}
    )
    if request.method == "POST" and form.is_valid():
        try:
            run = start_settlement(
                key=form.cleaned_data["key"],
                act=Settlement.Act.DOUBT,
                actor=user_of(request),
                until=form.cleaned_data["until"],
                choice=Choice(campaign=campaign),
            )
        except NothingToSettle:
            toasts.info(request, f"“{campaign}” owes nothing: resume it.")
            return redirect("campaigns:detail", campaign_id)
        settle_soon(run)
        return redirect("outbox:settlement", run.pk)
    owed = QueueEntry.objects.filter(campaign=campaign, is_held=False).count()
    return render_page(
        request,
        "outbox/campaign_doubt.html",
        {"campaign": campaign, "form": form, "effects": _effects_of_doubt(owed)},
        status=422 if form.errors else 200,
    )


def _effects_of_doubt(owed: int) -> list[str]:
    become = "message that this database has not seen leave becomes"
    if owed != 1:
        become = "messages that this database has not seen leave become"
    return [
        f"{owed:,} {become} uncertain. Nothing is sent.",
        "Then upload the relay's log: what it took counts as accepted.",
        "What it did not take can be sent again; it leaves when the campaign is resumed.",
    ]


@require_POST
@needs(Act.OPERATE)
def settlement_stop(request: HttpRequest, settlement_id: int) -> HttpResponse:
    run = get_object_or_404(Settlement, pk=settlement_id)
    if stop_settlement(run=run, actor=user_of(request)):
        toasts.success(request, "Stopped. What was not settled yet stays uncertain.")
    else:
        toasts.info(request, "It was over already.")
    return redirect("outbox:settlement", run.pk)
