"""One session's talk against a peer that follows a script, with the real committer and the real ledger."""

import threading
import time
from collections import deque
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from mailops.dispatch import conversation
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.committing import Committer
from mailops.dispatch.conversation import Conversation, Surroundings
from mailops.dispatch.limits import utc_today
from mailops.dispatch.models import Allowance, Worker
from mailops.dispatch.preparing import Objection, Prepared
from mailops.outbox.models import Event, Message, QueueEntry
from mailops.protocol.reply import Reply
from mailops.suppressions.models import Suppression
from mailops.transports.models import Transport, WarmUp
from mailops.transports.sessions import (
    BodyResult,
    Envelope,
    Offer,
    Phase,
    Session,
    SessionEnded,
    SessionLost,
)
from tests.factories import make_message, make_stream, make_transport
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

OK = Reply(250, "2.0.0 Ok: queued", "2.0.0", ".")
GO = Offer(True, Reply(354, "go", "", "DATA"), Phase.DATA)
NO_MAILBOX = Offer(False, Reply(550, "5.1.1 No such user", "5.1.1", "RCPT"), Phase.RCPT)
BUSY = Offer(False, Reply(451, "4.3.0 later", "4.3.0", "RCPT"), Phase.RCPT)
BLOCKLISTED = Offer(
    False,
    Reply(550, "5.7.1 Service unavailable; client host blocked using rbl.example", "5.7.1", "RCPT"),
    Phase.RCPT,
)
NOT_AUTHENTICATED = Offer(
    False, Reply(530, "5.7.0 Authentication required", "5.7.0", "MAIL"), Phase.MAIL
)


class ScriptedSession(Session):
    """Answers offers and bodies from a script; an exception in it is raised, and closes."""

    peer = "script"

    def __init__(self, *, offers=(), bodies=(), can_pipeline=False):
        self.offers, self.bodies, self.can_pipeline = deque(offers), deque(bodies), can_pipeline
        self.said, self.marks_seen, self._open = [], [], True

    def open(self): ...

    def _next(self, script, default):
        answer = script.popleft() if script else default
        if isinstance(answer, Exception):
            self._open = False
            raise answer
        return answer

    def offer(self, envelope):
        self.said.append(("offer", envelope.recipient))
        offer = self._next(self.offers, GO)
        self._open = self._open and offer.reply.code != 421
        return offer

    def body(self, content, *, then=None):
        self.said.append(("body", content.decode(), then.recipient if then else None))
        reply = self._next(self.bodies, OK)
        following = None
        if then is not None:
            try:
                following = self._next(self.offers, GO)
            except SessionLost:
                following = None
        return BodyResult(reply, next_offer=following)

    def abandon(self):
        self.said.append(("abandon",))
        self._open = False

    def close(self):
        self._open = False

    @property
    def is_open(self):
        return self._open


class Talk:
    """Claims all due messages of one transport and lets a conversation with `session` run over them."""

    def __init__(self, session, *, per_session=1000, objections=(), broken=()):
        self.session, self.faults, self.losses = session, [], []
        self.is_stopping = self.is_refused_by_several = False
        self.is_closing = self.is_broken = False
        self.objections, self.broken = objections, broken
        worker = Worker.objects.create(lane="bulk", host="test", pid=1)
        (carrier,) = usable_carriers("bulk")
        self.jobs = deque(Claimer(worker.pk).claim(carrier, 100))
        self.committer = Committer()
        around = Surroundings(
            transport_id=carrier.transport_id,
            messages_per_session=per_session,
            take=lambda wait: self.jobs.popleft() if self.jobs else None,
            give_back=self.give_back,
            prepare=self.prepare,
            stop_for=self.faults.append,
            note_loss=lambda job, detail: self.losses.append(job.recipient),
            note_refusal=lambda job: self.is_refused_by_several,
            is_stopping=lambda: self.is_stopping,
            note_success=self.note_success,
        )
        self.conversation = Conversation(session, self.committer, around)

    def give_back(self, job):
        if not self.is_closing:
            self.jobs.appendleft(job)
        return not self.is_closing

    def note_success(self):
        if self.is_broken:
            raise RuntimeError("a bug of ours")

    def prepare(self, job):
        if job.recipient in self.objections:
            raise Objection("render_failed", "No name for this recipient.")
        if job.recipient in self.broken:
            raise RuntimeError("a bug of ours")
        return Prepared(job, Envelope("b+x@r.example", job.recipient), job.recipient.encode())

    def _converse(self):
        try:
            self.conversation.run()
        except RuntimeError as error:
            self.was_charged = self.conversation.give_up(str(error))

    def run(self, between=None):
        thread = threading.Thread(target=self._converse)
        thread.start()
        return self.finish(thread, between)

    def finish(self, thread, between=None):
        while thread.is_alive():
            if self.committer.commit_waiting(timeout=0.01) and between:
                between()
        while self.committer.commit_waiting(timeout=0.0):
            pass
        return self


