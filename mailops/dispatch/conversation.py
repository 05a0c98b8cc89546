"""One session's talk: envelope, mark, body, result, message after message, at most one of them unanswered."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from mailops.dispatch.claiming import Claim, Job
from mailops.dispatch.committing import Committer, Request
from mailops.dispatch.preparing import Objection, Prepared
from mailops.domains.signing import CannotSign
from mailops.outbox.models import EventKind
from mailops.outbox.recording import Outcome, kind_of_refusal
from mailops.outbox.taught import understood
from mailops.protocol.classification import Classification, Reason, Stops, classify
from mailops.protocol.reply import Reply
from mailops.transports.sessions import (
    BodyResult,
    LoginId,
    Offer,
    Phase,
    Session,
    SessionEnded,
    SessionLost,
)

logger = logging.getLogger(__name__)

SOURCE = "dispatch"
LOGIN_REASONS = frozenset({Reason.LOGIN_FAILED, Reason.LOGIN_REQUIRED})
MOST_PENDING = 100  # results of mail that can't be made, before they are written


@dataclass(frozen=True)
class SystemicFault:
    """Ours, not a recipient's: the transport or the campaign must stop until a person mends it."""

    stops: str  # "transport", "campaign" or "stream"
    transport_id: int
    campaign_id: int | None
    sentence: str
    detail: str
    stream_id: int | None = None
    login_id: LoginId | None = None  # what was logged in with, where that may be at fault


@dataclass(frozen=True)
class Surroundings:
    """What a conversation needs of the delivery around it; all of it is safe to call from a session's thread."""

    transport_id: int
    messages_per_session: int
    take: Callable[[float], Job | None]  # the next claimed job, waiting up to so many seconds
    # to the front of the jobs that wait; False where nobody takes them any more
    give_back: Callable[[Job], bool]
    prepare: Callable[[Job], Prepared]
    stop_for: Callable[[SystemicFault], None]
    note_loss: Callable[[Job, str], None]
    note_refusal: Callable[[Job], bool]  # of our mail; whether several recipients said so
    note_success: Callable[[], None]
    is_stopping: Callable[[], bool]  # the process ends: no body may begin any more


