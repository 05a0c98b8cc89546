"""Runs a set of processes: starts them in stages, restarts those that die, stops all; one log for all."""

import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from mailops.lib.forking import Forked
from mailops.lib.leash import leash

STEADY_SECONDS = 60.0  # a process that ran so long starts again at once when it dies
LONGEST_BACKOFF, STEPS = 30.0, 5  # reached by doubling a second so often
STOP_SECONDS = 4.2
FOUNDATION_SECONDS = 1.3  # of them kept for the first stage, on which the others stand
TICK_SECONDS = 0.1
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONG = 15.0  # seconds of waiting after which it is told for what


class StartError(Exception):
    """Something that must be there before anything starts is not; the text says what."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """What to run, a command or a function in a fork, and how to tell that it is up.

    `ready_words` in its output or `is_ready()` tell that it is; with neither, it is when it runs.
    A process that runs once is ready when it ended well, and its failure ends everything.
    `purpose` goes on after the name, for those who wait: ", which …".
    """

    name: str
    command: Sequence[str] = ()
    work: Callable[[], object] | None = None
    is_ready: Callable[[], bool] | None = None
    ready_words: str = ""
    purpose: str = ""
    runs_once: bool = False
    stop_signal: int = signal.SIGTERM
    environment: Mapping[str, str] | None = None


@dataclass
class _Child:
    """One process of the set, running or waiting for its next start."""

    process: Process
    is_up: bool = False
    handle: "subprocess.Popen[bytes] | Forked | None" = None
    started_at: float = 0.0
    deaths: int = 0
    starts_at: float = 0.0
    unfinished: bytes = b""


Say = Callable[[str, str], None]


@dataclass
class Supervisor:
    """Runs `stages` one after another: a stage starts when all of the one before are up."""

    stages: Sequence[Sequence[Process]]
    say: Say
    on_ready: Callable[[], None] = lambda: None
    _children: list[_Child] = field(default_factory=list, init=False)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector, init=False)
    _stop_asked: int = field(default=0, init=False)
    _stage: int = field(default=-1, init=False)
    _waits_since: float = field(default=0.0, init=False)

    def run(self) -> int:
        """Run until a signal of STOPPING, or until a process that runs once fails; return the exit code."""
        previous = {number: signal.getsignal(number) for number in STOPPING}
        if previous[signal.SIGHUP] is signal.SIG_IGN:  # nohup: it is to outlive its terminal
            del previous[signal.SIGHUP]
        for number in previous:
            signal.signal(number, self._ask_to_stop)
        try:
            return self._loop()
        finally:
            self._stop_all()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _ask_to_stop(self, number: int, _frame: object) -> None:
        self._stop_asked = number

    def _loop(self) -> int:
        while not self._stop_asked:
            if all(child.is_up for child in self._children):
                self._next_stage()
            self._read(TICK_SECONDS)
            self._bury_strangers()
            for child in self._children:
                if not self._look_after(child):
                    return 1
        self.say("mailops", f"{signal.Signals(self._stop_asked).name}: stopping")
        return 0

    def _bury_strangers(self) -> None:
        """Let go of the dead whose parents died before them: the first process of a container is handed all of these."""
        ours = {child.handle.pid for child in self._children if child.handle is not None}
        while (dead := _dead_child()) and dead not in ours:
            os.waitpid(dead, 0)

    def _next_stage(self) -> None:
        if self._stage == len(self.stages):
            return
        self._stage += 1
        self._waits_since = time.monotonic()
        if self._stage == len(self.stages):
            self.on_ready()
            return
        for process in self.stages[self._stage]:
            child = _Child(process)
            self._children.append(child)
            self._start(child)

    def _look_after(self, child: _Child) -> bool:
        """Bring one child on by what happened to it; return False where everything must end."""
        now = time.monotonic()
        if child.handle is not None and (code := child.handle.poll()) is not None:
            return self._bury(child, code)
        if child.handle is None and not child.is_up and now >= child.starts_at:
            self._start(child)
        elif child.handle is not None and not child.is_up:
            child.is_up = self._is_up(child)
            if not child.is_up and now - max(self._waits_since, child.started_at) > LONG:
                self._waits_since = now
                waits = ", ".join(
                    c.process.name + c.process.purpose for c in self._children if not c.is_up
                )
                self.say("mailops", f"still waiting for {waits}")
        return True

    def _is_up(self, child: _Child) -> bool:
        process = child.process
        if process.runs_once or process.ready_words:
            return child.is_up
        return process.is_ready is None or process.is_ready()

    def _bury(self, child: _Child, code: int) -> bool:
        """Say how a child ended and when it starts again; return False where it was to run once and failed."""
        self._drain(child)
        _kill_group(child)
        child.handle = None
        if child.process.runs_once:
            child.is_up = code == 0
            if code:
                self.say(child.process.name, f"failed ({_how(code)}); mailops can't start")
            return code == 0
        child.is_up = False
        self._put_off(child, f"died ({_how(code)})")
        return True

    def _put_off(self, child: _Child, what: str) -> None:
        """Say what became of a child and when it starts again: the later the oftener that happened in a row."""
        now = time.monotonic()
        child.deaths = 0 if now - child.started_at > STEADY_SECONDS else child.deaths + 1
        pause = _backoff(child.deaths)
        child.starts_at = now + pause
        self.say(child.process.name, f"{what}; starts again in {pause:.0f} s")

    def _start(self, child: _Child) -> None:
        child.started_at = time.monotonic()
        try:
            child.handle = _spawn(child.process)
        except OSError as error:  # no memory is left, say: the others must not end for it
            self._put_off(child, f"can't be started ({error.strerror})")
            return
        if child.handle.stdout is not None:
            os.set_blocking(child.handle.stdout.fileno(), False)
            self._selector.register(child.handle.stdout, selectors.EVENT_READ, child)

    def _read(self, seconds: float) -> None:
        """Wait so long for output, and say what came."""
        for key, _ in self._selector.select(seconds):
            self._take(key.data)

    def _take(self, child: _Child) -> bool:
        """Say the lines that a child wrote; return False where there are none for now."""
        stream = child.handle.stdout if child.handle else None
        if stream is None or stream.closed:
            return False
        try:
            taken = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return False
        if not taken:
            self._close(stream)
            return False
        *lines, child.unfinished = (child.unfinished + taken).split(b"\n")
        for line in lines:
            self._say_line(child, line)
        return True

    def _say_line(self, child: _Child, raw: bytes) -> None:
        line = raw.decode(errors="replace").rstrip()
        words = child.process.ready_words
        child.is_up = child.is_up or bool(words and words in line)
        if line:
            self.say(child.process.name, line)

    def _drain(self, child: _Child) -> None:
        """Say what a dead child had still written."""
        while self._take(child):
            pass
        self._say_line(child, child.unfinished)
        child.unfinished = b""
        if child.handle and child.handle.stdout and not child.handle.stdout.closed:
            self._close(child.handle.stdout)

    def _close(self, stream: IO[bytes]) -> None:
        self._selector.unregister(stream)
        stream.close()

    def _stop_all(self) -> None:
        """Stop the stages from the top down, so that the database goes last."""
        deadline = time.monotonic() + STOP_SECONDS
        for number, stage in reversed(list(enumerate(self.stages))):
            running = [c for c in self._children if c.process in stage and c.handle is not None]
            seconds = deadline - time.monotonic()
            self._stop(running, seconds - FOUNDATION_SECONDS if number else seconds)
        self._selector.close()

    def _stop(self, children: list[_Child], seconds: float) -> None:
        for child in children:
            _send(child, child.process.stop_signal)
        deadline = time.monotonic() + seconds
        while any(_lives(child) for child in children) and time.monotonic() < deadline:
            self._read(0.02)
        for child in children:
            if _lives(child):
                self.say(child.process.name, "did not stop in time and is killed")
            _kill_group(child)
            if child.handle is not None:
                child.handle.wait()
            self._drain(child)
            child.handle = None


def _backoff(deaths: int) -> float:
    return LONGEST_BACKOFF if deaths > STEPS else 2.0 ** (deaths - 1) if deaths else 0.0


def _spawn(process: Process) -> "subprocess.Popen[bytes] | Forked":
    if process.work:
        return Forked(process.name, process.work)
    return subprocess.Popen(  # noqa: S603
        [*leash(signal.SIGKILL), *process.command],
        env=dict(process.environment) if process.environment is not None else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches the supervisor only, and it stops them in order
    )


def answers(host: str, port: int) -> bool:
    """Tell whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def check_free(name: str, host: str, port: int, *, fix: str) -> None:
    """Raise StartError where the port can't be listened at."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise StartError(
                f"Port {port} on {host}, for {name}, can't be used: {error.strerror}. {fix}"
            ) from error


def _send(child: _Child, number: int) -> None:
    if child.handle is not None:
        with suppress(ProcessLookupError):
            child.handle.send_signal(number)


def _kill_group(child: _Child) -> None:
    """Kill what is left of a child and of its own children."""
    if child.handle is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.handle.pid, signal.SIGKILL)


def _lives(child: _Child) -> bool:
    return child.handle is not None and child.handle.poll() is None


def _dead_child() -> int | None:
    """Return the number of a child that has ended, and leave it to whoever waits for it."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    named = {int(number): number.name for number in signal.Signals}
    return named.get(-code, f"signal {-code}")  # most real-time ones have no name