def statuses():
    return dict(Message.objects.order_by("pk").values_list("recipient", "status"))


def claims():
    return QueueEntry.objects.exclude(worker_id=None).count()


@pytest.fixture
def stream():
    return make_stream(transport=make_transport(), backoff_seconds=[60])


@pytest.fixture
def three(stream):
    return [make_message(stream=stream, recipient=f"{name}@x.example") for name in "abc"]


@pytest.mark.parametrize("can_pipeline", [False, True])
class TestReplies:
    def test_accepts_message_after_message(self, three, can_pipeline):
        session = ScriptedSession(can_pipeline=can_pipeline)
        Talk(session).run()
        assert set(statuses().values()) == {"accepted"}
        assert not QueueEntry.objects.exists()
        riders = [said[2] for said in session.said if said[0] == "body"]
        assert riders == (["b@x.example", "c@x.example", None] if can_pipeline else [None] * 3)

    def test_no_body_begins_once_the_process_is_to_end(self, three, can_pipeline):
        talk = Talk(ScriptedSession(can_pipeline=can_pipeline))
        body = talk.session.body

        def last_body(content, *, then=None):
            talk.is_stopping = True
            return body(content, then=then)

        talk.session.body = last_body
        talk.run()
        assert list(statuses().values()) == ["accepted", "queued", "queued"]
        assert talk.session.said[-1] == ("abandon",)
        assert QueueEntry.objects.filter(marked_at=None, session_attempts=0).count() == 2
        assert not talk.losses

    def test_a_refused_recipient_costs_only_itself(self, three, can_pipeline):
        session = ScriptedSession(offers=[GO, NO_MAILBOX, GO], can_pipeline=can_pipeline)
        Talk(session).run()
        assert statuses() == {
            "a@x.example": "accepted",
            "b@x.example": "bounced",
            "c@x.example": "accepted",
        }
        assert Message.objects.get(recipient="b@x.example").reply_text == "5.1.1 No such user"

    def test_a_hard_bounce_is_suppressed_at_once_with_its_evidence(self, three, can_pipeline):
        Talk(ScriptedSession(offers=[NO_MAILBOX], can_pipeline=can_pipeline)).run()
        suppression = Suppression.objects.get()
        assert suppression.address_key == "a@x.example"
        assert suppression.evidence_event_id == Event.objects.get(kind="bounced").pk

    def test_a_busy_server_defers_and_suppresses_nobody(self, three, can_pipeline):
        Talk(ScriptedSession(offers=[BUSY, BUSY, BUSY], can_pipeline=can_pipeline)).run()
        assert set(statuses().values()) == {"deferred"}
        assert not Suppression.objects.exists()
        assert claims() == 0

    def test_a_refusal_after_the_dot_is_final(self, three, can_pipeline):
        refused = Reply(554, "5.7.1 Content rejected", "5.7.1", ".")
        Talk(ScriptedSession(bodies=[OK, refused, OK], can_pipeline=can_pipeline)).run()
        assert statuses()["b@x.example"] in {"bounced", "failed"}
        assert statuses()["c@x.example"] == "accepted"

    def test_one_recipient_s_own_block_list_stops_no_single_mail(self, three, can_pipeline):
        talk = Talk(ScriptedSession(offers=[BLOCKLISTED, GO, GO], can_pipeline=can_pipeline)).run()
        assert list(statuses().values()) == ["deferred", "accepted", "accepted"]
        assert not talk.faults
        assert not Suppression.objects.exists()

    def test_several_recipients_who_refuse_what_we_are_stop_the_stream(self, three, can_pipeline):
        talk = Talk(ScriptedSession(offers=[BLOCKLISTED, GO, GO], can_pipeline=can_pipeline))
        talk.is_refused_by_several = True
        talk.run()
        (fault,) = talk.faults
        assert (fault.stops, fault.stream_id) == ("stream", three[0].stream_id)
        assert list(statuses().values()) == ["queued", "accepted", "accepted"]
        (entry,) = QueueEntry.objects.all()
        assert (entry.worker_id, entry.attempts) == (None, 0)

    def test_our_fault_stops_the_transport_and_costs_nobody_anything(self, three, can_pipeline):
        talk = Talk(
            ScriptedSession(offers=[NOT_AUTHENTICATED] * 3, can_pipeline=can_pipeline)
        ).run()
        assert {fault.stops for fault in talk.faults} == {"transport"}
        assert set(statuses().values()) == {"queued"}
        assert claims() == 0
        assert not Event.objects.exists()

    def test_what_we_cannot_make_fails_alone(self, three, can_pipeline):
        Talk(ScriptedSession(can_pipeline=can_pipeline), objections={"b@x.example"}).run()
        assert statuses()["b@x.example"] == "failed"
        assert Message.objects.get(recipient="b@x.example").reason == "render_failed"