class Conversation:
    """Drives one open session until there is nothing more to say."""

    IDLE_SECONDS = 1.0  # how long a session is kept warm for the next message

    def __init__(self, session: Session, committer: Committer, around: Surroundings) -> None:
        self._session, self._committer, self._around = session, committer, around
        # the result of the last body, not written yet; rides with the next mark
        self._pending: list[Outcome] = []
        self._unspent: list[Job] = []
        self._set_back: list[Job] = []  # unspent too, and not to be the next again
        self._dead_addresses: dict[Claim, str] = {}
        self._unmade: list[Job] = []
        self._held: dict[Claim, Job] = {}  # taken, and neither decided nor given back
        self._marked: Job | None = None
        self._spoken = 0
        self._was_heard = False  # of anybody: an envelope was answered
        # the server could not be reached any more before it heard of somebody, who does not pay for it
        self.was_in_vain = False

    def run(self) -> None:
        """Talk until the session ends or nothing is left; everything read is committed on return."""
        self.was_in_vain = not self._session.is_open
        current, offer = self._next_offer()
        while current is not None and offer is not None:
            if offer.is_ready and self._around.is_stopping():
                self._break_off(current)
                current, offer = None, None
            elif offer.is_ready:
                current, offer = self._send(current)
            else:
                self._refused(current, offer.reply, offer.phase)
                current, offer = None, None
            if current is None:
                current, offer = self._next_offer()
        self._flush()

    def give_up(self, detail: str) -> bool:
        """Settle what this talk holds after an error of ours; return whether a message was charged for it.

        A marked message is uncertain, unless nothing of it had left: then it is charged a session attempt. So is the one
        taken last, since it may be the cause; the others go back unspent.
        """
        is_charged = bool(self._held)
        if self._marked is not None and self._session.may_have_left:
            self._uncertain(self._marked, Phase.BODY, detail)
        elif self._marked is not None:
            self._lost(self._marked, Phase.DATA, detail)
        held = list(self._held.values())
        if held:
            self._lost(held.pop(), Phase.MAIL, detail)
        for job in held:
            self._spare(job)
        self._flush()
        return is_charged

    def _send(self, current: Prepared) -> tuple[Prepared | None, Offer | None]:
        """Mark, send the body with the next envelope behind it, and note the reply; return what rode along."""
        mark = self._ask(mark=current.job)
        following = self._rider()  # made ahead, else while the mark is being committed
        if not mark.wait():  # refused at the last gate
            self._break_off(current)
            self._leave(following)
            return None, None
        self._marked = current.job
        try:
            result = self._session.body(
                current.content, then=following.envelope if following else None
            )
        except SessionLost as lost:
            if isinstance(lost, SessionEnded):
                self.was_in_vain = True
                self._spare(current.job)
            elif lost.phase == Phase.BODY:
                self._uncertain(current.job, lost.phase, lost.detail)
            else:
                # the final dot was never written, so nobody can have taken it
                self._lost(current.job, lost.phase, lost.detail)
            self._marked = None
            self._leave(following)
            return None, None
        self._answered(current.job, result)
        self._marked = None  # not before: an error of ours in between must not send it again
        if following is not None and result.next_offer is None:
            self._leave(following)
            return None, None
        return following, result.next_offer

    def _break_off(self, prepared: Prepared) -> None:
        """Spare a message that was let in: a dot now would deliver an empty mail, so the socket goes down instead."""
        self._session.abandon()
        self._spare(prepared.job)

    def _next_offer(self) -> tuple[Prepared | None, Offer | None]:
        """Take jobs until one is offered and answered; (None, None) when the talk is over."""
        while self._may_go_on():
            prepared = self._take(wait=0.0)
            if prepared is None:
                self._flush()
                prepared = self._take(wait=self.IDLE_SECONDS)
                if prepared is None:
                    return None, None
                if not self._session.is_open:
                    # Peers end idle sessions as they like: whoever comes next has no part in it.
                    self._return(prepared.job)
                    return None, None
            try:
                self._spoken += 1
                offer = self._session.offer(prepared.envelope)
            except SessionEnded:
                self.was_in_vain = not self._was_heard
                self._return(prepared.job)
            except SessionLost as lost:
                self._lost(prepared.job, lost.phase, lost.detail)
            else:
                self._was_heard = True
                return prepared, offer
        return None, None

    def _may_go_on(self) -> bool:
        return self._may_say_more() and self._session.is_open

    def _may_say_more(self) -> bool:
        return self._spoken < self._around.messages_per_session

    def _rider(self) -> Prepared | None:
        """Return a message whose envelope may ride behind a body: none that has cost a session already.

        One is tried and no more, since the body before it is marked, and its server waits.
        """
        if not self._session.can_pipeline or not self._may_say_more():
            return None
        job = self._around.take(0.0)
        if job is None:
            return None
        if job.session_attempts:
            self._return(job)
            return None
        prepared = self._made(job)
        self._spoken += prepared is not None
        return prepared

    def _return(self, job: Job) -> None:
        """Let another session of this process take it, or another process where none here will."""
        if self._around.give_back(job):
            self._held.pop(job.claim, None)
        else:
            self._spare(job)

    def _take(self, wait: float) -> Prepared | None:
        """Return the next job that can be made into mail; those that can't are recorded as failed."""
        while (job := self._around.take(wait)) is not None:
            if prepared := self._made(job):
                return prepared
            if len(self._pending) >= MOST_PENDING:
                self._flush()
        return None

    def _made(self, job: Job) -> Prepared | None:
        """Return a job that was taken as mail; None where it is too late for it, or it can't be made."""
        if job.leaves_by is not None and time.monotonic() >= job.leaves_by:
            self._spare(job)  # the last gate would say the same, and cost a session
            return None
        self._held[job.claim] = job
        try:
            return self._around.prepare(job)
        except Objection as objection:
            if objection.is_of_all and job.campaign_id is not None:
                self._spare(job)
                self._around.stop_for(self._fault("campaign", job, objection.sentence))
            else:
                self._failed(job, objection.reason, objection.sentence)
        except CannotSign as fault:
            self._spare(job)
            self._around.stop_for(self._fault("stream", job, fault.sentence, fault.detail))
        except Exception:
            # An error of ours in making one mail must not stop the others of its transport.
            logger.exception("message %d could not be made", job.message_id)
            self._failed(
                job,
                "internal_error",
                "mailops itself failed while it made this mail; its log has the cause.",
            )
        return None

    def _failed(self, job: Job, reason: str, sentence: str) -> None:
        """Note that a mail could not be made; no server was spoken to of it, so it spends nothing of a day's number."""
        self._unmade.append(job)
        self._pending.append(
            self._outcome(job, EventKind.FAILED, reason=reason, sentence=sentence, fault="message")
        )

    def _fault(self, stops: str, job: Job, sentence: str, detail: str = "") -> SystemicFault:
        return SystemicFault(
            stops, self._around.transport_id, job.campaign_id, sentence, detail, job.stream_id
        )

    def _leave(self, prepared: Prepared | None) -> None:
        if prepared is not None:
            self._spare(prepared.job)

    def _spare(self, job: Job) -> None:
        """Let a claim go back to the queue as if it had never been taken."""
        self._held.pop(job.claim, None)
        self._unspent.append(job)

    def _answered(self, job: Job, result: BodyResult) -> None:
        if result.reply.is_positive:
            self._around.note_success()
            self._pending.append(
                self._outcome(
                    job,
                    EventKind.ACCEPTED,
                    reply=result.reply,
                    transport_message_id=result.transport_message_id,
                    data=dict(result.data),
                )
            )
        else:
            self._refused_at(job, result.reply, Phase.BODY, result.retry_after)

    def _refused(self, prepared: Prepared, reply: Reply, phase: Phase) -> None:
        if reply.code == 421 and phase == Phase.MAIL:
            self._lost(prepared.job, phase, str(reply))
        else:
            self._refused_at(prepared.job, reply, phase)

    def _refused_at(self, job: Job, reply: Reply, phase: Phase, retry_after: int = 0) -> None:
        """Note a negative reply: what it means is decided in `protocol.classification`, and by what people taught."""
        meaning = understood(classify(reply, phase), reply, phase, recipient=job.address_key)
        stops = self._stopped_by(meaning, job)
        if stops:
            self._held.pop(job.claim, None)
            self._set_back.append(job)
            fault = self._fault(stops, job, f"{meaning.sentence} {meaning.fix}", str(reply))
            if meaning.reason in LOGIN_REASONS:
                fault = replace(fault, login_id=self._session.login_id)
            self._around.stop_for(fault)
            return
        if meaning.suppress:
            self._dead_addresses[job.claim] = job.recipient
        is_deferred = meaning.kind == "transient" or meaning.stops != Stops.NONE
        kind = EventKind.DEFERRED if is_deferred else kind_of_refusal(meaning.fault)
        self._pending.append(
            self._outcome(
                job,
                kind,
                reply=reply,
                reason=meaning.reason,
                fault=meaning.fault,
                sentence=meaning.sentence,
                retry_after=retry_after,
                data={"phase": phase} | ({"retry_after": retry_after} if retry_after else {}),
            )
        )

    def _stopped_by(self, meaning: Classification, job: Job) -> str:
        """Return what a refusal stops, "" where nothing.

        One recipient's server speaks for a campaign, whose mail is alike. Of single messages several must say so.
        """
        if meaning.stops == Stops.CAMPAIGN and job.campaign_id is None:
            return "stream" if self._around.note_refusal(job) else ""
        return "" if meaning.stops == Stops.NONE else str(meaning.stops)

    def _lost(self, job: Job, phase: Phase, detail: str) -> None:
        """Charge a session attempt to the message that was being spoken of; it was certainly not taken."""
        self._around.note_loss(job, detail)
        self._pending.append(
            self._outcome(
                job,
                EventKind.SESSION_LOST,
                about="lost",
                reason="session_lost",
                sentence="The connection broke before this message was handed over.",
                data={"phase": phase, "detail": detail[:500]},
            )
        )

    def _uncertain(self, job: Job, phase: Phase, detail: str) -> None:
        self._around.note_loss(job, detail)
        self._pending.append(
            self._outcome(
                job,
                EventKind.UNCERTAIN,
                about="uncertain",
                reason="no_final_reply",
                sentence="The connection broke after the content was sent and before the server answered: "
                "it may have arrived or not.",
                data={"phase": phase, "detail": detail[:500]},
            )
        )

    def _outcome(
        self, job: Job, kind: EventKind, *, about: str = "reply", **fields: object
    ) -> Outcome:
        self._held.pop(job.claim, None)
        # One reply and one loss at most for each claim: the fence is the name of the fact (W1).
        data = {"peer": self._session.peer, **fields.pop("data", {})}  # type: ignore[dict-item]
        if job.detour:
            data |= job.detour
        return Outcome(
            message_id=job.message_id,
            kind=kind,
            source=SOURCE,
            external_id=f"{job.fence}:{about}",
            fence=job.fence,
            round=job.round,
            transport_id=self._around.transport_id,
            data=data,
            **fields,  # type: ignore[arg-type]
        )

    def _flush(self) -> None:
        """Commit what is pending."""
        if self._pending or self._unspent or self._set_back:
            self._ask().wait()

    def _ask(self, mark: Job | None = None) -> Request:
        """Have what is pending committed, together with `mark`; the request is to be waited for."""
        request = Request(
            outcomes=self._pending,
            mark=mark,
            releases=self._unspent,
            setbacks=self._set_back,
            unmade=self._unmade,
            dead_addresses=self._dead_addresses,
        )
        self._pending, self._unspent, self._set_back = [], [], []
        self._unmade, self._dead_addresses = [], {}
        return self._committer.put(request)
