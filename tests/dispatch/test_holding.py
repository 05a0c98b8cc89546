"""What a campaign's page says where its mail waits, or leaves slowly."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.holding import silent_ways, stopped_ways
from mailops.dispatch.limits import utc_today
from mailops.dispatch.models import Allowance, Pressure, Worker
from mailops.dispatch.seats import SeatKeeper
from mailops.outbox.models import Event, Message, QueueEntry
from mailops.transports.models import ProviderLimit, Route, Stream, Transport, WarmUp
from tests.factories import make_campaign, make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db


def claim():
    """Claim all there is, as a worker does that goes on; return the worker's id."""
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    claimer = Claimer(worker.pk)
    for carrier in usable_carriers("bulk"):
        claimer.claim(carrier, 100)
    return worker.pk


@pytest.fixture
def campaign():
    stream = make_stream(name="News", transport=make_transport(name="Relay", max_sessions=2))
    return make_campaign(stream=stream, state=Campaign.State.RUNNING, started_at=timezone.now())


def owe(campaign, number, provider="gmail"):
    for _ in range(number):
        make_message(stream=campaign.stream, campaign=campaign, mailbox_provider=provider)


@pytest.fixture
def page(client, viewer, logged_in):
    client = logged_in(viewer)

    def ask(campaign, **headers):
        url = reverse("dispatch:campaign-panel", args=[campaign.pk])
        return client.get(url, headers=headers).content.decode()

    return ask


