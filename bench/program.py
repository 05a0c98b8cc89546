"""The command: which figures are taken, and how they are told."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import charts, end_to_end, growth, latency, overtaking, rendering
from bench.end_to_end import Course, Field
from bench.receivers import program
from bench.stage import ROOT, BenchError, Stage, staged

QUICK_RECIPIENTS, QUICK_SECONDS = 5_000, 50
RECIPIENTS, ROUNDS = 20_000, 5
DISTANT_RECIPIENTS = 8_000
SIZES = (10_000, 100_000)
MILLION = 1_000_000
OVERTAKEN_RECIPIENTS = 10_000
CHART_SIZES = (100_000, 1_000_000)  # messages behind the pages
# the million comes last of what is sent: what of it is not lies in the way of whatever follows
ORDER = ["f", "a", "b", "c", "e", "d", "g"]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="quick|a|b|c|d|e|f|g", help="which figures; all but quick"
    )
    parser.add_argument(
        "--million", action="store_true", help="send the million of (d) to its end, for (c)"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="fewer recipients, to try whether all is well"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - {"quick", *ORDER}:
        parser.error(f"there are no figures called {', '.join(sorted(unknown))}")
    try:
        for needed in ("smtp-sink", "smtp-source"):
            program(needed)
        if "quick" in options.parts:
            quick()
        else:
            whole(set(options.parts or ORDER), options)
    except BenchError as error:
        print(f"No figures: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def quick() -> None:
    """Take (a) with fewer recipients, as often as a minute allows."""
    with staged() as stage:
        courses = end_to_end.race(
            Field(stage), QUICK_RECIPIENTS, rounds=ROUNDS, budget_seconds=QUICK_SECONDS
        )
    tell_courses(courses)
    print(json.dumps(summary(courses)))


def whole(parts: set[str], options: argparse.Namespace) -> None:
    """Take the figures of each part; what was taken is kept even where a later part fails."""
    figures: dict[str, Any] = {"revision": revision(), "machine": machine()}
    try:
        if sending := sorted(parts - {"g"}, key=ORDER.index):
            with staged() as stage:
                for taken in _race(stage, sending, options):
                    figures |= taken
        if "g" in parts:  # behind messages of its own, in a database without any other
            with staged():
                figures |= take_charts(options)
    finally:
        keep(figures)


def _race(stage: Stage, parts: list[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    if "f" in parts:
        yield take_rendering()
    if others := [part for part in parts if part != "f"]:
        field = Field(stage)
        for part in others:
            yield TAKERS[part](field, options)


def scaled(recipients: int, options: argparse.Namespace) -> int:
    return max(100, round(recipients * float(options.scale)))


def take_end_to_end(field: Field, options: argparse.Namespace) -> dict[str, Any]:
    courses = end_to_end.race(field, scaled(RECIPIENTS, options), rounds=ROUNDS)
    tell_courses(courses)
    return {
        "end_to_end": {
            **summary(courses),
            "contenders": {name: course.figures for name, course in courses.items()},
        }
    }


def take_latency(field: Field, options: argparse.Namespace) -> dict[str, Any]:
    shares = latency.measure(field, scaled(DISTANT_RECIPIENTS, options), rounds=ROUNDS)
    tell(
        f"(b) To a receiver {latency.LATENCY * 1000:.0f} ms away, 20 sessions",
        latency.HEAD,
        [share.row for share in shares],
    )
    return {"latency": {share.name: share.figures for share in shares}}


def take_growth(field: Field, options: argparse.Namespace) -> dict[str, Any]:
    launches = [growth.launch(field.mailops, scaled(size, options)) for size in SIZES]
    tell_launches("(c) Growing campaigns, from the launch on", launches)
    return {"growth": [launch.figures for launch in launches]}


def take_million(field: Field, options: argparse.Namespace) -> dict[str, Any]:
    launch = growth.launch(field.mailops, scaled(MILLION, options), to_the_end=options.million)
    tell_launches("(d) The launch of a million", [launch])
    return {"million": launch.figures}


def take_overtaking(field: Field, options: argparse.Namespace) -> dict[str, Any]:
    taken = overtaking.measure(field.mailops, scaled(OVERTAKEN_RECIPIENTS, options), rounds=ROUNDS)
    tell("(e) Transactional mail beside a campaign", overtaking.HEAD, [taken.row])
    return {"overtaking": taken.figures}


def take_rendering() -> dict[str, Any]:
    """Take what needs no other process; it comes first, while nothing else runs."""
    renders, of_renders = rendering.measure_renders()
    tell("(f) Rendering a mail: subject, HTML and text, on one core", rendering.HEAD, renders)
    times, of_times = rendering.measure_times()
    tell("(f) What an author waits for", rendering.TIMES_HEAD, times)
    return {"rendering": {"us_a_mail": of_renders, "ms": of_times}}


def take_charts(options: argparse.Namespace) -> dict[str, Any]:
    return {"charts": charts.take([scaled(size, options) for size in CHART_SIZES])}


TAKERS = {
    "a": take_end_to_end,
    "b": take_latency,
    "c": take_growth,
    "d": take_million,
    "e": take_overtaking,
}


def tell_launches(title: str, launches: list[growth.Launch]) -> None:
    tell(title, growth.HEAD, [launch.row for launch in launches])
    print("  Megabytes after the last, rows and indexes:")
    for name, (table, index) in launches[-1].megabytes.items():
        if table + index >= 1:
            print(f"    {name}: {table:,.1f} and {index:,.1f}")


def summary(courses: dict[str, Course]) -> dict[str, float]:
    rates = {f"{name}_per_s": round(course.per_s, 1) for name, course in courses.items()}
    ratio = courses["mailops"].per_s / courses["smtp_source"].per_s
    return {**rates, "ceiling_ratio": round(ratio, 4)}


def tell_courses(courses: dict[str, Course]) -> None:
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


def revision() -> str:
    """Return which state of mailops is measured, as git names it; empty outside a clone."""
    git = shutil.which("git")
    if git is None:
        return ""
    asked = [git, "describe", "--always", "--dirty"]
    return subprocess.run(
        asked, cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout.strip()


def machine() -> dict[str, Any]:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processors": os.cpu_count(),
        "processor": names[0] if names else platform.machine(),
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
