"""4: the broker loses what it holds, or goes away; it carries hints, never the work itself."""

import os
import signal
import time
from collections.abc import Callable

import redis
from kombu.connection import Connection

from bench.crash.faults import Extent, fault
from bench.crash.faults.database import restart
from bench.crash.scene import BULK, MORE_PORTS, Scene
from bench.stage import HOME, wait_for
from mailops.lib.supervisor import answers

OUTAGE_SECONDS, SHORT_OUTAGE_SECONDS = 300.0, 10.0
PURGE = "SELECT pgmq.purge_queue(queue_name) FROM pgmq.list_queues()"
BROKER_PORT, DISTRIBUTION_PORT, MAPPER_PORT = MORE_PORTS[:3]
BROKER_STARTS_IN = 90.0
HEARD = ("bulk", "housekeeping")  # by the workers of the play; nobody made the third


@fault(
    "all queues of the embedded broker purged",
    short=Extent(500, 2),
    long=Extent(1_500, 20),
    quick=True,
)
def queues_purged(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for _ in range(scene.times):
        scene.keep_busy()
        scene.wait_sending(BULK[0])
        scene.stage.query(PURGE)
        scene.broke()
        scene.wait_resumed()


@fault("all queues purged while every worker is down", short=Extent(300), long=Extent(1_500))
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


@fault(
    "the embedded broker away for five minutes, with the database it lives in",
    short=Extent(300),
    long=Extent(1_500),
)
def database_long_away(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    scene.wait_taken(scene.size // 2)
    scene.wait_sending(BULK[0])
    restart(scene, meanwhile=lambda: time.sleep(_outage(scene)))
    scene.broke()
    scene.keep_busy()
    scene.wait_resumed()
    scene.bound = 0  # the workers live: replies wait in their memory


@fault(
    "Redis flushed, killed, five minutes away, and started again",
    short=Extent(300),
    long=Extent(1_500),
)
def redis_lost(scene: Scene) -> None:
    program = scene.program("redis-server", "redis-server")
    options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")

    def start() -> None:
        scene.stage.start("broker", program, "--port", str(BROKER_PORT), *options)

    def flush() -> None:
        with redis.Redis(port=BROKER_PORT) as broker:
            broker.flushall()

    _lose(scene, f"redis://127.0.0.1:{BROKER_PORT}/0", start, flush)


@fault(
    "RabbitMQ purged, killed with all it held, five minutes away, and started anew",
    short=Extent(300),
    long=Extent(1_500),
)
def rabbitmq_lost(scene: Scene) -> None:
    server = scene.program("rabbitmq-server", "rabbitmq-server")
    if server == "/usr/sbin/rabbitmq-server":  # Debian's changes the user; this is what it runs
        server = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    mapper = scene.program("epmd", "erlang-base")
    generation = 0

    def start() -> None:
        nonlocal generation
        generation += 1
        home = HOME / "rabbitmq" / f"{scene.name}-{os.getpid()}-{generation}"
        home.mkdir(parents=True)
        scene.stage.start(
            "broker",
            server,
            environment={
                "HOME": str(home),
                "RABBITMQ_NODENAME": f"crash{BROKER_PORT}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(BROKER_PORT),
                "RABBITMQ_DIST_PORT": str(DISTRIBUTION_PORT),
                "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
                "RABBITMQ_LOG_BASE": str(home / "log"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                "ERL_EPMD_PORT": str(MAPPER_PORT),
                "RUNNING_UNDER_SYSTEMD": "true",  # the server itself in place of the shell: one process to kill
            },
        )

    url = f"amqp://guest:guest@127.0.0.1:{BROKER_PORT}//"

    def purge() -> None:
        with Connection(url) as broker, broker.channel() as channel:  # type: ignore[no-untyped-call]
            for queue in HEARD:
                channel.queue_purge(queue)

    # its port mapper, which it would leave running
    scene.stage.start("mapper", mapper, "-port", str(MAPPER_PORT), "-address", "127.0.0.1")
    _lose(scene, url, start, purge)


def _lose(scene: Scene, url: str, start: Callable[[], None], flush: Callable[[], None]) -> None:
    """Send through this broker, empty it, kill it for a while, and start one that knows nothing."""
    scene.environment["CELERY_BROKER_URL"] = url
    start()
    wait_for(lambda: answers("127.0.0.1", BROKER_PORT), "the broker", BROKER_STARTS_IN)
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    scene.wait_taken(scene.size // 4)
    flush()
    scene.wait_taken(scene.size // 2)
    scene.kill("broker", signal.SIGKILL)
    time.sleep(_outage(scene))
    start()
    wait_for(lambda: answers("127.0.0.1", BROKER_PORT), "the broker again", BROKER_STARTS_IN)
    scene.broke()
    scene.launch(scene.good(scene.size))  # the first may have been sent without any hint
    scene.wait_resumed()


def _outage(scene: Scene) -> float:
    return SHORT_OUTAGE_SECONDS if scene.is_short else OUTAGE_SECONDS
