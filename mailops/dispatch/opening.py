"""Opens the sessions of a process, each in a thread of its own, and leaves them talking."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from itertools import islice

from django.db import Error, connection

from mailops.content.models import TemplateVersion
from mailops.dispatch.claiming import Job
from mailops.dispatch.committing import Committer
from mailops.dispatch.conversation import Conversation, Surroundings, SystemicFault
from mailops.dispatch.lanes import Lane
from mailops.dispatch.making import Maker
from mailops.dispatch.pulse import Pulse
from mailops.dispatch.seating import sessions_lacking
from mailops.dispatch.talks import Talks
from mailops.transports.causes import sentence_of
from mailops.transports.kinds import open_sessions
from mailops.transports.models import Transport
from mailops.transports.rotation import LOGIN_CAUSES
from mailops.transports.sessions import Phase, Session, SessionFault

logger = logging.getLogger(__name__)

# Distinct recipients, without a success between them:
LOST_RECIPIENTS = 3  # whose session broke, speak against the transport
REFUSED_RECIPIENTS = 3  # who refuse our single messages for what we are, speak against the stream


class Opening:
    """Opens sessions for the lanes of a process; what goes wrong is noted on the lane, or told to `stop_for`."""

    def __init__(
        self,
        committer: Committer,
        talks: Talks,
        versions: Mapping[int, TemplateVersion],
        pulse: Pulse,
        *,
        stop_for: Callable[[SystemicFault], None],
        is_ending: Callable[[], bool],
    ) -> None:
        self._committer, self._talks, self._versions = committer, talks, versions
        self._pulse, self._stop_for, self._is_ending = pulse, stop_for, is_ending

    def open(self, lane: Lane) -> None:
        """Open another session where there is work for it; all that there is work for, once one could be opened.

        Raises Transport.DoesNotExist where the lane's was deleted meanwhile.
        """
        if lane.is_closing or not lane.jobs or time.monotonic() < lane.opens_at:
            return
        lacking = sessions_lacking(lane)
        if lane.fault is not None or lane.turned_away:
            return  # noted before its session left: that one gets no successor
        for session in self._sessions_of(lane, lacking if lane.could_open else min(lacking, 1)):
            thread = threading.Thread(
                target=self._talk,
                args=[lane, session],
                name=f"session-{lane.transport.pk}",
                daemon=True,
            )
            lane.enter(thread, session.login_id)
            try:
                with self._pulse.at_once():
                    thread.start()
            except Exception:  # no memory for it
                lane.leave(thread)
                raise

    def _sessions_of(self, lane: Lane, number: int) -> list[Session]:
        """Return so many sessions to be opened; where none can be made, note why and return none.

        They are made of one reading: between two, those that talk already would have their turns.
        """
        if number <= 0:
            return []
        try:
            lane.transport.refresh_from_db()  # it may have been changed since the last
            return list(islice(open_sessions(lane.transport), number))
        except SessionFault as fault:
            lane.fault = fault
        except (Error, Transport.DoesNotExist):
            raise
        except Exception as error:
            logger.exception("no session of %s could be made", lane.transport)
            lane.fault = our_fault(Phase.CONNECT, error)
        return []

    def _talk(self, lane: Lane, session: Session) -> None:
        """Run in a session's thread: open, talk, close; no database here, but to open with a token of OAuth."""
        try:
            try:
                session.open()
            finally:
                connection.close()
            lane.note_open(threading.current_thread())
            self._converse(lane, session)
        except SessionFault as fault:
            if fault.cause in LOGIN_CAUSES:
                fault.login_id = session.login_id
            lane.turned_away.append(fault)
        except Exception as error:
            logger.exception("a session of %s could not be opened", lane.transport)
            session.abandon()
            lane.fault = our_fault(Phase.CONNECT, error)
        finally:
            self._talks.leave(threading.current_thread())
            lane.leave(threading.current_thread())

    def _converse(self, lane: Lane, session: Session) -> None:
        maker = Maker(lane, self._versions, takes_8bit=session.can_8bit)
        session.meanwhile = maker.make_ahead
        conversation = Conversation(session, self._committer, self._surroundings(lane, maker))
        try:
            conversation.run()
            session.close()
            if conversation.was_in_vain:  # nobody pays for it, so it would be opened over and over
                lane.fault = _hung_up(session)
        except Exception as error:
            # All but the thread's outermost frame. What it held is settled as truthfully as can be. A message that is charged
            # counts against the transport as any loss does; an error without one would spin, so the transport backs off.
            logger.exception("a session of %s ended by an error of ours", lane.transport)
            session.abandon()
            if not conversation.give_up(repr(error)):
                lane.fault = our_fault(Phase.MAIL, error)

    def _surroundings(self, lane: Lane, maker: Maker) -> Surroundings:
        def lost(job: Job, detail: str) -> None:
            lane.lost_recipients.add(job.address_key)
            if len(lane.lost_recipients) >= LOST_RECIPIENTS:
                lane.lost_recipients.clear()
                lane.fault = SessionFault(
                    Phase.MAIL,
                    "sessions_lost",
                    "Sessions with several recipients broke, one after another.",
                    detail,
                )

        def refused(job: Job) -> bool:
            lane.refused_recipients.add(job.address_key)
            return len(lane.refused_recipients) >= REFUSED_RECIPIENTS

        def succeeded() -> None:
            lane.lost_recipients.clear()
            lane.refused_recipients.clear()
            lane.had_success = True

        return Surroundings(
            transport_id=lane.transport.pk,
            messages_per_session=lane.transport.messages_per_session,
            take=lane.take,
            give_back=lane.give_back,
            prepare=maker.make,
            stop_for=self._stop_for,
            note_loss=lost,
            note_refusal=refused,
            note_success=succeeded,
            is_stopping=self._is_ending,
        )


def _hung_up(session: Session) -> SessionFault:
    said = session.farewell or "the server hung up before it heard of a message"
    return SessionFault(Phase.MAIL, "dropped", sentence_of("dropped"), f"{session.peer}: {said}")


def our_fault(phase: Phase, error: Exception) -> SessionFault:
    return SessionFault(
        phase,
        "internal_error",
        "mailops itself failed while it was sending; its log has the cause.",
        repr(error),
    )
