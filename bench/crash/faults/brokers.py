"""4: the broker loses what it holds, or goes away; it carries hints, never the work itself."""

import shutil
import signal
import time

import redis

from bench.__main__ import free_port
from bench.crash.faults import Extent, fault
from bench.crash.scene import BULK, Scene
from bench.stage import wait_for
from mailops.lib.supervisor import answers

OUTAGE_SECONDS = 300.0
SHORT_OUTAGE_SECONDS = 15.0
PURGE = "SELECT pgmq.purge_queue(queue_name) FROM pgmq.list_queues()"


@fault("all queues of the embedded broker purged", short=Extent(1_000, 5), long=Extent(10_000, 50))
def queues_purged(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for blow in range(1, scene.times + 1):
        scene.wait_taken(blow * scene.size // (scene.times + 1))
        scene.stage.query(PURGE)
        scene.broke()
        scene.wait_resumed()


@fault("all queues purged while every worker is down", short=Extent(500), long=Extent(10_000))
def queues_purged_asleep(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    scene.wait_taken(scene.size // 3)
    scene.stage.stop(*BULK, "housekeeping", "beat")
    scene.stage.query(PURGE)
    scene.broke()
    scene.start_workers()
    scene.wait_resumed()


@fault("Redis flushed, killed, away and started again", short=Extent(1_000), long=Extent(10_000))
def redis_lost(scene: Scene) -> None:
    program = shutil.which("redis-server")
    if program is None:
        scene.notes.append("not played: redis-server is missing (Debian: apt install redis-server)")
        return
    port = free_port()
    scene.environment["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{port}/0"
    _start_redis(scene, program, port)
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    scene.wait_taken(scene.size // 4)
    redis.Redis(port=port).flushall()
    scene.wait_taken(scene.size // 2)
    scene.kill("redis", signal.SIGKILL)
    time.sleep(SHORT_OUTAGE_SECONDS if scene.is_short else OUTAGE_SECONDS)
    _start_redis(scene, program, port)
    scene.broke()
    scene.launch(scene.good(scene.size))  # the first may have been sent without any hint
    scene.wait_resumed()


def _start_redis(scene: Scene, program: str, port: int) -> None:
    """Start one that keeps nothing."""
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    scene.stage.start("redis", program, *options)
    wait_for(lambda: answers("127.0.0.1", port), "Redis to listen")
