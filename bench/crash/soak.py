"""13: sends for an hour beside a million waiting rows and a pg_dump that begins anew whenever it ends."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import linear_regression, quantiles
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now

from bench import audience
from bench.crash.judging import Verdict, judge
from bench.crash.scene import Scene
from bench.processes import resident_megabytes
from bench.stage import Stage
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.models import Worker
from mailops.outbox.ledger import fetch_first
from mailops.outbox.models import QueueEntry
from mailops.transports.models import RunState, Stream

WAITING = 1_000_000
PILE = "the pile"
BATCH = 2_000  # recipients of each campaign
PACE = 0.04  # of the receiver, for some hundred mails a second
SAMPLE_SECONDS = 5.0
SENDERS = ("bulk1", "bulk2", "housekeeping", "beat")
WARM = 0.25  # of the time, in which caches fill: no slope is taken of it
LONGEST_CLAIM_MS = 20.0
STEADY_MINUTES = 30  # in less than that caches still fill, and a slope says nothing
GROWTH = 0.1  # most that a process may grow in an hour, as a share of what it has
STUCK_SECONDS = 60  # after which a marked message counts as forgotten


@dataclass
class Reading:
    """What was seen over the time."""

    begun_at: float = field(default_factory=time.monotonic)
    hours: list[float] = field(default_factory=list)
    megabytes: dict[str, list[float]] = field(default_factory=dict)
    claims_ms: list[float] = field(default_factory=list)  # a claim's one statement, by the clock
    # with the rules that are read before, by who knew none, and the jobs that are made after it
    whole_claims_ms: list[float] = field(default_factory=list)
    claims_work_ms: list[float] = field(default_factory=list)  # of a core, ours and the server's
    stuck: int = 0
    dumps: int = 0

    def time_claim(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """Take the milliseconds of the one statement of a claim, as Django's wrapper of executions."""
        began_at = time.perf_counter()
        answer = execute(sql, params, many, context)
        if "outbox_fence" in sql:
            self.claims_ms.append((time.perf_counter() - began_at) * 1000)
        return answer

    def growth(self) -> dict[str, tuple[float, float]]:
        """Return what each process grew in an hour, by the line through its samples, and what it had in the end."""
        first = int(len(self.hours) * WARM)
        return {
            name: (linear_regression(self.hours[first:], had[first:]).slope, had[-1])
            for name, had in self.megabytes.items()
        }

    @property
    def claim_p95_ms(self) -> float:
        return _p95(self.claims_ms)

    @property
    def claim_work_p95_ms(self) -> float:
        return _p95(self.claims_work_ms)

    @property
    def whole_claim_p95_ms(self) -> float:
        return _p95(self.whole_claims_ms)


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def soak(stage: Stage, minutes: float) -> bool:
    """Send for so many minutes, print what came of it, and return whether all is well."""
    scene = Scene(stage, "soak", audience.make_version(), BATCH, 1, is_short=False)
    _pile_up(scene)
    scene.start_receiver(pace=PACE)
    scene.start_workers()
    scene.launch()
    reading = Reading()
    with _dumping(scene, reading):
        while time.monotonic() - reading.begun_at < minutes * 60:
            time.sleep(SAMPLE_SECONDS)
            _sample(scene, reading)
            scene.keep_busy(BATCH)
        scene.find_the_ended()
    verdict = judge(scene, scene.settle())
    return _tell(reading, verdict, minutes)


def _pile_up(scene: Scene) -> None:
    """Make a million rows that wait in a paused stream."""
    began_at = time.monotonic()
    people = audience.make_audience(WAITING)
    audience.expand(audience.make_campaign(audience.make_stream(PILE), scene.version, people))
    print(f"{WAITING:,} rows wait, made in {time.monotonic() - began_at:.0f} s", flush=True)


@contextmanager
def _dumping(scene: Scene, reading: Reading) -> Iterator[None]:
    """Let one pg_dump after another read the database."""
    server = scene.stage.server
    loop = '"$@" > /dev/null || exit 1; echo done; exec sh -c "$0" "$0" "$@"'
    dump = (str(server.binaries / "pg_dump"), "-h", str(server.socket), "-U", "mailops", "mailops")
    scene.stage.start("dump", "/bin/sh", "-c", loop, loop, *dump)
    try:
        yield
    finally:
        reading.dumps = scene.stage.log_of("dump").count("done")
        scene.stage.stop("dump")


