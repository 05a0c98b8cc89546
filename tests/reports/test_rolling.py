"""Rollups and seals: whatever is read from, the sums are those of the counts."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from mailops.outbox.models import CountKey, Tally
from mailops.reports.comparing import beside_earlier
from mailops.reports.counting import total
from mailops.reports.dimensions import DIMENSIONS
from mailops.reports.folding import fold_tallies
from mailops.reports.gathering import gather
from mailops.reports.models import (
    Count,
    Delta,
    Figure,
    QueueSample,
    RolledFigure,
    RolledHistogram,
    Rollup,
    Seal,
)
from mailops.reports.periods import Period, between, from_to
from mailops.reports.rolling import roll_up
from mailops.reports.sealing import seal_old_counts, sealed_until
from mailops.reports.sources import figures, pieces
from mailops.reports.splitting import split
from mailops.reports.subjects import find_subject
from mailops.reports.verifying import broken_seals, rollup_differences
from tests.factories import make_campaign

BEGIN = datetime(2026, 3, 27, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def edges_of(period):
    return [*period.steps(), period.end]


class TestPieces:
    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"])
    @pytest.mark.parametrize("days", [1, 3, 40])
    def test_cover_every_quarter_hour_once_and_reach_over_no_edge(self, zone, days):
        first = BEGIN.date()
        period = from_to(first, first + timedelta(days=days), ZoneInfo(zone))
        for edges in (edges_of(period), [period.start, period.end]):
            found = pieces(edges)
            covered = Counter()
            for step, since, until in found:
                at = since
                while at < until:
                    inside = [edge for edge in edges if at < edge < at + timedelta(minutes=step)]
                    assert not inside
                    covered[at] += 1
                    at += timedelta(minutes=step)
            length = sum((until - since for _, since, until in found), timedelta())
            assert length == period.end - period.start
            assert set(covered.values()) == {1}

    def test_take_days_where_they_can(self):
        period = from_to(BEGIN.date(), BEGIN.date() + timedelta(days=89), ZoneInfo("Asia/Kolkata"))
        found = pieces([period.start, period.end])
        assert [step for step, _, _ in found] == [15, 60, 1440, 60, 15]

    def test_are_one_where_many_would_cost_more(self):
        edges = [BEGIN + timedelta(days=n, minutes=30) for n in range(150)]
        assert pieces(edges) == [(15, edges[0], edges[-1])]

    def test_of_what_is_sealed_are_hours_at_least(self):
        edges = [BEGIN + timedelta(minutes=30), BEGIN + timedelta(hours=5, minutes=30)]
        assert pieces(edges, sealed=BEGIN + timedelta(days=1)) == [
            (60, BEGIN + timedelta(hours=1), BEGIN + timedelta(hours=6))
        ]

    def test_of_what_is_open_are_quarters_where_more_is_sealed(self):
        half, sealed = timedelta(minutes=30), BEGIN + timedelta(days=1)
        edges = [BEGIN + timedelta(hours=23, minutes=30), sealed + half]
        assert pieces(edges, sealed=sealed) == [(15, sealed, sealed + half)]
        edges = [BEGIN + timedelta(days=n) + half for n in range(200)]
        assert pieces(edges, sealed=edges[50] - half) == [
            (60, BEGIN + timedelta(hours=1), edges[50] - half),
            (15, edges[50] - half, edges[-1]),
        ]


def fill(dice, n=200):
    """Write tallies of four days, some folded, some of those rolled up."""
    tallies = []
    for _ in range(n):
        cohort = BEGIN + QUARTER * dice.randrange(4 * 96)
        kind = dice.choice(["accepted", "bounced", "deferred", "complained"])
        tallies.append(
            Tally(
                bucket_at=cohort + QUARTER * dice.choice([0, 0, 0, 5, 90]),
                cohort_at=cohort,
                measure="event",
                kind=kind,
                reason=dice.choice(["policy", "mailbox_full"]) if kind == "bounced" else "",
                stream_id=dice.randrange(1, 4),
                campaign_id=dice.choice([None, 1, 2]),
                transport_id=dice.choice([None, 1]),
                domain_id=dice.randrange(1, 3),
                version_id=dice.choice([None, 1]),
                mailbox_provider=dice.choice(["gmail", "yahoo", "one.example", "two.example", ""]),
                n=dice.randrange(1, 9),
                took=[dice.randrange(90) for _ in range(3)] if kind == "accepted" else None,
                waited=[dice.randrange(90)] if kind == "accepted" else None,
            )
        )
    third = len(tallies) // 3
    Tally.objects.bulk_create(tallies[:third])
    fold_tallies(chunk=50)
    roll_up(chunk=70)
    Tally.objects.bulk_create(tallies[third : 2 * third])
    fold_tallies()
    Tally.objects.bulk_create(tallies[2 * third :])
    return tallies


def plainly(tallies, edges, choices, by=""):
    """Sum what `figures` should give, by hand."""
    sums = Counter()
    for tally in tallies:
        if any(getattr(tally, name) != value for name, value in choices.items()):
            continue
        for step, (since, until) in enumerate(pairwise(edges)):
            if since <= tally.cohort_at < until:
                value = getattr(tally, by) if by else None
                if by == "mailbox_provider" and "." in value:
                    value = ""
                sums[step, value, tally.kind, tally.reason] += tally.n
    return sums


def read(edges, choices, by=""):
    sums = Counter()
    columns = ["cohort_at", *([by] if by else []), "kind", "reason"]
    rows = figures(choices, edges, by=by).filter(measure="event").summed(*columns)
    for at, *rest, n in rows:
        value, kind, reason = rest if by else (None, *rest)
        step = sum(at >= edge for edge in edges) - 1
        sums[step, value, kind, reason] += n
    return sums


@pytest.mark.django_db
class TestFigures:
    def test_are_the_same_wherever_they_are_read(self):
        dice = random.Random(11)
        tallies = fill(dice)
        first = BEGIN.date()
        asked = [({}, ""), *(({}, by) for by in DIMENSIONS)]
        values = {"stream_id": 2, "transport_id": 1, "domain_id": 1, "campaign_id": 2, "mailbox_provider": "gmail"}  # fmt: skip
        asked += [({name: values[name]}, "") for name in DIMENSIONS]
        for one, other in combinations(DIMENSIONS, 2):
            asked += [({one: values[one]}, other), ({other: values[other]}, one)]
            asked += [({one: values[one], other: values[other]}, "")]
        berlin, kathmandu = (
            from_to(first, first + timedelta(days=2), ZoneInfo(zone))
            for zone in ("Europe/Berlin", "Asia/Kathmandu")
        )
        for edges in (edges_of(berlin), [kathmandu.start, kathmandu.end]):
            for choices, by in asked:
                found = figures(choices, edges, by=by)
                assert found.model is RolledFigure
                assert read(edges, choices, by) == plainly(tallies, edges, choices, by)

    @pytest.mark.parametrize(
        "choices",
        [
            {"mailbox_provider": "one.example"},
            {"stream_id": 1, "campaign_id": 2, "mailbox_provider": "gmail"},
            {"version_id": 1},
        ],
    )
    def test_come_from_the_counts_where_no_rollup_has_them(self, choices):
        tallies = fill(random.Random(12), 100)
        edges = [BEGIN, BEGIN + timedelta(days=2)]
        assert figures(choices, edges).model is Figure
        in_range = [one for one in tallies if BEGIN <= one.cohort_at < edges[-1]]
        period = Period(edges[0], edges[-1], UTC)
        accepted = sum(
            one.n
            for one in in_range
            if one.kind == "accepted"
            and all(getattr(one, name) == value for name, value in choices.items())
        )
        assert total(period, choices).accepted == accepted

    def test_of_a_series_have_every_step(self):
        tallies = fill(random.Random(13), 100)
        period = from_to(BEGIN.date(), BEGIN.date() + timedelta(days=6), ZoneInfo("Europe/Berlin"))
        points = gather({}, period).now
        assert len(points) == 7
        assert sum(outcome.accepted for outcome in points) == sum(
            one.n for one in tallies if one.kind == "accepted" and one.cohort_at >= period.start
        )


@pytest.mark.django_db
class TestRollUp:
    def test_agrees_with_the_counts(self):
        fill(random.Random(14), 120)
        fold_tallies()
        while roll_up(chunk=30, chunks=1):
            assert rollup_differences() == []
        assert not Delta.objects.exists()
        assert Rollup.objects.filter(dimension="", step=1440, measure="event").count() > 3

    def test_takes_up_what_was_counted_before_there_were_rollups(self):
        fill(random.Random(17), 60)
        fold_tallies()
        for model in (Delta, Rollup, RolledHistogram):
            model.objects.all().delete()
        assert rollup_differences() != []
        (staging,) = import_module(
            "mailops.reports.migrations.0006_roll_up_what_was"
        ).Migration.operations
        for _ in range(2):
            with connection.cursor() as cursor:
                cursor.execute(staging.sql)
        assert rollup_differences() == []
        roll_up()
        assert rollup_differences() == []

    def test_finds_a_rollup_that_is_wrong(self):
        fill(random.Random(15), 30)
        row = Rollup.objects.filter(step=60).first()
        row.n += 3
        row.save()
        (found,) = rollup_differences()
        assert found.count == found.recount + 3
        assert "rolled up from" in str(found)


@pytest.mark.django_db
class TestSealing:
    @pytest.fixture
    def sealed(self, settings):
        settings.MAILOPS_COUNT_DAYS = 10
        fill(random.Random(16), 150)
        QueueSample.objects.bulk_create(
            QueueSample(bucket_at=BEGIN + QUARTER * n, stream_id=1, samples=1, depth_sum=n, depth_max=n, held_max=0, age_sum=1, age_max=n)
            for n in range(8)
        )  # fmt: skip
        fold_tallies()
        roll_up()
        edges = [BEGIN, BEGIN + timedelta(days=1), BEGIN + timedelta(days=5)]
        before = {by: read(edges, {}, by) for by in ("", *DIMENSIONS)}
        assert seal_old_counts(BEGIN + timedelta(days=13, hours=1)) == 2
        return edges, before

    def test_keeps_every_sum_by_the_hour(self, sealed):
        edges, before = sealed
        assert sealed_until() == BEGIN + timedelta(days=2)
        old = Count.objects.filter(bucket_at__lt=sealed_until(), measure="event")
        assert {at.minute for at in old.values_list("bucket_at", flat=True)} == {0}
        assert not old.exclude(version_id=None).exists()
        for by, sums in before.items():
            assert read(edges, {}, by) == sums
        chosen = Figure.objects.filter(measure="event", cohort_at__lt=edges[1])
        assert sum(chosen.by_kind().values()) == sum(
            n for (step, *_), n in before[""].items() if step == 0
        )
        assert rollup_differences() == []
        assert broken_seals() == []
        assert list(QueueSample.objects.order_by("bucket_at").values_list("depth_sum", "depth_max")) == [(6, 3), (22, 7)]  # fmt: skip

    def test_is_done_once_a_day_and_waits_for_what_is_not_folded(self, sealed):
        now = BEGIN + timedelta(days=13, hours=2)
        assert sealed
        assert seal_old_counts(now) == 0
        late = BEGIN + timedelta(days=2, hours=1)
        Tally.objects.create(bucket_at=late, cohort_at=late, measure="event", kind="accepted", stream_id=1, domain_id=1, n=1)  # fmt: skip
        assert seal_old_counts(now + timedelta(days=9)) == 0

    def test_leaves_what_is_open_in_every_zone_as_it_was(self, settings):
        settings.MAILOPS_COUNT_DAYS = 10
        tallies = fill(random.Random(18), 150)
        fold_tallies()
        roll_up()
        assert seal_old_counts(BEGIN + timedelta(days=13, hours=1)) == 2
        days = from_to(BEGIN.date(), BEGIN.date() + timedelta(days=3), ZoneInfo("Asia/Kolkata"))
        edges = edges_of(days)
        for by in ("", "mailbox_provider"):
            now, before = read(edges, {}, by), plainly(tallies, edges, {}, by)
            for step in (2, 3):  # wholly open
                assert {k: n for k, n in now.items() if k[0] == step} == {
                    k: n for k, n in before.items() if k[0] == step
                }
        last = Period(edges[-3], edges[-1], days.zone)
        shares = split({}, Period(BEGIN, edges[-1], days.zone), "mailbox_provider")
        assert all(share.outcome.answered >= 0 for share in shares)
        assert total(last, {}).accepted == sum(
            one.n
            for one in tallies
            if one.kind == "accepted" and last.start <= one.cohort_at < last.end
        )

    def test_keeps_a_campaign_that_began_within_an_hour_whole(self, settings):
        settings.MAILOPS_COUNT_DAYS = 10
        start = BEGIN + timedelta(hours=10, minutes=45)
        campaign = make_campaign(
            state="completed", started_at=start, finished_at=start + timedelta(minutes=5)
        )
        Tally.objects.create(
            bucket_at=start, cohort_at=start, measure="event", kind="accepted", n=7, domain_id=1,
            stream_id=campaign.stream_id, campaign_id=campaign.pk, mailbox_provider="gmail",
        )  # fmt: skip
        fold_tallies()
        roll_up()
        subject = find_subject({"campaign_id": campaign.pk})
        whole = between(*subject.lifetime(BEGIN + timedelta(days=20)), UTC)
        alone = {**subject.choices, "stream_id": campaign.stream_id, "mailbox_provider": "gmail"}
        assert [total(whole, choices).accepted for choices in (subject.choices, alone)] == [7, 7]
        assert seal_old_counts(BEGIN + timedelta(days=12)) == 1
        assert [total(whole, choices).accepted for choices in (subject.choices, alone)] == [7, 7]
        later = make_campaign(stream=campaign.stream, started_at=start + timedelta(days=2))
        assert [one.outcome.accepted for one in beside_earlier(later)] == [0, 7]

    def test_leaves_out_what_would_change_it(self, sealed):
        assert sealed
        Tally.objects.create(bucket_at=BEGIN, cohort_at=BEGIN, measure="event", kind="accepted", stream_id=1, domain_id=1, n=1)  # fmt: skip
        before = Count.objects.count()
        assert fold_tallies() == 1
        assert Count.objects.count() == before
        assert broken_seals() == []

    def test_refuses_changes(self, sealed):
        assert sealed
        old = Count.objects.filter(bucket_at__lt=sealed_until(), measure="event").first()
        for change in (
            lambda: Count.objects.filter(pk=old.pk).update(n=old.n + 1),
            lambda: Count.objects.filter(pk=old.pk).delete(),
            lambda: Count.objects.create(bucket_at=BEGIN, cohort_at=BEGIN, measure="event", kind="accepted", stream_id=9, domain_id=9, n=1),
        ):  # fmt: skip
            with pytest.raises(IntegrityError), transaction.atomic():
                change()

    def test_asks_for_no_hash_that_a_database_may_refuse_and_makes_the_one_it_always_made(
        self, settings
    ):
        settings.MAILOPS_COUNT_DAYS = 10
        fill(random.Random(20), 60)
        fold_tallies()
        roll_up()
        with CaptureQueriesContext(connection) as asked:
            assert seal_old_counts(BEGIN + timedelta(days=12)) == 1
        assert asked.captured_queries
        assert not [one for one in asked if "md5(" in one["sql"]]
        columns = ", ".join(CountKey.KEY)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL timezone = 'UTC'")
            cursor.execute(
                f"""SELECT md5(string_agg(md5(row({columns}, n)::text), '' ORDER BY row({columns}, n)::text COLLATE "C"))
                    FROM reports_count WHERE measure <> 'status' AND bucket_at < %s""",
                [sealed_until()],
            )
            assert cursor.fetchone() == (Seal.objects.get().digest,)

    def test_tells_of_a_day_that_was_changed_behind_its_back(self, sealed):
        assert sealed
        Seal.objects.filter(day=BEGIN.date()).update(digest="0" * 32)
        (sentence,) = broken_seals()
        assert "2026-03-27" in sentence
