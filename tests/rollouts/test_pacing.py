import pytest

from mailops.dispatch import limits
from mailops.rollouts.pacing import pace_of, why_impatient
from mailops.transports.models import Route, WarmUp
from tests.factories import make_stream, make_transport

pytestmark = pytest.mark.django_db

HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("limits", "expiry", "said"),
    [
        ({}, 72 * HOUR, ""),
        ({}, 60, "gives up 1 min after a mail is due: a slow server"),
        ({"rate_per_minute": 100}, 4 * HOUR, ""),
        ({"rate_per_minute": 1}, 4 * HOUR, "and this takes longer"),
        ({"daily_quota": 500}, 3 * DAY, ""),
        ({"daily_quota": 100}, 3 * DAY, "and this takes longer"),
    ],
)
def test_warns_of_a_stream_that_gives_up_before_all_had_their_turn(limits, expiry, said):
    stream = make_stream(transport=make_transport(**limits), expiry_seconds=expiry)
    told = why_impatient(stream, pace_of(stream, 1000))
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize(
    ("routing", "limits", "said", "seconds"),
    [
        ("order", {"daily_quota": 100}, "as quickly as A answers", 0),
        (
            "order",
            {"daily_quota": 100, "rate_per_minute": 10},
            "At most 10 a minute, by the transport A",
            6000,
        ),
        ("weight", {"rate_per_minute": 10}, "as quickly as the transports A and B answer", 0),
    ],
)
def test_counts_on_who_takes_what_the_first_may_not(routing, limits, said, seconds):
    stream = make_stream(transport=make_transport(name="A", **limits), routing=routing)
    Route.objects.create(stream=stream, transport=make_transport(name="B"), position=1)
    pace = pace_of(stream, 1000)
    assert said in pace.words
    assert pace.seconds == seconds


def test_adds_up_what_all_ways_may_send():
    stream = make_stream(
        transport=make_transport(name="A", daily_quota=100, rate_per_minute=10), routing="weight"
    )
    other = make_transport(name="B", daily_quota=300, rate_per_minute=30)
    Route.objects.create(stream=stream, transport=other, position=1)
    assert pace_of(stream, 1000).words == (
        "At most 400 a day, by the transports A and B: 3 days at least."
    )
    assert pace_of(stream, 400).words == (
        "At most 40 a minute, by the transports A and B: at least 10 min."
    )


def test_names_the_sessions_and_for_whom_some_are_kept():
    relay = make_transport(name="Relay", max_sessions=4)
    news = make_stream(transport=relay)
    said = "No rate is set: it goes as quickly as Relay answers, in {} at most."
    assert pace_of(news, 1000).words == said.format("4 sessions")
    orders = make_stream(name="Orders", kind="transactional", transport=relay)
    told = f"{said.format('3 sessions')} 1 of its 4 is kept for Orders."
    assert pace_of(news, 1000).words == told
    assert pace_of(orders, 1000).words == said.format("4 sessions")


class TestWarmUps:
    @pytest.fixture(autouse=True)
    def _one_day(self, monkeypatch):
        monkeypatch.setattr(limits, "_TODAY", "DATE '2026-03-01'")

    @pytest.fixture
    def relay(self):
        return make_transport(name="Relay")

    def warm(self, transport, provider="", **fields):
        values = {"first_day": 10, "growth_percent": 100, "full_volume": 10_000, **fields}
        WarmUp.objects.create(
            transport=transport, mailbox_provider=provider, started_on=limits.utc_today(), **values
        )

    def test_are_named_with_what_they_let_through_today(self, relay):
        self.warm(relay)
        self.warm(relay, "gmail", first_day=5)
        words = pace_of(make_stream(transport=relay), 1000).words
        said = "Relay is warming up: today it sends at most 5 to Gmail and 10 to each other mailbox provider, and"
        assert said in words

    def test_warn_of_what_is_given_up_before_its_turn(self, relay):
        self.warm(relay)
        stream = make_stream(transport=relay, expiry_seconds=3 * DAY)
        assert why_impatient(stream, pace_of(stream, 10 + 20 + 40 + 80)) == ""
        assert "lets 150 to one mailbox provider leave by then" in why_impatient(
            stream, pace_of(stream, 151)
        )

    def test_that_end_in_time_are_nothing_to_warn_of(self, relay):
        self.warm(relay, full_volume=40)
        stream = make_stream(transport=relay, expiry_seconds=3 * DAY)
        assert why_impatient(stream, pace_of(stream, 1000)) == ""

    def test_leave_what_is_over_to_the_next_transport(self, relay):
        self.warm(relay)
        stream = make_stream(transport=relay)
        Route.objects.create(stream=stream, transport=make_transport(name="Old"), position=1)
        pace = pace_of(stream, 1000)
        assert "What is over goes through the transport Old." in pace.words
        assert why_impatient(stream, pace) == ""

    @pytest.mark.parametrize(("routing", "is_told"), [("order", False), ("weight", True)])
    def test_behind_a_transport_that_takes_all_concern_nobody(self, relay, routing, is_told):
        self.warm(relay)
        stream = make_stream(transport=make_transport(name="Old"), routing=routing)
        Route.objects.create(stream=stream, transport=relay, position=1)
        assert ("Relay is warming up" in pace_of(stream, 1000).words) == is_told
