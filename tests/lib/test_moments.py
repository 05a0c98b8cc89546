"""Moments that are typed or stand in an address, also in the hours in which clocks are changed."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.utils import timezone

from mailops.lib.moments import MomentField, TypedTimeField, since_of

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = "2026-03-29", "2026-10-25"


def read(text, zone=BERLIN):
    found = MomentField().to_python(text)
    return since_of(found, zone)


class TestTimes:
    def test_that_clocks_skip_are_the_moment_of_the_change(self):
        change = datetime(2026, 3, 29, 1, tzinfo=UTC)
        assert (
            read(f"{SPRING}T02:00") == read(f"{SPRING}T02:59") == read(f"{SPRING}T03:00") == change
        )
        assert read(f"{SPRING}T01:59") == change - timedelta(minutes=1)

    def test_that_clocks_show_twice_are_the_first_unless_the_offset_says_otherwise(self):
        assert read(f"{AUTUMN}T02:30") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        assert read(f"{AUTUMN}T02:30+01:00") == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("zone", "day"),
        [
            ("Europe/Berlin", date(2026, 3, 29)),
            ("Europe/Berlin", date(2026, 10, 25)),
            ("Australia/Lord_Howe", date(2026, 10, 4)),
            ("America/Santiago", date(2026, 9, 6)),
            ("Africa/Cairo", date(2026, 4, 24)),
            ("Pacific/Apia", date(2011, 12, 30)),
        ],
    )
    def test_later_by_the_clock_are_never_earlier(self, zone, day):
        place = ZoneInfo(zone)
        begin = datetime.combine(day, datetime.min.time())
        found = [since_of(begin + timedelta(minutes=10 * n), place) for n in range(6 * 24)]
        assert found == sorted(found)
        assert all(at.tzinfo is UTC for at in found)
        assert since_of(day, place) == found[0]


class Asked(forms.Form):
    at = MomentField()


class TestShown:
    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            (f"{AUTUMN}T02:30+02:00", f'type="datetime-local" name="at" value="{AUTUMN}T02:30"'),
            (f"{AUTUMN}T01:30Z", f'type="text" name="at" value="{AUTUMN}T02:30+01:00"'),
            (f"{AUTUMN}T02:30", f'type="datetime-local" name="at" value="{AUTUMN}T02:30"'),
            (AUTUMN, f'type="datetime-local" name="at" value="{AUTUMN}T00:00"'),
            ("tomorrow", 'type="text" name="at" value="tomorrow"'),
        ],
    )
    def test_so_that_the_browser_says_the_same_moment_again(self, said, shown):
        with timezone.override(BERLIN):
            assert shown in str(Asked({"at": said})["at"])


class TestTyped:
    @pytest.mark.parametrize("day", [SPRING, AUTUMN])
    def test_times_that_come_twice_or_never_are_refused_with_the_reason(self, day):
        with timezone.override(BERLIN), pytest.raises(forms.ValidationError) as refused:
            TypedTimeField().clean(f"{day}T02:30")
        assert "in Europe/Berlin this time comes twice, or never" in refused.value.messages[0]
