from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.preflight import start_preflight
from mailops.campaigns.rehearsing import check_chunk
from mailops.content.files import File
from mailops.content.models import FileContent
from mailops.rollouts.launching import NotLaunched, facts_of, gates_of, launch
from mailops.rollouts.models import ChecklistItem, Override
from mailops.rollouts.probing import checklists_of
from mailops.transports.models import Transport
from tests.audiences.uploads import start as begin_import
from tests.audiences.uploads import upload
from tests.factories import make_domain, make_version

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def campaign(stream):
    return stream.campaigns.get()


def rehearse(campaign, operator):
    preflight = start_preflight(campaign=campaign, actor=operator)
    while check_chunk(preflight_id=preflight.pk):
        pass
    return campaign


@pytest.fixture
def rehearsed(campaign, operator):
    return rehearse(campaign, operator)


@pytest.fixture
def proven(rehearsed, monkeypatch):
    """A campaign that nothing speaks against, as long as its items hold."""
    checklists_of(rehearsed.stream)
    ChecklistItem.objects.update(state="holds")
    monkeypatch.setattr("mailops.rollouts.launching.lacking", _lacking)
    return rehearsed


def _lacking(stream, version_id):
    items = ChecklistItem.objects.filter(checklist__stream=stream, checklist__plan="production")
    return items.exclude(state="holds").order_by("number").select_related("checklist")


class TestGates:
    def test_nothing_passes_a_file_that_was_found_infected(self, proven, operator):
        content = FileContent.objects.create(
            sha256="a" * 64, content=b"x", size=1, signature="Eicar-Test"
        )
        file = File("terms.pdf", content.sha256, size=1, is_inline=False)
        version = proven.version
        proven.version = make_version(template=version.template, number=9, files=[file.as_json()])
        proven.save()
        rehearse(proven, operator)
        with pytest.raises(NotLaunched, match="found Eicar-Test in terms"):
            launch(proven, actor=operator, override_reason="I am in a hurry")

    def test_a_campaign_is_rehearsed_first(self, campaign, operator):
        rehearsal = gates_of(campaign)[0]
        assert not rehearsal.is_open
        assert not rehearsal.may_be_overridden
        with pytest.raises(NotLaunched, match="was not rehearsed"):
            launch(campaign, actor=operator, override_reason="I am in a hurry")

    def test_a_stale_rehearsal_counts_as_none(self, rehearsed, operator):
        rehearsed.audience.memberships.all().delete()
        type(rehearsed.audience).objects.filter(pk=rehearsed.audience_id).update(revision=99)
        rehearsed.refresh_from_db()
        assert "changed" in gates_of(rehearsed)[0].objections["rehearsal"]

    def test_transports_of_another_environment_carry_no_campaign(self, rehearsed, operator):
        Transport.objects.update(environment="staging")
        way_out = gates_of(rehearsed)[-1]
        assert not way_out.may_be_overridden
        with pytest.raises(NotLaunched, match="is for production, and none of its transports is"):
            launch(rehearsed, actor=operator, override_reason="I am in a hurry")

    def test_bulk_wants_every_item_to_hold(self, rehearsed, operator):
        checklist = gates_of(rehearsed)[1]
        assert len(checklist.objections) == 8
        way_back = checklist.objections["item 8"]
        assert way_back == "“There is a way back” is not proven yet."
        with pytest.raises(NotLaunched, match="without a reason"):
            launch(rehearsed, actor=operator)
        rehearsed.refresh_from_db()
        assert rehearsed.is_draft

    def test_items_that_nobody_made_yet_do_not_hold(self, rehearsed):
        made_later = gates_of(rehearsed)[1].objections
        checklists_of(rehearsed.stream)
        assert gates_of(rehearsed)[1].objections == made_later

    def test_a_campaign_wants_a_bulk_stream(self, proven, operator):
        type(proven.stream).objects.update(kind="transactional")
        proven.refresh_from_db()
        assert [gate.title for gate in gates_of(proven)] == ["Rehearsal", "Stream and sender"]
        with pytest.raises(NotLaunched, match="leave through bulk streams"):
            launch(proven, actor=operator, override_reason="I am in a hurry")

    def test_and_a_sender_at_its_domain(self, proven, operator):
        type(proven.stream).objects.update(domain=make_domain(name="beta.example"))
        proven.refresh_from_db()
        assert gates_of(proven)[-1].title == "Stream and sender"
        with pytest.raises(NotLaunched, match=r"Choose a sender at beta\.example"):
            launch(proven, actor=operator, override_reason="I am in a hurry")

    def test_an_import_that_goes_on_wants_a_reason(self, campaign, operator):
        run = upload("email\nb@x.example\n", actor=operator, audience=campaign.audience)
        assert [gate.title for gate in gates_of(campaign)] == ["Rehearsal", "Production checklist"]
        begin_import(run, actor=operator)
        gate = gates_of(campaign)[-1]
        assert "would not get this mail" in gate.objections[f"import {run.pk}"]
        assert gate.may_be_overridden
        assert gate.url == f"/audiences/imports/{run.pk}/"


class TestLaunch:
    def test_starts_at_once(self, proven, operator):
        launch(proven, actor=operator)
        proven.refresh_from_db()
        assert proven.is_running
        assert not Override.objects.exists()
        assert AuditEntry.objects.get(verb="campaign.start").actor == operator

    def test_only_what_was_seen(self, proven, operator):
        seen = facts_of(proven, gates_of(proven))
        type(proven.audience).objects.filter(pk=proven.audience_id).update(name="Everyone")
        with pytest.raises(NotLaunched, match=r"this changed .*: the audience\."):
            launch(proven, actor=operator, seen=seen)
        proven.refresh_from_db()
        assert launch(proven, actor=operator, seen=facts_of(proven, gates_of(proven))).is_running

    def test_so_not_where_an_item_fails_for_something_else_by_now(self, proven, operator):
        item = ChecklistItem.objects.filter(checklist__plan="production", number=3)
        item.update(state="failed", sentence="A ends in 9 days.")
        seen, why = facts_of(proven, gates_of(proven)), "We know of this."
        item.update(sentence="A has expired.")
        with pytest.raises(NotLaunched, match=r"this changed .*: what does not hold"):
            launch(proven, actor=operator, seen=seen, override_reason=why)
        item.update(sentence="A ends in 8 days.")
        assert launch(proven, actor=operator, seen=seen, override_reason=why).is_running

    def test_or_at_a_time(self, proven, operator):
        at = timezone.now() + timedelta(hours=1)
        launch(proven, actor=operator, at=at)
        proven.refresh_from_db()
        assert proven.is_scheduled
        assert proven.scheduled_at == at

    def test_an_override_is_kept_with_its_reason_and_what_did_not_hold(self, rehearsed, operator):
        launch(rehearsed, actor=operator, override_reason="The board wants it today.")
        override = Override.objects.get()
        assert override.reason == "The board wants it today."
        assert len(override.objections) == 8
        assert AuditEntry.objects.get(verb="campaign.override").reason == override.reason

    def test_twenty_presses_are_one_launch(self, proven, operator):
        def press(_):
            try:
                launch(proven, actor=operator)
            except NotLaunched as refusal:
                return str(refusal)
            finally:
                connection.close()
            return "launched"

        with ThreadPoolExecutor(20) as pool:
            said = list(pool.map(press, range(20)))
        assert said.count("launched") == 1
        assert said.count("“Spring” is running already.") == 19
        assert AuditEntry.objects.filter(verb="campaign.start").count() == 1
