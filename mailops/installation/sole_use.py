"""Only one mailops works on a home at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailops.lib.supervisor import StartError


class InUse(StartError):
    """Somebody else works on this home."""


@contextmanager
def sole_use_of(home: Path) -> Iterator[None]:
    """Hold the home's lock, or raise InUse; it goes with this process, however that ends."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InUse(
                f"mailops already runs on {home} (process {file.read().strip()})."
                " Stop it first, or set MAILOPS_HOME and PORT for a second one."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
