"""The quick way of accepting gives exactly what the fold gives, and leaves to the fold what is not its own."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from mailops.dispatch.marking import _ACCEPT_AND_MARK
from mailops.outbox import recording
from mailops.outbox.ledger import _aged, fetch_first
from mailops.outbox.models import CountKey, Event, EventKind, Message, QueueEntry, Tally
from mailops.outbox.recording import Outcome, record
from mailops.outbox.slots import BOUNDS, LONGEST, slot_of
from mailops.protocol.reply import Reply
from tests.factories import make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db

FENCE = 7
NAMED_BY_ROW = {"id", "public_id", "message_id", "external_id", "recorded_at", "message"}
NOW = datetime(2026, 3, 1, 12, 7, tzinfo=UTC)

# What a claimed message may look like when the reply to its body is read.
STANDINGS = {
    "as usual": {},
    "deferred before": {"status": "deferred", "reason": "greylisted", "sentence": "Later."},
    "refused before": {"evidence": 1, "reply_code": 451, "reply_text": "later"},
    "in a later round": {"round": 2, "positive_from_round": 1},
    "an older id": {"transport_message_id": "OLD"},
    "in a round that no longer counts": {"round": 2, "positive_from_round": 2, "told_round": 1},
    "accepted in an earlier round": {"round": 1, "accepted_at": NOW},
    "another fence": {"entry_fence": FENCE + 1},
    "freed": {"entry_fence": None},
    "gone": {"status": "canceled", "with_entry": False},
    "uncertain": {"status": "uncertain", "settling_fence": FENCE, "with_entry": False},
    "delivered": {"status": "delivered", "evidence": 3, "accepted_at": NOW, "with_entry": False},
    "returned": {"status": "bounced", "evidence": 4, "accepted_at": NOW, "with_entry": False},
}
QUICK = {
    "as usual",
    "deferred before",
    "refused before",
    "in a later round",
    "an older id",
}


def make(stream, standing):
    fields = dict(STANDINGS[standing])
    told_round = fields.pop("told_round", fields.get("round", 0))
    fence = fields.pop("entry_fence", FENCE)
    message = make_message(stream=stream, merge_data={"a": "b"}, mailbox_provider="gmail", **fields)
    QueueEntry.objects.filter(pk=message.pk).update(
        worker_id=1 if fence else None, fence=fence, marked_at=timezone.now() if fence else None
    )
    return message, told_round


def handed_over(message, told_round, transport, **fields):
    return Outcome(
        **{
            "message_id": message.pk,
            "kind": EventKind.ACCEPTED,
            "source": "dispatch",
            "external_id": f"{message.pk}:reply",
            "fence": FENCE,
            "round": told_round,
            "transport_id": transport.pk,
            "reply": Reply(250, "2.0.0 Ok\0", "2.0.0", "."),
            "transport_message_id": "4F1",
            "data": {"peer": "mx [127.0.0.1]:25"},
            **fields,
        }
    )


MEASURED = {"took_ms", "waited_ms", "took", "waited"}


def plain(rows, *without):
    """Return rows without what differs between any two messages, times and latencies as whether they are set."""
    return [
        {
            name: (value is not None if isinstance(value, datetime) or name in MEASURED else value)
            for name, value in row.items()
            if name not in NAMED_BY_ROW | {"recipient", "address_key", "identity_id", "version_id"}
            and name not in without
        }
        for row in rows
    ]


def traces(message, tallies):
    return (
        plain(Message.objects.filter(pk=message.pk).values()),
        plain(Event.objects.filter(message=message).values()),
        plain(QueueEntry.objects.filter(pk=message.pk).values(), "due_at", "expires_at"),
        sorted(map(repr, plain(tallies, "domain_id", "campaign_id"))),
    )


@pytest.mark.parametrize("is_sensitive", [False, True])
@pytest.mark.parametrize("standing", STANDINGS)
def test_quick_and_fold_leave_the_same(standing, is_sensitive, monkeypatch):
    stream, transport = make_stream(is_sensitive=is_sensitive), make_transport()
    quick, told_round = make(stream, standing)
    (by_quick,) = record([handed_over(quick, told_round, transport)])
    tallies = list(Tally.objects.values())
    Tally.objects.all().delete()
    folded, told_round = make(stream, standing)
    monkeypatch.setattr(recording, "accept_claimed", lambda handovers: {})
    (by_fold,) = record([handed_over(folded, told_round, transport)])
    assert traces(quick, tallies) == traces(folded, list(Tally.objects.values()))
    assert (
        by_quick.was_applied,
        by_quick.is_new,
        by_quick.status_before,
        by_quick.status_after,
    ) == (
        by_fold.was_applied,
        by_fold.is_new,
        by_fold.status_before,
        by_fold.status_after,
    )
    assert by_quick.event_id == Event.objects.get(message=quick).pk


@pytest.mark.parametrize("standing", STANDINGS)
def test_takes_only_what_is_its_own(standing, monkeypatch):
    message, told_round = make(make_stream(), standing)
    was_folded = []
    fold = recording._record
    monkeypatch.setattr(
        recording, "_record", lambda batch, **rest: was_folded.append(1) or fold(batch, **rest)
    )
    record([handed_over(message, told_round, make_transport())])
    assert bool(was_folded) == (standing not in QUICK)


def test_both_ways_together_keep_the_order_of_what_was_told():
    stream, transport = make_stream(), make_transport()
    (first, _), (second, _), (third, _) = (make(stream, "as usual") for _ in range(3))
    refused = handed_over(
        second, 0, transport, kind=EventKind.BOUNCED, reply=Reply(550, "5.1.1 no", "5.1.1", "RCPT")
    )
    recorded = record([handed_over(first, 0, transport), refused, handed_over(third, 0, transport)])
    assert [(one.message_id, one.status_after) for one in recorded] == [
        (first.pk, "accepted"),
        (second.pk, "bounced"),
        (third.pk, "accepted"),
    ]


def test_one_message_told_of_twice_is_folded_in_order():
    message, _ = make(make_stream(), "as usual")
    transport = make_transport()
    lost = handed_over(
        message, 0, transport, kind=EventKind.SESSION_LOST, external_id="lost", reply=None
    )
    first, second = record([lost, handed_over(message, 0, transport)])
    assert (first.status_after, second.status_after) == ("queued", "accepted")


def test_many_are_tallied_together():
    stream, transport = make_stream(), make_transport()
    first = make_message(stream=stream)
    same = {"stream": stream, "identity": first.identity, "version": first.version}
    messages = [
        make_message(**same, mailbox_provider=provider) for provider in ("gmail", "gmail", "gmx")
    ]
    QueueEntry.objects.update(worker_id=1, fence=FENCE)
    record([handed_over(message, 0, transport) for message in messages])
    events = Tally.objects.filter(measure=CountKey.Measure.EVENT).order_by("mailbox_provider")
    assert list(events.values_list("mailbox_provider", "n")) == [("gmail", 2), ("gmx", 1)]
    statuses = Tally.objects.filter(measure=CountKey.Measure.STATUS).order_by("kind")
    assert list(statuses.values_list("kind", "n")) == [("accepted", 3), ("queued", -3)]


@pytest.mark.parametrize("is_quick", [True, False])
def test_tells_how_long_it_took_since_the_message_was_owed(is_quick, monkeypatch):
    if not is_quick:
        monkeypatch.setattr(recording, "accept_claimed", lambda handovers: {})
    message, told_round = make(make_stream(), "as usual")
    now = timezone.now()
    QueueEntry.objects.filter(message=message).update(
        owed_at=now - timedelta(minutes=10),
        due_at=now - timedelta(seconds=70),
        marked_at=now - timedelta(seconds=10),
    )
    record([handed_over(message, told_round, make_transport())])
    event = Event.objects.get(message=message)
    assert event.took_ms == pytest.approx(600_000, abs=5_000)
    assert event.waited_ms == 60_000
    tally = Tally.objects.get(measure="event")
    assert (tally.took, tally.waited) == ([slot_of(event.took_ms)], [slot_of(60_000)])


def test_the_database_counts_slots_like_python():
    probes = sorted({near for bound in BOUNDS for near in (bound - 1, bound, bound + 1)})
    probes = [one for one in probes if one <= LONGEST]
    found = fetch_first("SELECT outbox_slot(ms) FROM unnest(%s::int[]) ms", [probes])
    assert found == [slot_of(one) for one in probes]
    longest = fetch_first("SELECT outbox_ms(v) FROM unnest(%s::interval[]) v", [["90 days", "-1s"]])
    assert longest == [LONGEST, 0]


def test_statement_of_the_hot_path_is_short_enough_to_be_read_once():
    assert len(_aged(_ACCEPT_AND_MARK, 10**9)) <= 4096
