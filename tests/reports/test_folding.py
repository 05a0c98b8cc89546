"""Counts: exact at any time, whatever comes late, twice or in disorder, folded or not."""

import random
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.dispatch.limits import utc_today
from mailops.dispatch.models import Allowance
from mailops.outbox.models import EventKind, QueueEntry, Status, Tally
from mailops.outbox.recording import Outcome, record
from mailops.outbox.waiting import COUNTED, WaitingForHours
from mailops.protocol.reply import Reply
from mailops.reports.balance import Pace, balance, pace
from mailops.reports.folding import fold_tallies
from mailops.reports.models import Count, Figure
from mailops.reports.verifying import differences
from mailops.reports.verifying_replies import reply_differences
from tests.factories import make_campaign, make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db

KINDS = [
    EventKind.ACCEPTED,
    EventKind.DEFERRED,
    EventKind.DELIVERED,
    EventKind.RETURNED,
    EventKind.COMPLAINED,
    EventKind.BOUNCED,
    EventKind.DELAYED,
]


def told(message, kind, number, **more):
    reply = Reply(code=550, text="5.1.1 No such user") if kind == EventKind.BOUNCED else None
    return Outcome(
        message_id=message.pk,
        kind=kind,
        source="test",
        external_id=f"{message.pk}:{kind}:{number}",
        reply=reply,
        **more,
    )


def counted_message(**fields):
    """Make a message with the tally that whoever writes a queued row writes with it."""
    message = make_message(**fields)
    Tally.objects.create(
        bucket_at=timezone.now().replace(minute=0, second=0, microsecond=0),
        measure="status",
        kind=Status.QUEUED,
        stream_id=message.stream_id,
        campaign_id=message.campaign_id,
        domain_id=message.identity.domain_id,
        version_id=message.version_id,
        n=1,
    )
    return message


class TestFoldTallies:
    def test_keeps_every_sum(self):
        messages = [counted_message() for _ in range(3)]
        record([told(message, EventKind.ACCEPTED, 1) for message in messages])
        before = dict(Figure.objects.all().by_kind())
        assert fold_tallies() > 0
        assert not Tally.objects.exists()
        assert dict(Figure.objects.all().by_kind()) == before
        record([told(messages[0], EventKind.DELIVERED, 1)])
        fold_tallies()
        assert Figure.objects.events(EventKind.DELIVERED).by_kind()["delivered"] == 1

    def test_folds_the_same_key_into_one_row(self):
        counted_message()
        key = {name: getattr(Tally.objects.get(), name) for name in Tally.KEY}
        for n in (1, 2, 3):
            Tally.objects.create(**key, n=n)
            fold_tallies()
        assert Count.objects.get().n == 1 + 6

    def test_works_in_bounded_chunks(self):
        for _ in range(7):
            counted_message()
        assert fold_tallies(chunk=2, chunks=2) == 4
        assert Tally.objects.count() == 3


