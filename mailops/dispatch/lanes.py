"""What one transport has to do in this process: claimed jobs, and the sessions that take them."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mailops.dispatch.carriers import Carrier
from mailops.dispatch.claiming import Job
from mailops.dispatch.preparing import Prepared, Way
from mailops.dispatch.talks import Talks
from mailops.transports.models import Transport
from mailops.transports.sessions import LoginId, SessionFault

CLAIM = 200  # messages claimed at a time for one transport


@dataclass
class Lane:
    """The claimed jobs of one transport and the sessions that work on them; shared by threads under `changed`."""

    carrier: Carrier
    transport: Transport
    talks: Talks
    seats: int = 0  # sessions that this process may have, of all that the transport allows
    seated_at: float = field(default_factory=time.monotonic)  # when it last had one
    waits_for_seat: bool = False  # there is work, and other processes have the seats
    jobs: deque[Job] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)
    sessions: set[threading.Thread] = field(default_factory=set)  # those that live
    talking: set[threading.Thread] = field(default_factory=set)  # those that could be opened
    leaving: set[threading.Thread] = field(default_factory=set)  # take nothing more
    resting: set[threading.Thread] = field(default_factory=set)  # wait for a job
    # what each session logged in with, and which way it went, as of when it was begun
    ways: dict[threading.Thread, tuple[LoginId | None, str]] = field(default_factory=dict)
    was_fed: bool = False  # the last claim gave all that was asked for: there is more
    fed_at: float = 0.0
    is_closing: bool = False
    lost_recipients: set[str] = field(default_factory=set)
    refused_recipients: set[str] = field(default_factory=set)
    could_open: bool = False  # a session of it
    fault: SessionFault | None = None
    # sessions that could not be opened just now
    turned_away: deque[SessionFault] = field(default_factory=deque)
    opens_at: float = 0.0  # no other session before
    had_success: bool = False
    light: set[int] = field(default_factory=set)  # the versions whose last mail was small
    # ahead of turn, by fence; None: that failed
    made: dict[int, tuple[Way, Prepared | None]] = field(default_factory=dict)

    def enter(self, session: threading.Thread, login_id: LoginId | None = None) -> None:
        with self.changed:
            self.sessions.add(session)
            self.ways[session] = login_id, self.carrier.way

    def note_open(self, session: threading.Thread) -> None:
        with self.changed:
            self.talking.add(session)
            self.could_open = True

    def leave(self, session: threading.Thread) -> None:
        with self.changed:
            self.sessions.discard(session)
            self.talking.discard(session)
            self.leaving.discard(session)
            self.ways.pop(session, None)

    def move_over(self, carrier: Carrier) -> None:
        """Let sessions end after what they speak of that go another way, or logged in otherwise, than is right now."""
        with self.changed:
            self.carrier = carrier
            now = carrier.login_id, carrier.way
            old = {one for one, way in self.ways.items() if way != now}
            if old - self.leaving:
                self.leaving |= old
                self.changed.notify_all()

    def take(self, wait: float) -> Job | None:
        """Return the next job that the calling session may speak of, waiting for one up to so many seconds."""
        session = threading.current_thread()
        with self.changed:
            if wait and self.talks.rest(session):
                self.changed.notify_all()  # others may speak of its provider now
            job = self._choose(session)
            ends_at = time.monotonic() + wait
            while (
                job is None and self._may_rest(session) and (left := ends_at - time.monotonic()) > 0
            ):
                self.resting.add(session)
                self.changed.wait(left)
                self.resting.discard(session)
                job = self._choose(session)
            return job

    def _may_rest(self, session: threading.Thread) -> bool:
        return not self.is_closing and session not in self.leaving

    def _choose(self, session: threading.Thread) -> Job | None:
        if self.is_closing or session in self.leaving or self._must_make_room(session):
            return None
        job = self.talks.choose(session, self.jobs)
        if job is None and self.talks.is_used_up(session, self.jobs):
            self.leaving.add(session)  # a new one may say more
        return job

    def _must_make_room(self, session: threading.Thread) -> bool:
        """Let this session be the one that ends, where another process should have its seat."""
        if len(self.sessions) <= self.seats:
            return False
        if len(self.sessions - self.leaving) > self.seats:
            self.leaving.add(session)
        return session in self.leaving

    @property
    def has_enough_made(self) -> bool:
        """Whether each session finds its next mail made."""
        return len(self.made) > len(self.sessions)

    def next_unmade(self, most: int) -> list[Job]:
        """Return the next jobs, `most` at most, that the calling session may take and whose mail is small and was not made.

        There are none where enough is made.
        """
        with self.changed:
            if self.has_enough_made:
                return []
            unmade = (
                job
                for job in self.jobs
                if job.version_id in self.light and job.fence not in self.made
            )
            return self.talks.first(threading.current_thread(), unmade, most)

    def give_back(self, job: Job) -> bool:
        """Let another session take it; False where it is closing, and none will."""
        with self.changed:
            if not self.is_closing:
                self.jobs.appendleft(job)
            return not self.is_closing

    def add(self, jobs: list[Job]) -> None:
        with self.changed:
            self.was_fed, self.fed_at = len(jobs) == CLAIM, time.monotonic()
            self._forget_made()
            self.jobs.extend(jobs)
            self.changed.notify_all()

    def remove(self, is_meant: Callable[[Job], bool]) -> list[Job]:
        """Take out the waiting jobs that are meant."""
        with self.changed:
            removed = [job for job in self.jobs if is_meant(job)]
            if removed:
                self.jobs = deque(job for job in self.jobs if not is_meant(job))
                self._forget_made()
        return removed

    def _forget_made(self) -> None:
        """Forget the mail of jobs that went back, or were taken when it was too late for them."""
        waiting = {job.fence for job in self.jobs}
        for fence in set(self.made) - waiting:
            self.made.pop(fence, None)

    def close(self) -> list[Job]:
        """Let sessions end after what they speak of now; return the jobs nobody took."""
        with self.changed:
            self.is_closing, self.waits_for_seat = True, False
            left = list(self.jobs)
            self.jobs.clear()
            self.changed.notify_all()
        return left

    def credentials_in_use(self) -> list[int]:
        with self.changed:
            return [login.credential_id for login, _ in self.ways.values() if login]

    @property
    def ready(self) -> int:
        """How many of the jobs another session could take now."""
        with self.changed:
            return self.talks.count_ready(self.jobs)

    @property
    def most_sessions(self) -> int | None:
        """How many sessions can speak of the jobs where all are of providers that limit them; None: as many as have seats."""
        with self.changed:
            return self.talks.most_sessions(self.jobs)

    @property
    def appetite(self) -> int:
        """How many messages to claim now; of a transport that is probed one, and none while that one is not answered."""
        if self.is_closing:
            return 0
        if self.carrier.is_probed:
            return int(not self.jobs and len(self.resting) == len(self.sessions))
        return CLAIM if self.ready < CLAIM // 2 else 0

    @property
    def is_hungry(self) -> bool:
        return self.appetite > 0

    @property
    def live_sessions(self) -> int:
        return len(self.sessions)
