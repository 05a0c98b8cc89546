"""Messages of campaigns leave inside their hours, by the recipient's clock, and none is lost to its expiry for waiting."""

# ruff: noqa: DTZ001 - Hypothesis takes bounds without a zone

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db.models import F
from django.utils import timezone
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mailops.audiences.models import Contact
from mailops.campaigns.models import Campaign
from mailops.dispatch import sweeping
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.expansion import expand_running
from mailops.dispatch.models import Worker
from mailops.dispatch.sweeping import keep_hours_for_a_while, sweep_expired
from mailops.dispatch.ticking import hearers
from mailops.lib.hours import Hours
from mailops.outbox.keeping_hours import move_closed
from mailops.outbox.models import EventKind, Message, QueueEntry, Status
from mailops.outbox.recording import Outcome, record
from mailops.outbox.retrying import retry_message
from tests.factories import make_audience, make_campaign, make_message, make_stream
from tests.lib.test_hours import hours, walked, zones

pytestmark = pytest.mark.django_db

# a window of two hours around now on the clocks of UTC; five hours west it begins in four hours, in the east it is over
WEST, EAST = "Etc/GMT+5", "Etc/GMT-5"


def clock(**ahead):
    return (datetime.now(UTC) + timedelta(**ahead)).time().replace(second=0, microsecond=0)


def around_now():
    return {"window_from": clock(hours=-1), "window_to": clock(hours=1)}


def later():
    return {"window_from": clock(hours=2), "window_to": clock(hours=4)}


def make_running(audience=None, **fields):
    """Make a campaign with hours of its own that was just started."""
    campaign = make_campaign(
        audience=audience or make_audience("a@x.example"), has_own_hours=True, **fields
    )
    assert campaign.start(actor=None)
    return campaign


def entry_of(address):
    return QueueEntry.objects.get(address_key=address)


def claim(limit=10):
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    claimer = Claimer(worker.pk)
    return [job for carrier in usable_carriers("bulk") for job in claimer.claim(carrier, limit)]


def close(*addresses):
    """Let the hours of these be over since a minute, an hour after they became due."""
    past = timezone.now() - timedelta(minutes=1)
    QueueEntry.objects.filter(address_key__in=addresses).update(
        due_at=past - timedelta(hours=1), closes_at=past
    )


def about(moment, expected, *, within=timedelta(minutes=2)):
    return abs(moment - expected) < within


class TestExpansion:
    def test_gives_each_the_next_time_by_the_clock_of_its_zone(self):
        audience = make_audience("a@x.example", "west@x.example", "east@x.example")
        Contact.objects.filter(address_key="west@x.example").update(time_zone=WEST)
        Contact.objects.filter(address_key="east@x.example").update(time_zone=EAST)
        make_running(audience, **around_now())
        assert expand_running() == 3
        now = timezone.now()
        assert about(entry_of("a@x.example").due_at, now)
        assert about(entry_of("a@x.example").closes_at, now + timedelta(hours=1))
        assert about(entry_of("west@x.example").due_at, now + timedelta(hours=4))
        assert about(entry_of("west@x.example").closes_at, now + timedelta(hours=6))
        assert about(entry_of("east@x.example").due_at, now + timedelta(hours=18))
        assert [job.recipient for job in claim()] == ["a@x.example"]

    def test_an_unknown_zone_is_the_campaign_s_then_the_stream_s_then_the_installation_s(
        self, settings
    ):
        settings.MAILOPS_TIME_ZONE = WEST
        for campaign_zone, stream_zone, wait in (("", "", 4), ("", "UTC", 0), (EAST, "UTC", 18)):
            stream = make_stream(time_zone=stream_zone)
            make_running(stream=stream, time_zone=campaign_zone, **around_now())
            expand_running()
            due = QueueEntry.objects.latest("pk").due_at
            assert about(due, timezone.now() + timedelta(hours=wait))

    def test_expiry_counts_from_the_time_it_may_leave(self):
        campaign = make_running(**later())
        expand_running()
        entry = entry_of("a@x.example")
        assert entry.expires_at - entry.due_at == timedelta(seconds=campaign.stream.expiry_seconds)

    def test_without_hours_everything_is_due_and_never_closes(self):
        make_running()
        expand_running()
        entry = entry_of("a@x.example")
        assert about(entry.due_at, timezone.now())
        assert entry.closes_at is None

    def test_a_zone_that_is_no_zone_any_more_counts_as_utc(self):
        audience = make_audience("a@x.example")
        Contact.objects.update(time_zone="Mars/Olympus")
        make_running(audience, **around_now())
        expand_running()
        assert about(entry_of("a@x.example").due_at, timezone.now())

    def test_takes_the_stream_s_hours_at_the_start_and_keeps_them(self):
        stream = make_stream(**later())
        campaign = make_campaign(stream=stream, audience=make_audience("a@x.example"))
        assert campaign.start(actor=None)
        type(stream).objects.update(window_from=None, window_to=None)
        expand_running()
        assert about(entry_of("a@x.example").due_at, timezone.now() + timedelta(hours=2))
        assert Campaign.objects.get().window_from == stream.window_from


