"""Opening hours by local clocks: held against a walk over every minute, over all zones and changes of the clock."""

# ruff: noqa: DTZ001 - Hypothesis takes bounds without a zone, and a clock on a wall has none

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mailops.accounts.forms import ProfileForm
from mailops.lib.hours import EVERY_DAY, Hours, NeverOpen, opening
from mailops.lib.time_zones import UnknownZone, zone, zone_name, zone_names
from mailops.outbox.doubtful_forms import RelayLogForm

MINUTE = timedelta(minutes=1)
WEEK = 7 * 24 * 60

times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))
pairs = st.one_of(st.just((None, None)), st.tuples(times, times).filter(lambda p: p[0] != p[1]))
days = st.one_of(st.just(EVERY_DAY), st.frozensets(st.integers(1, 7), min_size=1))
# moments all over two years, and ones in the hours around changes of clocks in both halves of the world
moments = st.one_of(
    st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    st.sampled_from(
        [(2026, 3, 29), (2026, 10, 25), (2026, 3, 8), (2026, 11, 1), (2026, 4, 5)]
    ).flatmap(
        lambda day: st.datetimes(
            datetime(*day) - timedelta(days=1),
            datetime(*day) + timedelta(days=1),
            timezones=st.just(UTC),
        )
    ),
)
zones = st.one_of(
    st.sampled_from(zone_names()),
    st.sampled_from(
        [
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
            "America/St_Johns",
            "UTC",
        ]
    ),
)


@st.composite
def hours(draw):
    (window_from, window_to), (quiet_from, quiet_to) = draw(pairs), draw(pairs)
    return Hours(window_from, window_to, draw(days), quiet_from, quiet_to)


def walked(hours, name, at, *, is_open):
    """Return the first minute, `at` itself or a whole one after it, in which the hours are open, or closed."""
    place = ZoneInfo(name)
    moment = at
    for _ in range(2 * WEEK):
        if hours.allow(moment.astimezone(place)) == is_open:
            return moment
        moment = moment.replace(second=0, microsecond=0) + MINUTE
    return None


