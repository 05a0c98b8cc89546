"""1 and 2: workers that end without a word, and workers that are told to."""

import signal

from bench.crash.faults import Extent, fault
from bench.crash.scene import BULK, SESSIONS, Scene

GRACE_AND_SOME = 12.0


@fault(
    "kill -9 of all workers while bodies are on their way",
    short=Extent(1_000, 5),
    long=Extent(10_000, 50),
)
def all_workers_killed(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for _ in range(scene.times):
        scene.wait_sending(*BULK)
        for name in BULK:
            scene.kill(name)
        scene.broke()
        for name in BULK:
            scene.start_worker(name)
    scene.wait_resumed()
    scene.bound = scene.times * len(BULK) * SESSIONS


@fault(
    "kill -9 of one worker, while the other goes on",
    short=Extent(1_000, 5),
    long=Extent(10_000, 50),
)
def one_worker_killed(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for _ in range(scene.times):
        scene.wait_sending(BULK[0])
        scene.kill(BULK[0])
        scene.broke()
        scene.start_worker(BULK[0])
    scene.wait_resumed()
    scene.bound = scene.times * SESSIONS


@fault(
    "SIGTERM to all workers under load, as a deploy does", short=Extent(1_000, 5), long=Extent(10_000, 20)
)  # fmt: skip
def deployed_under_load(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for _ in range(scene.times):
        scene.wait_sending(*BULK)
        for name in BULK:
            scene.stage.processes[name].send_signal(signal.SIGTERM)
        for name in BULK:
            scene.kill(name, signal.SIGTERM, GRACE_AND_SOME)
        scene.broke()
        for name in BULK:
            scene.start_worker(name)
    scene.wait_resumed()
    scene.bound = 0  # the receiver answers within the grace