class TestClaim:
    def test_passes_over_what_its_hours_left_behind(self):
        make_running(**around_now())
        expand_running()
        close("a@x.example")
        assert claim() == []
        assert hearers() == {}

    def test_single_messages_and_password_resets_leave_at_any_hour(self):
        bulk, awaited = make_stream(**later()), make_stream(kind="transactional", **later())
        make_message(stream=bulk)
        make_message(stream=awaited)
        assert len(claim()) == 1
        assert set(hearers()) == {"bulk", "transactional"}
        assert not keep_hours_for_a_while()
        assert not QueueEntry.objects.exclude(closes_at=None).exists()


class TestKeepHours:
    @pytest.fixture
    def closed(self):
        """Return a campaign of which one message was left behind by its hours; they begin again in two hours."""
        campaign = make_running(**later())
        expand_running()
        close("a@x.example")
        return campaign

    def test_moves_what_was_left_behind_to_the_next_hours_with_its_expiry(self, closed):
        before = entry_of("a@x.example")
        assert not keep_hours_for_a_while()
        after = entry_of("a@x.example")
        assert about(after.due_at, timezone.now() + timedelta(hours=2))
        assert about(after.closes_at, timezone.now() + timedelta(hours=4))
        assert after.expires_at - before.expires_at == after.due_at - before.closes_at

    def test_by_the_zone_that_the_contact_has_now(self, closed):
        Contact.objects.update(time_zone=WEST)
        keep_hours_for_a_while()
        assert about(entry_of("a@x.example").due_at, timezone.now() + timedelta(hours=7))

    def test_leaves_what_a_worker_has_and_what_a_person_holds(self, closed):
        QueueEntry.objects.update(is_held=True)
        keep_hours_for_a_while()
        assert entry_of("a@x.example").closes_at < timezone.now()
        QueueEntry.objects.update(is_held=False, worker_id=1, fence=1)
        keep_hours_for_a_while()
        assert entry_of("a@x.example").closes_at < timezone.now()

    def test_a_paused_campaign_s_are_moved_when_it_runs_again(self, closed):
        closed.pause("person")
        keep_hours_for_a_while()
        assert entry_of("a@x.example").closes_at < timezone.now()
        closed.resume()
        keep_hours_for_a_while()
        assert entry_of("a@x.example").due_at > timezone.now()

    def test_goes_on_while_there_is_more(self, closed, monkeypatch):
        monkeypatch.setattr(sweeping, "KEEPING_SECONDS", 0)
        assert keep_hours_for_a_while(seconds=0)
        assert not keep_hours_for_a_while(seconds=0)

    def test_expiry_does_not_eat_what_waits(self, closed):
        QueueEntry.objects.update(expires_at=F("closes_at") + timedelta(seconds=5))
        assert sweep_expired() == 0
        keep_hours_for_a_while()
        assert sweep_expired() == 0
        entry = entry_of("a@x.example")
        assert entry.expires_at - entry.due_at == timedelta(seconds=5)

    def test_what_is_in_its_hours_expires_as_ever(self):
        make_running(**around_now())
        expand_running()
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert sweep_expired() == 1


def defer(message, **fields):
    entry = QueueEntry.objects.get(message=message)
    QueueEntry.objects.filter(message=message).update(worker_id=1, fence=5)
    return record(
        [
            Outcome(
                message_id=message.pk,
                kind=EventKind.DEFERRED,
                source="dispatch",
                external_id=f"{message.pk}:{entry.attempts}",
                fence=5,
                round=message.round,
                **fields,
            )
        ]
    )