class TestStops:
    def test_names_what_is_used_up_and_who_asks_for_less(
        self, page, campaign, django_assert_max_num_queries
    ):
        transport = campaign.stream.transport
        Transport.objects.update(daily_quota=3)
        WarmUp.objects.create(
            transport=transport, mailbox_provider="gmail", started_on=utc_today(), first_day=2, growth_percent=50, full_volume=100
        )  # fmt: skip
        owe(campaign, 5)
        owe(campaign, 1, "outlook")
        claim()
        Pressure.objects.create(
            transport=transport, rate_per_minute=30, aim=90, sentence="The next hop asked."
        )
        with django_assert_max_num_queries(22):
            text = page(campaign, **{"HX-Request": "true"})
        assert "Relay has sent its 3 of today" in text
        assert "2 a day at most to Gmail" in text
        assert "Relay sends everybody 30 a minute at most" in text
        assert "<html" not in text

    def test_says_so_where_the_last_of_a_day_is_kept_for_another_stream(self, page, campaign):
        relay = campaign.stream.transport
        orders = make_stream(name="Orders", kind="transactional", reserved_percent=30)
        Route.objects.create(stream=orders, transport=relay, position=1)
        Transport.objects.update(daily_quota=20)
        ramp = {"started_on": utc_today(), "first_day": 10, "full_volume": 100}
        WarmUp.objects.create(transport=relay, mailbox_provider="gmail", **ramp)
        owe(campaign, 9)
        owe(campaign, 7, "outlook")
        claim()
        QueueEntry.objects.update(due_at=timezone.now() - timedelta(minutes=1))
        text = page(campaign)
        assert "Relay has sent 14 of its 20 of today" in text
        assert "The last 6 of the day are kept for Orders." in text
        assert "10 a day at most to Gmail" in text
        assert "The last 3 of the day are kept for Orders." in text
        assert "Nothing moves" not in text
        with_all = make_campaign(stream=orders, state=Campaign.State.RUNNING)
        assert "of today" not in page(with_all)

    @pytest.fixture
    def pressures(self, campaign):
        """Return who asks for less: Gmail, which is sent nothing now, and the next hop."""
        of_it = {"transport": campaign.stream.transport, "aim": 90, "sentence": "Asked."}
        until = timezone.now() + timedelta(minutes=5, seconds=30)
        return [
            Pressure.objects.create(
                mailbox_provider="gmail", rate_per_minute=6, stopped_until=until, **of_it
            ),
            Pressure.objects.create(rate_per_minute=30, **of_it),
        ]

    def test_says_so_where_nothing_is_sent_for_a_while(self, page, campaign, pressures):
        owe(campaign, 1)
        text = page(campaign)
        assert "Relay sends Gmail nothing just now" in text
        assert "Asked. It is tried again in 5\xa0min" in text
        assert "“Full speed” on the page of Relay ends that." in text
        assert "Relay sends everybody 30 a minute at most" in text

    def test_a_message_is_told_what_concerns_its_own_provider(
        self, campaign, pressures, viewer, logged_in
    ):
        client = logged_in(viewer)
        for provider, is_told in (("gmail", True), ("outlook", False)):
            message = make_message(stream=campaign.stream, mailbox_provider=provider)
            text = client.get(reverse("dispatch:message-panel", args=[message.public_id])).text
            assert ("Gmail nothing just now" in text) == is_told
            assert "Relay sends everybody 30 a minute at most" in text

    @pytest.mark.parametrize("provider", ["gmail", "outlook", "nowhere.example"])
    def test_a_campaign_is_told_what_concerns_its_own_providers(self, page, campaign, provider):
        transport = campaign.stream.transport
        WarmUp.objects.create(
            transport=transport, mailbox_provider="gmail", started_on=utc_today(), first_day=1, growth_percent=50, full_volume=100
        )  # fmt: skip
        owe(make_campaign(stream=campaign.stream, state="running", started_at=timezone.now()), 2)
        claim()  # Gmail's of today are taken by another campaign
        for asking in ("gmail", ""):
            Pressure.objects.create(
                transport=transport, mailbox_provider=asking, rate_per_minute=30, aim=90, sentence="Asked."
            )  # fmt: skip
        owe(campaign, 2, provider)
        text = page(campaign)
        assert ("Relay sends Gmail 30 a minute at most" in text) == (provider == "gmail")
        assert ("is warming up" in text) == (provider == "gmail")
        assert "Relay sends everybody 30 a minute at most" in text

    def test_says_nothing_where_nothing_does(self, page, campaign):
        owe(campaign, 1)
        assert "callout" not in page(campaign, **{"HX-Request": "true"})
        assert "Nothing: its mail leaves" in page(campaign)

    @pytest.mark.parametrize("cause", ["person", "guardrail"])
    def test_a_paused_transport_holds_too_and_names_the_one_that_stands_in(
        self, page, campaign, cause
    ):
        Route.objects.create(
            stream=campaign.stream, transport=make_transport(name="Spare"), position=1
        )
        campaign.stream.transport.pause(cause, "Looking into it.")
        text = page(campaign)
        assert "Relay is paused" in text
        assert ("leaves through Spare meanwhile" in text) == (cause == "person")

    def test_what_stops_leads_to_the_page_that_ends_it(self, page, campaign):
        relay = campaign.stream.transport
        relay.pause("person", "Looking into it.")
        url = reverse("transports:detail", args=[relay.pk])
        assert f'<h2><a href="{url}">Relay is paused' in page(campaign)

    def test_nothing_leaves_while_every_way_stands_still(self, page, campaign):
        relay = campaign.stream.transport
        assert stopped_ways(campaign.stream) == []
        relay.pause("fault", "The log-in was refused.")
        assert stopped_ways(campaign.stream) == [relay]
        assert "Relay is paused, and nothing leaves" in page(campaign)
        Route.objects.create(
            stream=campaign.stream, transport=make_transport(name="Spare"), position=1
        )
        assert stopped_ways(campaign.stream) == []
        assert "nothing leaves" not in page(campaign)

    @pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "fragment"])
    def test_takes_no_room_where_nothing_is_held_back(self, page, headers):
        text = page(make_campaign(state="running"), **headers)
        assert 'id="holds"' not in text
        assert ("leaves as fast as" in text) == (not headers)

    def test_stands_on_the_page_of_a_running_campaign(self, viewer, logged_in, campaign):
        answer = logged_in(viewer).get(reverse("campaigns:detail", args=[campaign.pk]))
        assert reverse("dispatch:campaign-panel", args=[campaign.pk]) in answer.content.decode()


class TestRates:
    def limit(self, which, rate):
        if which == "gmail":
            ProviderLimit.objects.create(mailbox_provider="gmail", rate_per_minute=rate)
        else:
            {"relay": Transport, "stream": Stream}[which].objects.update(rate_per_minute=rate)

    @pytest.mark.parametrize(
        ("which", "sentence"),
        [
            ("relay", "Relay sends 2 a minute at most"),
            ("stream", "The stream News sends 2 a minute at most"),
            ("gmail", "Gmail is sent 2 a minute at most"),
        ],
    )
    def test_names_the_one_that_holds_it_back(self, page, campaign, which, sentence):
        self.limit(which, 2)
        owe(campaign, 3)
        claim()
        places = {
            "relay": reverse("transports:detail", args=[campaign.stream.transport.pk]),
            "stream": reverse("transports:stream-detail", args=[campaign.stream_id]),
            "gmail": reverse("transports:providers"),
        }
        assert f'<h2><a href="{places[which]}">{sentence}' in page(campaign)
        Allowance.objects.update(refilled_at=F("refilled_at") - timedelta(minutes=3))
        assert sentence not in page(campaign)  # it was something else that stopped it then

    @pytest.mark.parametrize("which", ["relay", "stream", "gmail"])
    def test_names_none_that_lets_more_through(self, page, campaign, which):
        self.limit(which, 6000)
        owe(campaign, 3)
        claim()
        owe(campaign, 3)
        assert "a minute at most" not in page(campaign)

    def test_names_none_where_nothing_waits(self, page, campaign):
        self.limit("relay", 2)
        owe(campaign, 1)
        claim()
        assert "a minute at most" not in page(campaign)