class TestOpening:
    @settings(max_examples=150)
    @given(hours(), zones, moments)
    @example(
        Hours(time(2, 30), time(2, 45)), "Europe/Berlin", datetime(2026, 3, 28, 22, tzinfo=UTC)
    )
    @example(
        Hours(time(2, 30), time(4)), "Europe/Berlin", datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    )
    @example(
        Hours(time(23), time(1), frozenset({7})), "Asia/Beirut", datetime(2026, 3, 27, tzinfo=UTC)
    )
    def test_is_what_a_walk_over_every_minute_finds(self, hours, name, at):
        opens = walked(hours, name, at, is_open=True)
        assume(opens is not None)
        found = opening(hours, name, at)
        assert found.opens_at == opens
        closes = walked(hours, name, found.opens_at, is_open=False)
        if closes is not None:
            assert found.closes_at == closes
        elif not hours.are_set:
            assert found.closes_at is None

    @settings(max_examples=100)
    @given(hours(), zones, moments)
    def test_never_lies_outside_the_hours_or_before_its_time(self, hours, name, at):
        assume(hours.are_ever_open)
        found = opening(hours, name, at)
        assert found.opens_at >= at
        assert hours.allow(found.opens_at.astimezone(ZoneInfo(name)))
        assert found.closes_at is None or found.closes_at > found.opens_at

    @given(hours())
    def test_are_ever_open_where_any_minute_of_the_week_is(self, hours):
        monday = datetime(2024, 1, 1)
        week = (monday + minute * MINUTE for minute in range(WEEK))
        assert hours.are_ever_open == any(map(hours.allow, week))

    def test_no_hours_are_always_open(self):
        at = datetime(2026, 5, 1, 3, 12, 7, tzinfo=UTC)
        assert not Hours().are_set
        assert opening(Hours(), "Asia/Tokyo", at).opens_at == at
        assert opening(Hours(), "Asia/Tokyo", at).closes_at is None

    def test_office_hours_wait_over_the_weekend_each_in_its_zone(self):
        office = Hours(time(9), time(18), frozenset({1, 2, 3, 4, 5}))
        friday = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
        berlin, tokyo = (
            opening(office, "Europe/Berlin", friday),
            opening(office, "Asia/Tokyo", friday),
        )
        assert berlin.opens_at == datetime(2026, 11, 23, 8, tzinfo=UTC)
        assert tokyo.opens_at == datetime(2026, 11, 23, 0, tzinfo=UTC)
        assert opening(office, "America/New_York", friday).opens_at == friday
        assert opening(office, "America/New_York", friday).closes_at == datetime(
            2026, 11, 20, 23, tzinfo=UTC
        )

    def test_a_window_over_midnight_belongs_to_the_day_it_begins_on(self):
        late = Hours(time(22), time(2), frozenset({5}))
        saturday = datetime(2026, 11, 21, 1, 59, tzinfo=UTC)
        assert opening(late, "UTC", saturday).opens_at == saturday
        assert opening(late, "UTC", saturday + MINUTE).opens_at == datetime(
            2026, 11, 27, 22, tzinfo=UTC
        )

    def test_quiet_hours_win_over_the_window(self):
        both = Hours(time(8), time(22), EVERY_DAY, time(20), time(9))
        at = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
        assert opening(both, "UTC", at).opens_at == at.replace(hour=9, minute=0)
        assert opening(both, "UTC", at).closes_at == at.replace(hour=20, minute=0)

    def test_an_hour_that_clocks_skip_begins_with_the_change(self):
        night = Hours(time(2, 30), time(4))
        found = opening(night, "Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC))
        assert found.opens_at == datetime(2026, 3, 29, 1, tzinfo=UTC)
        assert found.closes_at == datetime(2026, 3, 29, 2, tzinfo=UTC)

    def test_a_window_that_clocks_skip_altogether_is_open_the_next_time(self):
        sunday = Hours(time(2, 10), time(2, 50), frozenset({7}))
        found = opening(sunday, "Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC))
        assert found.opens_at == datetime(2026, 4, 5, 0, 10, tzinfo=UTC)

    def test_hours_that_leave_nothing_say_so(self):
        nothing = Hours(time(9), time(10), EVERY_DAY, time(8), time(11))
        assert not nothing.are_ever_open
        with pytest.raises(NeverOpen):
            opening(nothing, "UTC", datetime(2026, 1, 1, tzinfo=UTC))


class TestZoneNames:
    @pytest.mark.parametrize("text", ["Europe/Berlin", " europe/berlin ", "EUROPE/BERLIN"])
    def test_are_known_in_any_case(self, text):
        assert zone_name(text) == "Europe/Berlin"

    def test_may_have_blanks(self):
        assert zone_name("America/New York") == "America/New_York"

    @pytest.mark.parametrize(
        "text", ["", "+02:00", "Berlin", "localtime", "../etc/passwd", "x" * 500, "UTC\0"]
    )
    def test_that_mean_nothing_are_refused(self, text):
        with pytest.raises(UnknownZone, match="write its IANA name"):
            zone_name(text)

    @pytest.mark.parametrize("form", [ProfileForm, RelayLogForm])
    def test_that_name_no_place_are_not_offered(self, form):
        offered = {name for name, _ in form().fields["time_zone"].choices}
        assert "Europe/Berlin" in offered
        assert not offered & {"Factory", "localtime", "posixrules"}

    def test_all_can_be_loaded(self):
        assert len(zone_names()) > 300
        for name in zone_names():
            assert str(zone(name)) == name

    def test_one_that_is_gone_from_the_machine_counts_as_utc(self):
        assert str(zone("Mars/Olympus")) == "UTC"
