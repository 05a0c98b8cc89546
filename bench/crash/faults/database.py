"""3: PostgreSQL stopped, cut off and away."""

import signal
import time
from collections.abc import Callable

from django.db import connections

from bench.crash.faults import Extent, fault
from bench.crash.scene import Scene
from bench.stage import HOME

OUTAGE_SECONDS = 30.0
SHORT_OUTAGE_SECONDS = 12.0


@fault(
    "PostgreSQL stopped at once, without a checkpoint, and started again",
    short=Extent(1_000, 3),
    long=Extent(10_000, 10),
)
def database_stopped(scene: Scene) -> None:
    _strike_often(scene, lambda: _restart(scene))


@fault("all connections to PostgreSQL cut", short=Extent(1_000, 5), long=Extent(10_000, 10))
def connections_cut(scene: Scene) -> None:
    def cut() -> None:
        scene.stage.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        connections.close_all()

    _strike_often(scene, cut)


@fault("PostgreSQL away for a while", short=Extent(1_000), long=Extent(10_000))
def database_away(scene: Scene) -> None:
    seconds = SHORT_OUTAGE_SECONDS if scene.is_short else OUTAGE_SECONDS
    _strike_often(scene, lambda: _restart(scene, away_for=seconds))


def _strike_often(scene: Scene, strike: Callable[[], None]) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for blow in range(1, scene.times + 1):
        scene.wait_taken(blow * scene.size // (scene.times + 1))
        strike()
        scene.broke()
        scene.wait_resumed(30)
    scene.bound = 0  # the workers live: replies wait in their memory


def _restart(scene: Scene, *, away_for: float = 0.0) -> None:
    """Let the server die without its last words, and start it on what is on the disk."""
    server = scene.stage.server
    assert server.process is not None
    connections.close_all()
    server.process.send_signal(signal.SIGQUIT)
    server.process.wait(timeout=30)
    taken = scene.witness.count()
    time.sleep(away_for)
    if away_for:
        scene.notes.append(f"{scene.witness.count() - taken} mails were taken while it was away")
    with (HOME / "logs" / "postgres.log").open("ab") as log:
        server.start(log)
