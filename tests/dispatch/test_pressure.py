"""Back-pressure: what replies lower, what a quiet time raises, and what a person sees of it."""

from datetime import timedelta
from itertools import count

import pytest
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.models import Pressure, PressureScan, Worker
from mailops.dispatch.pressure import LEAST, RAISE, feel_pressure
from mailops.dispatch.sweeping import move_to_their_pools
from mailops.lib.clock import ClockTimestamp
from mailops.outbox.models import Event, EventKind
from mailops.outbox.recording import Outcome, record
from mailops.protocol.classification import classify
from mailops.protocol.reply import Reply
from tests.factories import make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db
BUSY = Reply(421, "4.7.28 Our system has detected an unusual rate", "4.7.28")
_ids = count(1)


@pytest.fixture
def stream():
    PressureScan.objects.create(pk=1)
    return make_stream()


def said(stream, reply, *, provider="gmail", times=1, phase="rcpt", **data):
    """Let the ledger say that messages got `reply`, five seconds ago, however long it takes to write them."""
    known = list(Event.objects.values_list("pk", flat=True))
    for _ in range(times):
        message = make_message(stream=stream, mailbox_provider=provider)
        meaning = classify(reply, phase)
        kind = EventKind.ACCEPTED if reply.is_positive else EventKind.DEFERRED
        record(
            [
                Outcome(
                    message_id=message.pk,
                    kind=kind,
                    source="dispatch",
                    external_id=f"{next(_ids)}:reply",
                    transport_id=stream.transport.pk,
                    reply=reply,
                    reason="" if reply.is_positive else meaning.reason,
                    fault="" if reply.is_positive else meaning.fault,
                    data={"phase": phase, **data},
                )
            ]
        )
    age(seconds=5)
    Event.objects.exclude(pk__in=known).update(recorded_at=ClockTimestamp() - timedelta(seconds=5))
    feel_pressure()


def age(**time):
    """Let what was said have been said earlier."""
    Event.objects.update(recorded_at=F("recorded_at") - timedelta(**time))


def later(**time):
    Pressure.objects.update(
        changed_at=F("changed_at") - timedelta(**time),
        stopped_until=F("stopped_until") - timedelta(**time),
    )


def claim():
    claimer = Claimer(Worker.objects.create(lane="bulk", host="test", pid=1).pk)
    return [job for carrier in usable_carriers("bulk") for job in claimer.claim(carrier, 50)]


OK = Reply(250, "ok", "2.0.0")


