"""Days and hours as a viewer counts them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailops.outbox.models import Tally
from mailops.reports.gathering import gather
from mailops.reports.periods import between, from_to, last_days

BERLIN, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")


def accept(at, n=1):
    Tally.objects.create(
        bucket_at=at, cohort_at=at, measure="event", kind="accepted", stream_id=1, domain_id=1, n=n
    )


class TestPeriod:
    def test_of_days_is_as_long_as_they_are_when_clocks_change(self):
        spring = from_to(date(2026, 3, 29), date(2026, 3, 29), BERLIN)
        autumn = from_to(date(2026, 10, 25), date(2026, 10, 25), BERLIN)
        assert spring.end - spring.start == timedelta(hours=23)
        assert autumn.end - autumn.start == timedelta(hours=25)

    def test_before_counts_days_and_not_hours(self):
        week = from_to(date(2026, 3, 28), date(2026, 4, 3), BERLIN)
        assert week.previous.start == datetime(2026, 3, 20, 23, tzinfo=UTC)
        assert week.previous.end == week.start

    @pytest.mark.parametrize(
        "zone", ["America/Santiago", "Africa/Cairo", "America/Havana", "Asia/Beirut"]
    )
    def test_before_begins_at_midnight_where_clocks_change_at_it(self, zone):
        first = date(2026, 1, 1)
        for day in (first + timedelta(days=n) for n in range(365)):
            week = from_to(day, day + timedelta(days=6), ZoneInfo(zone))
            last = from_to(day - timedelta(days=7), day - timedelta(days=1), ZoneInfo(zone))
            assert week.previous.edges == last.edges

    def test_of_the_last_days_ends_with_today(self):
        now = datetime(2026, 5, 1, 23, 30, tzinfo=UTC)
        period = last_days(now, 7, BERLIN)
        assert len(list(period.steps())) == 7
        assert period.label_of(list(period.steps())[-1]) == "2 May 2026"


@pytest.mark.django_db
class TestSeries:
    def test_puts_each_quarter_hour_into_the_zones_day(self):
        for zone, day in ((BERLIN, date(2026, 3, 29)), (KATHMANDU, date(2026, 3, 29))):
            Tally.objects.all().delete()
            period = from_to(day, day, zone)
            accept(period.start)
            accept(period.end - timedelta(minutes=15))
            accept(period.start - timedelta(minutes=15), 100)
            accept(period.end, 100)
            around = from_to(day - timedelta(days=1), day + timedelta(days=1), zone)
            numbers = gather({}, around)
            assert [outcome.accepted for outcome in numbers.now] == [100, 2, 100]

    def test_keeps_both_hours_apart_when_clocks_go_back(self):
        now = datetime(2026, 10, 25, 5, 30, tzinfo=UTC)
        accept(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))  # 02:30 summer time
        accept(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))  # 02:30 winter time
        numbers = gather({}, between(now - timedelta(days=1), now, BERLIN))
        assert [outcome.accepted for outcome in numbers.now if outcome.accepted] == [1, 1]
