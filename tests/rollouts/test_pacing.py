import pytest

from mailops.rollouts.pacing import pace_of, why_impatient
from mailops.transports.models import Route
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
