"""Mail that expires or can't be sent ends without a bounce; somebody is told all the same."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.incidents import evidence
from mailops.incidents.detection import detect
from mailops.incidents.handling import close
from mailops.incidents.models import Incident, Level, Notice, NotificationChannel
from tests.factories import make_campaign, make_message
from tests.incidents.conftest import count

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel(db):
    return NotificationChannel.objects.create(name="On call", kind="webhook")


@pytest.mark.parametrize("kind", ["expired", "failed"])
def test_thousands_of_single_messages_that_were_given_up_open_an_incident(stream, kind, channel):
    count(stream, "accepted", 90_000, minutes_ago=600)
    count(stream, kind, 3000, minutes_ago=60, folded=True)
    for _ in range(2):
        assert detect() == 1
    incident = Incident.objects.get()
    assert (incident.level, incident.subject()) == (Level.ACT, stream)
    assert incident.sentence.startswith(
        f"3,000 of 93,000 messages of News were given up within a day: 3,000 {kind}. They did not arrive"
    )
    assert Notice.objects.filter(channel=channel, incident=incident, occasion="opened").count() == 1


def test_a_campaign_is_named_and_closes_once_its_mail_was_sent_again(stream):
    campaign = make_campaign(stream=stream, state="completed")
    of_it = {"campaign_id": campaign.pk}
    count(stream, "accepted", 80, **of_it)
    count(stream, "expired", 20, **of_it)
    count(stream, "expired", 20, measure="status", **of_it)
    count(stream, "accepted", 80, measure="status", **of_it)
    detect()
    incident = Incident.objects.get()
    assert incident.subject() == campaign
    assert "20 of 100 messages" in incident.sentence
    count(stream, "expired", -20, measure="status", **of_it)
    count(stream, "queued", 20, measure="status", **of_it)
    detect()
    incident.refresh_from_db()
    assert incident.calm_since_at is not None


@pytest.mark.parametrize(("accepted", "expired"), [(10, 9), (5000, 60)])
def test_a_few_full_mailboxes_wake_nobody(stream, accepted, expired):
    count(stream, "accepted", accepted)
    count(stream, "expired", expired)
    assert detect() == 0


def test_what_somebody_judged_is_told_once_and_what_comes_later_anew(stream, operator):
    count(stream, "expired", 40, minutes_ago=120)
    detect()
    incident = Incident.objects.get()
    close(incident=incident, reason="The provider was down.", actor=operator)
    assert detect() == 0
    Incident.objects.update(closed_at=incident.opened_at - timedelta(minutes=60))
    count(stream, "expired", 15, minutes_ago=20)
    assert detect() == 1
    assert "15 of 15 messages" in Incident.objects.open().get().sentence


@pytest.mark.parametrize("status", ["expired", "failed"])
def test_the_replies_that_stood_last_are_its_evidence(stream, status):
    count(stream, status, 50)
    said = {"reply_code": 451, "reply_text": "4.3.2 Not now."}
    make_message(stream=stream, status=status, settled_at=timezone.now(), **said)
    detect()
    (reply,) = Incident.objects.get().evidence["replies"]
    assert (reply["code"], reply["text"]) == (451, "4.3.2 Not now.")


def test_its_evidence_is_found_behind_what_stopped_elsewhere_and_no_further(stream, monkeypatch):
    monkeypatch.setattr(evidence, "NEWEST", 2)
    monkeypatch.setattr(evidence, "LOOKED_AT", 3)
    count(stream, "expired", 50)
    now = timezone.now()
    for text in ("Too far back.", "Not now."):
        make_message(stream=stream, status="expired", settled_at=now, reply_text=text)
    for _ in range(2):
        make_message(status="expired", settled_at=now, reply_text="Of another stream.")
    detect()
    assert [one["text"] for one in Incident.objects.get().evidence["replies"]] == ["Not now."]
