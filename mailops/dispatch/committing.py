"""One committer a process: writes the results and marks of all its sessions in group commits."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace

from django.db import Error, InterfaceError, OperationalError, connection, transaction

from mailops.dispatch.claiming import Claim, Job
from mailops.dispatch.marking import accept_and_mark, mark
from mailops.dispatch.pulse import Pulse
from mailops.dispatch.releasing import give_numbers_back, release, release_behind
from mailops.lib.database_away import taking_read_only_for_away
from mailops.lib.storable import storable
from mailops.outbox.recording import REPLY_LIMIT, Outcome, Recorded, handovers_of, record
from mailops.protocol.address import InvalidAddress
from mailops.protocol.reply import Reply
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress

logger = logging.getLogger(__name__)

GROUP = 200  # requests in one transaction: far under the 5 s that one may live
RETRY_SECONDS = 0.5
TELL_SECONDS = 60
WAIT_SECONDS = 0.05  # for a first request, before looking at what is left to do
# A group waits for the other sessions as long as they come thick, and for no more than came lately: one commit for all of
# them costs little more than one, but where requests are far apart, waiting only keeps sessions idle.
GAP_SECONDS = 0.0015
FAR_SECONDS = 2 * GAP_SECONDS  # from one request to the next
GATHER_SECONDS = 0.015
FORGETTING = 0.8  # of how many came, with each group
LEARNING = 0.1  # of how far apart they came
LEFT_OUT = "(The database refused these words; mailops' log has the error.)"


@dataclass
class Request:
    """What a session asks to be made durable: results, then perhaps a mark; unspent claims go back, some behind others.

    `wait()` returns once it is decided; `is_granted` tells whether the mark is committed.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    mark: Job | None = None
    releases: list[Job] = field(default_factory=list)
    setbacks: list[Job] = field(default_factory=list)
    unmade: list[Job] = field(default_factory=list)  # of which outcomes say that they failed
    # claim → address that the refusal it met speaks against
    dead_addresses: dict[Claim, str] = field(default_factory=dict)
    is_granted: bool = False
    is_decided: bool = False
    # cheaper than an Event
    _undecided: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._undecided.acquire()

    def wait(self) -> bool:
        """Wait for the decision, once."""
        self._undecided.acquire()
        return self.is_granted

    def decide(self, granted: Container[Claim]) -> None:
        """Answer it, where these claims may go on."""
        self.is_granted = self.mark is not None and self.mark.claim in granted
        self.is_decided = True
        self._undecided.release()


