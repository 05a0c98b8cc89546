from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from mailops.dispatch.models import Worker
from mailops.incidents import detection
from mailops.incidents.detection import detect
from mailops.incidents.handling import close
from mailops.incidents.models import GAP, Incident, Notice, NotificationChannel, Threshold, Watch
from mailops.incidents.trouble import troubles
from mailops.incidents.unserved import WAITED
from mailops.outbox.models import QueueEntry
from mailops.reports.moments import moment_of
from mailops.transports.models import PauseCause, Stream
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

    def test_in_a_time_to_come_was_by_a_wrong_clock(self):
        watch(ago=-timedelta(hours=2))
        assert [one.title for one in troubles()] == ["Nobody looks for trouble"]


class TestAThresholdThatFails:
    @pytest.fixture
    def broken(self, monkeypatch):
        """Return a threshold whose reading fails behind its first question."""
        broken = Threshold.objects.get(measure="fault", subject_kind="stream")

        def read(threshold, now):
            if threshold == broken:
                Threshold.objects.update(why="half of a look")
                Stream.objects.filter(pk=1 / 0).exists()
            return healthy(threshold, now)

        healthy = detection.read
        monkeypatch.setattr(detection, "read", read)
        return broken

    def test_stops_no_other_and_leaves_nothing_half_done(self, broken, caplog):
        make_stream().pause(PauseCause.FAULT, "The key can't be opened.")
        transport = make_transport()
        transport.pause(PauseCause.FAULT, "The password was refused.")
        assert detect() == 1
        assert Incident.objects.get().subject() == transport
        assert Watch.objects.watching().exists()
        assert not Threshold.objects.filter(why="half of a look").exists()
        (record,) = [one for one in caplog.records if one.name == detection.__name__]
        assert f"threshold {broken.pk} (Stream: stopped by itself)" in record.getMessage()
        assert record.exc_info[0] is ZeroDivisionError

    def test_stops_no_other_where_the_database_refuses_its_question(self, broken, monkeypatch):
        healthy = detection._look

        def look(threshold, now):
            if threshold == broken:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")
            healthy(threshold, now)

        monkeypatch.setattr(detection, "_look", look)
        make_transport().pause(PauseCause.FAULT, "The password was refused.")
        assert detect() == 1
        assert Threshold.objects.get(failing_since_at__isnull=False) == broken

    def test_is_named_after_a_while_until_it_is_looked_at_again(self, broken, monkeypatch):
        detect()
        assert not Threshold.objects.failing().exists()  # the next look may succeed
        detect()
        long_ago = Now() - GAP * 2
        assert Threshold.objects.filter(failing_since_at__isnull=False).update(
            failing_since_at=long_ago
        )
        detect()
        (trouble,) = troubles()
        broken.refresh_from_db()
        assert trouble.title == "Not watched: Stream: stopped by itself"
        assert (trouble.tone, trouble.since) == ("bad", broken.failing_since_at)
        assert f"“threshold {broken.pk} (" in trouble.sentence
        monkeypatch.undo()
        detect()
        assert not Threshold.objects.filter(failing_since_at__isnull=False).exists()
        assert not list(troubles())

    def test_is_shown_in_the_list(self, broken, logged_in, viewer):
        assert "Fails" not in logged_in(viewer).get("/incidents/thresholds/").text
        detect()
        assert "Fails" in logged_in(viewer).get("/incidents/thresholds/").text

    def test_lets_a_person_close_what_it_can_not_see_any_more(self, broken, operator):
        stream = make_stream()
        incident = Incident.objects.create(
            threshold=broken, subject_kind="stream", subject_id=stream.pk, level="stop"
        )
        detect()
        assert Incident.objects.open().get() == incident
        close(incident=incident, reason="It is mended.", actor=operator)
        assert not Incident.objects.open().exists()

    def test_is_not_blamed_where_the_database_is_away(self, monkeypatch, caplog):
        away = Mock(side_effect=OperationalError("away"))
        with monkeypatch.context() as patch:
            patch.setattr(detection, "_look", away)
            patch.setattr(connection, "savepoint_rollback", away)
            with pytest.raises(OperationalError):
                detect()
        assert not [one for one in caplog.records if one.name == detection.__name__]


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
        assert incident.sentence.endswith("2 messages wait. None has ever started.")
        assert "differ by 30 seconds at most" in incident.to_do
        assert "End process" not in incident.to_do
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

    @pytest.mark.parametrize(
        ("gone", "words"),
        [
            ("dead_at", ", of which nothing was heard any more on {}: it died, or stands still."),
            ("stopped_at", ", which ended as it was told to on {}."),
        ],
    )  # fmt: skip
    def test_names_the_process_that_was_the_last(self, gone, words):
        make_waiting(stream=make_stream(kind="bulk"))
        watch(ago=timedelta(seconds=20))
        at = timezone.now() - WAITED * 2
        for lane, pid, ended in (("bulk", 4, at), ("bulk", 5, at), ("transactional", 6, None)):
            Worker.objects.create(lane=lane, host="mail2", pid=pid, **{gone: ended})
        detect()
        told = f"The last was process 5 on mail2{words.format(moment_of(at))}"
        incident = Incident.objects.get()
        assert told in incident.sentence
        assert ("End process 5 first" in incident.to_do) == (gone == "dead_at")

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
