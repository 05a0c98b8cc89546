"""Durations as people write them: "30 s", "5 min", "1 h", "3 d"."""

import re
from collections.abc import Iterable

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_WRITTEN = re.compile(
    r"(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)?", re.IGNORECASE
)


def parse_duration(text: str) -> int:
    """Return the seconds of `text`; a bare number is seconds. Raise ValueError."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"“{text.strip()}” is not a duration; write 30 s, 5 min, 1 h or 3 d")
    unit = (found[2] or "s").lower()
    return int(found[1]) * _UNITS["min" if unit.startswith("m") else unit[0]]


def parse_durations(text: str) -> list[int]:
    """Return the seconds of each duration in a list with commas. Raise ValueError."""
    return [parse_duration(part) for part in text.split(",") if part.strip()]


def show_duration(seconds: int) -> str:
    """Return `seconds` in the largest unit that needs no fraction."""
    for unit, size in reversed(_UNITS.items()):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def show_durations(seconds: Iterable[int]) -> str:
    return ", ".join(show_duration(step) for step in seconds)
