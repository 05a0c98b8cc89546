"""What the pages ask of the counts."""

import random
from datetime import UTC, datetime, timedelta
from statistics import quantiles

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailops.outbox import recording
from mailops.outbox.models import EventKind, QueueEntry, Tally
from mailops.outbox.slots import BOUNDS, SECONDS, slot_of
from mailops.protocol.classification import Fault
from mailops.reports import splitting
from mailops.reports.counting import by_reason, fault_of, total
from mailops.reports.folding import fold_tallies
from mailops.reports.gathering import Numbers
from mailops.reports.latencies import Histogram, middle_of
from mailops.reports.models import QueueSample
from mailops.reports.outcomes import Limits, Outcome
from mailops.reports.periods import Period, between
from mailops.reports.rolling import roll_up
from mailops.reports.sampling import queue_samples, sample_queues
from mailops.reports.splitting import UNNAMED, split
from mailops.reports.tiles import tiles
from tests.factories import make_message
from tests.outbox.doubts import make_doubtful


def spread(milliseconds):
    return Histogram.of((slot_of(one), 1) for one in milliseconds)


class TestHistogram:
    def test_tells_percentiles_to_five_percent(self):
        dice = random.Random(3)
        times = sorted(int(dice.lognormvariate(7, 2)) for _ in range(5000))
        told = spread(times)
        for percent in (10, 50, 90, 95, 99):
            truth = times[-(-percent * len(times) // 100) - 1] / 1000
            assert told.percentile(percent) == pytest.approx(truth, rel=0.05)
        assert quantiles(times, n=2)[0] / 1000 == pytest.approx(told.percentile(50), rel=0.05)

    def test_no_slot_is_further_from_its_middle(self):
        for slot in range(1, len(BOUNDS)):
            low, high = BOUNDS[slot - 1] / 1000, (BOUNDS[slot] - 1) / 1000
            assert low / 1.05 <= middle_of(slot) <= high * 1.05
            assert middle_of(slot) == pytest.approx(low, rel=0.05)
            assert middle_of(slot) == pytest.approx(high, rel=0.05)

    def test_adds_up_to_the_histogram_of_both(self):
        dice = random.Random(4)
        one, other = ([dice.randrange(10**6) for _ in range(200)] for _ in range(2))
        assert spread(one) + spread(other) == spread(one + other)

    @pytest.mark.parametrize("seconds", SECONDS)
    def test_counts_exactly_what_an_objective_speaks_of(self, seconds):
        told = spread([1000 * seconds - 1, 1000 * seconds, 0])
        assert told.within(seconds) == 2

    def test_of_nothing_tells_nothing(self):
        assert Histogram().percentile(50) is None
        assert Histogram().within(60) == 0

    def test_keeps_what_took_for_ever(self):
        assert spread([2**31 - 1]).percentile(50) == pytest.approx(2**31 / 1000, rel=0.1)


def of_a_day():
    """Return the period of the last day."""
    now = timezone.now()
    return between(now - timedelta(days=1), now, timezone.get_current_timezone())


def count(kind, n=1, **more):
    at = timezone.now().replace(minute=0, second=0, microsecond=0)
    fields = {"measure": "event", "stream_id": 1, "domain_id": 1, **more}
    Tally.objects.create(bucket_at=at, cohort_at=at, kind=kind, n=n, **fields)


@pytest.mark.django_db
class TestCounting:
    def test_sums_up_reasons_and_faults(self):
        period = of_a_day()
        count("accepted", 90)
        count("bounced", 7, reason="unknown_mailbox")
        count("returned", 2, reason="mailbox_full")
        count("bounced", 1, reason="blocklisted")
        count("bounced", 50, reason="blocklisted", stream_id=2)
        assert total(period, {"stream_id": 1}).answered == 98
        assert by_reason(period, {"stream_id": 1}) == {
            "unknown_mailbox": 7,
            "mailbox_full": 2,
            "blocklisted": 1,
        }

    def test_takes_reasons_of_ours_for_the_messages(self):
        assert fault_of("mailbox_full") == Fault.RECIPIENT
        assert (fault_of("too_wide_a_template"), fault_of("")) == (Fault.MESSAGE, Fault.UNKNOWN)

    def test_finds_what_was_in_doubt_among_what_was_taken(self):
        bounced, complained = make_doubtful(), make_doubtful()
        recording.record(
            recording.Outcome(message_id=message.pk, kind=kind, source="ses", external_id=kind)
            for message, kind in ((bounced, EventKind.RETURNED), (complained, EventKind.COMPLAINED))
        )
        outcome = total(of_a_day(), {})
        assert (outcome.uncertain, outcome.accepted, outcome.answered) == (2, 2, 2)
        assert (outcome.bounce_rate, outcome.complaint_rate) == (50, 50)


@pytest.mark.django_db
class TestSamples:
    def test_tell_depth_and_age(self):
        message = make_message()
        QueueEntry.objects.update(due_at=timezone.now() - timedelta(minutes=5))
        count("queued", measure="status", stream_id=message.stream_id)
        sample_queues()
        sample_queues()
        period = of_a_day()
        (*_, (_, told)) = queue_samples(period, [message.stream_id])
        assert (told.samples, told.most, told.mean_depth) == (2, 1, 1)
        assert 300 <= told.oldest <= 310
        assert queue_samples(period, [])[-1][1].samples == 0

    def test_fold_into_quarter_hours(self):
        message = make_message()
        for _ in range(3):
            sample_queues()
        assert QueueSample.objects.get(stream_id=message.stream_id).samples == 3


@pytest.mark.django_db
class TestSplit:
    @pytest.fixture
    def period(self):
        return of_a_day()

    @staticmethod
    def shares(period, choices=None):
        found = split(choices or {}, period, "mailbox_provider")
        return {share.label: (share.outcome.accepted, share.value) for share in found}

    def test_calls_providers_without_a_name_by_their_domain(self, period):
        for provider, n in {"gmail": 5, "one.example": 3, "two.example": 2, "": 1}.items():
            count("accepted", n, mailbox_provider=provider)
        count("accepted", 4, mailbox_provider="one.example", stream_id=2)
        fold_tallies()
        roll_up()
        expected = {
            "Gmail": (5, "gmail"),
            "one.example": (7, "one.example"),
            "two.example": (2, "two.example"),
            UNNAMED: (1, ""),
        }
        assert self.shares(period) == expected
        assert self.shares(period, {"stream_id": 2}) == {"one.example": (4, "one.example")}

    def test_holds_them_together_where_they_are_too_many(self, period, monkeypatch):
        monkeypatch.setattr(splitting, "TOLD_APART", 4)
        count("accepted", 3, mailbox_provider="one.example")
        count("accepted", 2, mailbox_provider="two.example")
        assert self.shares(period) == {UNNAMED: (5, "")}

    @pytest.mark.parametrize(
        ("choices", "index"),
        [
            ({"campaign_id": 7}, "count_unnamed_of_campaign"),
            ({"stream_id": 7}, "count_unnamed_of_stream"),
        ],
    )
    def test_reads_what_was_chosen_and_not_all_providers_without_a_name(
        self, period, choices, index
    ):
        (chosen,) = choices
        key = {"cohort_at": period.start, "bucket_at": period.start, "measure": "event", "n": 1}
        Tally.objects.bulk_create(
            Tally(**{**key, "kind": "accepted", "stream_id": 1, "domain_id": 1, chosen: number % 100},
                  mailbox_provider=f"d{number}.example")
            for number in range(2_000)
        )  # fmt: skip
        fold_tallies()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE reports_count")
            with CaptureQueriesContext(connection) as asked:
                assert sum(n for n, _ in self.shares(period, choices).values()) == 20
            (told_apart,) = [one["sql"] for one in asked if "LIKE" in one["sql"]]
            cursor.execute(f"EXPLAIN {told_apart}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert f"using {index}" in plan or f"on {index}" in plan


class TestSent:
    @pytest.mark.parametrize(
        ("now", "before", "trend"),
        [
            (9374, 36, ""),
            (60, 49, ""),
            (500, 50, ""),
            (499, 50, "898 % more"),
            (75, 100, "25 % less"),
        ],
    )
    def test_is_compared_with_a_period_of_like_size_only(self, now, before, trend):
        sent = tiles(Outcome.of({"accepted": now}), Outcome.of({"accepted": before}), Limits())[3]
        assert (sent.trend, sent.note) == (trend, f"{before:,} in the period before")

    def test_is_compared_as_far_as_the_period_is_over(self):
        start = datetime(2026, 3, 2, tzinfo=UTC)
        period = Period(start, start + timedelta(days=2), UTC)
        days = [Outcome(accepted=100), Outcome(accepted=3)]
        numbers = Numbers(period, now=days, before=[Outcome(accepted=100)] * 2)
        at_night = start + timedelta(days=1, minutes=9)
        so_far = numbers.so_far(at_night)
        assert [one.answered for one in so_far] == [100, 100]
        sent = tiles(numbers.total, numbers.total_before, Limits(), so_far=so_far)[3]
        assert (sent.value, sent.trend) == ("103", "")
        more = (Outcome(accepted=120), Outcome(accepted=100))
        over_until = numbers.over_until(at_night)
        sent = tiles(
            numbers.total, numbers.total_before, Limits(), so_far=more, over_until=over_until
        )[3]
        assert sent.trend == "20 % more up to 3 Mar, 00:00"
        assert sent.note == "200 in the period before"
