import json
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import ConfigurationLimitExceeded, DeadlockDetected

from mailops.content.rendering import compile_version
from mailops.incidents import configuring, handling, notifying
from mailops.incidents.detection import detect
from mailops.incidents.models import (
    NOT_ARRIVED,
    Incident,
    Notice,
    NoticeAttempt,
    NotificationChannel,
    Threshold,
)
from mailops.incidents.notifying import deliver_due
from mailops.incidents.trouble import troubles
from mailops.outbox.models import Message
from mailops.reports.attention import matters
from mailops.transports.models import PauseCause, Route, Transport
from tests.factories import make_identity, make_stream, make_transport
from tests.http_server import HttpServer, QuietHandler
from tests.incidents.conftest import count


@contextmanager
def hook(settings, status=200, act=lambda: None, body=b""):
    """Answer posts with `status`, once it did `act`; gives the address and what was posted."""
    posts = []

    class Handler(QuietHandler):
        def do_POST(self):
            posts.append(
                (self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            )
            act()
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", len(body))
            self.end_headers()
            with suppress(OSError):  # nobody reads it
                self.wfile.write(body)

    with HttpServer(Handler) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        yield f"http://127.0.0.1:{server.port}/hook?key=secret", posts


def make_webhook(url):
    channel = NotificationChannel.objects.create(name="chat", kind="webhook")
    channel.set_url(url, "127.0.0.1")
    channel.save()
    return channel


def make_mail_channel(stream):
    return NotificationChannel.objects.create(
        name="mail",
        kind="mail",
        recipient="oncall@example.net",
        stream=stream,
        identity=make_identity(domain=stream.domain),
    )


def open_incident(stream):
    count(stream, "accepted", 94)
    count(stream, "bounced", 6)
    detect()
    return Incident.objects.get()


class TestANewChannel:
    """It hears at once, and once, of what is open already."""

    def notices(self, channel):
        return [
            (one.occasion, one.incident.subject_label) for one in channel.notices.order_by("pk")
        ]

    def test_is_told_of_what_is_open_in_one_message(self, settings, stream):
        open_incident(stream)
        other = make_stream(name="Other")
        count(other, "accepted", 94)
        count(other, "bounced", 6)
        detect()
        assert not Notice.objects.exists()
        with hook(settings) as (url, posts):
            make_webhook(url)
            for _ in range(2):
                detect()
                deliver_due()
        ((_, posted),) = posts
        assert (posted["occasion"], posted["title"]) == ("Open already", "2 incidents")
        assert "Other" in posted["sentence"]

    def test_is_told_of_a_single_one_by_its_name(self, settings, stream):
        incident = open_incident(stream)
        with hook(settings) as (url, posts):
            make_webhook(url)
            detect()
            deliver_due()
        ((_, posted),) = posts
        assert (posted["occasion"], posted["incident"]) == ("Open already", incident.pk)

    def test_hears_of_its_close_afterwards(self, stream, admin):
        incident = open_incident(stream)
        channel = make_mail_channel(stream)
        detect()
        handling.close(incident=incident, actor=admin, reason="Settled.")
        assert [occasion for occasion, _ in self.notices(channel)] == ["open", "closed"]

    def test_hears_nothing_of_what_is_below_its_level_or_over(self, stream, admin):
        incident = open_incident(stream)
        channel = make_mail_channel(stream)
        NotificationChannel.objects.update(least_level="stop")
        detect()
        assert self.notices(channel) == []
        NotificationChannel.objects.update(least_level="warn", is_enabled=False)
        detect()
        assert self.notices(channel) == []
        handling.close(incident=incident, actor=admin, reason="Settled.")
        NotificationChannel.objects.update(is_enabled=True)
        Threshold.objects.update(is_enabled=False)
        detect()
        assert self.notices(channel) == []

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("act", ["close", "delete"])
    def test_hears_nothing_of_what_a_person_ends_in_that_moment(
        self, act, stream, admin, meanwhile
    ):
        incident = open_incident(stream)
        channel = make_mail_channel(stream)
        with transaction.atomic():
            if act == "close":
                handling.close(incident=incident, actor=admin, reason="Settled.")
            else:
                configuring.delete_channel(channel=channel, actor=admin)
            looked = meanwhile(detect)
        looked.result()
        told = Notice.objects.values_list("occasion", flat=True)
        assert list(told) == (["closed"] if act == "close" else [])

    @pytest.mark.django_db(transaction=True)
    def test_that_is_deleted_while_an_incident_closes_takes_nothing_along(
        self, stream, admin, meanwhile
    ):
        incident = open_incident(stream)
        channel = make_mail_channel(stream)
        with transaction.atomic():
            handling.close(incident=incident, actor=admin, reason="Settled.")
            deleted = meanwhile(configuring.delete_channel, channel=channel, actor=admin)
        deleted.result()
        incident.refresh_from_db()
        assert not incident.is_open
        assert not NotificationChannel.objects.exists()

    def test_that_was_switched_off_hears_what_opened_meanwhile(self, stream):
        channel = make_mail_channel(stream)
        NotificationChannel.objects.update(is_enabled=False)
        open_incident(stream)
        NotificationChannel.objects.update(is_enabled=True)
        detect()
        assert [occasion for occasion, _ in self.notices(channel)] == ["open"]

    def test_that_heard_it_open_or_get_worse_hears_nothing_twice(self, stream):
        channel = make_mail_channel(stream)
        incident = open_incident(stream)
        Incident.objects.update(level="stop")
        for _ in range(2):
            detect()
        assert self.notices(channel) == [("opened", incident.subject_label)]


def shown_of(sentence, settings, stream):
    """Return what a chat shows of an incident."""
    with hook(settings) as (url, posts):
        make_webhook(url)
        open_incident(stream)
        Incident.objects.update(sentence=sentence)
        deliver_due()
    [(_, told)] = posts
    return told["text"]


def result():
    return NoticeAttempt.objects.latest("id").result


class TestWebhook:
    def test_is_posted_what_broke_and_where_to_look(self, settings, stream):
        with hook(settings) as (url, posts):
            make_webhook(url)
            incident = open_incident(stream)
            assert deliver_due() == 1
            assert deliver_due() == 0
        [(path, told)] = posts
        assert path == "/hook?key=secret"
        assert told["sentence"].startswith(f"{incident.sentence} Open since ")
        assert told["url"].endswith(f"/incidents/{incident.pk}/")
        assert incident.sentence in told["text"]
        assert f" What to do: {incident.threshold.to_do} http" in told["text"]
        assert told["to_do"] == incident.threshold.to_do
        assert Notice.objects.get().has_succeeded
        assert result() == "127.0.0.1 answered 200."

    def test_is_known_again_where_it_could_not_be_told_that_it_arrived(self, settings, stream):
        with hook(settings, 500) as (url, posts):
            make_webhook(url)
            open_incident(stream)
            deliver_due()
            Notice.objects.update(due_at=timezone.now())
            deliver_due()
        assert {told["key"] for _, told in posts} == {f"incident-notice-{Notice.objects.get().pk}"}

    def test_shows_a_chat_no_markup_of_a_strangers_server(self, settings, stream):
        said = "550 <!channel> <https://evil.example|mend it> [mend it](https://evil.example) @here"
        with hook(settings) as (url, posts):
            make_webhook(url)
            open_incident(stream)
            Incident.objects.update(sentence=said)
            deliver_due()
        [(_, told)] = posts
        assert said in told["sentence"]
        assert [one for one in ("<", ">", "](", "@here") if one in told["text"]] == []
        assert told["text"].endswith(told["url"])

    @pytest.mark.parametrize("call", ["@ada", "x@everyone", "@channel", "(@all)"])
    def test_calls_nobody_that_a_strangers_server_names(self, call, settings, stream):
        assert call not in shown_of(f"550 ask {call} and ada@group.com", settings, stream)

    def test_tells_in_one_line_that_no_server_turns_around_or_makes_long(self, settings, stream):
        said = "550 no\r\nClosed: all is well\u2028\u202egro.live\x1b[2J" + "x" * 9000
        told = shown_of(said, settings, stream)
        assert "550 no Closed: all is well gro.live [2Jxxx" in told
        assert len(told) < notifying.MOST_SAID + 200
        assert told.splitlines() == [told]
        assert "xxx… http" in told
        assert told.endswith(f"/incidents/{Incident.objects.get().pk}/")

    def test_leaves_addresses_as_they_are(self, settings, stream):
        said = "550 5.1.1 ada@group.com, bob@here.example: see ops.all@all.example"
        assert said in shown_of(said, settings, stream)

    @pytest.mark.parametrize("status", [302, 404, 500])
    def test_that_does_not_take_it_is_tried_again(self, status, settings, stream):
        with hook(settings, status) as (url, posts):
            make_webhook(url)
            open_incident(stream)
            deliver_due()
        assert len(posts) == 1
        notice = Notice.objects.get()
        assert notice.is_waiting
        assert notice.due_at > timezone.now() + timedelta(seconds=10)
        redirected = ", a redirect, and mailops follows none: enter the address it leads to"
        assert result() == f"127.0.0.1 answered {status}{redirected if status == 302 else ''}."

    def test_that_takes_it_with_a_long_page_is_told_once(self, settings, stream):
        with hook(settings, body=b"x" * 400_000) as (url, posts):
            make_webhook(url)
            open_incident(stream)
            deliver_due()
        assert len(posts) == 1
        assert Notice.objects.get().has_succeeded

    def test_is_given_up_in_the_end_once_its_incident_is_closed(self, settings, stream, oncall):
        with hook(settings, 500) as (url, _):
            make_webhook(url)
            incident = open_incident(stream)
            for _ in range(12):
                Notice.objects.update(due_at=timezone.now())
                deliver_due()
            notice = Notice.objects.get()
            assert notice.is_waiting
            assert notice.due_at > timezone.now() + timedelta(minutes=59)
            handling.close(incident=incident, reason="It was a full disk.", actor=oncall)
            Notice.objects.update(due_at=timezone.now())
            deliver_due()
        notice.refresh_from_db()
        assert not notice.is_waiting
        assert not notice.has_succeeded
        assert notice.attempts.count() == 13
        (trouble,) = troubles()
        assert trouble.sentence.endswith("127.0.0.1 answered 500.")

    @pytest.mark.parametrize("act", ["test", "save"])
    def test_that_is_mended_is_told_at_once_what_it_missed(self, act, settings, stream, admin):
        with hook(settings) as (url, posts):
            channel = make_webhook(url)
            open_incident(stream)
            Notice.objects.update(due_at=timezone.now() + notifying.LEASE)  # just being told
            self.mend(channel, act, admin)
            assert deliver_due() == (act == "test")
            Notice.objects.update(due_at=timezone.now() + notifying.LONG_PATIENCE)
            self.mend(channel, act, admin)
            deliver_due()
        assert "Opened" in [post["occasion"] for _, post in posts]

    def mend(self, channel, act, admin):
        if act == "test":
            configuring.test_channel(channel=channel, actor=admin)
        else:
            configuring.save_channel(channel=channel, url="", actor=admin)

    def test_reaches_no_private_address(self, settings, stream):
        with hook(settings) as (url, posts):
            make_webhook(url)
            settings.MAILOPS_TRUSTED_RELAYS = frozenset()
            open_incident(stream)
            deliver_due()
        assert posts == []
        assert "not public" in result()

    def test_waits_for_the_next_tick_when_time_is_up(self, stream, monkeypatch):
        monkeypatch.setattr(notifying, "BUDGET_SECONDS", 0.0)
        make_webhook("https://hooks.example.com/")
        open_incident(stream)
        assert deliver_due() == 0
        assert Notice.objects.get().due_at <= timezone.now()

    def test_is_told_of_the_opening_even_after_the_close(self, settings, stream, oncall):
        with hook(settings) as (url, posts):
            make_webhook(url)
            incident = open_incident(stream)
            handling.close(incident=incident, reason="It was a full disk.", actor=oncall)
            deliver_due()
        told = {post["occasion"]: post["sentence"] for _, post in posts}
        assert told.keys() == {"Opened", "Closed"}
        assert told["Opened"].startswith(incident.sentence)
        assert told["Closed"].startswith("It was a full disk. ")

    def test_is_told_since_when_and_until_when(self, settings, stream, oncall):
        with hook(settings) as (url, posts):
            make_webhook(url)
            incident = open_incident(stream)
            Incident.objects.update(opened_at=datetime(2026, 3, 1, 23, 58, tzinfo=UTC))
            deliver_due()
            handling.close(incident=incident, reason="It was a full disk.", actor=oncall)
            Incident.objects.update(closed_at=datetime(2026, 3, 2, 3, 5, tzinfo=UTC))
            deliver_due()
        opened, closed = [post["text"] for _, post in posts]
        assert "Open since 01 Mar, 23:58 UTC." in opened
        assert "It was open from 01 Mar, 23:58 UTC to 02 Mar, 03:05 UTC." in closed

    def test_is_told_of_the_opening_before_the_close(self, settings, stream, oncall):
        with hook(settings) as (url, posts):
            make_webhook(url)
            incident = open_incident(stream)
            Notice.objects.update(due_at=timezone.now() + timedelta(minutes=5))  # tried once
            handling.close(incident=incident, reason="It was a full disk.", actor=oncall)
            assert deliver_due() == 0
            Notice.objects.filter(occasion="opened").update(due_at=timezone.now())
            assert deliver_due() == 2
        assert [post["occasion"] for _, post in posts] == ["Opened", "Closed"]
        assert posts[1][1]["text"].startswith("Closed: Bounce rate: News. It was a full disk. ")

    def test_that_is_switched_off_is_told_no_more(self, settings, stream, admin):
        with hook(settings) as (url, posts):
            channel = make_webhook(url)
            open_incident(stream)
            channel.is_enabled = False
            configuring.save_channel(channel=channel, url="", actor=admin)
            deliver_due()
            channel.is_enabled = True
            configuring.save_channel(channel=channel, url="", actor=admin)
            deliver_due()
            assert posts == []
            assert result() == "The channel was switched off."
            assert not list(troubles())
            configuring.test_channel(channel=channel, actor=admin)
            assert deliver_due() == 1

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("status", [200, 500])
    def test_that_is_deleted_while_it_is_told_keeps_no_other_waiting(
        self, status, settings, stream
    ):
        def delete():
            NotificationChannel.objects.filter(name="chat").delete()
            connection.close()

        with hook(settings, status, delete) as (url, posts):
            make_webhook(url)
            make_mail_channel(make_stream())
            open_incident(stream)
            assert deliver_due() == 2
        assert len(posts) == 1
        assert Notice.objects.get().has_succeeded
        assert Message.objects.exists()

    def test_that_does_not_answer_is_asked_once_a_tick(self, settings, stream):
        with hook(settings, 500) as (url, posts):
            make_webhook(url)
            open_incident(stream)
            other = make_stream()
            count(other, "accepted", 94)
            count(other, "bounced", 6)
            detect()
            assert deliver_due() == 1
            assert deliver_due() == 1
            assert deliver_due() == 0
        assert len(posts) == 2

    def test_that_was_not_told_for_long_needs_a_person(self, settings, stream):
        with hook(settings, 500) as (url, _):
            make_webhook(url)
            open_incident(stream)
            deliver_due()
        assert not list(troubles())
        Notice.objects.update(created_at=timezone.now() - timedelta(minutes=20))
        (trouble,) = troubles()
        assert trouble.title == "An alert has not yet reached the channel chat"
        assert trouble.sentence.endswith("127.0.0.1 answered 500.")

    def test_keeps_its_address_secret(self, settings, stream):
        channel = make_webhook("https://hooks.example.com/T0/secret")
        channel.refresh_from_db()
        assert b"secret" not in bytes(channel.sealed_url)
        assert channel.url() == "https://hooks.example.com/T0/secret"
        NotificationChannel.objects.update(host="elsewhere.example")
        open_incident(stream)
        deliver_due()
        assert "Enter it again" in result()


def open_many(n):
    """Let the transports of `n` streams stop for a fault."""
    for i in range(n):
        make_transport(name=f"Relay {i:02}").pause(PauseCause.FAULT, "The password was refused.")
    detect()


class TestAStorm:
    def test_is_one_alert(self, settings, db):
        with hook(settings) as (url, posts):
            make_webhook(url)
            make_mail_channel(make_stream())
            open_many(12)
            assert deliver_due() == 24
            assert deliver_due() == 0
        [(_, told)] = posts
        assert told["text"].startswith("Opened: 12 incidents. Stopped by itself: Relay 00; ")
        assert "; Stopped by itself: Relay 09; and 2 more. " in told["text"]
        assert told["url"].endswith("/incidents/")
        assert len(told["incidents"]) == 12
        message = Message.objects.get()
        assert message.merge_data["title"] == "12 incidents"
        assert Notice.objects.filter(has_succeeded=True).count() == 24
        assert Notice.objects.filter(message=message).count() == 12

    def test_of_a_few_is_told_one_by_one(self, settings, db):
        with hook(settings) as (url, posts):
            make_webhook(url)
            open_many(notifying.FEW)
            assert deliver_due() == notifying.FEW
        assert len(posts) == notifying.FEW

    def test_that_comes_one_by_one_becomes_one(self, settings, db):
        with hook(settings) as (url, posts):
            make_webhook(url)
            for i in range(4 * notifying.FEW):
                make_transport(name=f"Relay {i:02}").pause(PauseCause.FAULT, "It was refused.")
                detect()
                deliver_due()
            assert len(posts) == notifying.FEW
            NoticeAttempt.objects.update(at=timezone.now() - notifying.BREATH)
            deliver_due()
        assert len(posts) == notifying.FEW + 1
        assert posts[-1][1]["title"] == f"{3 * notifying.FEW} incidents"

    def test_that_keeps_one_channel_busy_keeps_no_other_waiting(self, settings, db):
        with hook(settings) as (url, _):
            make_webhook(url)
            open_many(notifying.FEW)
            deliver_due()
            make_mail_channel(make_stream())
            detect()
            assert deliver_due() == notifying.FEW
        assert Message.objects.count() == 1

    def test_that_is_not_told_is_tried_again_as_one(self, settings, db):
        with hook(settings, 500) as (url, posts):
            make_webhook(url)
            open_many(12)
            assert deliver_due() == 12
            Notice.objects.update(due_at=timezone.now())
            assert deliver_due() == 12
        assert len(posts) == 2
        assert NoticeAttempt.objects.count() == 24
        assert not Notice.objects.exclude(done_at=None).exists()

    def test_is_told_whole_though_one_of_it_was_queued_when_its_worker_died(self, stream):
        make_mail_channel(stream)
        open_incident(make_stream())
        deliver_due()
        Notice.objects.update(done_at=None, due_at=timezone.now(), message=None)
        open_many(6)
        deliver_due()
        _, whole = Message.objects.order_by("pk")
        assert whole.merge_data["title"] == "7 incidents"
        assert set(Notice.objects.values_list("message", flat=True)) == {whole.pk}
        Notice.objects.update(done_at=None, due_at=timezone.now(), message=None)
        deliver_due()
        assert Message.objects.count() == 2
        assert set(Notice.objects.values_list("message", flat=True)) == {whole.pk}

    def test_tells_a_close_apart_and_later(self, settings, db, oncall):
        with hook(settings) as (url, posts):
            make_webhook(url)
            open_many(7)
            Transport.objects.update(state="running", pause_cause="")
            for incident in Incident.objects.all():
                handling.close(incident=incident, reason="A new password.", actor=oncall)
            assert deliver_due() == 14
        assert [post["occasion"] for _, post in posts] == ["Opened", "Closed"]


class TestMail:
    def test_goes_out_as_a_message_of_ours(self, stream):
        other = make_stream(transport=make_transport())
        make_mail_channel(other)
        incident = open_incident(stream)
        deliver_due()
        message = Message.objects.get()
        assert (message.recipient, message.stream) == ("oncall@example.net", other)
        assert message.merge_data["sentence"].startswith(f"{incident.sentence} Open since ")
        assert str(message.public_id) in result()

    def test_is_sent_once_for_a_notice(self, stream):
        make_mail_channel(make_stream())
        open_incident(stream)
        deliver_due()
        Notice.objects.update(done_at=None, due_at=timezone.now())
        deliver_due()
        assert Message.objects.count() == 1

    @pytest.mark.parametrize("status", NOT_ARRIVED)
    def test_that_does_not_arrive_needs_a_person(self, status, stream, logged_in, viewer):
        channel = make_mail_channel(make_stream())
        open_incident(stream)
        deliver_due()
        assert not list(troubles())
        Message.objects.update(status=status, sentence="There is no such mailbox.")
        (trouble,) = troubles()
        assert trouble in matters()
        assert trouble.sentence == "Opened: Bounce rate: News. There is no such mailbox."
        page = logged_in(viewer).get(trouble.url).text
        assert "There is no such mailbox." in page
        assert f"/messages/{Message.objects.get().public_id}/" in page
        NotificationChannel.objects.filter(pk=channel.pk).update(is_enabled=False)
        assert [one.title for one in troubles()] == ["Nobody is told of incidents"]

    def test_that_arrives_later_ends_the_trouble(self, stream, admin):
        channel = make_mail_channel(make_stream())
        open_incident(stream)
        deliver_due()
        Message.objects.update(status="suppressed")
        assert len(list(troubles())) == 1
        configuring.test_channel(channel=channel, actor=admin)
        deliver_due()
        assert len(list(troubles())) == 1
        Message.objects.filter(status="queued").update(status="accepted")
        assert not list(troubles())

    @pytest.mark.parametrize("status", ["queued", "deferred", "held"])
    def test_that_waits_for_long_needs_a_person(self, status, stream):
        make_mail_channel(make_stream())
        open_incident(stream)
        deliver_due()
        Message.objects.update(status=status)
        assert not list(troubles())
        Notice.objects.update(created_at=timezone.now() - timedelta(minutes=20))
        (trouble,) = troubles()
        assert trouble.title == "An alert has not yet reached the channel mail"
        assert trouble.sentence == "Opened: Bounce rate: News. Its mail waits to leave."

    def test_takes_a_transport_whose_mail_bounces(self, stream):
        make_mail_channel(make_stream(transport=stream.transport))
        open_incident(stream)
        deliver_due()
        assert Message.objects.exists()

    def test_takes_the_transport_that_stands_in(self, stream):
        first, second = stream.transport, make_transport()
        Route.objects.create(stream=stream, transport=second, position=1)
        make_mail_channel(stream)
        first.pause(PauseCause.FAULT, "The password was refused.")
        detect()
        deliver_due()
        assert Message.objects.get().stream == stream

    def test_does_not_wait_for_a_transport_that_can_not_be_reached(self, stream):
        transport = stream.transport
        make_mail_channel(stream)
        for _ in range(3):
            Transport.objects.update(backoff_until=None)
            transport.record_failure("The connection was refused.")
        detect()
        deliver_due()
        assert not Message.objects.exists()
        assert (
            "can't be reached; give the channel another stream, over another transport" in result()
        )

    def test_does_not_take_a_way_that_is_paused(self, stream):
        other = make_stream()
        make_mail_channel(other)
        other.transport.pause(PauseCause.PERSON, "Maintenance.")
        open_incident(stream)
        deliver_due()
        assert not Message.objects.exists()
        assert "is paused" in result()

    def test_that_mailops_fails_to_make_keeps_no_other_channel_waiting(
        self, settings, stream, monkeypatch
    ):
        def fail():
            raise ValueError

        monkeypatch.setattr(notifying, "_version", fail)
        make_mail_channel(make_stream())
        with hook(settings) as (url, posts):
            make_webhook(url)
            open_incident(stream)
            assert deliver_due() == 2
        assert len(posts) == 1
        failed = NoticeAttempt.objects.get(has_succeeded=False)
        assert failed.result == "mailops failed to tell it (ValueError)."
        assert failed.notice.due_at > timezone.now()

    def refuse(self, stream, monkeypatch, cause):
        """Have an alert told while the database refuses what its mail asks."""

        def fail():
            raise OperationalError from cause

        with monkeypatch.context() as patched:
            patched.setattr(notifying, "_version", fail)
            make_mail_channel(make_stream())
            open_incident(stream)
            deliver_due()

    def test_that_the_database_refuses_for_good_says_so(self, stream, monkeypatch):
        self.refuse(stream, monkeypatch, ConfigurationLimitExceeded())
        assert result() == "mailops failed to tell it (OperationalError)."

    def test_that_a_deadlock_breaks_off_is_told_once_its_lease_ends(self, stream, monkeypatch):
        with pytest.raises(OperationalError):
            self.refuse(stream, monkeypatch, DeadlockDetected())
        assert not NoticeAttempt.objects.exists()
        assert Notice.objects.get().due_at > timezone.now()
        Notice.objects.update(due_at=timezone.now())
        deliver_due()
        assert Message.objects.exists()

    def test_shows_hostile_names_as_text(self, stream):
        stream.name = (
            "Ne\r\nBcc: x@evil.example\r\n\r\n<script>alert(1)</script> {{ url }} \u202eevil"
        )
        stream.save()
        make_mail_channel(make_stream())
        open_incident(stream)
        deliver_due()
        message = Message.objects.get()
        mail = compile_version(message.version).render(message.merge_data)
        assert mail.subject.splitlines() == [mail.subject]
        assert "{{ url }}" in mail.subject
        assert "<script>" not in mail.html
        assert "&lt;script&gt;" in mail.html

    def test_renders(self, stream):
        make_mail_channel(make_stream())
        incident = open_incident(stream)
        deliver_due()
        message = Message.objects.get()
        mail = compile_version(message.version).render(message.merge_data)
        assert mail.subject == "[mailops] Opened: Bounce rate: News"
        assert incident.sentence in mail.text
        assert f" UTC.\n\nWhat to do: {incident.threshold.to_do}\n\nhttp" in mail.text
        assert "<strong>What to do:</strong>" in mail.html

    def test_says_nothing_to_do_once_it_is_over(self, stream, oncall):
        make_mail_channel(make_stream())
        incident = open_incident(stream)
        handling.close(incident=incident, reason="It was a full disk.", actor=oncall)
        assert deliver_due() == 2
        message = Message.objects.latest("pk")
        mail = compile_version(message.version).render(message.merge_data)
        assert "What to do" not in mail.text + mail.html
