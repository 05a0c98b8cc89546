"""(b) To a receiver 50 ms away: how much of what the sessions allow is used."""

import os
import sys

from bench import audience
from bench.contenders import SESSIONS
from bench.end_to_end import Field, Turns
from bench.receivers import SINK_PORT
from bench.stage import wait_for
from mailops.lib.supervisor import answers
from mailops.transports.models import Stream

LATENCY = 0.05  # seconds from a command to its reply
# MAIL, RCPT and DATA ride behind the body before, so a message waits once; smtp-source waits for each reply.
ROUND_TRIPS = {"mailops": 1, "smtp_source": 4}
SLOW_PORT = int(os.environ["BENCH_SLOW_PORT"])


class Share(Turns):
    """What one of the two reached, beside what its sessions allow."""

    @property
    def allowed(self) -> float:
        return SESSIONS / (ROUND_TRIPS[self.name] * LATENCY)

    @property
    def row(self) -> list[str]:
        return [*self.cells, f"{self.allowed:,.0f}", f"{self.per_s / self.allowed:.1%}"]

    @property
    def figures(self) -> dict[str, object]:
        return {
            "per_s": [round(turn.per_s, 1) for turn in self.turns],
            "allowed_per_s": self.allowed,
            "share": round(self.per_s / self.allowed, 4),
            "recipients": self.turns[0].recipients,
        }


HEAD = ["", "a second", "range", "recipients", "allowed", "share"]


class Distant:
    """mailops through a stream of its own to the distant receiver."""

    name = "mailops"

    def __init__(self, field: Field, stream: Stream) -> None:
        self._mailops, self._stream = field.mailops, stream
        self.send, self.check = field.mailops.send, field.mailops.check

    def fill(self, recipients: int) -> None:
        self._mailops.fill(recipients, self._stream)


def measure(field: Field, recipients: int, *, rounds: int) -> list[Share]:
    field.stage.start(
        "delay",
        *(sys.executable, "-m", "bench.delaying"),
        *(str(SLOW_PORT), str(SINK_PORT), str(LATENCY)),
    )
    wait_for(lambda: answers("127.0.0.1", SLOW_PORT), "the proxy to listen")
    stream = audience.make_stream("Distant", port=SLOW_PORT, sessions=SESSIONS)
    distant, source = Distant(field, stream), field.smtp_source
    source.port = SLOW_PORT
    shares = [Share("mailops"), Share("smtp_source")]
    for _ in range(rounds):
        shares[0].turns.append(field.take_turn(distant, recipients))
        # it is four times as slow: a quarter of the mails take as long
        shares[1].turns.append(field.take_turn(source, recipients // 4))
    source.port = SINK_PORT
    field.stage.stop("delay")
    return shares
