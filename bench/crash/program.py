"""The command: plays the faults one after another and prints what came of them."""

import argparse
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from types import FrameType

from django.db import Error

from bench import audience
from bench.crash.faults import Fault, load
from bench.crash.judging import HEAD, Verdict, excuse, judge, spoil
from bench.crash.scene import NotPlayedError, Scene
from bench.crash.soak import soak
from bench.program import machine, revision
from bench.stage import ROOT, BenchError, Stage, staged
from mailops.content.models import TemplateVersion
from mailops.lib.postgres import PostgresError

LONGEST = 900  # seconds that one fault may take, whatever it waits for
WRONG = (BenchError, PostgresError, Error, OSError, subprocess.SubprocessError)


def main(arguments: list[str]) -> int:
    faults = load()
    parser = argparse.ArgumentParser(prog="python -m bench.crash", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which faults: {', '.join(faults)}; else all")
    parser.add_argument("--short", action="store_true", help="fewer faults, recipients and blows")
    parser.add_argument(
        "--soak", type=float, metavar="MINUTES", help="break nothing, but send for so long"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(faults):
        parser.error(f"there are no faults called {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGALRM, _overdue)
    chosen = [faults[name] for name in options.names] or [
        fault for fault in faults.values() if fault.is_quick or not options.short
    ]
    try:
        with staged() as stage:
            if options.soak:
                return 0 if soak(stage, options.soak) else 1
            verdicts = play_all(stage, chosen, is_short=options.short)
    except BenchError as error:
        print(f"Nothing was broken: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    keep(verdicts)
    is_ok = all(verdict.is_ok for verdict in verdicts)
    print(json.dumps({"faults": [verdict.figures for verdict in verdicts], "ok": is_ok}))
    return 0 if is_ok else 1


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that everything is ended in order


def _overdue(_number: int, _frame: FrameType | None) -> None:
    raise BenchError(f"it took longer than {LONGEST} s")


def play_all(stage: Stage, faults: list[Fault], *, is_short: bool) -> list[Verdict]:
    version = audience.make_version()
    print("  ".join(_cells(HEAD)))
    return [play(stage, fault, version, is_short=is_short) for fault in faults]


def play(stage: Stage, fault: Fault, version: TemplateVersion, *, is_short: bool) -> Verdict:
    extent = fault.short if is_short else fault.long
    scene = Scene(stage, fault.name, version, extent.recipients, extent.times, is_short)
    keeping = set(stage.processes)
    begun_at = time.monotonic()
    try:
        verdict = strike(fault, scene)
    finally:
        stage.stop(*(set(stage.processes) - keeping))
    tell(fault, verdict, time.monotonic() - begun_at)
    return verdict


def strike(fault: Fault, scene: Scene) -> Verdict:
    """Play a fault and judge it; what goes wrong with the playing itself is a finding, and the next one has its turn."""
    signal.alarm(LONGEST)
    try:
        try:
            fault.play(scene)
        except NotPlayedError as missing:
            return excuse(scene, str(missing))
        except WRONG as error:
            scene.findings.append(str(error))
        seconds = scene.settle()
        scene.find_the_ended()
        return judge(scene, seconds)
    except WRONG as error:
        return spoil(scene, f"it could not be judged: {error}")
    finally:
        signal.alarm(0)


def tell(fault: Fault, verdict: Verdict, took: float) -> None:
    print("  ".join(_cells(verdict.row)).rstrip())
    print(f"    {fault.about}; took {took:.0f} s")
    if verdict.missing:
        print(f"    NOT PLAYED: {verdict.missing}")
    for note in verdict.notes:
        print(f"    {note}")
    for finding in verdict.findings:
        print(f"    BROKEN: {finding}")
    sys.stdout.flush()


def keep(verdicts: list[Verdict]) -> None:
    """Write what came of it as a table in Markdown, with the machine and the state of mailops."""
    rows = [[*HEAD[:-1], "verdict"], ["---"] * len(HEAD), *(verdict.row for verdict in verdicts)]
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    lines = [f"revision {revision()}; {about}", "", *(f"| {' | '.join(row)} |" for row in rows)]
    file = ROOT / "bench" / "results" / f"crash-{datetime.now(UTC):%Y-%m-%dT%H%M}.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    print(f"Kept in {file.relative_to(ROOT)}")


_WIDTHS = (28, 10, 8, 5, 7, 9, 6, 8, 9, 10)


def _cells(row: list[str]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(row, _WIDTHS, strict=True)]
