from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.rollouts.models import Checklist, ChecklistItem, Evidence
from mailops.rollouts.probing import (
    checklists_of,
    lacking,
    make_missing,
    probe,
    probe_due,
    settle,
    sign,
)
from tests.factories import make_campaign, make_domain, make_stream, make_version
from tests.rollouts.conftest import HTML, TEXT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def checklist(stream):
    return checklists_of(stream)[0]


def states(checklist):
    return dict(checklist.items.order_by("number").values_list("number", "state"))


class TestChecklistsOf:
    def test_every_stream_has_both_lists_once(self, db):
        stream = make_stream()
        make_missing()
        make_missing()
        assert [one.items.count() for one in checklists_of(stream)] == [8, 6]
        assert Checklist.objects.count() == 2

    def test_a_list_that_is_missing_is_made_beside_what_another_domain_left(self, db):
        stream = make_stream()
        make_missing()
        stream.domain = make_domain()
        stream.save()
        checklists_of(stream)[1].delete()
        make_missing()
        assert Checklist.objects.current().count() == 2

    def test_another_domain_begins_another_list(self, db):
        stream = make_stream()
        old = checklists_of(stream)[0]
        stream.domain = make_domain()
        stream.save()
        assert checklists_of(stream)[0] != old
        assert not Checklist.objects.current().filter(pk=old.pk).exists()


class TestProbe:
    def test_proves_what_holds_and_leaves_to_people_what_is_theirs(self, checklist, heard, watched):
        probe(checklist)
        assert states(checklist) == {
            1: "holds",
            2: "holds",
            3: "holds",
            4: "holds",
            5: "holds",
            6: "holds",
            7: "missing",
            8: "missing",  # there is a way back, and nobody signed a drill
        }

    def test_the_same_finding_again_renews_the_evidence(self, checklist):
        probe(checklist)
        before = Evidence.objects.count()
        probe(checklist)
        assert Evidence.objects.count() == before
        evidence = checklist.items.get(number=1).evidence.get()
        assert evidence.last_at > evidence.at

    def test_another_finding_is_more_evidence_and_a_change_over_time(self, checklist):
        probe(checklist)
        checklist.domain.findings.filter(check_name="spf").update(status="error")
        probe(checklist)
        item = checklist.items.get(number=1)
        assert item.state == "failed"
        assert item.evidence.count() == 2
        assert [change.holding for change in checklist.changes.order_by("at")] == [5, 4]

    def test_a_probe_that_finds_nothing_out_leaves_the_last_proof_standing(self, checklist):
        probe(checklist)
        checklist.domain.findings.update(checked_at=timezone.now() - timedelta(hours=30))
        probe(checklist)
        assert states(checklist)[1] == "holds"

    def test_until_that_proof_is_too_old(self, checklist):
        probe(checklist)
        Evidence.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        checklist.domain.findings.update(checked_at=timezone.now() - timedelta(hours=30))
        probe(checklist)
        item = checklist.items.get(number=1)
        assert item.state == "stale"
        assert "DNS has not told" in item.sentence

    def test_a_person_who_probes_is_on_the_audit_trail(self, checklist, oncall):
        probe(checklist, actor=oncall)
        entry = AuditEntry.objects.get(verb="checklist.probe")
        assert entry.actor == oncall
        assert entry.after["1"] == "holds"


class TestVersions:
    def test_a_new_version_makes_the_old_proof_and_signature_stale(
        self, checklist, stream, operator
    ):
        probe(checklist)
        sign(checklist.items.get(number=7), actor=operator, note="Looked.", lasts=timedelta(days=9))
        assert states(checklist)[7] == "holds"
        other = make_version(html=HTML, text=TEXT, sample={"first_name": "Bob"})
        make_campaign(stream=stream, version=other, state="scheduled")
        settle(checklist)
        assert (states(checklist)[6], states(checklist)[7]) == ("stale", "stale")
        probe(checklist)
        assert states(checklist)[6] == "holds"

    def test_one_of_a_draft_is_proven_but_says_nothing_of_what_is_sent(self, checklist, stream):
        stream.campaigns.update(state="running")
        broken = make_version(html=HTML + '<a href="/nowhere">Hello</a>', text=TEXT)
        draft = make_campaign(stream=stream, version=broken)
        probe(checklist)
        item = checklist.items.get(number=6)
        assert item.state == "holds"
        assert item.sentence.startswith("It holds for what is sent, not for a draft: ")
        assert {6, 8} <= {one.number for one in lacking(checklist.stream, draft.version_id)}
        sent = stream.campaigns.get(state="running").version_id
        assert 6 not in {one.number for one in lacking(checklist.stream, sent)}

    def test_without_a_second_transport_there_is_no_way_back_for_any(self, checklist, stream):
        stream.campaigns.update(state="running")
        make_campaign(stream=stream, version=make_version())
        stream.routes.filter(position=1).delete()
        probe(checklist)
        assert states(checklist)[8] == "failed"


class TestSign:
    def test_a_drill_completes_what_the_probe_found(self, checklist, operator):
        probe(checklist)
        item = checklist.items.get(number=8)
        evidence = sign(item, actor=operator, note="Rolled back.", lasts=timedelta(days=999))
        assert states(checklist)[8] == "holds"
        assert evidence.expires_at < timezone.now() + timedelta(days=91)
        assert AuditEntry.objects.get(verb="checklist.sign").reason == "Rolled back."

    def test_a_signature_does_not_outweigh_a_probe(self, checklist, stream, operator):
        stream.routes.filter(position=1).delete()
        probe(checklist)
        sign(checklist.items.get(number=8), actor=operator, note="x", lasts=timedelta(days=1))
        assert states(checklist)[8] == "failed"

    def test_expires(self, checklist, operator):
        item = checklist.items.get(number=7)
        sign(item, actor=operator, note="x", lasts=timedelta(days=1))
        Evidence.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        settle(checklist)
        assert states(checklist)[7] == "stale"


class TestProbeDue:
    def test_comes_back_sooner_where_something_failed_or_was_not_found_out(
        self, checklist, heard, watched
    ):
        def minutes():
            wait = probe(checklist).next_probe_at - timezone.now()
            return round(wait.total_seconds() / 60)

        assert minutes() == 360
        type(checklist.stream).objects.update(owner=None)
        assert minutes() == 15
        checklist.domain.findings.all().delete()
        assert minutes() == 2

    def test_probes_what_is_due_and_nothing_twice(self, stream):
        make_missing()
        soon = timezone.now() + timedelta(seconds=20)
        assert probe_due(until=soon) == 2
        assert probe_due(until=soon) == 0
        assert ChecklistItem.objects.filter(state="holds").exists()

    def test_a_probe_that_breaks_does_not_keep_the_others_waiting(self, stream, monkeypatch):
        make_missing()
        monkeypatch.setattr("mailops.rollouts.probing.probe", lambda checklist: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            probe_due(until=timezone.now() + timedelta(seconds=20))
        assert Checklist.objects.filter(next_probe_at__gt=timezone.now()).count() == 1