def _sample(scene: Scene, reading: Reading) -> None:
    reading.hours.append((time.monotonic() - reading.begun_at) / 3600)
    for name in SENDERS:
        had = resident_megabytes(scene.stage.processes[name].pid)
        reading.megabytes.setdefault(name, []).append(had)
    _time_a_claim(scene, reading)
    marked = QueueEntry.objects.filter(marked_at__lt=Now() - timedelta(seconds=STUCK_SECONDS))
    reading.stuck = max(reading.stuck, marked.count())


def _time_a_claim(scene: Scene, reading: Reading) -> None:
    """Take the milliseconds of a claim in the pile, by the worker's own way to it; it is undone."""
    with transaction.atomic():
        Stream.objects.filter(name=PILE).update(state=RunState.RUNNING)
        pile = Stream.objects.get(name=PILE)
        worker = Worker.objects.create(lane="bulk", host="soak", pid=os.getpid())
        (carrier,) = [one for one in usable_carriers("bulk") if pile.pk in one.stream_ids]
        began_at, worked = time.perf_counter(), _worked_ms()
        with connection.execute_wrapper(reading.time_claim):
            claimed = Claimer(worker.pk).claim(carrier, 200)
        reading.whole_claims_ms.append((time.perf_counter() - began_at) * 1000)
        reading.claims_work_ms.append(_worked_ms() - worked)
        transaction.set_rollback(True)
    scene.expect(f"a claim found {len(claimed)} rows in the pile", holds=len(claimed) == 200)


def _worked_ms() -> float:
    """Return how long a core worked for this thread and for the server's process that answers it.

    On a machine with nothing else to do a claim takes little more; on a busy one it waits besides.
    """
    (server,) = fetch_first("SELECT pg_backend_pid()", [])
    nanoseconds = Path(f"/proc/{server}/schedstat").read_text().split()[0]
    return time.thread_time() * 1000 + int(nanoseconds) / 1e6


def _tell(reading: Reading, verdict: Verdict, minutes: float) -> bool:
    growth = reading.growth()
    findings = list(verdict.findings)
    for name, (slope, had) in growth.items():
        print(f"{name}: {had:.0f} MB, {slope:+.1f} MB an hour")
        if minutes >= STEADY_MINUTES and slope > had * GROWTH:
            findings.append(f"{name} grows by {slope:.1f} MB an hour")
    print(
        f"claims beside {WAITING:,} rows, at the 95th percentile: {reading.claim_p95_ms:.1f} ms by the clock,"
        f" {reading.whole_claim_p95_ms:.1f} with rules and jobs; {reading.claim_work_p95_ms:.1f} ms of a core"
    )
    print(f"{reading.dumps} dumps; {verdict.accepted:,} mails in {minutes:g} minutes")
    if reading.claim_p95_ms > LONGEST_CLAIM_MS:
        findings.append(f"claims take {reading.claim_p95_ms:.1f} ms")
    if reading.stuck:
        findings.append(f"{reading.stuck} messages were marked for longer than {STUCK_SECONDS} s")
    for finding in findings:
        print(f"BROKEN: {finding}")
    is_ok = not findings and verdict.is_ok
    figures = {
        **verdict.figures,
        "minutes": minutes,
        "accepted": verdict.accepted,
        "claim_p95_ms": round(reading.claim_p95_ms, 2),
        "whole_claim_p95_ms": round(reading.whole_claim_p95_ms, 2),
        "claim_work_p95_ms": round(reading.claim_work_p95_ms, 2),
        "grown_mb_per_hour": {name: round(slope, 1) for name, (slope, _) in growth.items()},
        "megabytes": {name: round(had) for name, (_, had) in growth.items()},
        "stuck": reading.stuck,
        "dumps": reading.dumps,
        "ok": is_ok,
    }
    print(json.dumps(figures))
    return is_ok