class TestMailThatCanNotBeMade:
    def test_keeps_no_body_waiting_that_is_marked(self, three):
        talk = Talk(ScriptedSession(can_pipeline=True), objections={"b@x.example", "c@x.example"})
        body, untried = talk.session.body, []

        def look(content, *, then=None):
            untried.extend(job.recipient for job in talk.jobs)
            return body(content, then=then)

        talk.session.body = look
        talk.run()
        assert untried == ["c@x.example"]
        assert list(statuses().values()) == ["accepted", "failed", "failed"]

    def test_is_written_however_much_of_it_there_is(self, three, monkeypatch):
        monkeypatch.setattr(conversation, "MOST_PENDING", 2)
        talk = Talk(ScriptedSession(), objections=set(statuses()))
        put, written = talk.committer.put, []

        def note(request):
            written.append(len(request.outcomes))
            return put(request)

        talk.committer.put = note
        talk.run()
        assert written == [2, 1]
        assert set(statuses().values()) == {"failed"}

    @pytest.mark.parametrize("limit", ["quota", "warm-up"])
    def test_spends_nothing_of_a_day_s_number(self, three, limit):
        transport = three[0].stream.transport
        if limit == "quota":
            Transport.objects.update(daily_quota=3)
        else:
            WarmUp.objects.create(transport=transport, started_on=utc_today(), first_day=3)
        Talk(ScriptedSession(), objections={"a@x.example", "b@x.example"}).run()
        spent = Allowance.objects.exclude(spent=0).values_list("spent", flat=True)
        assert list(spent) == [1]


class TestHours:
    def test_what_was_claimed_too_long_before_their_end_goes_back(self, three):
        QueueEntry.objects.update(closes_at=timezone.now() + timedelta(hours=1))
        session = ScriptedSession()
        talk = Talk(session)
        first, *others = talk.jobs
        assert 3500 < first.leaves_by - time.monotonic() < 3600
        talk.jobs = deque([first, *(job._replace(leaves_by=time.monotonic()) for job in others)])
        talk.run()
        assert statuses()["a@x.example"] == "accepted"
        assert statuses()["b@x.example"] == "queued"
        assert claims() == 0
        assert ("abandon",) not in session.said

    @pytest.mark.parametrize(
        "hours",
        [
            {"closes_at": timedelta(0)},
            {"due_at": timedelta(hours=9), "closes_at": timedelta(hours=18)},
        ],
        ids=["over", "moved"],
    )
    def test_the_last_gate_asks_for_them_too(self, three, hours):
        talk = Talk(ScriptedSession())
        QueueEntry.objects.update(**{name: timezone.now() + ahead for name, ahead in hours.items()})
        talk.run()
        assert set(statuses().values()) == {"queued"}
        assert talk.session.said[-1] == ("abandon",)
        assert claims() == 2  # those that nobody spoke of yet

    def test_where_there_are_none_a_clock_that_was_put_back_refuses_nobody(self, three):
        talk = Talk(ScriptedSession())
        QueueEntry.objects.update(due_at=timezone.now() + timedelta(hours=2))
        talk.run()
        assert set(statuses().values()) == {"accepted"}