class TestRecount:
    def test_agrees_under_shuffled_and_doubled_events(self):
        dice = random.Random(7)
        campaign = make_campaign()
        transports = [None, *(make_transport().pk for _ in range(2))]
        messages = [
            counted_message(
                campaign=campaign,
                stream=campaign.stream,
                identity=campaign.identity,
                mailbox_provider=dice.choice(["googly", "yahoo"]),
            )
            for _ in range(6)
        ]
        for _ in range(3):
            now = timezone.now()
            batch = [
                told(
                    message,
                    kind,
                    n,
                    occurred_at=now - timedelta(minutes=dice.randint(0, 300)),
                    transport_id=dice.choice(transports),
                )
                for message in messages
                for kind in KINDS
                for n in range(2)
            ]
            dice.shuffle(batch)
            for size in (1, 5, len(batch)):
                record(batch[:size])
                record(batch[:size])
                fold_tallies(chunk=dice.choice([1, 5, 500]), chunks=3)
            assert differences() == []
            standing = balance(campaign)
            assert standing.total == 6
            by_rows = {}
            for message in messages:
                message.refresh_from_db()
                by_rows[message.status] = by_rows.get(message.status, 0) + 1
            assert {k: n for k, n in standing.by_status.items() if n} == by_rows

    def test_finds_a_count_that_is_wrong(self):
        message = counted_message()
        record([told(message, EventKind.ACCEPTED, 1)])
        fold_tallies()
        count = Count.objects.filter(measure="event").first()
        count.n += 5
        count.save()
        (found,) = differences()
        assert (found.count, found.recount) == (6, 1)

    @pytest.mark.parametrize("dimension", Count.KEY)
    def test_finds_a_count_of_the_wrong_key(self, dimension):
        message = counted_message(mailbox_provider="googly")
        record([told(message, EventKind.ACCEPTED, 1, transport_id=make_transport().pk)])
        fold_tallies()
        count = Count.objects.get(kind="accepted", measure="event")
        wrong = {
            "bucket_at": count.bucket_at - timedelta(hours=1),
            "cohort_at": count.bucket_at - timedelta(hours=1),
            "measure": "status",
            "kind": "delivered",
            "reason": "policy",
            "mailbox_provider": "yahoo",
        }
        setattr(count, dimension, wrong.get(dimension, 999_999))
        count.save()
        assert len(differences()) == 2

    def test_counts_a_report_for_the_transport_that_carried_the_message(self):
        message, carrier = counted_message(), make_transport()
        record([told(message, EventKind.ACCEPTED, 1, transport_id=carrier.pk)])
        record([told(message, EventKind.RETURNED, 1)])
        fold_tallies()
        assert differences() == []
        assert Count.objects.get(kind="returned").transport_id == carrier.pk

    @pytest.mark.parametrize("recount", [differences, reply_differences])
    def test_reads_each_table_once_whatever_its_statistics_say(self, recount):
        """A vacuum had seen the ledger empty just before it was filled: the recount of some thousand took forever."""
        message = counted_message()
        record([told(message, EventKind.BOUNCED, 1)])
        plans = []

        def explain(execute, sql, given, many, context):
            if "WITH asked" in sql:
                with context["cursor"].db.cursor() as asking:
                    asking.cursor.execute(f"EXPLAIN {sql}", given)
                    plans.append("\n".join(line for (line,) in asking.cursor.fetchall()))
            return execute(sql, given, many, context)

        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE pg_class SET reltuples = 0, relpages = 9 WHERE relname IN ('outbox_event', 'outbox_message')"
            )
        with connection.execute_wrapper(explain):
            assert recount() == []
        (plan,) = plans
        assert "Hash Semi Join" in plan
        assert "Join Filter" not in plan  # a nested loop's that is not by an index

    def test_command_tells_and_fails(self):
        message = counted_message()
        out = StringIO()
        call_command("verify_counts", stdout=out)
        assert "agree" in out.getvalue()
        Tally.objects.all().delete()
        with pytest.raises(CommandError):
            call_command("verify_counts", stderr=StringIO())
        assert message.pk

    @pytest.mark.parametrize(
        "nonsense",
        [
            ("--limit=-5",),
            ("--limit=many",),
            ("--since=2026-13-45",),
            ("--since=2026-11-02", "--until=2026-11-01"),
        ],
    )
    def test_command_refuses_nonsense_in_a_sentence(self, nonsense):
        with pytest.raises(CommandError):
            call_command("verify_counts", *nonsense)


