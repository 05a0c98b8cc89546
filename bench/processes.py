"""What processes have used: processor time and memory, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.stage import Stage

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Processor seconds since the start, children that ended included, and the peak of resident memory."""

    seconds: float
    peak_mb: float


def usage_of(stage: Stage) -> dict[str, Usage]:
    """Return what each process of the stage has used; the database is one, with all its processes."""
    families = {name: [process.pid] for name, process in stage.processes.items()}
    if stage.server.process is not None:
        families["postgres"] = [stage.server.process.pid]
    children = _children()
    return {name: _sum([_family(pid, children) for pid in pids]) for name, pids in families.items()}


def _sum(families: list[list[int]]) -> Usage:
    used = [_used(pid) for family in families for pid in family]
    return Usage(sum(one.seconds for one in used), max((one.peak_mb for one in used), default=0))


def _family(pid: int, children: dict[int, list[int]]) -> list[int]:
    return [pid, *(each for child in children.get(pid, []) for each in _family(child, children))]


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        if fields := _fields(place):
            children.setdefault(int(fields[1]), []).append(int(place.name))
    return children


def _fields(place: Path) -> list[str]:
    """Return the fields of a process's stat from its state on; none where it has ended."""
    try:
        return (place / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _used(pid: int) -> Usage:
    place = Path(f"/proc/{pid}")
    fields = _fields(place)
    if not fields:
        return Usage(0, 0)
    ticks = sum(map(int, fields[11:15]))  # user and system time, its own and its ended children's
    peak = 0
    for line in (place / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            peak = int(line.split()[1])
    return Usage(ticks / _TICK, peak / 1024)


def resident_megabytes(pid: int) -> float:
    """Return the memory that one process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def spent(before: dict[str, Usage], after: dict[str, Usage]) -> dict[str, float]:
    """Return the processor seconds that each process has used between two readings, where they count."""
    nothing = Usage(0, 0)
    used = {name: after[name].seconds - before.get(name, nothing).seconds for name in after}
    return {name: round(seconds, 3) for name, seconds in used.items() if seconds >= 0.01}