class TestLosses:
    def test_a_drop_before_the_body_spends_a_session_attempt(self, three):
        Talk(ScriptedSession(offers=[SessionLost(Phase.RCPT, "reset")])).run()
        entry = QueueEntry.objects.get(message__recipient="a@x.example")
        assert (entry.session_attempts, entry.worker_id) == (1, None)
        assert statuses()["a@x.example"] == "queued"

    def test_a_session_that_ends_between_messages_costs_the_next_one_nothing(self, three):
        session = ScriptedSession(offers=[NO_MAILBOX, SessionEnded(Phase.MAIL, "too many errors")])
        talk = Talk(session).run()
        assert statuses() == {
            "a@x.example": "bounced",
            "b@x.example": "queued",
            "c@x.example": "queued",
        }
        assert [job.recipient for job in talk.jobs] == ["b@x.example", "c@x.example"]
        assert (talk.losses, talk.conversation.was_in_vain) == ([], False)

    def test_a_provider_that_can_not_be_reached_again_costs_its_message_nothing(self, three):
        session = ScriptedSession(bodies=[OK, SessionEnded(Phase.DATA, "connection refused")])
        talk = Talk(session).run()
        assert statuses()["b@x.example"] == "queued"
        entry = QueueEntry.objects.get(message=three[1])
        assert (entry.session_attempts, entry.worker_id, entry.marked_at) == (0, None, None)
        assert (talk.losses, talk.conversation.was_in_vain) == ([], True)

    @pytest.mark.parametrize("is_open", [True, False])
    def test_one_that_ends_before_anybody_was_spoken_of_was_in_vain(self, three, is_open):
        session = ScriptedSession(offers=[SessionEnded(Phase.MAIL, "bye")])
        session._open = is_open
        talk = Talk(session).run()
        assert (talk.losses, talk.conversation.was_in_vain) == ([], True)
        assert len(talk.jobs) == 3

    def test_a_drop_after_the_body_is_uncertain_and_what_rode_behind_is_unspent(self, three):
        session = ScriptedSession(bodies=[SessionLost(Phase.BODY, "reset")], can_pipeline=True)
        Talk(session).run()
        assert statuses()["a@x.example"] == "uncertain"
        rider = QueueEntry.objects.get(message__recipient="b@x.example")
        assert (rider.session_attempts, rider.worker_id, rider.fence) == (0, None, None)

    def test_a_drop_before_the_final_dot_was_written_is_no_doubt(self, three):
        Talk(ScriptedSession(bodies=[SessionLost(Phase.DATA, "reset")])).run()
        entry = QueueEntry.objects.get(message__recipient="a@x.example")
        assert (entry.session_attempts, entry.marked_at, entry.fence) == (1, None, None)
        assert statuses()["a@x.example"] == "queued"

    def test_a_loss_after_the_final_reply_cannot_change_it(self, three):
        session = ScriptedSession(offers=[GO, SessionLost(Phase.MAIL, "reset")], can_pipeline=True)
        Talk(session).run()
        assert statuses()["a@x.example"] == "accepted"
        assert QueueEntry.objects.get(message__recipient="b@x.example").session_attempts == 0

    def test_a_421_at_mail_spends_a_session_attempt_and_at_rcpt_defers(self, stream):
        for phase, status in [(Phase.MAIL, "queued"), (Phase.RCPT, "deferred")]:
            Message.objects.all().delete()
            make_message(stream=stream, recipient="a@x.example")
            Talk(
                ScriptedSession(
                    offers=[Offer(False, Reply(421, "4.3.2 bye", "4.3.2", phase), phase)]
                )
            ).run()
            assert statuses() == {"a@x.example": status}

    def test_a_message_that_cost_a_session_never_rides_behind_another(self, three):
        QueueEntry.objects.filter(message=three[1]).update(session_attempts=1)
        session = ScriptedSession(can_pipeline=True)
        Talk(session).run()
        riders = {said[2] for said in session.said if said[0] == "body"}
        assert "b@x.example" not in riders
        assert set(statuses().values()) == {"accepted"}

    def test_nor_does_it_once_it_was_deferred_in_between(self, stream):
        make_message(stream=stream, recipient="b@x.example")
        Talk(ScriptedSession(offers=[SessionLost(Phase.RCPT, "reset")])).run()
        Talk(ScriptedSession(offers=[BUSY])).run()
        assert statuses() == {"b@x.example": "deferred"}
        make_message(stream=stream, recipient="a@x.example")
        QueueEntry.objects.filter(attempts=1).update(due_at=timezone.now())
        make_message(stream=stream, recipient="c@x.example")
        session = ScriptedSession(can_pipeline=True)
        Talk(session).run()
        riders = [said[2] for said in session.said if said[0] == "body"]
        assert riders == [None, "c@x.example", None]
        assert set(statuses().values()) == {"accepted"}

    def test_what_was_only_deferred_rides_again(self, stream):
        for name in "ab":
            make_message(stream=stream, recipient=f"{name}@x.example")
        Talk(ScriptedSession(offers=[BUSY, BUSY])).run()
        QueueEntry.objects.update(due_at=timezone.now())
        session = ScriptedSession(can_pipeline=True)
        Talk(session).run()
        assert [said[2] for said in session.said if said[0] == "body"] == ["b@x.example", None]

    def test_an_error_of_ours_in_making_a_mail_fails_that_mail_alone(self, three, caplog):
        Talk(ScriptedSession(can_pipeline=True), broken={"b@x.example"}).run()
        assert statuses() == {
            "a@x.example": "accepted",
            "b@x.example": "failed",
            "c@x.example": "accepted",
        }
        assert Message.objects.get(recipient="b@x.example").reason == "internal_error"
        assert "a bug of ours" in caplog.text

    def test_an_error_of_ours_in_talking_charges_one_message_and_frees_the_others(self, three):
        session = ScriptedSession(offers=[GO, RuntimeError("a bug of ours")])
        assert Talk(session).run().was_charged
        assert statuses()["a@x.example"] == "accepted"
        entry = QueueEntry.objects.get(message__recipient="b@x.example")
        assert (entry.session_attempts, entry.worker_id) == (1, None)

    def test_an_error_of_ours_after_a_mark_is_in_doubt(self, three):
        Talk(ScriptedSession(bodies=[RuntimeError("a bug of ours")])).run()
        assert statuses()["a@x.example"] == "uncertain"

    def test_an_error_of_ours_behind_a_yes_is_in_doubt_and_sends_nothing_again(self, three):
        talk = Talk(ScriptedSession())
        talk.is_broken = True
        talk.run()
        assert list(statuses().values()) == ["uncertain", "queued", "queued"]

    def test_what_no_session_here_takes_any_more_goes_back_to_the_queue(self, three):
        QueueEntry.objects.filter(message=three[1]).update(session_attempts=1)
        talk = Talk(ScriptedSession(can_pipeline=True))
        talk.is_closing = True
        talk.run()
        assert list(statuses().values()) == ["accepted", "queued", "accepted"]
        assert claims() == 0

    def test_an_error_of_ours_before_anything_left_is_none(self, three):
        session = ScriptedSession(bodies=[RuntimeError("a bug of ours")])
        session.may_have_left = False
        assert Talk(session).run().was_charged
        assert set(statuses().values()) == {"queued"}
        entry = QueueEntry.objects.get(message__recipient="a@x.example")
        assert (entry.session_attempts, entry.worker_id, entry.marked_at) == (1, None, None)
        assert Event.objects.get().data["phase"] == "data"


