"""Reads the receiver's log: who got how many mails, and when the last came."""

import json
from collections import Counter
from pathlib import Path


class Witness:
    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._taken: Counter[str] = Counter()
        log.unlink(missing_ok=True)
        log.touch()

    def taken(self) -> Counter[str]:
        """Return how often each recipient's mail was taken until now."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._taken[json.loads(line)["recipient"]] += 1
        return self._taken

    def count(self) -> int:
        return self.taken().total()
