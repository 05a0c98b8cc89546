import pytest
from django.db import transaction

from mailops.accounts.models import AuditEntry
from mailops.incidents import handling
from mailops.incidents.detection import detect
from mailops.incidents.handling import NotPossible
from mailops.incidents.models import Incident
from mailops.transports.models import PauseCause
from tests.factories import make_transport
from tests.incidents.conftest import count


@pytest.fixture
def incident(stream):
    count(stream, "accepted", 94)
    count(stream, "bounced", 6)
    detect()
    return Incident.objects.get()


def kinds(incident):
    return list(incident.notes.order_by("id").values_list("kind", flat=True))


class TestAcknowledge:
    def test_makes_who_does_it_the_owner(self, incident, oncall):
        handling.acknowledge(incident=incident, actor=oncall)
        incident.refresh_from_db()
        assert (incident.state, incident.owner) == ("acknowledged", oncall)
        assert kinds(incident) == ["opened", "acknowledged"]
        assert AuditEntry.objects.get().verb == "incident.acknowledge"

    def test_takes_it_over_from_another_owner(self, incident, oncall, operator):
        handling.assign(incident=incident, owner=operator, actor=oncall)
        handling.acknowledge(incident=incident, actor=oncall)
        incident.refresh_from_db()
        assert incident.owner == oncall
        assert incident.notes.latest("id").text == f"{oncall} is on it. It was {operator}'s."
        told = AuditEntry.objects.get(verb="incident.acknowledge")
        assert (told.before["owner"], told.after["owner"]) == (str(operator), str(oncall))

    def test_is_possible_once(self, incident, oncall):
        handling.acknowledge(incident=incident, actor=oncall)
        with pytest.raises(NotPossible, match="acknowledged already"):
            handling.acknowledge(incident=incident, actor=oncall)


class TestNotes:
    @pytest.mark.django_db(transaction=True)
    def test_are_written_while_a_look_keeps_the_incident(self, incident, oncall, meanwhile):
        with transaction.atomic():
            Incident.objects.select_for_update(no_key=True).get()
            noted = meanwhile(handling.add_note, incident=incident, text="I look.", actor=oncall)
            assert noted.done()
        assert incident.notes.get(kind="note").text == "I look."


class TestOwner:
    def test_is_told_once_that_is_chosen_twice(self, incident, oncall, operator):
        for _ in range(2):
            handling.assign(incident=incident, owner=operator, actor=oncall)
        assert kinds(incident) == ["opened", "assigned"]
        assert AuditEntry.objects.get().verb == "incident.assign"


class TestPauseAndResume:
    def test_stop_and_start_the_stream(self, incident, oncall, stream):
        handling.pause(incident=incident, actor=oncall)
        stream.refresh_from_db()
        assert (stream.is_paused, stream.pause_cause) == (True, "person")
        handling.resume(incident=incident, actor=oncall)
        stream.refresh_from_db()
        assert not stream.is_paused
        assert kinds(incident) == ["opened", "paused", "resumed"]

    def test_say_where_there_is_nothing_to_do(self, incident, oncall):
        with pytest.raises(NotPossible, match="running already"):
            handling.resume(incident=incident, actor=oncall)
        handling.pause(incident=incident, actor=oncall)
        with pytest.raises(NotPossible, match="paused already"):
            handling.pause(incident=incident, actor=oncall)


class TestClose:
    def test_keeps_the_reason(self, incident, oncall):
        handling.close(incident=incident, reason="a bad list", actor=oncall)
        incident.refresh_from_db()
        assert (incident.is_open, incident.close_reason) == (False, "a bad list")
        assert AuditEntry.objects.get().reason == "a bad list"

    def test_is_possible_once(self, incident, oncall):
        handling.close(incident=incident, reason="x", actor=oncall)
        with pytest.raises(NotPossible, match="closed already"):
            handling.close(incident=incident, reason="x", actor=oncall)

    def test_is_refused_while_the_fault_is_there(self, oncall):
        transport = make_transport()
        transport.pause(PauseCause.FAULT, "The password was refused.")
        detect()
        incident = Incident.objects.get()
        with pytest.raises(NotPossible, match="still there"):
            handling.close(incident=incident, reason="x", actor=oncall)
        transport.resume()
        handling.close(incident=incident, reason="new password", actor=oncall)

    def test_lets_notes_be_written_still(self, incident, oncall):
        handling.close(incident=incident, reason="x", actor=oncall)
        handling.add_note(incident=incident, text="what we learned", actor=oncall)
        assert kinds(incident)[-1] == "note"
