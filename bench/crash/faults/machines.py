"""10: a disk that is full, a clock that jumps, a worker that gets no more memory."""

import resource
import time
from pathlib import Path

from bench.crash.faults import Extent, fault
from bench.crash.scene import BULK, SESSIONS, Scene
from bench.crash.surroundings import MEGA, by_another_clock, on_a_small_disk
from mailops.dispatch.models import Worker
from mailops.outbox.models import QueueEntry

SPARE = 96 * MEGA  # PostgreSQL keeps its journal in files of 16 MB
FULL_SECONDS, SHORT_FULL_SECONDS = 30.0, 10.0
STOPS_IN = 60.0
GOES_ON_IN = 60.0
JUMPS = (2, 0, -2, 0)  # hours that the clock is off
BETWEEN_JUMPS = 10.0
SQUEEZED_SECONDS = 10.0


@fault("a full disk under PostgreSQL", short=Extent(1_000), long=Extent(3_000))
def disk_full(scene: Scene) -> None:
    with on_a_small_disk(scene, SPARE) as disk:
        scene.start_receiver()
        scene.start_workers()
        scene.launch()
        scene.wait_sending(*BULK)
        scene.notes.append(f"{disk.fill() // MEGA} MB of ballast filled it")
        _expect_no_marks(scene)
        time.sleep(SHORT_FULL_SECONDS if scene.is_short else FULL_SECONDS)
        disk.clear()
        server = scene.stage.server
        if server.process is None or server.process.poll() is not None:
            scene.notes.append("PostgreSQL had ended itself and was started, as `make up` does")
            scene.stage.start_server()
        scene.broke()
        scene.keep_busy()
        scene.wait_resumed(GOES_ON_IN)
        scene.bound = 0  # the workers live: replies wait in their memory
        scene.settle()


def _expect_no_marks(scene: Scene) -> None:
    """Wait until nothing leaves any more: where a result can't be written, nothing new is marked."""
    ends_at = time.monotonic() + STOPS_IN
    seen, since = scene.witness.count(), time.monotonic()
    while time.monotonic() - since < 3 and time.monotonic() < ends_at:
        time.sleep(0.2)
        if scene.witness.count() > seen:
            seen, since = scene.witness.count(), time.monotonic()
    held = scene.ask(QueueEntry.objects.filter(marked_at__isnull=False).count)
    scene.notes.append(f"sending stopped with {held} marks" if held is not None else "it stopped")
    scene.expect("the full disk stopped nothing", holds=time.monotonic() - since >= 3)
    most = len(BULK) * SESSIONS
    scene.expect(f"{held} messages were marked, {most} may be", holds=(held or 0) <= most)


@fault("clocks that jump by two hours, forth and back", short=Extent(500), long=Extent(3_000))
def clocks_jumped(scene: Scene) -> None:
    with by_another_clock(scene) as clock:
        scene.start_receiver()
        scene.start_workers()
        scene.launch()
        scene.wait_taken(scene.size // 4)
        for jump in JUMPS:
            clock.put(jump)
            time.sleep(BETWEEN_JUMPS)
            scene.broke()
            scene.launch(scene.good(scene.size // 4), stream=scene.campaigns[0].stream)
            scene.wait_resumed()
            scene.notes.append(f"{jump:+} h: mail flowed {scene.resumed_in:.1f} s after the launch")
        scene.bound = 0
        scene.settle()
        pids = [process.pid for process in scene.stage.processes.values()]
        dead = Worker.objects.filter(pid__in=pids, dead_at__isnull=False).count()
        scene.expect(f"{dead} workers were declared dead for it", holds=dead == 0)


@fault("a worker that gets no more memory", short=Extent(500, 1), long=Extent(3_000, 2))
def memory_spent(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    deaths = 0
    for _ in range(scene.times):
        scene.keep_busy()
        scene.wait_sending(BULK[0])
        worker = scene.stage.processes[BULK[0]]
        _squeeze(worker.pid)
        time.sleep(SQUEEZED_SECONDS)
        if worker.poll() is None:
            resource.prlimit(worker.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        scene.broke()
        scene.keep_busy()
        if scene.has_ended(BULK[0]):
            deaths += 1
            scene.stage.processes.pop(BULK[0])
            scene.start_worker(BULK[0])
    scene.notes.append(f"it ended {deaths} times of {scene.times}, and was started again")
    scene.bound = scene.times * SESSIONS
    scene.keep_busy()
    scene.wait_resumed()
    scene.wait_freed()


def _squeeze(pid: int) -> None:
    """Let the process have what it has, and no more."""
    has = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (has, resource.RLIM_INFINITY))
