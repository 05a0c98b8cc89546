"""Reads the receiver's log: who got how many mails, and when the last came."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path


class Witness:
    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._taken: Counter[str] = Counter()
        self._last: dict[str, float] = {}
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
                mail = json.loads(line)
                self._taken[mail["recipient"]] += 1
                self._last[mail["recipient"]] = mail["at"]
        return self._taken

    def transcribe(self, recipients: Iterable[str]) -> None:
        """Add what a receiver that keeps another kind of log says that it took."""
        with self._log.open("a") as log:
            for recipient in recipients:
                log.write(json.dumps({"at": 0.0, "recipient": recipient}) + "\n")

    def count(self) -> int:
        return self.taken().total()

    def times(self) -> dict[str, float]:
        """Return when each recipient's last mail was taken, by the machine's clock."""
        self.taken()
        return self._last
