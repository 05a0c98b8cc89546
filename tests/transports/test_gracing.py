from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.domains.models import Domain, Finding
from mailops.reports.attention import matters
from mailops.transports.configuring import save_stream
from mailops.transports.gracing import keep_grace
from mailops.transports.models import Stream
from tests.factories import make_campaign, make_domain, make_stream, make_transport

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_domain(name="acme.example", status="error")


@pytest.fixture
def bulk(acme):
    return make_stream(name="Letters", domain=acme, kind="bulk")


@pytest.fixture
def awaited(acme):
    return make_stream(name="Resets", domain=acme, kind="transactional")


def break_for(domain, hours, check="spf", status="error"):
    now = timezone.now()
    since_at = now - timedelta(hours=hours)
    return Finding.objects.update_or_create(
        domain=domain,
        check_name=check,
        defaults={
            "status": status,
            "sentence": "Two records.",
            "since_at": since_at,
            "checked_at": now,
        },
    )[0]


def told():
    verbs = ["domain.stop_bulk", "domain.go_on"]
    entries = AuditEntry.objects.filter(verb__in=verbs).order_by("at", "pk")
    return list(entries.values_list("verb", flat=True))


def states(*streams):
    for stream in streams:
        stream.refresh_from_db()
    return [stream.state for stream in streams]


class TestKeepGrace:
    def test_stops_bulk_mail_when_the_grace_is_over_and_only_bulk(self, acme, bulk, awaited):
        break_for(acme, 71)
        assert keep_grace() == (0, 0)
        break_for(acme, 73)
        assert keep_grace() == (1, 0)
        assert states(bulk, awaited) == ["paused", "running"]
        assert "SPF of acme.example has been broken for more than 72 hours" in bulk.pause_sentence
        assert "Two records." in bulk.pause_detail
        assert AuditEntry.objects.filter(verb="domain.stop_bulk").count() == 1
        assert keep_grace() == (0, 0)

    @pytest.mark.parametrize(
        ("check", "status"), [("mx", "error"), ("dnsbl", "error"), ("spf", "warning")]
    )
    def test_only_broken_authentication_counts(self, acme, bulk, check, status):
        break_for(acme, 100, check, status)
        assert keep_grace() == (0, 0)

    def test_goes_on_by_itself_once_it_is_mended(self, acme, bulk):
        finding = break_for(acme, 73, "dkim:s1")
        keep_grace()
        finding.status = "ok"
        finding.save()
        assert keep_grace() == (0, 1)
        assert states(bulk) == ["running"]
        assert Domain.objects.get().bulk_stopped_at is None
        assert AuditEntry.objects.filter(verb="domain.go_on").count() == 1

    def test_more_grace_lets_it_go_on(self, acme, bulk):
        break_for(acme, 73)
        keep_grace()
        Domain.objects.update(grace_hours=100)
        assert keep_grace() == (0, 1)
        assert states(bulk) == ["running"]

    def test_what_a_person_paused_or_resumed_stays_so(self, acme, bulk, operator):
        other = make_stream(domain=acme, kind="bulk")
        other.pause("person", "Not now.", actor=operator)
        finding = break_for(acme, 73)
        keep_grace()
        bulk.refresh_from_db()
        bulk.resume(actor=operator)
        assert keep_grace() == (0, 0)
        assert states(bulk, other) == ["running", "paused"]
        finding.delete()
        keep_grace()
        assert states(bulk, other) == ["running", "paused"]

    def test_nothing_is_told_where_nothing_stands(self, acme, awaited):
        finding = break_for(acme, 73)
        assert keep_grace() == (1, 0)
        finding.delete()
        assert keep_grace() == (0, 1)
        assert told() == []

    def test_a_stop_that_was_told_is_told_to_be_over(self, acme, bulk, operator):
        """Also where a person resumed the streams before."""
        for _ in range(2):
            finding = break_for(acme, 73)
            keep_grace()
            bulk.refresh_from_db()
            bulk.resume(actor=operator)
            finding.delete()
            keep_grace()
        assert told() == ["domain.stop_bulk", "domain.go_on"] * 2
        bulk.delete()
        break_for(acme, 73)
        keep_grace()
        Finding.objects.all().delete()
        keep_grace()
        assert len(told()) == 4


