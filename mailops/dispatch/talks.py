"""Which sessions of this process speak of which mailbox provider, and which job a session may take next."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from itertools import islice

from mailops.dispatch.claiming import Job
from mailops.dispatch.rules import UNLIMITED, SessionLimit


class Talks:
    """Keeps providers to their sessions and to their messages a session; shared by all threads of a process.

    A session speaks of the providers of the last two jobs it took: while it talks, one may ride behind another's body.
    """

    def __init__(self) -> None:
        self.limit_of: Callable[[str], SessionLimit] = lambda _: UNLIMITED
        self.seats: dict[str, int] = {}  # of this process, for providers whose sessions are limited
        self._lock = threading.Lock()
        self._recent: dict[Hashable, deque[str]] = {}
        self._spoken: dict[Hashable, Counter[str]] = {}

    def choose(self, session: Hashable, jobs: deque[Job]) -> Job | None:
        """Take the first job that `session` may speak of out of `jobs`."""
        with self._lock:
            for place, job in enumerate(jobs):
                if self._may(session, job.mailbox_provider):
                    del jobs[place]
                    self._note(session, job.mailbox_provider)
                    return job
        return None

    def first(self, session: Hashable, jobs: Iterable[Job], most: int) -> list[Job]:
        """Return the first of `jobs`, `most` at most, that `session` may speak of now."""
        with self._lock:
            allowed = (job for job in jobs if self._may(session, job.mailbox_provider))
            return list(islice(allowed, most))

    def is_used_up(self, session: Hashable, jobs: deque[Job]) -> bool:
        """Tell whether another session could take one of `jobs`, and only its own past is in this one's way."""
        with self._lock:
            return any(
                self._is_full(session, job.mailbox_provider)
                and self._has_seat(session, job.mailbox_provider)
                for job in jobs
            )

    def count_ready(self, jobs: deque[Job]) -> int:
        """Count the jobs that a new session could take now."""
        with self._lock:
            if not self.seats:
                return len(jobs)
            return sum(self._has_seat(None, job.mailbox_provider) for job in jobs)

    def most_sessions(self, jobs: Iterable[Job]) -> int | None:
        """Return how many sessions can speak of the jobs; None where one of them is of no provider that limits them."""
        with self._lock:
            providers = {job.mailbox_provider for job in jobs}
            if any(self.limit_of(one).sessions is None for one in providers):
                return None
            return sum(self.seats.get(one, 0) for one in providers)

    def held(self, provider: str) -> int:
        """Return how many sessions speak of a provider."""
        with self._lock:
            return self._count_others(None, provider)

    def rest(self, session: Hashable) -> bool:
        """Note that all a session took is answered; tell whether others may have waited for that."""
        with self._lock:
            return self._recent.pop(session, None) is not None and bool(self.seats)

    def leave(self, session: Hashable) -> None:
        """Forget a session that ended."""
        with self._lock:
            self._recent.pop(session, None)
            self._spoken.pop(session, None)

    def providers(self) -> set[str]:
        """Return the providers that are spoken of."""
        with self._lock:
            return {provider for recent in self._recent.values() for provider in recent}

    def _may(self, session: Hashable, provider: str) -> bool:
        return not self._is_full(session, provider) and self._has_seat(session, provider)

    def _is_full(self, session: Hashable, provider: str) -> bool:
        most = self.limit_of(provider).messages
        return most is not None and self._spoken.get(session, Counter())[provider] >= most

    def _has_seat(self, session: Hashable, provider: str) -> bool:
        if self.limit_of(provider).sessions is None:
            return True
        return self._count_others(session, provider) < self.seats.get(provider, 0)

    def _count_others(self, session: Hashable, provider: str) -> int:
        return sum(provider in recent for other, recent in self._recent.items() if other != session)

    def _note(self, session: Hashable, provider: str) -> None:
        self._recent.setdefault(session, deque(maxlen=2)).append(provider)
        self._spoken.setdefault(session, Counter())[provider] += 1
