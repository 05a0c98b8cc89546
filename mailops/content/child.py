"""Asks the compiler's child process, which has limits in time and memory, and outlives no request."""

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

PATIENCE = 30  # seconds; the child's own limit is five of processor time
_CHILD = Path(__file__).with_name("compiler_child.py")


class CompileFault(Exception):
    """The source can't be compiled; the text says why."""


@lru_cache(maxsize=64)
def ask_child(act: str, html: str, css: str = "") -> str:
    """Return the HTML that the child makes of `html`; raise CompileFault where it refuses, or died over it."""
    asked = json.dumps({"act": act, "html": html, "css": css, "path": _site_packages()})
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-I", "-S", str(_CHILD)],
            input=asked,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={},
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise CompileFault("Compiling takes too long; the source is too complex.") from error
    except ValueError as error:
        raise CompileFault(
            "The compiler broke off: the source is nested too deeply, or too complex."
        ) from error
    if "error" in answer:
        raise CompileFault(str(answer["error"]))
    made: str = answer["html"]
    return made


def _site_packages() -> list[str]:
    return [folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))]