class TestKeepStream:
    """A bulk stream that is made on, or moved to, a domain that has stopped."""

    @pytest.fixture
    def stopped(self, acme, bulk):
        break_for(acme, 73)
        keep_grace()
        return acme

    def save(self, stream):
        save_stream(stream=stream, transports=[make_transport()], actor=None)
        stream.refresh_from_db()
        return stream

    def new(self, domain, kind="bulk"):
        return Stream(name="New", domain=domain, kind=kind, backoff_seconds=[60])

    def test_a_new_one_stands_still_with_the_others_and_goes_on_with_them(self, stopped):
        stream = self.save(self.new(stopped))
        assert stream.state == "paused"
        assert "broken for more than 72 hours" in stream.pause_sentence
        Finding.objects.update(status="ok")
        keep_grace()
        assert states(stream) == ["running"]

    def test_one_that_came_where_none_stood_is_told_to_go_on(self, acme):
        break_for(acme, 73)
        keep_grace()
        stream = self.save(self.new(acme))
        assert stream.state == "paused"
        Finding.objects.update(status="ok")
        keep_grace()
        assert states(stream) == ["running"]
        assert told() == ["domain.go_on"]

    def test_one_that_is_moved_there_stands_still_and_moved_away_goes_on(self, stopped):
        stream = make_stream(kind="bulk")
        elsewhere, stream.domain = stream.domain, stopped
        assert self.save(stream).state == "paused"
        stream.domain = elsewhere
        assert self.save(stream).state == "running"

    def test_one_that_becomes_bulk_stands_still(self, stopped, awaited):
        awaited.kind = "bulk"
        assert self.save(awaited).state == "paused"
        awaited.kind = "transactional"
        assert self.save(awaited).state == "running"

    def test_transactional_mail_goes_on(self, stopped):
        assert self.save(self.new(stopped, "transactional")).state == "running"

    def test_who_resumed_one_by_hand_keeps_it_so_through_an_edit(self, stopped, bulk, operator):
        bulk.refresh_from_db()
        bulk.resume(actor=operator)
        bulk.name = "Letters, again"
        assert self.save(bulk).state == "running"

    def test_an_edit_that_began_before_the_stop_does_not_undo_it(self, acme, bulk):
        begun = Stream.objects.get(pk=bulk.pk)
        break_for(acme, 73)
        keep_grace()
        begun.name = "Letters, again"
        assert self.save(begun).state == "paused"
        assert begun.pause_sentence

    def test_a_person_who_paused_one_is_not_overruled_by_a_move(self, stopped, operator):
        stream = make_stream(kind="bulk")
        stream.pause("person", "Not now.", actor=operator)
        stream.domain = stopped
        assert self.save(stream).pause_cause == "person"


class TestPages:
    def test_the_domain_says_when_it_stops_and_how_to_avert_it(
        self, acme, bulk, logged_in, admin, viewer
    ):
        break_for(acme, 70)
        page = logged_in(admin).get(f"/domains/{acme.pk}/").content.decode()
        assert "To avert it" in page
        assert "more hours of grace" in page
        assert "more hours of grace" not in (
            logged_in(viewer).get(f"/domains/{acme.pk}/").content.decode()
        )
        assert any("Bulk mail from it stops on" in matter.sentence for matter in matters())

    def test_nothing_is_said_to_stop_where_no_bulk_stream_is(
        self, acme, awaited, logged_in, viewer
    ):
        break_for(acme, 70)
        page = logged_in(viewer).get(f"/domains/{acme.pk}/").content.decode()
        assert "No bulk stream sends from it, so nothing stops" in page
        assert f"Bulk mail from {acme}" not in page
        assert not any("Bulk mail from it stops" in matter.sentence for matter in matters())

    def test_a_grace_that_is_over_pauses_at_once_what_is_added(self, acme, logged_in, viewer):
        break_for(acme, 73)
        keep_grace()
        page = logged_in(viewer).get(f"/domains/{acme.pk}/").content.decode()
        assert "its 72 hours of grace are over, so one that is added pauses at once" in page
        assert "once its 72 hours" not in page

    def test_once_stopped_the_domain_the_campaign_and_the_overview_say_so(
        self, acme, bulk, logged_in, viewer
    ):
        campaign = make_campaign(stream=bulk, state="running")
        break_for(acme, 73)
        keep_grace()
        client = logged_in(viewer)
        assert "To go on" in client.get(f"/domains/{acme.pk}/").content.decode()
        page = client.get(f"/campaigns/{campaign.pk}/").content.decode()
        assert "It stands because its stream is paused" in page
        assert "broken for more than 72 hours" in page
        assert any("bulk mail has stopped" in matter.sentence for matter in matters())

    def test_a_grace_out_of_bounds_is_422(self, acme, logged_in, admin):
        url = f"/domains/{acme.pk}/edit/"
        for hours in ("0", "721", "x"):
            assert logged_in(admin).post(url, {"grace_hours": hours}).status_code == 422
        logged_in(admin).post(url, {"grace_hours": "24"})
        acme.refresh_from_db()
        assert acme.grace_hours == 24

    def test_a_warning_that_was_well_before_is_on_the_overview(self, acme):
        break_for(acme, 1, "dmarc", "warning")
        acme.finding_changes.create(check_name="dmarc", before="ok", after="warning")
        assert any(matter.title == "DMARC of acme.example has worsened" for matter in matters())
