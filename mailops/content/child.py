"""Asks the compiler's child process, which has limits in time and memory; one is kept warm, for who types waits for it."""

import atexit
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

PATIENCE = 30  # seconds; the child's own limit is five of processor time
KEPT = 2  # idle children of this process
ASKED_AT_MOST = 200  # times; then another one takes its place, whatever its memory has become
_CHILD = Path(__file__).with_name("compiler_child.py")


class CompileFault(Exception):
    """The source can't be compiled; the text says why."""


class _Child:
    """One process, asked one thing after another; it ends when its standard input does, so with us at the latest."""

    def __init__(self) -> None:
        path = json.dumps(
            [each for each in sys.path if each.endswith(("site-packages", "dist-packages"))]
        )
        self.asked = 0
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-I", "-S", str(_CHILD), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )

    def ask(self, question: Mapping[str, str]) -> dict[str, str]:
        """Return its answer; raise OSError, TimeoutError or ValueError where there is none."""
        assert self.process.stdin
        self.asked += 1
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, str] = json.loads(self._line())
        return answer

    def _line(self) -> bytes:
        assert self.process.stdout
        ends_at = time.monotonic() + PATIENCE
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            ready = select.select([self.process.stdout], [], [], max(0, ends_at - time.monotonic()))
            if not ready[0]:
                raise TimeoutError
            parts.append(os.read(self.process.stdout.fileno(), 1 << 16))
            if not parts[-1]:
                break
        return b"".join(parts)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


_idle: list[_Child] = []


@lru_cache(maxsize=64)
def ask_child(act: str, html: str, css: str = "") -> str:
    """Return the HTML that the child makes of `html`; raise CompileFault where it refuses, or died over it."""
    question = {"act": act, "html": html, "css": css}
    answer = (_asked(_idle.pop(), question) if _idle else None) or _asked(_Child(), question)
    if answer is None:
        raise CompileFault(
            "The compiler broke off: the source is nested too deeply, or too complex."
        )
    if "error" in answer:
        raise CompileFault(answer["error"])
    return answer["html"]


def _asked(child: _Child, question: Mapping[str, str]) -> dict[str, str] | None:
    """Return the child's answer, None where it died; one that was kept may have died of something else before."""
    is_sound = False
    try:
        answer = child.ask(question)
        is_sound = True
    except TimeoutError as error:
        raise CompileFault("Compiling takes too long; the source is too complex.") from error
    except (OSError, ValueError):
        return None
    finally:
        if is_sound and len(_idle) < KEPT and child.asked < ASKED_AT_MOST:
            _idle.append(child)
        else:
            child.end()
    return answer


@atexit.register
def end_idle() -> None:
    """End the children that are kept."""
    while _idle:
        _idle.pop().end()


def _forget_idle() -> None:
    """Leave them to the process that forked: two at one pipe would get each other's answers."""
    for child in _idle:
        child.process.returncode = 0
    _idle.clear()


os.register_at_fork(after_in_child=_forget_idle)
