"""3: PostgreSQL stopped, cut off and away."""

import signal
import time
from collections.abc import Callable

from django.db import connections

from bench.crash.faults import Extent, fault
from bench.crash.pages import Pages
from bench.crash.scene import BULK, SESSIONS, Scene

OUTAGE_SECONDS, SHORT_OUTAGE_SECONDS = 30.0, 10.0
GOES_ON_IN = 30.0
SAYS = "The database does not answer"


@fault(
    "PostgreSQL stopped at once, without a checkpoint, and started again",
    short=Extent(500, 2),
    long=Extent(1_500, 10),
    quick=True,
)
def database_stopped(scene: Scene) -> None:
    _strike_often(scene, lambda: restart(scene))


@fault("all connections to PostgreSQL cut", short=Extent(500, 3), long=Extent(1_500, 10))
def connections_cut(scene: Scene) -> None:
    def cut() -> None:
        scene.stage.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        connections.close_all()

    _strike_often(scene, cut)


@fault("PostgreSQL away for a while, and people at the pages", short=Extent(500), long=Extent(1_500))  # fmt: skip
def database_away(scene: Scene) -> None:
    pages = Pages(scene)

    def look() -> None:
        path = f"/campaigns/{scene.campaigns[0].pk}/"
        taken = scene.witness.count()
        asked = 0
        ends_at = time.monotonic() + (SHORT_OUTAGE_SECONDS if scene.is_short else OUTAGE_SECONDS)
        while time.monotonic() < ends_at:
            for each in ("/healthz/", "/", path):
                answer = pages.ask(each)
                is_told = answer.status == 503 and (each == "/healthz/" or SAYS in answer.text)
                scene.expect(f"{each} answered {answer.status} while it was away", holds=is_told)
                asked += 1
            time.sleep(0.5)
        more, most = scene.witness.count() - taken, len(BULK) * SESSIONS
        scene.notes.append(f"{more} mails were taken while it was away, {asked} pages said so")
        scene.expect(f"{more} mails left without a mark, {most} may", holds=more <= most)

    _strike_often(scene, lambda: restart(scene, meanwhile=look))
    for each in ("/healthz/", "/", f"/campaigns/{scene.campaigns[0].pk}/"):
        answer = pages.ask(each)
        scene.expect(f"{each} answers {answer.status} when all is well", holds=answer.status == 200)


def _strike_often(scene: Scene, strike: Callable[[], None]) -> None:
    scene.start_receiver()
    scene.start_workers()
    scene.launch()
    for _ in range(scene.times):
        scene.keep_busy()
        scene.wait_sending(*BULK)
        strike()
        scene.broke()
        scene.wait_resumed(GOES_ON_IN)
    scene.bound = 0  # the workers live: replies wait in their memory


def restart(scene: Scene, *, meanwhile: Callable[[], None] | None = None) -> None:
    """Let the server die without its last words, and start it on what is on the disk."""
    server = scene.stage.server
    assert server.process is not None
    connections.close_all()
    server.process.send_signal(signal.SIGQUIT)
    server.process.wait(timeout=30)
    if meanwhile is not None:
        meanwhile()
    scene.stage.start_server()
