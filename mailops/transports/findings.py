"""What a test of a transport found, step by step, and how it is kept.

`Transport.last_test` holds `Diagnosis.as_json()` of the active credential:

    {"version": 1, "is_ok": false, "kind": "smtp", "host": "…", "port": 587, "security": "starttls",
     "peer": "host [address]:port", "started_at": "2026-11-21T03:00:00+00:00", "seconds": 1.24, "by": "who@example.com",
     "credential": {"label": "…", "last_four": "…"} or null,
     "steps": [{"name": "resolve", "title": "Look up the name", "status": "ok" | "warning" | "failed" | "running",
                "seconds": 0.012, "sentence": "…"}],
        names: resolve, connect, banner, ehlo, tls, auth, account (APIs), mail, rcpt; a step that was not reached is absent
     "cause": "" or a name of `causes.CAUSES`, "what": "…", "fix": "…", "detail": "technical text",
     "addresses": [{"address": "192.0.2.1", "status": "ok" | "warning" | "skipped", "seconds": 0.02, "sentence": "…"}],
        each that the name has, tried by itself where there are several
     "tls": {"version": "TLSv1.3", "cipher": "…", "subject": "…", "issuer": "…", "names": ["…"],
             "not_after": "2027-01-01T00:00:00+00:00", "days_left": 41,
             "chain": [{"subject": "…", "issuer": "…", "not_after": "…"}]} or null,
     "auth": {"mechanisms": ["PLAIN"], "is_logged_in": true} or null,
     "extensions": ["PIPELINING", …], "transcript": "C: EHLO …" and "S: 250 …" by lines}
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mailops.protocol.reply import Reply
from mailops.transports.sessions import Phase

STEP_SECONDS = 8.0

TITLES: Mapping[str, str] = {
    "resolve": "Look up the name",
    "connect": "Connect",
    "banner": "Hear the greeting",
    "ehlo": "Say EHLO",
    "tls": "Secure the connection",
    "auth": "Log in",
    "account": "Ask for the account",
    "mail": "Name the sender",
    "rcpt": "Name the recipient",
}


@dataclass(kw_only=True)
class Step:
    name: str
    title: str
    status: str = "ok"
    seconds: float = 0.0
    sentence: str = ""


@dataclass(kw_only=True)
class Diagnosis:
    """What a test found; see the module for its shape as JSON."""

    kind: str
    host: str
    port: int
    security: str
    started_at: str
    by: str = ""
    credential: dict[str, str] | None = None
    version: int = 1
    is_ok: bool = True
    peer: str = ""
    seconds: float = 0.0
    steps: list[Step] = field(default_factory=list)
    cause: str = ""
    what: str = ""
    fix: str = ""
    detail: str = ""
    addresses: list[dict[str, Any]] = field(default_factory=list)
    tls: dict[str, Any] | None = None
    auth: dict[str, Any] | None = None
    extensions: list[str] = field(default_factory=list)
    transcript: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def fail(self, what: str, fix: str, *, cause: str = "", detail: str = "") -> None:
        """Name what is wrong; the step that was under way is the one that failed."""
        self.is_ok, self.cause, self.what, self.fix, self.detail = False, cause, what, fix, detail
        if self.steps:
            self.steps[-1].status, self.steps[-1].sentence = "failed", what

    def note(self, name: str, sentence: str, *, status: str = "ok") -> None:
        """Put a sentence to the step `name`, if it was reached."""
        for step in self.steps:
            if step.name == name and step.status != "failed":
                step.sentence, step.status = sentence, status


class Budget(Mapping[Phase, float]):
    """Time-outs that shrink as the whole test's time runs out."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def __getitem__(self, phase: Phase) -> float:
        share = 2.0 if phase is Phase.QUIT else STEP_SECONDS
        return max(0.05, min(share, self._ends_at - time.monotonic()))

    def __iter__(self) -> Iterator[Phase]:
        return iter(Phase)

    def __len__(self) -> int:
        return len(Phase)


class Recorder:
    """Keeps the conversation and the time of each step; implements `wire.Observer`."""

    def __init__(self, diagnosis: Diagnosis, watch: Callable[[Diagnosis], None]) -> None:
        self.lines: list[str] = []
        self._diagnosis, self._watch = diagnosis, watch
        self._since = time.monotonic()

    def entered(self, phase: Phase) -> None:
        self.begin(phase.value)

    def begin(self, name: str) -> None:
        """Finish the step that was under way and show the next, while it runs."""
        self.finish_step()
        steps = self._diagnosis.steps
        if name in TITLES and name not in {step.name for step in steps}:
            steps.append(Step(name=name, title=TITLES[name], status="running"))
            self._watch(self._diagnosis)

    def finish_step(self) -> None:
        now = time.monotonic()
        if self._diagnosis.steps:
            step = self._diagnosis.steps[-1]
            step.seconds += round(now - self._since, 3)
            step.status = "ok" if step.status == "running" else step.status
        self._since = now

    def sent(self, text: str) -> None:
        self.lines.append(f"C: {text}")

    def received(self, reply: Reply) -> None:
        lines = reply.text.split("\n")
        marks = ["-"] * (len(lines) - 1) + [" "]
        self.lines += [
            f"S: {reply.code}{mark}{line}" for mark, line in zip(marks, lines, strict=True)
        ]
