"""How far the database had come, written down outside of it, so that one restored from a backup is known (states.md).

Each sending process appends to one file of its machine: what it committed with each heartbeat, and what it claimed
before any of that may leave. A database that knows less than its file was restored. Lines name the database's lineage,
since a machine may serve several.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from django.conf import settings

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024  # then the lines are folded into what they come to
COMMITTED, CLAIMED = "committed", "claimed"
LOCK_SECONDS = 1.0  # that a line waits for those of others


@dataclass(frozen=True)
class Remembered:
    """The highest fences of one lineage that its file names; 0: none."""

    committed: int = 0  # the database has, or had, a worker's row with it
    claimed: int = 0  # the database's sequence is, or was, there

    @property
    def fence(self) -> int:
        return max(self.committed, self.claimed)


class EpochFile:
    """The file of one machine; every process of it appends, and what can't be written stops no mail."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, word: str, lineage: str, fence: int) -> None:
        """Add a line; what was committed is on the disk when this returns, what was claimed is in the system's hands."""
        line = f"{word} {lineage} {fence}\n".encode()
        try:
            with self._locked():
                descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    os.write(descriptor, line)
                    if word == COMMITTED:
                        os.fsync(descriptor)
                        if os.fstat(descriptor).st_size > MOST_BYTES:
                            self._fold()
                finally:
                    os.close(descriptor)
        except OSError as error:
            _complain(self.path, str(error))

    def remembered(self, lineage: str) -> Remembered:
        """Return what the file knows of a lineage; a line that a crash of the machine tore is passed over."""
        return self._all().get(lineage, Remembered())

    def _all(self) -> dict[str, Remembered]:
        try:
            text = self.path.read_text(errors="replace")
        except FileNotFoundError:
            return {}
        except OSError as error:
            _complain(self.path, str(error))
            return {}
        found: dict[str, dict[str, int]] = {}
        for line in text.splitlines(keepends=True):
            match line.split():
                case [(("committed" | "claimed") as word), lineage, fence] if (
                    line.endswith("\n") and fence.isdecimal() and len(fence) < 19
                ):
                    known = found.setdefault(lineage, {COMMITTED: 0, CLAIMED: 0})
                    known[word] = max(known[word], int(fence))
        return {lineage: Remembered(**known) for lineage, known in found.items()}

    def _fold(self) -> None:
        kept = self._all().items()
        beside = self.path.with_suffix(".new")
        with beside.open("w") as file:
            for lineage, known in kept:
                file.write(f"{COMMITTED} {lineage} {known.committed}\n")
                file.write(f"{CLAIMED} {lineage} {known.claimed}\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # a file of its own, since folding puts another in the place of the first
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock the file for this process, or raise OSError after a moment: whoever has it may be frozen.

    The system's own wait would last as long as that, and stop all threads of gevent with it.
    """
    ends_at = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                raise
            time.sleep(0.005)
        else:
            return


@lru_cache(maxsize=16)
def _complain(path: Path, reason: str) -> None:
    """Say once that the file is of no use; mail goes on, since that is worth more."""
    logger.error(
        "%s can't be read or written (%s): a database that is restored would not be noticed",
        path,
        reason,
    )


class Epoch:
    """What this process claimed and committed, of the lineage that its database has."""

    def __init__(self) -> None:
        self.lineage = ""  # empty until the database was looked at: then nothing is written
        self.claimed = 0
        self.committed = 0
        self._changing = Lock()  # the heart is a thread of its own

    @property
    def file(self) -> EpochFile:
        return EpochFile(settings.MAILOPS_EPOCH_FILE)

    def begin(self, lineage: str, *, anew: bool) -> None:
        """Write for `lineage` from now on; `anew` after a restore, which the database knows of by itself."""
        if anew or lineage != self.lineage:
            self.lineage, self.claimed, self.committed = lineage, 0, 0

    def note_claim(self, fences: list[int]) -> None:
        """Write down what was claimed, before anything of it leaves."""
        if fences and self.lineage:
            self.note_drawn(max(fences))
            self.file.append(CLAIMED, self.lineage, self.claimed)

    def note_drawn(self, fence: int) -> None:
        with self._changing:
            self.claimed = max(self.claimed, fence)

    def note_commit(self, fence: int) -> None:
        """Write down what the worker's row was told to know, after that is committed."""
        if self.lineage:
            self.committed = max(self.committed, fence)
            self.file.append(COMMITTED, self.lineage, self.committed)


epoch = Epoch()  # of this process
