"""Each digest goes out once, late or not at all, and never in silence."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from mailops.accounts.models import AuditEntry, Role
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.publishing import publish
from mailops.digests import sending
from mailops.digests.models import Digest, Subscription
from mailops.digests.sending import MAX_ATTEMPTS, deliver_due, make_due, send_one_now
from mailops.digests.subscribing import switch
from mailops.digests.template import NAME, current_version
from mailops.digests.trouble import troubles
from mailops.digests.weeks import last_due, next_due
from mailops.dispatch.claiming import Job
from mailops.dispatch.preparing import Way, prepare
from mailops.lib.time_zones import zone
from mailops.outbox.models import Message
from mailops.reports.attention import matters
from mailops.transports.models import PauseCause, Route
from tests.digests.conftest import on_time, subscribe
from tests.factories import make_identity, make_stream, make_transport
from tests.incidents.test_notifying import make_mail_channel

pytestmark = pytest.mark.django_db


def make_and_send(user):
    made = make_due(now=on_time(user))
    Digest.objects.waiting().update(due_at=timezone.now())
    deliver_due()
    return made


def due_again():
    Digest.objects.waiting().update(due_at=timezone.now())
    deliver_due()


class TestSending:
    def test_queues_a_message_to_whoever_switched_it_on(self, way, viewer, operator):
        subscribe(viewer)
        assert make_and_send(viewer) == 1
        message = Message.objects.get()
        assert (message.recipient, message.stream) == (viewer.email, way.stream)
        digest = Digest.objects.get()
        assert (digest.message, digest.week_on) == (message, last_due(on_time(viewer), zone("UTC")).date() - timedelta(days=7))  # fmt: skip
        assert not list(troubles())

    def test_is_not_repeated_by_a_second_beat_or_a_broken_one(self, way, viewer):
        subscribe(viewer)
        make_and_send(viewer)
        assert make_and_send(viewer) == 0
        Digest.objects.update(done_at=None, message=None, due_at=timezone.now())
        deliver_due()
        assert Message.objects.count() == 1
        assert Digest.objects.get().message == Message.objects.get()

    def test_leaves_it_to_the_process_that_is_at_it(self, way, viewer):
        subscribe(viewer)
        make_due(now=on_time(viewer))
        Digest.objects.update(due_at=timezone.now() + sending.LEASE)  # as who claims it does
        assert deliver_due() == 0

    def test_follows_the_person_into_another_zone_without_a_second_one(self, way, viewer):
        subscribe(viewer)
        viewer.time_zone = "Pacific/Auckland"
        viewer.save()
        now = last_due(timezone.now(), zone("Pacific/Auckland"))
        assert make_due(now=now) == 1
        viewer.time_zone = "America/Los_Angeles"
        viewer.save()
        later = now + timedelta(hours=21)  # Monday at eight there
        assert make_due(now=later) == 0
        assert Digest.objects.get().time_zone == "Pacific/Auckland"

    def test_comes_from_the_next_monday_on(self, way, viewer, monkeypatch):
        switch(user=viewer, on=True)
        since_at = Subscription.objects.get().since_at
        monday = next_due(since_at, zone("UTC"))
        monkeypatch.setattr(sending, "database_now", lambda: since_at)
        assert make_due() == make_due(now=monday - timedelta(seconds=1)) == 0
        assert make_due(now=monday) == 1

    def test_is_left_out_days_late_and_says_so(self, way, viewer):
        subscribe(viewer)
        late = last_due(timezone.now(), zone("UTC")) + timedelta(days=3)
        assert make_due(now=late) == 1
        assert deliver_due() == 0
        (trouble,) = troubles()
        assert "did not run on Monday" in trouble.sentence
        assert trouble in matters()

    def test_of_a_clock_that_was_ahead_counts_for_no_week(self, way, viewer):
        subscribe(viewer)
        ahead = on_time(viewer) + timedelta(days=7)
        assert make_due(now=ahead) == 1
        assert make_due(now=on_time(viewer)) == 1
        assert make_due(now=ahead) == 1
        occasions = Digest.objects.order_by("id").values_list("occasion", flat=True)
        assert list(occasions) == ["astray", "week", "week"]


class TestPermissions:
    def test_nobody_gets_one_who_did_not_ask(self, way, admin, viewer):
        Subscription.objects.create(user=viewer)
        assert make_due(now=on_time(viewer)) == 0

    @pytest.mark.parametrize("change", [{"is_active": False}, {"role": Role.NONE}])
    def test_who_may_not_see_gets_none(self, change, way, viewer, operator):
        subscribe(viewer, operator)
        for name, value in change.items():
            setattr(viewer, name, value)
        viewer.save()
        assert make_due(now=on_time(viewer)) == 1  # the operator's
        for name, value in change.items():
            setattr(operator, name, value)
        operator.save()
        due_again()
        digest = Digest.objects.get()
        assert not Message.objects.exists()
        assert (digest.is_waiting, digest.has_failed, digest.pill) == (False, False, "dropped")
        assert digest.result

    def test_who_comes_back_begins_anew_and_misses_nothing(self, way, viewer):
        subscribe(viewer)
        viewer.is_active = False
        viewer.save()
        assert make_due(now=on_time(viewer)) == 0
        viewer.is_active = True
        viewer.save()
        assert make_due(now=on_time(viewer) + timedelta(days=2)) == 0
        assert not list(troubles())
        assert make_due(now=next_due(on_time(viewer), zone("UTC"))) == 1

    def test_who_switched_it_off_meanwhile_gets_none(self, way, viewer):
        subscribe(viewer)
        make_due(now=on_time(viewer))
        switch(user=viewer, on=False)
        due_again()
        assert not Message.objects.exists()


class TestFailing:
    def test_without_a_way_it_is_tried_again_and_given_up_loudly(self, viewer):
        subscribe(viewer)
        began_at = timezone.now()
        make_and_send(viewer)
        digest = Digest.objects.get()
        assert digest.is_waiting
        assert digest.due_at >= began_at + sending.PATIENCE[0]
        assert "an admin chooses one" in digest.result
        for _ in range(MAX_ATTEMPTS + 2):
            due_again()
        digest.refresh_from_db()
        assert (digest.is_waiting, digest.has_failed, digest.attempts) == (False, True, MAX_ATTEMPTS)  # fmt: skip
        (trouble,) = troubles()
        assert str(viewer) in trouble.title
        assert "an admin chooses one" in trouble.sentence

    def test_goes_out_when_the_stream_runs_again(self, way, viewer):
        subscribe(viewer)
        way.stream.pause(PauseCause.PERSON, "Maintenance.")
        make_and_send(viewer)
        assert "is paused" in Digest.objects.get().result
        assert not list(troubles())  # it is tried again in a minute
        way.stream.resume()
        due_again()
        assert Message.objects.count() == 1
        assert Digest.objects.get().result == ""

    def test_goes_out_by_the_transport_that_stands_in(self, way, viewer):
        first = way.stream.transport
        Route.objects.create(stream=way.stream, transport=make_transport(), position=1)
        subscribe(viewer)
        first.pause(PauseCause.FAULT, "The password was refused.")
        make_and_send(viewer)
        assert Message.objects.count() == 1

    def test_waits_for_a_transport_that_stands_still(self, way, viewer):
        subscribe(viewer)
        way.stream.transport.pause(PauseCause.FAULT, "The password was refused.")
        make_and_send(viewer)
        assert not Message.objects.exists()
        assert "it goes out when mail leaves there again" in Digest.objects.get().result

    def test_that_breaks_holds_up_nobody_and_ends(self, way, viewer, operator, monkeypatch):
        subscribe(viewer, operator)
        whole = sending.data_of

        def broken(week_on, zone_name):
            if zone_name == "Europe/Berlin":
                raise ZeroDivisionError
            return whole(week_on, zone_name)

        monkeypatch.setattr(sending, "data_of", broken)
        make_due(now=on_time(viewer))
        Digest.objects.filter(user=viewer).update(time_zone="Europe/Berlin")
        for _ in range(MAX_ATTEMPTS):
            with pytest.raises(ZeroDivisionError):
                due_again()
        due_again()
        assert Message.objects.get().recipient == operator.email
        assert Digest.objects.get(user=viewer).has_failed

    @pytest.mark.parametrize("status", ["bounced", "failed", "suppressed", "expired", "uncertain"])
    def test_a_message_that_did_not_arrive_is_told(self, status, way, viewer):
        subscribe(viewer)
        make_and_send(viewer)
        Message.objects.update(status=status, sentence="There is no such mailbox.")
        (trouble,) = troubles()
        assert trouble.sentence == "There is no such mailbox."
        send_one_now(viewer)
        assert not list(troubles())


class TestWay:
    def test_is_that_of_the_mails_of_incidents_where_nobody_chose(self, viewer):
        subscribe(viewer)
        stream = make_stream()
        make_mail_channel(stream)
        make_and_send(viewer)
        assert Message.objects.get().stream == stream

    def test_of_another_domain_is_refused(self, way, viewer):
        way.identity = make_identity()
        way.save()
        subscribe(viewer)
        make_and_send(viewer)
        assert "choose another" in Digest.objects.get().result


class TestNow:
    def test_sends_one_whatever_was_switched_and_only_once_a_minute(self, way, viewer):
        assert send_one_now(viewer).message
        with pytest.raises(sending.JustSent):
            send_one_now(viewer)
        assert Message.objects.count() == 1
        assert AuditEntry.objects.filter(verb="digest.send_now").count() == 1

    def test_that_fails_says_why_and_keeps_one_row(self, viewer):
        for _ in range(3):
            assert "No stream is chosen" in send_one_now(viewer).result
        assert Digest.objects.get().pill == "failed"
        assert deliver_due() == 0


class TestTemplate:
    def test_is_made_once(self, db):
        assert current_version() == current_version()
        assert TemplateVersion.objects.filter(template__name=NAME).count() == 1

    def test_of_a_person_is_sent_in_its_place(self, way, viewer, admin):
        current_version()
        template = MailTemplate.objects.get(name=NAME)
        template.draft_subject = "Ours: {{ subject }}"
        template.save()
        own = publish(template, admin, "With our name.")
        assert current_version() == own

    def test_follows_what_mailops_ships(self, db):
        old = current_version()
        template = MailTemplate.objects.get(name=NAME)
        MailTemplate.objects.filter(pk=template.pk).update(draft_text="Old {{ period }}")
        template.refresh_from_db()
        template.save()
        stale = publish(template, None, "Made by mailops.")
        newest = current_version()
        assert newest.number == stale.number + 1
        assert newest.content_hash == old.content_hash

    def test_keeps_its_dark_side_and_asks_no_other_host(self, db):
        html = current_version().html
        assert "prefers-color-scheme: dark" in html
        assert "<img" not in html
        assert "url(" not in html

    def test_passes_the_checks_of_any_template(self, db):
        found = current_version().findings
        assert [one["sentence"] for one in found if one["severity"] != "info"] == []


def job_of(message, **fields):
    known = {
        "public_id": message.public_id, "token_key_id": message.token_key_id, "is_bulk": message.stream.is_bulk,
        "merge_data": message.merge_data, "recipient": message.recipient, "address_key": message.address_key,
        "campaign_id": message.campaign_id, "campaign_name": "", "header_from_name": message.identity.name,
        "header_from": message.identity.addr_spec, "reply_to": "", "domain": message.identity.domain.name,
        "version_id": message.version_id, "stream_id": message.stream_id, "round": 0,
    }  # fmt: skip
    return Job(**{name: known.get(name) for name in Job._fields} | fields)


class TestMail:
    @pytest.mark.parametrize("kind", ["transactional", "bulk"])
    def test_can_be_left_by_one_click_and_leaves_no_stream(self, kind, way, viewer):
        way.stream.kind = kind
        way.stream.save()
        message = send_one_now(viewer).message
        mail = prepare(
            job_of(message), message.version, Way("bounces.example.com")
        ).content.decode()
        assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in mail
        assert "Auto-Submitted: auto-generated" in mail
        field = mail.split("List-Unsubscribe: ")[1].partition("\r\nList")[0]
        assert f"/digest/leave/{message.public_id.hex}." in field
        assert "mailto:" not in field
        assert "/feedback/unsubscribe/" not in mail

    def test_is_tracked_by_nobody(self, way, viewer):
        message = send_one_now(viewer).message
        job = job_of(message, tracks_opens=True, tracks_clicks=True)
        mail = prepare(job, message.version, Way("bounces.example.com")).content.decode()
        assert "<img" not in mail
        assert f"{settings.MAILOPS_BASE_URL}/digest/" in mail

    def test_of_a_campaign_can_not_choose_where_it_is_left(self, way, viewer):
        message = send_one_now(viewer).message
        job = job_of(message, campaign_id=1, is_bulk=True)
        mail = prepare(job, message.version, Way("bounces.example.com")).content.decode()
        assert "/feedback/unsubscribe/" in mail
        assert "/digest/leave/" not in mail

    @pytest.mark.parametrize("page", ["https://evil.example/", "digests:way", ["digests:leave"], 7])
    def test_takes_no_other_page(self, page, way, viewer):
        message = send_one_now(viewer).message
        job = job_of(message, merge_data={**message.merge_data, "leaving_page": page})
        mail = prepare(job, message.version, Way("bounces.example.com")).content.decode()
        assert "List-Unsubscribe" not in mail
