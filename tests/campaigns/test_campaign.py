import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.transports.models import PauseCause
from tests.factories import make_campaign

pytestmark = pytest.mark.django_db


def after(campaign):
    campaign.refresh_from_db()
    return campaign.state


class TestVerbs:
    @pytest.mark.parametrize(
        ("act", "allowed", "becomes"),
        [
            (lambda c: c.start(actor=None), {"draft", "scheduled"}, "running"),
            (lambda c: c.schedule(timezone.now(), actor=None), {"draft"}, "scheduled"),
            (lambda c: c.reschedule(timezone.now(), actor=None), {"scheduled"}, "scheduled"),
            (lambda c: c.unschedule(actor=None), {"scheduled"}, "draft"),
            (lambda c: c.pause(PauseCause.FAULT, "x"), {"running"}, "paused"),
            (lambda c: c.pause(PauseCause.STALE, "x"), {"scheduled"}, "paused"),
            (lambda c: c.pause(PauseCause.GATE, "x"), {"scheduled"}, "paused"),
            (lambda c: c.resume(), {"paused"}, "running"),
        ],
        ids=["start", "schedule", "reschedule", "unschedule", "pause", "stale", "gate", "resume"],
    )
    @pytest.mark.parametrize("state", Campaign.State.values)
    def test_change_only_from_the_states_they_are_for(self, act, allowed, becomes, state):
        yet_to_start = state in {"draft", "scheduled"}
        campaign = make_campaign(state=state, started_at=None if yet_to_start else timezone.now())
        assert act(campaign) is (state in allowed)
        assert after(campaign) == (becomes if state in allowed else state)

    def test_a_pause_says_who_why_and_what_stands_behind(self, operator):
        campaign = make_campaign(state="running")
        campaign.pause(PauseCause.FAULT, "Gmail turns us away.", "550 5.7.26", actor=operator)
        assert campaign.pause_sentence == "Gmail turns us away."
        assert campaign.pause_detail == "550 5.7.26"
        entry = AuditEntry.objects.get(verb="campaign.pause")
        assert (entry.actor, entry.reason) == (operator, "Gmail turns us away.")
        assert entry.before["state"] == "running"
        assert entry.after == {"state": "paused", "cause": "fault"}

    def test_the_first_cause_of_a_pause_stays(self):
        campaign = make_campaign(state="running")
        campaign.pause(PauseCause.FAULT, "first")
        assert not campaign.pause(PauseCause.GUARDRAIL, "second")
        assert campaign.pause_sentence == "first"

    def test_resuming_clears_the_cause_and_keeps_the_start(self):
        campaign = make_campaign(state="running", started_at=timezone.now() - timedelta(hours=1))
        started = campaign.started_at
        campaign.pause(PauseCause.PERSON, "x")
        campaign.resume()
        assert (campaign.pause_cause, campaign.paused_at) == ("", None)
        assert campaign.started_at == started

    @pytest.mark.parametrize("cause", [PauseCause.STALE, PauseCause.GATE])
    def test_what_was_stopped_at_its_start_is_launched_and_not_resumed(self, cause):
        campaign = make_campaign(state="scheduled", scheduled_at=timezone.now())
        campaign.pause(cause, "x")
        assert campaign.may_be_launched
        assert not campaign.resume()
        assert campaign.schedule(timezone.now() + timedelta(hours=1), actor=None)
        assert (campaign.state, campaign.pause_cause, campaign.paused_at) == ("scheduled", "", None)
        campaign.pause(cause, "x")
        assert campaign.unschedule(actor=None)
        assert (campaign.state, campaign.pause_sentence) == ("draft", "")

    def test_what_was_paused_later_is_resumed_and_not_launched(self):
        campaign = make_campaign(state="running", started_at=timezone.now())
        campaign.pause(PauseCause.PERSON, "x")
        assert not campaign.may_be_launched
        assert not campaign.start(actor=None)
        assert not campaign.schedule(timezone.now(), actor=None)
        assert not campaign.unschedule(actor=None)
        assert campaign.resume()

    def test_a_refused_verb_writes_no_audit(self):
        make_campaign(state="completed").pause(PauseCause.PERSON, "x")
        assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    def test_only_one_start_wins(self):
        campaign = make_campaign()
        results = []

        def start():
            try:
                results.append(Campaign.objects.get(pk=campaign.pk).start(actor=None))
            finally:
                connection.close()

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(results) == [False, False, False, True]
        assert AuditEntry.objects.filter(verb="campaign.start").count() == 1


class TestOrder:
    def test_the_stopped_come_first(self):
        for state in ("completed", "draft", "running", "paused", "scheduled"):
            make_campaign(state=state)
        states = list(Campaign.objects.most_urgent_first().values_list("state", flat=True))
        assert states == ["paused", "running", "scheduled", "draft", "completed"]
