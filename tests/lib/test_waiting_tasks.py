"""What becomes of ticks, and of those who wait for their turn, while peers are silent."""

from threading import Event, Lock, Semaphore

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from mailops.celery import app as ours
from mailops.installation.processes import WORKERS
from mailops.lib.waiting_tasks import PLACES, Room, WaitsForPeers

PATIENCE = 60  # seconds, for what comes at once
MANY = 4 * PLACES


class Peers:
    """Silent until they answer; whoever asks is counted."""

    def __init__(self):
        self.answer, self.asked, self.left = Event(), Semaphore(0), Semaphore(0)
        self._lock, self.now, self.most, self.served = Lock(), 0, 0, []

    def ask(self, which):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.asked.release()
        self.answer.wait(PATIENCE)
        with self._lock:
            self.now -= 1
            self.served.append(which)
        self.left.release()


def wait_for(semaphore, times):
    return all(semaphore.acquire(timeout=PATIENCE) for _ in range(times))


def threads_of_housekeeping():
    _, concurrency = WORKERS["housekeeping"]
    return int(concurrency.removeprefix("--concurrency="))


@pytest.fixture
def app():
    app = Celery("silent", broker="memory://", set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
    )
    yield app
    ours.set_current()  # the worker made its own the one of all
    ours.set_default()


def start(app):
    threads = threads_of_housekeeping()
    return start_worker(
        app, pool="threads", concurrency=threads, perform_ping_check=False, loglevel="ERROR"
    )


def test_ticks_go_on_while_all_peers_are_silent_and_each_has_its_turn_in_the_end(app):
    peers, ticked = Peers(), Semaphore(0)

    class Asks(WaitsForPeers):
        room = Room(PLACES)

    @app.task(base=Asks)
    def ask(which):
        peers.ask(which)

    @app.task
    def tick():
        ticked.release()

    with start(app):
        for which in range(MANY):
            ask.delay(which)
        assert wait_for(peers.asked, PLACES)
        for _ in range(MANY):
            tick.delay()
        assert wait_for(ticked, MANY)
        assert peers.now == PLACES
        peers.answer.set()
        assert wait_for(peers.left, MANY)
    assert sorted(peers.served) == list(range(MANY))
    assert peers.most == PLACES


def test_one_that_fails_leaves_its_place_to_the_next():
    room, hinted = Room(1), []

    class Fails(WaitsForPeers):
        def run(self, which):
            assert not room.enter((self, ("other",), (("how", "soon"),)))
            raise ValueError(which)

        def apply_async(self, args, named, **_):
            hinted.append((args, named))

    Fails.room = room
    with pytest.raises(ValueError, match="one"):
        Fails()("one")
    assert hinted == [(("other",), {"how": "soon"})]


def test_what_is_named_is_told_and_tells_one_errand_from_another():
    told, again = [], []

    class Asks(WaitsForPeers):
        room = Room(2)

        def run(self, which, how):
            told.append((which, how))
            if how == "soon":
                self("one", how="late")
                self("one", how="soon")

        def apply_async(self, args, named, **_):
            again.append((args, named))

    Asks()("one", how="soon")
    assert told == [("one", "soon"), ("one", "late")]
    assert again == [(("one",), {"how": "soon"})]


def test_what_is_at_it_is_not_doubled_but_done_once_more():
    room = Room(2)
    first, other = ("task", (1,), ()), ("task", (2,), ())
    assert room.enter(first)
    assert not room.enter(first)
    assert not room.enter(first)
    assert room.enter(other)
    assert room.leave(other) is None
    assert room.leave(first) == first
    assert room.enter(first)
    assert room.leave(first) is None
