"""When a digest is due, in every zone and over changes of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailops.digests.weeks import last_due, last_whole_week, next_due, week_before, week_of

BERLIN, AUCKLAND, LA = (ZoneInfo(name) for name in ("Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles"))  # fmt: skip


class TestDue:
    @pytest.mark.parametrize(
        ("now", "due"),
        [
            ("2026-11-16T08:00", "2026-11-16T08:00"),
            ("2026-11-16T07:59", "2026-11-09T08:00"),
            ("2026-11-22T23:59", "2026-11-16T08:00"),
        ],
    )
    def test_is_monday_at_eight_there(self, now, due):
        for zone in (BERLIN, AUCKLAND, LA):
            at, wanted = (datetime.fromisoformat(text).replace(tzinfo=zone) for text in (now, due))
            found = last_due(at.astimezone(UTC), zone)
            assert found == wanted
            assert week_before(found) == wanted.date() - timedelta(days=7)

    def test_comes_at_eight_after_a_change_of_the_clock(self):
        # clocks go back on Sunday, 25 Oct 2026, in Berlin
        before = datetime(2026, 10, 23, 12, tzinfo=BERLIN)
        assert next_due(before, BERLIN).astimezone(UTC) == datetime(2026, 10, 26, 7, tzinfo=UTC)
        assert last_due(before, BERLIN).astimezone(UTC) == datetime(2026, 10, 19, 6, tzinfo=UTC)


class TestWeek:
    @pytest.mark.parametrize(
        ("monday", "hours"),
        [(date(2026, 10, 19), 169), (date(2026, 3, 23), 167), (date(2026, 11, 9), 168)],
    )
    def test_is_as_long_as_its_days(self, monday, hours):
        week = week_of(monday, BERLIN)
        assert week.end - week.start == timedelta(hours=hours)
        assert week.previous.end == week.start
        assert week.previous.start.astimezone(BERLIN).date() == monday - timedelta(days=7)

    def test_is_over(self):
        assert last_whole_week(datetime(2026, 11, 15, 23, 59, tzinfo=LA), LA) == date(2026, 11, 2)
        assert last_whole_week(datetime(2026, 11, 16, tzinfo=LA), LA) == date(2026, 11, 9)
