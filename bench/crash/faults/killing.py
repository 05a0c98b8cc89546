"""1 and 2: workers that end without a word, or stand still and go on, and workers that are told to end."""

import signal

from bench.crash.faults import Extent, fault
from bench.crash.scene import BULK, SESSIONS, Scene
from mailops.dispatch.models import Worker

GRACE_SECONDS, SHORT_GRACE_SECONDS = 20.0, 3.0
SLOW = 4 * SHORT_GRACE_SECONDS  # what a receiver thinks that answers nobody within the short one


@fault(
    "kill -9 of all workers while bodies are on their way",
    short=Extent(600, 2),
    long=Extent(10_000, 50),
    quick=True,
)
def all_workers_killed(scene: Scene) -> None:
    _kill_often(scene, BULK, also="housekeeping")


@fault(
    "kill -9 of one worker, while the other goes on",
    short=Extent(600, 2),
    long=Extent(10_000, 50),
)
def one_worker_killed(scene: Scene) -> None:
    _kill_often(scene, BULK[:1])


def _kill_often(scene: Scene, names: tuple[str, ...], *, also: str = "") -> None:
    """Kill these senders while each has content on its way, and with every fifth blow another process, too."""
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for blow in range(scene.times):
        scene.keep_busy()
        scene.wait_sending(*names)
        killed = (*names, also) if also and blow % 5 == 0 else names
        for name in killed:
            scene.kill(name)
        scene.broke()
        for name in killed:
            scene.start_worker(name)
    scene.bound = scene.times * len(names) * SESSIONS
    scene.keep_busy()
    scene.wait_resumed()
    scene.wait_freed()


@fault(
    "a worker that stands still until it is declared dead, and goes on where it was",
    short=Extent(600, 1),
    long=Extent(3_000, 3),
)
def worker_frozen(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    frozen = scene.stage.processes[BULK[0]]
    for _ in range(scene.times):
        scene.keep_busy()
        scene.wait_sending(*BULK)
        frozen.send_signal(signal.SIGSTOP)
        try:
            scene.wait(lambda: not _lives(frozen.pid), "it to be declared dead")
            scene.keep_busy()
            scene.wait_sending(BULK[1])
        finally:
            frozen.send_signal(signal.SIGCONT)
        scene.broke()
        scene.wait_sending(BULK[0])
    scene.bound = scene.times * SESSIONS
    scene.keep_busy()
    scene.wait_resumed()
    scene.wait_freed()


def _lives(pid: int) -> bool:
    return Worker.objects.alive().filter(pid=pid).exists()


@fault(
    "SIGTERM to all workers under load, as a deploy does", short=Extent(600, 2), long=Extent(2_500, 20), quick=True
)  # fmt: skip
def deployed_under_load(scene: Scene) -> None:
    scene.environment["MAILOPS_STOP_GRACE_SECONDS"] = str(GRACE_SECONDS)
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for _ in range(scene.times):
        scene.keep_busy()
        scene.wait_sending(*BULK)
        _stop_all(scene, GRACE_SECONDS)
        scene.broke()
        for name in BULK:
            scene.start_worker(name)
    scene.keep_busy()
    scene.wait_resumed()
    scene.wait_freed()
    scene.bound = 0  # the receiver answers within the grace


@fault(
    "SIGTERM to all workers, and the receiver is too slow for the grace", short=Extent(1_000, 1), long=Extent(1_500, 3)
)  # fmt: skip
def deployed_while_slow(scene: Scene) -> None:
    scene.environment["MAILOPS_STOP_GRACE_SECONDS"] = str(SHORT_GRACE_SECONDS)
    scene.start_receiver(pace=SLOW)
    scene.start_workers()
    scene.launch()
    for blow in range(1, scene.times + 1):
        scene.wait_sending(*BULK)
        _stop_all(scene, SHORT_GRACE_SECONDS)
        if blow == scene.times:  # nobody talks to the slow one now
            scene.stage.stop("receiver")
            scene.start_receiver()
        scene.broke()
        for name in BULK:
            scene.start_worker(name)
    scene.bound = scene.times * len(BULK) * SESSIONS  # a body of each session at the deadline
    scene.wait_resumed()
    scene.wait_freed()


def _stop_all(scene: Scene, grace: float) -> None:
    for name in BULK:
        scene.stage.processes[name].send_signal(signal.SIGTERM)
    for name in BULK:
        scene.kill(name, signal.SIGTERM, grace + 20)
