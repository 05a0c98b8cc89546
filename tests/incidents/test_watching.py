from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from mailops.dispatch.models import Worker
from mailops.incidents import detection
from mailops.incidents.detection import detect
from mailops.incidents.models import GAP, Incident, Notice, NotificationChannel, Watch
from mailops.incidents.trouble import troubles
from mailops.incidents.unserved import WAITED
from mailops.outbox.models import QueueEntry
from mailops.transports.models import PauseCause
from tests.factories import make_channel, make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db


def watch(*, ago):
    """Let mailops have looked each ten seconds, for an hour and until so long ago."""
    looked_at = timezone.now() - ago
    fields = {"since_at": looked_at - timedelta(hours=1), "looked_at": looked_at}
    Watch.objects.update_or_create(pk=1, defaults=fields)


def make_waiting(*, ago=WAITED * 2, **fields):
    """Make a message that has been due for so long."""
    message = make_message(**fields)
    QueueEntry.objects.filter(message=message).update(due_at=F("due_at") - ago)
    return message


class TestLooking:
    def test_is_noted_by_each_look(self):
        detect()
        first = Watch.objects.get()
        detect()
        assert Watch.objects.get().since_at == first.since_at
        assert Watch.objects.get().looked_at > first.looked_at

    def test_begins_anew_behind_a_gap(self):
        watch(ago=GAP * 2)
        detect()
        assert Watch.objects.get().since_at == Watch.objects.get().looked_at

    def test_is_named_where_it_stays_away(self):
        assert not list(troubles())
        watch(ago=timedelta(seconds=20))
        assert not list(troubles())
        watch(ago=GAP * 2)
        (trouble,) = troubles()
        assert (trouble.title, trouble.tone) == ("Nobody looks for trouble", "bad")
        assert trouble.since == Watch.objects.get().looked_at

    def test_is_named_where_nobody_ever_began(self):
        Watch.objects.begin()
        assert not list(troubles())
        watch(ago=GAP * 2)
        Watch.objects.begin()
        (trouble,) = troubles()
        assert trouble.title == "Nobody looks for trouble"
        assert "mailops does so every 10 seconds, but has not since then." in trouble.sentence

    def test_is_named_where_it_fails(self, monkeypatch):
        watch(ago=GAP * 2)
        monkeypatch.setattr(detection, "read", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            detect()
        assert [one.title for one in troubles()] == ["Nobody looks for trouble"]

    def test_in_a_time_to_come_was_by_a_wrong_clock(self):
        watch(ago=-timedelta(hours=2))
        assert [one.title for one in troubles()] == ["Nobody looks for trouble"]


class TestThresholdsThatAreNoRate:
    def test_say_after_how_long_they_see(self, logged_in, viewer):
        page = logged_in(viewer).get("/incidents/thresholds/").text
        for words in ("at once", "after 2 minutes", "over 1 hour, and over 6 hours"):
            assert words in page


class TestTellingNobody:
    def test_is_named_while_an_incident_is_open(self):
        make_transport().pause(PauseCause.FAULT, "The password was refused.")
        detect()
        (trouble,) = troubles()
        assert trouble.title == "Nobody is told of incidents"
        assert trouble.sentence.startswith("One is open, and there is no channel to tell of it:")
        make_transport().pause(PauseCause.FAULT, "The password was refused.")
        detect()
        (trouble,) = troubles()
        assert trouble.sentence.startswith("2 are open, and there is no channel to tell of them:")
        make_channel()
        assert not list(troubles())


class TestMailThatNobodySends:
    def test_is_an_incident(self):
        NotificationChannel.objects.create(name="chat", kind="webhook")
        stream = make_stream(name="Resets", kind="transactional")
        make_waiting(stream=stream)
        make_waiting(stream=stream)
        watch(ago=timedelta(seconds=20))
        assert detect() == 1
        incident = Incident.objects.get()
        assert (incident.subject(), incident.level) == (stream, "stop")
        assert incident.sentence.startswith("No process that sends transactional mail lives")
        assert "2 messages wait." in incident.sentence
        assert Notice.objects.get().occasion == "opened"

    @pytest.mark.parametrize("gone", ["dead_at", "stopped_at"])
    def test_is_served_by_a_living_process_alone(self, gone):
        make_waiting(stream=make_stream(kind="bulk"))
        watch(ago=timedelta(seconds=20))
        worker = Worker.objects.create(lane="bulk", host="here", pid=1)
        assert detect() == 0
        Worker.objects.filter(pk=worker.pk).update(**{gone: timezone.now()})
        assert detect() == 0  # another may start just now
        Worker.objects.filter(pk=worker.pk).update(**{gone: timezone.now() - WAITED * 2})
        assert detect() == 1

    def test_is_not_served_by_processes_that_die_one_after_another(self):
        make_waiting(stream=make_stream(kind="bulk"))
        watch(ago=timedelta(seconds=20))
        for _ in range(3):
            Worker.objects.create(lane="bulk", host="here", pid=1, dead_at=timezone.now())
        last = Worker.objects.create(lane="bulk", host="here", pid=1)
        assert detect() == 1
        Worker.objects.filter(pk=last.pk).update(started_at=timezone.now() - WAITED * 2)
        Incident.objects.all().delete()
        assert detect() == 0

    def test_is_none_where_it_is_due_just_now_or_its_stream_is_paused(self):
        make_message(stream=make_stream())
        paused = make_stream()
        make_waiting(stream=paused)
        paused.pause(PauseCause.PERSON, "Wait.")
        watch(ago=timedelta(seconds=20))
        assert detect() == 0

    def test_is_none_while_mailops_starts(self):
        make_waiting(stream=make_stream())
        watch(ago=GAP * 2)
        assert detect() == 0
        assert detect() == 0