class Committer:
    """Writes for the sessions of a process, from a thread of its own once started; only `put` may be called by others.

    Claims have another connection, so that no group waits for one.
    """

    def __init__(self, *, count_sessions: Callable[[], int] = lambda: 1) -> None:
        self._count_sessions = count_sessions
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self.pulse = Pulse()
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._group: list[Request] = []  # what is being written
        # results that the database did not take yet; nothing is marked meanwhile (W11)
        self._unwritten: list[Request] = []
        self._retry_at = 0.0
        self._tell_at = 0.0
        self._expected = 1.0  # requests in a group
        self._apart = 0.0  # seconds from one request to the next
        self._gathered_at = 0.0

    def start(self) -> None:
        """Commit from a thread, if none does yet."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="committer", daemon=True)
            self._thread.start()

    def stop(self, *, patience: float) -> None:
        """Let the thread write what it was given, and end; wait up to `patience` seconds for it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(patience)

    def _work(self) -> None:
        try:
            with self.pulse.beating():
                while self._commit_next() or not self._stopping.is_set():
                    pass
        finally:
            connection.close()

    def _commit_next(self) -> int:
        """Commit what waits; an error of ours (no memory, say) leaves no session waiting for an answer."""
        self.pulse.turn()
        try:
            if left := [request for request in self._group if not request.is_decided]:
                self._postpone(left)
            return self.commit_waiting(timeout=WAIT_SECONDS)
        except Exception:
            logger.exception("a group of results was left; what it held stays in memory")
            time.sleep(RETRY_SECONDS)
            return len(self._group)

    def put(self, request: Request) -> Request:
        self._requests.put(request)
        return request

    @property
    def has_unwritten(self) -> bool:
        return bool(self._unwritten)

    @property
    def is_idle(self) -> bool:
        """Whether all that it was given is written."""
        is_written = all(request.is_decided for request in self._group)
        return is_written and not self._unwritten and self._requests.empty()

    def commit_waiting(self, timeout: float) -> int:
        """Commit what waits, at most a group, waiting up to `timeout` seconds for the first; return how many."""
        self._write_unwritten()
        group = self._gather(timeout)
        if not group:
            return 0
        if self._unwritten:
            self._postpone(group)
            return len(group)
        try:
            granted = self._write(group)
        except (OperationalError, InterfaceError):
            if _is_connected():
                self._write_one_by_one(group)
            else:
                self._postpone(group)
        except Exception:
            logger.exception(
                "a group of %d results could not be written; writing them one by one",
                len(group),
            )
            self._write_one_by_one(group)
        else:
            for request in group:
                request.decide(granted)
        return len(group)

    def _gather(self, timeout: float) -> list[Request]:
        """Return the requests of one group: at most one from each session, since each waits for its answer."""
        group = self._group = []
        try:
            group.append(self._requests.get(timeout=timeout))
            most, ends_at = min(GROUP, self._count_sessions()), time.monotonic() + GATHER_SECONDS
            while len(group) < most and time.monotonic() < ends_at:
                come_thick = len(group) < self._expected and self._apart < FAR_SECONDS
                gap = GAP_SECONDS if come_thick else 0.0
                group.append(self._requests.get(timeout=gap))
        except queue.Empty:
            pass
        if group:
            self._learn(len(group))
        return group

    def _learn(self, came: int) -> None:
        """Learn from a group how many requests come together, and how far apart."""
        now = time.monotonic()
        apart = min(now - self._gathered_at, WAIT_SECONDS) / came
        self._apart += LEARNING * (apart - self._apart)
        self._gathered_at = now
        self._expected = max(came, self._expected * FORGETTING)

    @taking_read_only_for_away()
    def _write(self, group: list[Request]) -> set[Claim]:
        """Write results and marks in one transaction: a mark never commits before the result it follows."""
        outcomes = [outcome for request in group for outcome in request.outcomes]
        marks = [request.mark for request in group if request.mark]
        handovers = handovers_of(outcomes)
        gives_back = any(request.releases or request.setbacks for request in group)
        if len(handovers) == len(outcomes) and not gives_back:
            granted = accept_and_mark(handovers, marks)
            if granted is not None:
                return granted
        dead = {
            claim: address for request in group for claim, address in request.dead_addresses.items()
        }
        unmade = {job.claim: job for request in group for job in request.unmade}
        with transaction.atomic():
            unspent = []
            for outcome, recorded in zip(outcomes, record(outcomes), strict=True):
                claim = outcome.message_id, outcome.fence or 0
                if recorded.was_applied and claim in dead:
                    _suppress(dead[claim], outcome, recorded)
                if recorded.was_applied and claim in unmade:
                    unspent.append(unmade[claim])
            release([job.claim for request in group for job in request.releases])
            release_behind([job.claim for request in group for job in request.setbacks])
            give_numbers_back(unspent)
            return mark(marks)

    def _write_one_by_one(self, group: list[Request]) -> None:
        """Write each pair of result and mark by itself, so that one bad row takes nobody down with it."""
        for number, request in enumerate(group):
            if self._unwritten:
                self._postpone(group[number:])
                return
            try:
                granted = self._write_at_least_what_counts(request)
            except (OperationalError, InterfaceError) as error:
                self._postpone(group[number:])
                self._tell(error)
                return
            except Exception:
                logger.exception(
                    "a result could not be written; it stays in memory and is tried again"
                )
                self._postpone([request])
            else:
                request.decide(granted)

    def _write_at_least_what_counts(self, request: Request) -> set[Claim]:
        """Write one request; where the database refuses what came with a result, the result without that.

        Its words are left out first, and only then its suppression, too.
        """
        bare = replace(request, outcomes=[_bare(outcome) for outcome in request.outcomes])
        for form in (request, bare):
            try:
                return self._write([form])
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                if not request.outcomes:
                    raise
                logger.exception("what came with a result could not be written; it is left out")
        return self._write([replace(bare, dead_addresses={})])

    def _postpone(self, group: list[Request]) -> None:
        """Keep results in memory. An unconfirmed mark counts as refused: no body goes out, its claim is given back (W9)."""
        if not self._unwritten:  # what comes meanwhile keeps nobody from being tried again
            self._retry_at = time.monotonic() + RETRY_SECONDS
        for request in group:
            unmarked = [request.mark] if request.mark else []
            waiting = replace(request, mark=None, releases=[*request.releases, *unmarked])
            if waiting.outcomes or waiting.releases or waiting.setbacks:
                self._unwritten.append(waiting)
            request.decide(())

    def _write_unwritten(self) -> None:
        if not self._unwritten or time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + RETRY_SECONDS
        for request in list(self._unwritten):
            try:
                self._write_at_least_what_counts(request)
            except (OperationalError, InterfaceError) as error:  # trouble of the database's own
                if _is_connected():
                    self._tell(error)
                self._unwritten.remove(request)
                self._unwritten.append(request)  # the next try begins with another
                return
            except Exception:
                logger.exception("a result still can't be written")
            else:
                self._unwritten.remove(request)

    def _tell(self, error: Exception) -> None:
        """Say that a database that answers writes nothing (a full disk, say): once a minute, not for each result."""
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TELL_SECONDS
            logger.error(
                "PostgreSQL takes no results; %d wait in memory, and nothing is sent until it does: %s",
                len(self._unwritten),
                str(error).strip(),
            )


def _bare(outcome: Outcome) -> Outcome:
    """Return an outcome without what came from outside: the fact that counts, and the code of the reply."""
    reply = outcome.reply
    return replace(
        outcome,
        reply=reply and Reply(reply.code, LEFT_OUT, reply.enhanced_status, reply.command),
        transport_message_id="",
        data={"detail": LEFT_OUT},
    )


def _suppress(address: str, outcome: Outcome, recorded: Recorded) -> None:
    """Suppress an address at once after a refusal that is the recipient's own, with the reply as evidence.

    What was let in by older rules and is no address by today's has no key to be suppressed by.
    """
    with contextlib.suppress(InvalidAddress):
        suppress(
            address=address,
            stream=None,
            reason=Suppression.Reason.HARD_BOUNCE,
            evidence_text=storable(str(outcome.reply or outcome.sentence), REPLY_LIMIT),
            evidence_event_id=recorded.event_id,
        )


def _is_connected() -> bool:
    """Tell whether the connection still answers; a dead one is closed, so that the next statement opens a new one."""
    try:
        connection.ensure_connection()
        if connection.is_usable():
            return True
    except Error:
        pass
    connection.close()
    return False
