"""(e) Transactional mail while a campaign keeps all workers busy: how long one waits, and what it costs the others."""

import threading
import time
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Self

from django.db import connection
from django.db.models import QuerySet

from bench import audience, letter
from bench.contenders import Mailops
from bench.stage import wait_for
from mailops.outbox.models import Message
from mailops.outbox.submission import submit
from mailops.transports.models import RunState, Stream

MEAN_GAP = 0.25  # seconds between two submissions; they come as they like


@dataclass(frozen=True)
class Overtaking:
    """Latencies in seconds, and the bulk rate of each turn with and without transactional mail."""

    latencies: list[float]
    without: list[float]
    beside: list[float]

    @property
    def slowed(self) -> float:
        return 1 - median(self.beside) / median(self.without)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def row(self) -> list[str]:
        return [
            f"{len(self.latencies)}",
            *(f"{self.percentile(share) * 1000:,.0f} ms" for share in (0.5, 0.95, 1.0)),
            f"{median(self.without):,.0f}",
            f"{median(self.beside):,.0f}",
            f"{self.slowed:.1%}",
        ]

    @property
    def figures(self) -> dict[str, object]:
        return {
            "messages": len(self.latencies),
            "median_ms": round(self.percentile(0.5) * 1000),
            "p95_ms": round(self.percentile(0.95) * 1000),
            "longest_ms": round(self.percentile(1.0) * 1000),
            "bulk_alone_per_s": [round(rate, 1) for rate in self.without],
            "bulk_beside_per_s": [round(rate, 1) for rate in self.beside],
            "bulk_slowed": round(self.slowed, 4),
        }


HEAD = ["messages", "median", "95th percentile", "longest", "bulk alone", "beside them", "slowed by"]  # fmt: skip


def measure(mailops: Mailops, recipients: int, *, rounds: int) -> Overtaking:
    stream = audience.make_stream("Transactional", kind="transactional")
    Stream.objects.filter(pk=stream.pk).update(state=RunState.RUNNING)
    mailops.stage.start_worker("transactional", "transactional")
    mailops.stage.wait_ready("transactional")
    without, beside = [], []
    latencies: list[float] = []
    for number in range(rounds):
        # by turns first and second: what a turn leaves behind costs the next one
        if number % 2 == 0:
            without.append(_bulk(mailops, recipients))
        with _Submitting(mailops, stream) as submitting:
            beside.append(_bulk(mailops, recipients))
        latencies += submitting.latencies()
        if number % 2:
            without.append(_bulk(mailops, recipients))
    mailops.stage.stop("transactional")
    return Overtaking(latencies, without, beside)


def _bulk(mailops: Mailops, recipients: int) -> float:
    mailops.fill(recipients)
    seconds = mailops.send()
    mailops.check()
    return recipients / seconds


class _Submitting:
    """Submits transactional mail from a thread, from the first bulk claim on and until it is left."""

    def __init__(self, mailops: Mailops, stream: Stream) -> None:
        self._mailops, self._stream = mailops, stream
        self._begun: dict[int, float] = {}  # message → the clock's time before its submission
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._submit_all)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _submit_all(self) -> None:
        random = Random(3)  # noqa: S311 - the same gaps each time
        identity = audience.make_identity()
        while not self._is_over.is_set() and not audience.has_claims():
            time.sleep(0.01)
        while not self._is_over.wait(random.expovariate(1 / MEAN_GAP)):
            begun_at = time.time()
            message = submit(
                stream=self._stream,
                identity=identity,
                recipient=letter.address(len(self._begun)),
                version=self._mailops.version,
                merge_data=letter.DATA,
            )
            self._begun[message.pk] = begun_at
        connection.close()

    def latencies(self) -> list[float]:
        """Return the seconds from each submission to its recorded 250, by this machine's one clock."""
        with self._mailops.running():
            wait_for(lambda: not self._unanswered().exists(), "the last transactional mail")
        accepted = Message.objects.filter(pk__in=self._begun).values_list("pk", "accepted_at")
        return [at.timestamp() - self._begun[pk] for pk, at in accepted if at is not None]

    def _unanswered(self) -> QuerySet[Message]:
        return Message.objects.filter(pk__in=self._begun, accepted_at=None)