class TestDeferrals:
    def test_that_fall_outside_the_hours_move_into_the_next_ones(self):
        make_running(**around_now())
        expand_running()
        before = entry_of("a@x.example")
        defer(Message.objects.get(), retry_after=2 * 3600)
        after = entry_of("a@x.example")
        opens = timezone.now() + timedelta(hours=23)
        assert about(after.due_at, opens)
        assert about(after.closes_at, opens + timedelta(hours=2))
        assert about(after.expires_at - before.expires_at, timedelta(hours=21))
        assert after.attempts == 1

    def test_that_fall_inside_stay_where_the_back_off_puts_them(self):
        make_running(**around_now())
        expand_running()
        before = entry_of("a@x.example")
        defer(Message.objects.get(), retry_after=600)
        after = entry_of("a@x.example")
        assert about(after.due_at, timezone.now() + timedelta(minutes=10))
        assert about(after.expires_at, before.expires_at, within=timedelta(seconds=2))
        assert after.closes_at == before.closes_at

    def test_of_a_campaign_without_hours_and_of_single_messages_are_as_ever(self):
        make_running()
        expand_running()
        for message in (Message.objects.get(), make_message(stream=make_stream(**later()))):
            defer(message, retry_after=7200)
            entry = QueueEntry.objects.get(message=message)
            assert about(entry.due_at, timezone.now() + timedelta(hours=2))
            assert entry.closes_at is None

    def test_a_person_s_retry_waits_for_the_hours_too(self, operator):
        make_running(**later())
        expand_running()
        QueueEntry.objects.all().delete()
        Message.objects.update(status=Status.BOUNCED)
        assert retry_message(message=Message.objects.get(), actor=operator)
        entry = entry_of("a@x.example")
        assert about(entry.due_at, timezone.now() + timedelta(hours=2))
        assert entry.expires_at > entry.due_at + timedelta(hours=71)


def test_every_zone_and_change_of_clocks_moves_a_message_into_its_hours():
    """Held against a walk over every minute; the moments lie around changes of clocks."""
    make_running()
    expand_running()
    entry = QueueEntry.objects.filter(address_key="a@x.example")

    @settings(max_examples=20)  # many more are held against it in tests/lib/test_hours.py
    @given(
        hours(),
        zones,
        st.datetimes(datetime(2027, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    )
    @example(Hours(time(2, 30), time(4)), "Europe/Berlin", datetime(2027, 3, 28, 0, 10, tzinfo=UTC))
    @example(
        Hours(time(1, 30), time(1, 45)),
        "America/New_York",
        datetime(2027, 11, 7, 5, 50, tzinfo=UTC),
    )
    @example(
        Hours(quiet_from=time(23), quiet_to=time(7)),
        "Australia/Lord_Howe",
        datetime(2027, 4, 3, 14, tzinfo=UTC),
    )
    def moves(wanted, zone, due_at):
        opens_at = walked(wanted, zone, due_at, is_open=True)
        assume(opens_at is not None and wanted.are_set)
        Campaign.objects.update(
            window_from=wanted.window_from,
            window_to=wanted.window_to,
            window_days=sorted(wanted.days),
            quiet_from=wanted.quiet_from,
            quiet_to=wanted.quiet_to,
        )
        Contact.objects.update(time_zone=zone)
        expires_at = due_at + timedelta(hours=72)
        entry.update(due_at=due_at, closes_at=timezone.now(), expires_at=expires_at)
        assert move_closed() == 1
        moved = entry.get()
        assert moved.due_at == opens_at
        assert moved.expires_at - expires_at == opens_at - due_at

    moves()


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"]
)
def test_quiet_hours_are_kept_in_every_zone(zone):
    """Whatever the time is there now, nobody gets mail between ten in the evening and seven in the morning."""
    audience = make_audience("a@x.example")
    Contact.objects.update(time_zone=zone)
    make_running(audience, quiet_from=time(22), quiet_to=time(7))
    expand_running()
    entry = entry_of("a@x.example")
    assert time(7) <= entry.due_at.astimezone(ZoneInfo(zone)).time() < time(22)
    assert entry.closes_at.astimezone(ZoneInfo(zone)).time() == time(22)