class TestLowers:
    def test_halves_what_leaves_to_the_provider_that_asked(self, stream):
        said(stream, OK, times=40)
        age(seconds=40)
        said(stream, BUSY)
        row = Pressure.objects.get()
        assert (row.transport, row.mailbox_provider) == (stream.transport, "gmail")
        assert row.rate_per_minute == pytest.approx(41 * 60 / 50 / 2, rel=0.1)
        assert "Gmail asked for less" in row.sentence
        assert "unusual rate" in row.detail
        assert AuditEntry.objects.get().verb == "transport.slow_down"

    def test_does_so_again_only_for_what_was_sent_since(self, stream):
        said(stream, BUSY)
        Pressure.objects.update(rate_per_minute=30)
        said(stream, BUSY)
        assert Pressure.objects.get().rate_per_minute == 30
        later(seconds=20)
        said(stream, BUSY)
        assert Pressure.objects.get().rate_per_minute == 15

    def test_does_not_take_what_has_just_begun_for_slow(self, stream):
        said(stream, OK, times=40)
        said(stream, BUSY)
        # it took ten seconds, or a busy machine a few more
        assert Pressure.objects.get().rate_per_minute > 41 * 60 / 20 / 2

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(421, "try later"),
            Reply(450, "4.7.1 too many connections", "4.7.1"),
            Reply(451, "4.7.650 The mail server has been temporarily rate limited", "4.7.650"),
        ],
    )
    def test_hears_every_way_to_ask(self, stream, reply):
        said(stream, reply)
        assert Pressure.objects.get().mailbox_provider == "gmail"

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(450, "4.7.1 Greylisted, come back later", "4.7.1"),
            Reply(452, "4.2.2 mailbox full", "4.2.2"),
            Reply(451, "4.3.0 busy", "4.3.0"),
        ],
    )
    def test_leaves_alone_what_is_no_wish(self, stream, reply):
        said(stream, reply, times=2)
        assert not Pressure.objects.exists()

    def test_speaks_of_all_of_the_transport_where_no_recipient_was_named(self, stream):
        said(stream, BUSY, phase="mail")
        assert Pressure.objects.get().mailbox_provider == ""

    def test_waits_as_long_as_a_provider_s_api_says(self, stream):
        type(stream.transport).objects.update(kind="amazon_ses")
        said(stream, Reply(429, "slow down"), phase="body", retry_after=120)
        row = Pressure.objects.get()
        assert row.mailbox_provider == ""
        assert row.stopped_until > timezone.now() + timedelta(seconds=100)
        assert claim() == []

    @pytest.mark.parametrize(
        ("said_to_wait", "waits"),
        [(10**12, True), ("7", True), ("soon", False), (-5, False), (None, False)],
    )
    def test_takes_any_wait_that_an_event_may_name(self, stream, said_to_wait, waits):
        said(stream, BUSY, retry_after=said_to_wait)
        row = Pressure.objects.get()
        assert (row.stopped_until is not None) == waits

    def test_says_for_how_long_in_words(self, stream):
        said(stream, BUSY, retry_after=86_400)
        sentence = Pressure.objects.get().sentence
        assert sentence == "Gmail asked to wait 1 d. It is tried again after each 1 h."

    def test_a_small_domain_must_say_so_more_than_once(self, stream):
        said(stream, BUSY, provider="small.example")
        said(stream, BUSY, provider="small.example")
        assert not Pressure.objects.exists()
        said(stream, BUSY, provider="small.example")
        assert Pressure.objects.get().mailbox_provider == "small.example"
        assert PressureScan.objects.get().watched == []

    @pytest.mark.parametrize("phase", ["mail", "rcpt"])
    def test_a_server_that_goes_down_must_say_so_more_than_once(self, stream, phase):
        good_bye = Reply(421, "4.3.2 Closing down", "4.3.2")
        said(stream, good_bye, phase=phase, times=2)
        assert not Pressure.objects.exists()
        said(stream, good_bye, phase=phase)
        assert Pressure.objects.exists()

    def test_what_a_small_domain_said_a_while_ago_counts_no_more(self, stream):
        said(stream, BUSY, provider="small.example", times=2)
        scan = PressureScan.objects.get()
        scan.watched[0][3] -= 61
        scan.save()
        said(stream, BUSY, provider="small.example")
        assert not Pressure.objects.exists()

    def test_a_place_that_takes_nothing_for_months_is_stopped_on(self, stream):
        said(stream, BUSY, times=5)
        Pressure.objects.update(stops=32_767)
        later(hours=1)
        said(stream, BUSY)
        assert Pressure.objects.with_now().get().is_stopped

    def test_forgets_what_was_said_before_there_was_somebody_to_hear_it(self):
        stream = make_stream()
        said(stream, BUSY)
        assert not Pressure.objects.exists()


class TestHolds:
    def test_for_every_worker_and_for_this_provider_alone(self, stream):
        said(stream, BUSY)
        for provider in ("gmail", "outlook"):
            for _ in range(5):
                make_message(stream=stream, mailbox_provider=provider)
        providers = [job.mailbox_provider for job in claim()]
        assert providers.count("gmail") == 1
        assert providers.count("outlook") == 5

    def test_for_a_small_domain_too_once_its_entries_have_moved(self, stream):
        said(stream, BUSY, provider="small.example", times=3)
        assert Pressure.objects.exists()
        for _ in range(5):
            make_message(stream=stream, mailbox_provider="small.example")
        make_message(stream=stream, mailbox_provider="other.example")
        move_to_their_pools()
        providers = [job.mailbox_provider for job in claim()]
        assert providers.count("small.example") == 1
        assert "other.example" in providers


class TestRaises:
    def test_a_quarter_each_quiet_minute_until_it_is_over(self, stream):
        said(stream, OK, times=40)
        age(seconds=40)
        said(stream, BUSY)
        feel_pressure()
        lowered = Pressure.objects.get().rate_per_minute
        later(seconds=61)
        feel_pressure()
        assert Pressure.objects.get().rate_per_minute == pytest.approx(lowered * 1.25)
        for _ in range(10):
            later(seconds=61)
            feel_pressure()
        assert not Pressure.objects.exists()
        assert AuditEntry.objects.order_by("pk").last().verb == "transport.full_speed"