class TestBalance:
    def test_closes_when_every_message_is_somewhere(self):
        campaign = make_campaign(planned=2, state="running", started_at=timezone.now())
        messages = [
            counted_message(campaign=campaign, stream=campaign.stream, identity=campaign.identity)
            for _ in range(2)
        ]
        record([told(messages[0], EventKind.ACCEPTED, 1)])
        standing = balance(campaign)
        assert standing.closes
        assert (standing.open, standing.closed) == (1, 1)
        assert dict(standing.rows) == {"queued": 1, "accepted": 1}
        assert pace(campaign, standing).per_minute > 0

    @pytest.mark.parametrize("kind", [EventKind.SUPPRESSED, EventKind.EXPIRED, EventKind.CANCELED])
    def test_knows_no_pace_from_what_was_never_sent(self, kind):
        campaign = make_campaign(planned=2, state="running", started_at=timezone.now())
        messages = [
            counted_message(campaign=campaign, stream=campaign.stream, identity=campaign.identity)
            for _ in range(2)
        ]
        record([told(messages[0], kind, 1)])
        assert pace(campaign, balance(campaign)).words == "waiting for the first answers"

    def test_says_when_the_rest_waits_for_another_try(self):
        assert Pace(120, open=10, retrying=10).words == "the last 10 wait for another try"
        assert Pace(120, open=20, retrying=10).words == "120 a minute · 10 s left"

    def test_knows_no_end_while_the_audience_is_being_read(self, viewer, logged_in):
        campaign = make_campaign(state="running", started_at=timezone.now())
        messages = [
            counted_message(campaign=campaign, stream=campaign.stream, identity=campaign.identity)
            for _ in range(2)
        ]
        record([told(messages[0], EventKind.ACCEPTED, 1)])
        assert "left" not in pace(campaign, balance(campaign)).words
        for page in (
            reverse("reports:campaign-progress", args=[campaign.pk]),
            reverse("reports:running"),
        ):
            shown = logged_in(viewer).get(page).text
            assert "2 messages so far, 1 answered · " in shown
            assert "<progress" not in shown

    def test_says_that_what_waits_for_its_hours_is_not_stuck(self):
        campaign = make_campaign(
            planned=3, state="running", started_at=timezone.now(), window_days=[1, 2]
        )
        messages = [
            counted_message(campaign=campaign, stream=campaign.stream, identity=campaign.identity)
            for _ in range(3)
        ]
        opens = timezone.now() + timedelta(hours=3, minutes=20, seconds=30)
        QueueEntry.objects.update(due_at=opens, closes_at=opens + timedelta(hours=9))
        told = pace(campaign, balance(campaign))
        assert told.words == "3 wait for their hours, which begin in 3 h 20 min"
        first = QueueEntry.objects.filter(message=messages[0])
        first.update(due_at=timezone.now())
        told = pace(campaign, balance(campaign))
        assert (told.waiting, told.hours.last_at, told.hours.others) == (2, opens, True)
        assert told.words.startswith("waiting for the first answers · 2 wait for their hours")
        first.update(attempts=1, due_at=opens)
        assert pace(campaign, balance(campaign)).waiting == 2

    def test_counts_what_waits_for_its_hours_no_further_than_needed(self):
        opens = timezone.now() + timedelta(hours=1)
        waits = {"n": COUNTED, "first_at": opens, "last_at": opens}
        all_of_it = WaitingForHours(**waits, others=False)
        told = Pace(0, open=812_000, retrying=10, held=2, hours=all_of_it)
        assert told.words.startswith("811,988 wait for their hours")
        some = Pace(600, open=30_000, hours=WaitingForHours(**waits, others=True))
        assert "10,000 or more wait for their hours" in some.words
        assert some.seconds_left == 2000

    @pytest.mark.parametrize(
        ("owed", "left", "late"),
        [(60, 3600, 0), (60, 100, 3), (0, 100, 0)],
        ids=["in time", "too late", "too early to tell"],
    )
    def test_tells_how_many_will_be_given_up_before_their_turn(self, owed, left, late):
        now = timezone.now()
        started_at = now - timedelta(seconds=owed)
        campaign = make_campaign(planned=5, state="running", started_at=started_at)
        messages = [
            counted_message(campaign=campaign, stream=campaign.stream, identity=campaign.identity)
            for _ in range(5)
        ]
        record([told(messages[0], EventKind.ACCEPTED, 1)])
        expires_at = now + timedelta(seconds=left)
        QueueEntry.objects.update(owed_at=started_at, due_at=started_at, expires_at=expires_at)
        assert pace(campaign, balance(campaign)).too_late == late

    @pytest.mark.parametrize(("days", "late"), [(1, 4), (2, 0)])
    def test_waits_for_midnight_where_the_number_of_today_is_sent(self, days, late):
        now = timezone.now()
        transport = make_transport(name="Relay", daily_quota=1)
        began = now - timedelta(minutes=1)
        campaign = make_campaign(
            planned=5, state="running", started_at=began, stream=make_stream(transport=transport)
        )
        messages = [
            counted_message(campaign=campaign, stream=campaign.stream, identity=campaign.identity)
            for _ in range(5)
        ]
        record([told(messages[0], EventKind.ACCEPTED, 1)])
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        expires_at = today + timedelta(days=days)
        QueueEntry.objects.update(owed_at=began, due_at=began, expires_at=expires_at)
        assert "left" in pace(campaign, balance(campaign), now).words
        Allowance.objects.create(
            key=f"t{transport.pk}", day=utc_today(), spent=1, refilled_at=timezone.now()
        )
        found = pace(campaign, balance(campaign), now)
        assert found.words.startswith("waits for midnight UTC")
        assert found.too_late == late

    @pytest.mark.parametrize("was_running", [True, False])
    def test_counts_no_pause_as_time_in_which_it_went(self, was_running):
        now = timezone.now()
        campaign = make_campaign(
            planned=5, state="running", started_at=now - timedelta(seconds=100)
        )
        messages = [
            counted_message(campaign=campaign, stream=campaign.stream, identity=campaign.identity)
            for _ in range(5)
        ]
        record([told(messages[0], EventKind.ACCEPTED, 1)])
        campaign.pause("person")
        campaign.resume()
        paused, resumed = AuditEntry.objects.order_by("pk")
        AuditEntry.objects.filter(pk=paused.pk).update(at=now - timedelta(seconds=80))
        AuditEntry.objects.filter(pk=resumed.pk).update(at=now - timedelta(seconds=20))
        if not was_running:  # it was paused long ago, before what is counted
            paused.delete()
        found = pace(campaign, balance(campaign), now)
        assert found.per_minute == pytest.approx(1.5 if was_running else 3)

    def test_tells_when_one_is_missing(self):
        assert not balance(make_campaign(planned=1)).closes