class TestStill:
    def test_says_that_nobody_takes_what_is_due(self, page, campaign):
        owe(campaign, 2)
        assert "Nothing moves" not in page(campaign)  # it is due just now
        QueueEntry.objects.update(due_at=timezone.now() - timedelta(minutes=1))
        text = page(campaign)
        assert "Nothing moves" in text
        assert "of the bulk lane speaks to Relay" in text
        worker = Worker.objects.create(lane="bulk", host="test", pid=1)
        key = f"t{campaign.stream.transport.pk}"
        SeatKeeper(worker.pk, is_urgent=False).seats(key, held=0, wanted=1, most=2)
        assert "Nothing moves" not in page(campaign)
        Worker.objects.update(dead_at=timezone.now())
        assert "Nothing moves" in page(campaign)

    def test_of_one_stop_it_says_no_other(self, page, campaign):
        owe(campaign, 2)
        QueueEntry.objects.update(due_at=timezone.now() - timedelta(minutes=1))
        campaign.stream.transport.pause("fault", "The log-in was refused.")
        assert "Nothing moves" not in page(campaign)


class TestSessions:
    def test_says_that_all_are_busy(self, page, campaign):
        keeper = SeatKeeper(claim(), is_urgent=False)
        keeper.seats(f"t{campaign.stream.transport.pk}", held=0, wanted=9, most=2)
        owe(campaign, 3)
        assert "Relay is spoken to in 2 sessions at most" in page(campaign)
        keeper.forget()
        assert "sessions at most" not in page(campaign)

    def test_says_that_a_server_does_not_answer(self, page, campaign):
        relay = campaign.stream.transport
        keeper = SeatKeeper(claim(), is_urgent=False)
        keeper.seats(f"t{relay.pk}", held=2, wanted=2, most=2)
        owe(campaign, 3)
        message = Message.objects.latest("id")
        accepted = Event.objects.create(
            message=message, kind="accepted", source="dispatch", external_id="1", transport=relay, occurred_at=timezone.now()
        )  # fmt: skip
        assert "They are busy" in page(campaign)
        assert silent_ways(campaign.stream) == []
        Event.objects.filter(pk=accepted.pk).update(
            recorded_at=timezone.now() - timedelta(seconds=40)
        )
        text = page(campaign)
        assert "Relay does not answer" in text
        assert "They are busy" not in text
        assert silent_ways(campaign.stream) == [relay]
        keeper.forget()
        assert silent_ways(campaign.stream) == []

    def test_says_for_whom_some_are_kept(self, page, campaign, viewer, logged_in):
        relay = campaign.stream.transport
        orders = make_stream(name="Orders", kind="transactional", reserved_percent=30)
        Route.objects.create(stream=orders, transport=relay, position=1)
        SeatKeeper(claim(), is_urgent=False).seats(f"t{relay.pk}", held=0, wanted=9, most=1)
        owe(campaign, 3)
        told = page(campaign)
        assert "Relay is spoken to in 1 session at most" in told
        assert "1 of its 2 is kept for Orders." in told
        path = reverse("dispatch:transport-panel", args=[relay.pk])
        told = logged_in(viewer).get(path).text
        assert (
            "Other streams speak to it in 1 session at most: 1 of its 2 is kept for Orders." in told
        )

    def test_of_a_provider_too(self, page, campaign):
        ProviderLimit.objects.create(mailbox_provider="gmail", max_sessions=1)
        SeatKeeper(claim(), is_urgent=False).seats("p:gmail", held=0, wanted=1, most=1)
        owe(campaign, 3)
        assert "Gmail is spoken to in 1 session at most" in page(campaign)
