"""The one log of a running mailops: each line with its time and the name of its process."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import TextIO

NAME_WIDTH = 13
COLORS = {"mailops": "1", "web": "34", "postgres": "35", "prepare": "36", "beat": "33"}


class Log:
    """Writes what the processes say, for a person or, as JSON, for a collector."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        if isinstance(stream, TextIOWrapper):  # a terminal may have no letters for all that is said
            stream.reconfigure(errors="backslashreplace")
        self._stream = stream
        self._as_json = as_json
        self._has_colors = stream.isatty() and not as_json

    def say(self, name: str, line: str) -> None:
        said = self._json(name, line) if self._as_json else self._readable(name, line)
        with suppress(OSError):  # a full disk under the log must not stop the mail
            self._stream.write(said)
            self._stream.flush()

    def _readable(self, name: str, line: str) -> str:
        if name == "mailops" and line.startswith("mailops is ready"):
            return (
                f"{line}\n"  # bare, so that its address can be clicked and a script can wait for it
            )
        label = f"{name:<{NAME_WIDTH}}"
        if self._has_colors:
            label = f"\033[{COLORS.get(name, '32')}m{label}\033[0m"
        return f"{datetime.now().astimezone():%H:%M:%S} {label} | {line}\n"

    def _json(self, name: str, line: str) -> str:
        if line.startswith("{"):  # a process's own JSON, whole
            return f"{line}\n"
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        return json.dumps({"at": at, "process": name, "text": line}, ensure_ascii=False) + "\n"