class TestBreaker:
    DOWN = Reply(451, "4.4.1 connection timed out", "4.4.1")

    def test_sends_nothing_for_a_while_after_refusals_in_a_row(self, stream):
        said(stream, self.DOWN, times=4)
        assert not Pressure.objects.exists()
        said(stream, self.DOWN)
        row = Pressure.objects.with_now().get()
        assert row.is_stopped
        assert "took nothing" in row.sentence
        make_message(stream=stream, mailbox_provider="gmail")
        assert claim() == []

    def test_then_tries_one_message_and_waits_longer_if_it_fails(self, stream):
        said(stream, self.DOWN, times=5)
        later(seconds=31)
        for _ in range(3):
            make_message(stream=stream, mailbox_provider="gmail")
        assert [job.mailbox_provider for job in claim()] == ["gmail"]
        said(stream, self.DOWN)
        row = Pressure.objects.with_now().get()
        assert row.is_stopped
        assert row.stopped_until > timezone.now() + timedelta(seconds=50)

    def test_goes_on_with_half_of_what_it_was_once_one_is_taken(self, stream):
        said(stream, OK, times=80)
        age(seconds=40)
        said(stream, self.DOWN, times=5)
        assert Pressure.objects.get().rate_per_minute == LEAST
        later(seconds=31)
        said(stream, OK)
        row = Pressure.objects.with_now().get()
        assert not row.is_stopped
        assert row.rate_per_minute == pytest.approx(85 * 60 / 50 / 2, rel=0.1)

    def test_an_end_set_by_a_clock_that_was_ahead_holds_nothing_back(self, stream):
        said(stream, self.DOWN, times=5)
        later(days=-1)
        assert not Pressure.objects.with_now().get().is_stopped
        make_message(stream=stream, mailbox_provider="gmail")
        assert len(claim()) == 1
        said(stream, self.DOWN)
        row = Pressure.objects.with_now().get()
        assert row.is_stopped
        assert row.stopped_until < timezone.now() + timedelta(minutes=10)

    def test_a_change_made_by_a_clock_that_was_ahead_keeps_no_rate_low(self, stream):
        said(stream, self.DOWN, times=5)
        later(days=-1)
        feel_pressure()
        assert Pressure.objects.get().rate_per_minute == LEAST * RAISE


class TestPanel:
    @pytest.fixture
    def pressure(self):
        return Pressure.objects.create(
            transport=make_transport(daily_quota=500),
            mailbox_provider="gmail",
            rate_per_minute=30,
            aim=120,
            sentence="Gmail asked for less.",
            detail="421 4.7.28 <slow>",
        )

    def url(self, pressure):
        return reverse("dispatch:transport-panel", args=[pressure.transport_id])

    def test_says_where_it_stands_why_and_since_when(
        self, viewer, logged_in, pressure, django_assert_max_num_queries
    ):
        client = logged_in(viewer)
        with django_assert_max_num_queries(12):
            page = client.get(self.url(pressure), headers={"HX-Request": "true"}).content.decode()
        assert "Gmail asked for less." in page
        assert "421 4.7.28 &lt;slow&gt;" in page
        assert "0 of 500" in page
        assert "<html" not in page
        assert "Full speed" not in page

    def test_stands_on_the_transport_s_page(self, viewer, logged_in, pressure):
        page = logged_in(viewer).get(reverse("transports:detail", args=[pressure.transport_id]))
        assert self.url(pressure) in page.content.decode()

    def test_says_so_where_nobody_asks_for_less(self, viewer, logged_in):
        url = reverse("dispatch:transport-panel", args=[make_transport().pk])
        assert "Nobody asks for less" in logged_in(viewer).get(url).content.decode()

    def test_who_operates_may_end_it_and_nobody_else(self, oncall, viewer, logged_in, pressure):
        end = reverse("dispatch:pressure-end", args=[pressure.pk])
        assert logged_in(viewer).post(end).status_code == 403
        assert logged_in(oncall).get(end).status_code == 405
        assert logged_in(oncall).post(end).status_code == 302
        assert not Pressure.objects.exists()
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.actor) == ("transport.full_speed", oncall)
        assert logged_in(oncall).post(end).status_code == 404
