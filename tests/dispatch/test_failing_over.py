"""A stream's next transport stands in for one that stands still, and leaves the mail to it once that is well."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.dispatch import standing_in
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.detours import Detours, detours_of
from mailops.dispatch.models import Pressure, Worker
from mailops.dispatch.releasing import release
from mailops.outbox.models import Event, Message, QueueEntry
from mailops.outbox.tokens import current_token_key_id
from mailops.protocol.alignment import Result
from mailops.transports.alignment import Crossing
from mailops.transports.models import Route, WarmUp
from tests.dispatch.test_delivery import deliver
from tests.factories import make_campaign, make_message, make_stream, make_transport
from tests.outbox.doubts import doubt
from tests.smtp_server import SmtpServer
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db
FOUND = {
    "unknown": None,
    "pass": SimpleNamespace(result=Result.PASS),
    "fail": SimpleNamespace(result=Result.FAIL),
}


@pytest.fixture
def ways():
    first, second = make_transport(), make_transport()
    stream = make_stream(transport=first)
    Route.objects.create(stream=stream, transport=second, position=1)
    return stream, first, second


def open_breaker(transport, *, backs_off=True):
    transport.breaker, transport.failures = "open", 3
    seconds = 60 if backs_off else -1
    transport.backoff_until = timezone.now() + timedelta(seconds=seconds)
    transport.save()


def claim():
    """Claim all there is; return how many messages each transport got."""
    claimer = Claimer(Worker.objects.create(lane="bulk", host="test", pid=1).pk)
    jobs = {one.transport_id: claimer.claim(one, 100) for one in usable_carriers("bulk")}
    release([(job.message_id, job.fence) for some in jobs.values() for job in some])
    return {transport_id: len(some) for transport_id, some in jobs.items()}


class TestStandsIn:
    def test_for_nobody_who_is_well(self, ways):
        stream, first, _ = ways
        make_message(stream=stream)
        assert claim() == {first.pk: 1}

    @pytest.mark.parametrize("cause", ["person", "fault"])
    def test_for_one_that_a_person_or_its_own_fault_paused(self, ways, cause):
        stream, first, second = ways
        make_message(stream=stream)
        first.pause(cause, "Out of order.")
        assert claim() == {second.pk: 1}
        first.resume()
        assert claim() == {first.pk: 1}

    def test_for_one_whose_breaker_is_open(self, ways):
        stream, first, second = ways
        make_message(stream=stream)
        open_breaker(first)
        assert claim() == {second.pk: 1}

    def test_beside_the_session_that_tries_whether_it_is_well_again(self, ways):
        stream, first, second = ways
        make_message(stream=stream)
        open_breaker(first, backs_off=False)
        assert set(claim()) == {first.pk, second.pk}

    def test_the_next_but_one_where_the_next_stands_still_too(self, ways):
        stream, first, second = ways
        third = make_transport()
        Route.objects.create(stream=stream, transport=third, position=2)
        make_message(stream=stream)
        first.pause("person")
        open_breaker(second)
        assert claim() == {third.pk: 1}

    def test_for_a_still_one_before_one_whose_day_s_number_is_used_up(self, ways):
        stream, first, second = ways
        third = make_transport()
        Route.objects.create(stream=stream, transport=third, position=2)
        WarmUp.objects.create(
            transport=second,
            started_on="2020-01-01",
            first_day=1,
            growth_percent=1,
            full_volume=100,
        )
        WarmUp.objects.update(started_on=timezone.now().date())
        for _ in range(3):
            make_message(stream=stream)
        first.pause("person")
        assert list(claim().values()) == [1, 2]

    def test_not_where_a_guardrail_stopped_the_mail_itself(self, ways):
        stream, first, _ = ways
        make_message(stream=stream)
        first.pause("guardrail", "Too many bounces.")
        assert claim() == {}

    def test_not_where_sessions_failed_once_or_less_was_asked_for(self, ways):
        stream, first, _ = ways
        make_message(stream=stream)
        first.record_failure("It did not answer.")
        assert claim() == {}
        first.record_success()
        Pressure.objects.create(
            transport=first,
            rate_per_minute=6,
            aim=60,
            sentence="It asked.",
            stopped_until=timezone.now() + timedelta(minutes=1),
        )
        assert claim() == {first.pk: 0}

    def test_only_for_its_own_streams(self, ways):
        stream, first, second = ways
        other = make_stream(transport=first)
        make_message(stream=other)
        make_message(stream=stream)
        first.pause("person")
        assert claim() == {second.pk: 1}


class TestAligned:
    @pytest.fixture
    def results(self, monkeypatch, ways):
        """Return a function that says what DMARC makes of mail by the first and by the second route."""
        stream, first, second = ways

        def say(by_first, by_second):
            crossings = [
                Crossing(stream, first, True, FOUND[by_first], ""),
                Crossing(stream, second, False, FOUND[by_second], ""),
            ]
            monkeypatch.setattr(standing_in, "crossings_of", lambda *_: crossings)

        return say

    @pytest.mark.parametrize(
        ("by_first", "by_second", "may"),
        [
            ("pass", "pass", True),
            ("pass", "fail", False),
            ("pass", "unknown", False),
            ("unknown", "unknown", True),
            ("unknown", "fail", False),
            ("fail", "pass", True),
        ],
    )
    def test_only_where_the_from_passes(self, ways, results, by_first, by_second, may):
        stream, first, second = ways
        make_message(stream=stream)
        results(by_first, by_second)
        first.pause("person")
        assert claim() == ({second.pk: 1} if may else {})

    def test_the_campaign_s_page_says_who_must_not(self, ways, results, viewer, logged_in):
        stream, first, second = ways
        campaign = make_campaign(stream=stream, state="running", started_at=timezone.now())
        results("pass", "fail")
        first.pause("person")
        panel = reverse("dispatch:campaign-panel", args=[campaign.pk])
        page = logged_in(viewer).get(panel).content.decode()
        assert f"{second} does not stand in" in page
        assert "meanwhile" not in page


class TestDoubt:
    @pytest.fixture
    def resent(self, ways):
        stream, first, _ = ways
        stream.guarantee = "resend"
        stream.save()
        message = make_message(stream=stream)
        doubt(message, first)
        return message

    def test_what_one_transport_may_have_sent_goes_through_no_other(self, ways, resent):
        stream, first, second = ways
        make_message(stream=stream)
        first.pause("person")
        assert claim() == {second.pk: 1}
        first.resume()
        assert claim() == {first.pk: 2}

    def test_what_the_one_that_stood_in_may_have_sent_may_go_through_it_again(self, ways, resent):
        _, first, second = ways
        Message.objects.filter(pk=resent.pk).update(transport=second)
        first.pause("person")
        assert claim() == {second.pk: 1}


@pytest.mark.django_db(transaction=True)
def test_goes_on_through_the_next_server_and_says_so_on_the_timeline(
    settings, ways, viewer, logged_in
):
    stream, first, second = ways
    with SmtpServer() as dead, SmtpServer() as well:
        dead.script["banner"] = "421 4.3.2 not now"
        settings.MAILOPS_TRUSTED_RELAYS = frozenset(
            {("127.0.0.1", server.port) for server in (dead, well)}
        )
        for transport, server in ((first, dead), (second, well)):
            transport.port = server.port
            transport.save()
        messages = [
            make_message(stream=stream, token_key_id=current_token_key_id()) for _ in range(2)
        ]
        first.failures = 2  # rounds of sessions; with the next the breaker opens
        first.save()

        def has_sent_all():
            deliver()  # ends early where nothing came for half a second, as on a busy machine
            return not QueueEntry.objects.exists()

        wait_until(has_sent_all, seconds=60, what="the mail to leave by the other way")
        assert len(well.messages) == len(messages)
    assert set(Message.objects.values_list("status", "transport")) == {("accepted", second.pk)}
    assert set(Event.objects.values_list("kind", "transport")) == {("accepted", second.pk)}
    first.refresh_from_db()
    assert first.breaker == "open"
    page = logged_in(viewer).get(f"/messages/{messages[0].public_id}/").content.decode()
    assert f"Carried by {second}, because the breaker of {first} was open: " in page


class TestDetours:
    """What the events of messages say of their way."""

    def said(self):
        found = {}
        for carrier in usable_carriers("bulk"):
            if detours := detours_of(carrier):
                found[carrier.transport_id] = detours
        return found

    def test_nothing_of_the_usual_one_and_asks_nothing(self, ways, django_assert_num_queries):
        stream, *_ = ways
        make_message(stream=stream)
        assert self.said() == {}
        (carrier,) = usable_carriers("bulk")
        jobs = Claimer(Worker.objects.create(lane="bulk", host="test", pid=1).pk).claim(carrier, 9)
        with django_assert_num_queries(0):
            assert Detours().name(carrier, jobs) == jobs
        assert [job.detour for job in jobs] == [None]

    def test_names_who_was_paused_and_why(self, ways):
        stream, first, second = ways
        third = make_transport()
        Route.objects.create(stream=stream, transport=third, position=2)
        first.pause("person", "Maintenance.")
        second.pause("fault", "The server refused the log-in.")
        told = (
            f"{first} was paused: Maintenance; and "
            f"{second} was paused: The server refused the log-in."
        )
        assert self.said() == {third.pk: {stream.pk: {"stood_in": told}}}

    def test_names_whose_number_of_the_day_is_spent(self, ways):
        stream, first, second = ways
        first.daily_quota = 1
        first.save()
        told = {"stood_in": f"{first} had sent its number of the day."}
        assert self.said() == {second.pk: {stream.pk: told}}

    def test_names_who_has_no_share_any_more(self, ways):
        stream, first, second = ways
        stream.routing = "weight"
        stream.save()
        assert self.said() == {}
        first.pause("person", "Maintenance.")
        told = {"stood_in": f"{first} was paused: Maintenance."}
        assert self.said() == {second.pk: {stream.pk: told}}

    def test_names_the_session_that_tries_whether_it_works_again(self, ways):
        stream, first, second = ways
        open_breaker(first, backs_off=False)
        first.breaker_sentence = "It did not answer."
        first.save()
        told = self.said()
        assert told[first.pk] == {stream.pk: {"probed": "It did not answer."}}
        assert told[second.pk] == {
            stream.pk: {"stood_in": f"the breaker of {first} was open: It did not answer."}
        }

    def test_a_message_that_waits_says_what_holds_it_back(self, ways, viewer, logged_in):
        stream, first, second = ways
        message = make_message(stream=stream)
        client = logged_in(viewer)
        panel = reverse("dispatch:message-panel", args=[message.public_id])
        assert panel in client.get(f"/messages/{message.public_id}/").content.decode()
        assert "Nothing: it leaves when it is due" in client.get(panel).content.decode()
        for one in (first, second, stream):
            one.pause("person", "Maintenance.")
        page = client.get(panel, headers={"HX-Request": "true"}).content.decode()
        for words in (
            f"{first} is paused",
            f"{second} is paused",
            f"The stream {stream} is paused",
        ):
            assert words in page
        assert "<html" not in page