class TestTheLastGate:
    """A mark that is refused sends no body: the socket goes down, the claim goes back."""

    def refuse(self, change, three, *, can_pipeline=False):
        session = ScriptedSession(can_pipeline=can_pipeline)
        talk = Talk(session)
        change()
        talk.run()
        assert not [said for said in session.said if said[0] == "body"]
        assert ("abandon",) in session.said
        return session

    def test_for_a_suppressed_address(self, three):
        self.refuse(
            lambda: Suppression.objects.create(
                address="A@x.example", address_key="a@x.example", reason="manual"
            ),
            three,
        )
        assert statuses()["a@x.example"] == "queued"

    def test_for_a_paused_stream(self, three, stream):
        self.refuse(lambda: type(stream).objects.update(state="paused"), three)

    def test_what_would_have_ridden_behind_goes_back_too(self, three, stream):
        self.refuse(lambda: type(stream).objects.update(state="paused"), three, can_pipeline=True)
        assert claims() == 1  # the third, which nobody took

    def test_for_a_paused_transport(self, three, stream):
        self.refuse(
            lambda: type(stream.routes.get().transport).objects.update(state="paused"), three
        )

    def test_for_a_worker_declared_dead(self, three):
        self.refuse(lambda: Worker.objects.update(dead_at="2026-01-01T00:00Z"), three)

    def test_for_a_lost_fence(self, three):
        self.refuse(lambda: QueueEntry.objects.update(fence=F("fence") + 1000), three)

    def test_for_a_canceled_message(self, three):
        self.refuse(lambda: QueueEntry.objects.all().delete(), three)


def test_a_session_ends_after_its_share_of_messages(three):
    session = ScriptedSession(can_pipeline=True)
    talk = Talk(session, per_session=2).run()
    assert len(talk.jobs) == 1
    assert sorted(statuses().values()) == ["accepted", "accepted", "queued"]


def test_the_next_mail_is_made_while_a_mark_is_committed(three):
    talk = Talk(ScriptedSession(can_pipeline=True))
    thread = threading.Thread(target=talk.conversation.run)
    thread.start()
    try:
        wait_until(lambda: len(talk.jobs) == 1, seconds=30, what="the second mail")
        assert "body" not in {said[0] for said in talk.session.said}
        assert claims() == 3
    finally:
        talk.finish(thread)


def test_at_most_one_message_is_marked_and_unanswered(three):
    session = ScriptedSession(can_pipeline=True)
    seen = []
    Talk(session).run(
        between=lambda: seen.append(QueueEntry.objects.exclude(marked_at=None).count())
    )
    assert max(seen) == 1
