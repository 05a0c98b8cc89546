"""A scheduled campaign asks its gates again when its time comes; what fails them waits for a person."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import QueryCanceled

from mailops.accounts.models import AuditEntry
from mailops.audiences.importing import import_chunk
from mailops.audiences.models import Contact, Membership
from mailops.campaigns.models import Campaign, Preflight
from mailops.campaigns.rehearsing import check_chunk
from mailops.domains.models import CheckStatus, Domain
from mailops.outbox.canceling import cancel_campaign
from mailops.rollouts import starting
from mailops.rollouts.launching import launch
from mailops.rollouts.models import Checklist, ChecklistItem, Override
from mailops.rollouts.probing import checklists_of, probe, sign
from mailops.rollouts.starting import start_due
from mailops.schedule import EVERY
from mailops.transports.models import PauseCause
from tests.audiences.uploads import start as begin_import
from tests.audiences.uploads import upload
from tests.factories import make_campaign, make_version
from tests.rollouts.test_launching import campaign, proven, rehearsed  # noqa: F401 - fixtures
from tests.rollouts.test_views import press

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    """Rehearse when the test says so, not when a worker would."""
    monkeypatch.setattr("mailops.campaigns.tasks.continue_preflight.delay", lambda _: None)


def schedule(campaign, operator, **how):  # noqa: F811
    """Launch it for a later time, and let that time come."""
    launch(campaign, actor=operator, at=timezone.now() + timedelta(days=2), **how)
    come(campaign)


def come_as_launched(campaign):  # noqa: F811
    """Let it wait for a time that has come, launched before its audience changed."""
    campaign.schedule(timezone.now(), actor=None)
    come(campaign)


def come(campaign, *, late=timedelta(seconds=1)):  # noqa: F811
    Campaign.objects.filter(pk=campaign.pk).update(scheduled_at=timezone.now() - late)
    Preflight.objects.update(created_at=timezone.now() - timedelta(days=2))


def rehearse():
    for preflight in Preflight.objects.filter(state="running"):
        while check_chunk(preflight_id=preflight.pk):
            pass


def start():
    """Let the tick come, the rehearsal it asks for be worked off, and the tick come again."""
    started = start_due()
    rehearse()
    return started + start_due()


def resume_url(campaign):  # noqa: F811
    return reverse("outbox:campaign-resume", args=[campaign.pk])


def stopped(campaign):  # noqa: F811
    campaign.refresh_from_db()
    assert campaign.is_paused
    assert campaign.started_at is None
    return campaign.pause_sentence


class TestStart:
    def test_waits_for_a_rehearsal_of_its_own_time_and_starts(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        assert start_due() == 0
        assert Preflight.objects.get().is_running
        assert start_due() == 0
        rehearse()
        assert start_due() == 1
        proven.refresh_from_db()
        assert proven.is_running
        assert start_due() == 0

    def test_what_is_not_due_waits(self, proven, operator):  # noqa: F811
        launch(proven, actor=operator, at=timezone.now() + timedelta(hours=1))
        assert start() == 0
        make_campaign()
        assert start() == 0

    def test_rehearses_and_probes_a_while_ahead(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        Campaign.objects.update(scheduled_at=timezone.now() + timedelta(minutes=10))
        later = timezone.now() + timedelta(hours=5)
        Checklist.objects.update(next_probe_at=later)
        Domain.objects.update(next_check_at=later)
        assert start_due() == 0
        assert Preflight.objects.get().is_running
        assert not Checklist.objects.filter(next_probe_at=later).exists()
        assert Domain.objects.get(pk=proven.identity.domain_id).next_check_at < later
        rehearse()
        first = Preflight.objects.get().pk
        come(proven)
        Preflight.objects.update(created_at=timezone.now() - timedelta(minutes=10))
        assert start_due() == 1
        assert Preflight.objects.get().pk == first

    @pytest.mark.parametrize(
        "error",
        [RuntimeError, OperationalError],
        ids=["a bug of ours", "broken off by the database"],
    )
    def test_one_that_fails_keeps_no_other_from_its_time(
        self,
        proven,  # noqa: F811
        operator,
        monkeypatch,
        caplog,
        error,
    ):
        broken = make_campaign(
            state="scheduled", scheduled_at=timezone.now() - timedelta(minutes=1)
        )
        schedule(proven, operator)

        def ask_but_one(campaign):  # noqa: F811
            if campaign.pk == broken.pk:
                raise error("it failed") from QueryCanceled()
            ask_anew(campaign)

        ask_anew = starting._ask_anew
        monkeypatch.setattr(starting, "_ask_anew", ask_but_one)
        assert start() == 1
        proven.refresh_from_db()
        assert proven.is_running
        assert "it failed" in caplog.text

    def test_takes_who_joined_since(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        start_due()
        rehearse()
        contact = Contact.objects.create(address="new@x.example", address_key="new@x.example")
        Membership.objects.create(audience=proven.audience, contact=contact)
        type(proven.audience).objects.update(revision=99)
        assert start_due() == 1

    @pytest.fixture
    def import_(self, proven, operator):  # noqa: F811
        """An import into its audience that is begun, with one of two rows read."""
        run = upload("email\nb@x.example\nc@x.example\n", actor=operator, audience=proven.audience)
        begin_import(run, actor=operator)
        import_chunk(run_id=run.pk, rows=1)
        return run

    def test_waits_for_an_import_into_its_audience(self, proven, operator, import_):  # noqa: F811
        come_as_launched(proven)
        assert start() == 0
        assert start_due() == 0
        proven.refresh_from_db()
        assert proven.is_scheduled
        import_chunk(run_id=import_.pk)
        assert start_due() == 1

    def test_but_not_for_ever(self, proven, operator, import_):  # noqa: F811
        come_as_launched(proven)
        start()
        Campaign.objects.update(scheduled_at=F("scheduled_at") - starting.PATIENCE)
        Preflight.objects.update(created_at=F("created_at") - starting.PATIENCE)
        assert start_due() == 0
        assert "“people.csv” is still being imported into" in stopped(proven)


class TestGates:
    def test_a_domain_that_broke_since_the_launch_stops_it(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        Domain.objects.update(status=CheckStatus.ERROR)
        assert start() == 0
        assert "fails authentication" in stopped(proven)
        assert proven.pause_cause == PauseCause.GATE
        entry = AuditEntry.objects.get(verb="campaign.pause")
        assert (entry.actor, entry.reason) == (None, proven.pause_sentence)

    @pytest.mark.parametrize("is_probed", [False, True])
    def test_a_draft_of_somebody_else_does_not(
        self,
        rehearsed,  # noqa: F811
        operator,
        heard,
        watched,
        is_probed,
    ):
        checklist = checklists_of(rehearsed.stream)[0]
        probe(checklist)
        for number in (7, 8):
            item = checklist.items.get(number=number)
            sign(item, actor=operator, note="Looked.", lasts=timedelta(days=9))
        schedule(rehearsed, operator)
        broken = make_version(html='<a href="/nowhere">Hello</a>')
        make_campaign(stream=rehearsed.stream, version=broken)
        if is_probed:
            probe(checklist)
        assert start() == 1

    def test_an_item_that_holds_no_more_stops_it(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        lost = ChecklistItem.objects.filter(checklist__plan="production", number=3)
        lost.update(state="failed", sentence="The certificate has expired.")
        assert start() == 0
        assert "The certificate has expired." in stopped(proven)

    def test_mail_that_can_not_be_made_any_more_stops_it(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        start_due()
        rehearse()
        Preflight.objects.update(members=F("members") + 1, unrenderable=1)
        assert start_due() == 0
        assert "the mail can't be made" in stopped(proven)

    def test_an_audience_that_is_empty_by_now_stops_it(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        Membership.objects.all().delete()
        assert start() == 0
        assert "The audience is empty." in stopped(proven)

    def test_names_a_few_and_tells_all_behind(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        ChecklistItem.objects.update(state="stale", sentence="Too old.")
        assert start() == 0
        assert stopped(proven).endswith("And 5 more.")
        assert len(proven.pause_detail.splitlines()) == 8

    def test_what_was_overridden_at_the_launch_does_not(self, rehearsed, operator):  # noqa: F811
        schedule(rehearsed, operator, override_reason="The board wants it.")
        assert start() == 1

    def test_an_override_covers_nothing_else(self, proven, operator):  # noqa: F811
        items = ChecklistItem.objects.filter(checklist__plan="production")
        items.filter(number=7).update(state="missing")
        schedule(proven, operator, override_reason="Nobody reads it in the dark.")
        items.filter(number=8).update(state="failed", sentence="No second transport.")
        assert start() == 0
        assert "No second transport." in stopped(proven)
        assert "Dark mode" not in proven.pause_sentence

    def test_an_override_of_what_nothing_proved_does_not_cover_that_it_fails(
        self,
        proven,  # noqa: F811
        operator,
    ):
        item = ChecklistItem.objects.filter(checklist__plan="production", number=1)
        item.update(state="missing")
        schedule(proven, operator, override_reason="We have not asked yet.")
        item.update(state="failed", sentence="DMARC fails.")
        assert start() == 0
        assert "does not hold: DMARC fails." in stopped(proven)

    def test_an_override_of_what_fails_covers_that_nothing_proves_it(self, proven, operator):  # noqa: F811
        item = ChecklistItem.objects.filter(checklist__plan="production", number=1)
        item.update(state="failed", sentence="DMARC fails.")
        schedule(proven, operator, override_reason="It fails at one receiver only.")
        item.update(state="stale", sentence="The proof is too old.")
        assert start() == 1

    @pytest.mark.parametrize(
        ("seen", "later", "started"),
        [
            ("A refuses us. B ends in 9 days.", "A refuses us. B ends in 9 days.", 1),
            ("A refuses us. B ends in 9 days.", "B ends in 7 days.", 1),
            ("A refuses us.", "A refuses us. B ends in 9 days.", 0),
            ("A refuses us.", "A has expired.", 0),
            ("A1 refuses us.", "A2 refuses us.", 0),
        ],
    )
    def test_an_override_of_what_fails_covers_what_it_failed_for(
        self,
        proven,  # noqa: F811
        operator,
        seen,
        later,
        started,
    ):
        item = ChecklistItem.objects.filter(checklist__plan="production", number=3)
        item.update(state="failed", sentence=seen)
        schedule(proven, operator, override_reason="We know of this.")
        item.update(sentence=later)
        assert start() == started
        if not started:
            assert later in stopped(proven)

    def test_and_what_it_fails_for_by_a_draft_of_somebody_else(self, proven, operator):  # noqa: F811
        item = ChecklistItem.objects.filter(checklist__plan="production", number=8)
        item.update(state="failed", sentence="There is no second transport.")
        schedule(proven, operator, override_reason="We know of this.")
        item.update(sentence="There is no second transport. X 1 has no earlier version.")
        assert start() == 1

    @pytest.mark.parametrize(("later", "started"), [(0, 1), (2, 1), (3, 1), (4, 0), (9_000, 0)])
    def test_an_override_covers_mail_that_can_not_be_made_for_no_more_than_were_seen(
        self,
        proven,  # noqa: F811
        operator,
        later,
        started,
    ):
        Preflight.objects.update(members=F("members") + 3, unrenderable=3)
        schedule(proven, operator, override_reason="Those three have left us.")
        start_due()
        rehearse()
        Preflight.objects.update(members=F("members") + later, unrenderable=later)
        assert start_due() == started
        if not started:
            said = stopped(proven)
            assert f"For {later:,} of {later + 1:,} members the mail can't be made." in said
            assert "It was launched all the same when they were 3." in said

    def test_an_override_of_one_import_covers_no_other(
        self,
        proven,  # noqa: F811
        operator,
        monkeypatch,
    ):
        monkeypatch.setattr(starting, "PATIENCE", timedelta(0))
        runs = [
            upload("email\nb@x.example\n", actor=operator, audience=proven.audience)
            for _ in range(2)
        ]
        begin_import(runs[0], actor=operator)
        schedule(proven, operator, override_reason="They may miss this one.")
        begin_import(runs[1], actor=operator)
        assert start() == 0
        assert stopped(proven).count("is still being imported into") == 1

    def test_an_override_ends_with_the_next_launch(self, proven, operator):  # noqa: F811
        items = ChecklistItem.objects.filter(checklist__plan="production", number=7)
        items.update(state="missing")
        schedule(proven, operator, override_reason="Nobody reads it in the dark.")
        Campaign.objects.get().unschedule(actor=operator)
        items.update(state="holds")
        Preflight.objects.update(created_at=timezone.now(), finished_at=timezone.now())
        schedule(Campaign.objects.get(), operator)
        items.update(state="missing")
        assert not Override.objects.get().is_in_force
        assert start() == 0

    def test_a_rehearsal_that_does_not_end_stops_it_after_a_while(
        self,
        proven,  # noqa: F811
        operator,
        monkeypatch,
    ):
        schedule(proven, operator)
        start_due()
        assert Campaign.objects.get().is_scheduled
        monkeypatch.setattr(starting, "PATIENCE", timedelta(0))
        assert start_due() == 0
        assert "still running" in stopped(proven)


class TestStaleSchedules:
    def test_wait_for_a_person(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        come(proven, late=timedelta(hours=62))
        assert start() == 0
        assert "2 d 14 h later, nobody may expect it any more" in stopped(proven)
        assert proven.pause_cause == PauseCause.STALE
        assert start() == 0
        entry = AuditEntry.objects.get(verb="campaign.pause")
        assert (entry.actor, entry.reason) == (None, proven.pause_sentence)

    @pytest.mark.parametrize(("minutes", "started"), [(5, 1), (119, 1), (121, 0)])
    def test_of_less_than_two_hours_start(self, proven, operator, minutes, started):  # noqa: F811
        schedule(proven, operator)
        come(proven, late=timedelta(minutes=minutes))
        assert start() == started

    def test_how_long_that_is_is_a_setting(self, proven, operator, settings):  # noqa: F811
        settings.MAILOPS_STALE_SCHEDULE_MINUTES = 30
        schedule(proven, operator)
        come(proven, late=timedelta(minutes=31))
        assert start() == 0
        assert "more than 30 min past" in Campaign.objects.get().pause_detail

    def test_stand_among_what_needs_a_person(self, proven, operator, logged_in):  # noqa: F811
        schedule(proven, operator)
        come(proven, late=timedelta(hours=62))
        start()
        page = logged_in(operator).get("/").text
        assert f"Campaign {proven} is paused" in page
        assert "See why, then launch or cancel it" in page
        page = logged_in(operator).get(f"/campaigns/{proven.pk}/").text
        assert "A stale schedule stopped it" in page
        assert "Launch it now or for another time, or cancel it." in page

    def test_are_launched_or_canceled_by_a_person(self, proven, operator, logged_in):  # noqa: F811
        schedule(proven, operator)
        come(proven, late=timedelta(hours=62))
        start()
        Preflight.objects.update(created_at=timezone.now(), finished_at=timezone.now())
        client = logged_in(operator)
        client.post(resume_url(proven))
        assert stopped(proven)
        press(client, proven)
        proven.refresh_from_db()
        assert (proven.is_running, proven.pause_cause) == (True, "")

    def test_may_be_canceled(self, proven, operator, logged_in):  # noqa: F811
        schedule(proven, operator)
        come(proven, late=timedelta(hours=62))
        start()
        address = f"/campaigns/{proven.pk}/"
        assert "Cancel" in logged_in(operator).get(address).text
        cancel_campaign(campaign=proven, actor=operator)
        proven.refresh_from_db()
        assert proven.is_canceled


class TestSeveralBeats:
    def test_start_it_once(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        start_due()
        rehearse()
        together = Barrier(3)

        def tick():
            try:
                together.wait()
                return start_due()
            finally:
                connection.close()

        with ThreadPoolExecutor(3) as beats:
            assert sum(future.result() for future in [beats.submit(tick) for _ in range(3)]) == 1
        assert AuditEntry.objects.filter(verb="campaign.start").count() == 1

    def test_come_often_enough_that_none_is_a_minute_late(self):
        starts = EVERY["mailops.rollouts.tasks.start_due_campaigns"]
        rehearsals = EVERY["mailops.campaigns.tasks.continue_preflights"]
        assert starts + rehearsals < 60


class TestWhatToPress:
    @pytest.fixture
    def gated(self, proven, operator):  # noqa: F811
        schedule(proven, operator)
        Domain.objects.update(status=CheckStatus.ERROR)
        start()
        return proven

    def test_the_page_says_why_and_offers_the_launch(self, logged_in, operator, oncall, gated):
        page = logged_in(operator).get(f"/campaigns/{gated.pk}/").text
        assert "A gate stopped it" in page
        assert "fails authentication" in page
        assert "launch it all the same, with a reason" in page
        assert f"/rollouts/campaigns/{gated.pk}/panel/" in page
        assert resume_url(gated) not in page
        logged_in(oncall).post(resume_url(gated))
        assert stopped(gated)

    def test_launching_it_asks_again(self, logged_in, operator, gated):
        client = logged_in(operator)
        assert press(client, gated).status_code == 422
        Domain.objects.update(status=CheckStatus.OK)
        press(client, gated)
        gated.refresh_from_db()
        assert gated.is_running
        assert gated.pause_cause == ""

    def test_it_may_be_launched_all_the_same_with_a_reason(self, logged_in, operator, gated):
        press(logged_in(operator), gated, override_reason="A recall must reach who it can.")
        gated.refresh_from_db()
        assert gated.is_running
        assert Override.objects.get().keys == ["domain"]

    def test_it_may_go_back_to_a_draft(self, logged_in, operator, gated):
        logged_in(operator).post(f"/campaigns/{gated.pk}/unschedule/")
        gated.refresh_from_db()
        assert gated.is_draft
        assert gated.pause_cause == ""
