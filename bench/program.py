"""The command: which figures are taken, and how they are told."""

import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import end_to_end
from bench.stage import ROOT, BenchError, Stage, staged

QUICK_RECIPIENTS, QUICK_SECONDS = 5_000, 50
RECIPIENTS, ROUNDS = 20_000, 5


def main(arguments: list[str]) -> int:
    try:
        with staged() as stage:
            if arguments == ["quick"]:
                quick(stage)
            else:
                whole(stage)
    except BenchError as error:
        print(f"These figures are worth nothing: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def quick(stage: Stage) -> None:
    """Take (a) with fewer recipients, as often as a minute allows."""
    field = end_to_end.Field(stage)
    courses = end_to_end.race(field, QUICK_RECIPIENTS, rounds=ROUNDS, budget_seconds=QUICK_SECONDS)
    tell_courses(courses)
    print(json.dumps(summary(courses)))


def whole(stage: Stage) -> None:
    field = end_to_end.Field(stage)
    courses = end_to_end.race(field, RECIPIENTS, rounds=ROUNDS)
    tell_courses(courses)
    keep({"machine": machine(), "end_to_end": summary(courses)})


def summary(courses: dict[str, end_to_end.Course]) -> dict[str, float]:
    rates = {f"{name}_per_s": round(course.per_s, 1) for name, course in courses.items()}
    ratio = courses["mailops"].per_s / courses["smtp_source"].per_s
    return {**rates, "ceiling_ratio": round(ratio, 4)}


def tell_courses(courses: dict[str, end_to_end.Course]) -> None:
    tell(
        "(a) End to end, first claim to last result",
        end_to_end.HEAD,
        [c.row for c in courses.values()],
    )
    print("\nProcessor time of a message, in microseconds, by process (the last turn of each):")
    for course in courses.values():
        micros = ", ".join(f"{name} {used:,}" for name, used in course.processor_micros().items())
        print(f"  {course.name}: {micros}")


def tell(title: str, head: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}")
    for row in [head, *rows]:
        print(
            "  "
            + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def machine() -> dict[str, Any]:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processors": len(names),
        "processor": names[0],
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def keep(figures: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    folder = ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    file = folder / f"{now:%Y-%m-%dT%H%M}.json"
    file.write_text(json.dumps({"taken_at": now.isoformat(), **figures}, indent=2) + "\n")
    print(f"\nKept in {file.relative_to(ROOT)}")
