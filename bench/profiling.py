"""One campaign under the profiler, and what it made the database do."""

import sys

from bench.contenders import Mailops
from bench.database import begin_watching, statements, work_between, work_of
from bench.processes import spent, usage_of
from bench.receivers import Sink
from bench.stage import HOME, BenchError, staged

FILE = HOME / "profile.txt"


def main(recipients: int = 3000) -> None:
    try:
        with staged(watches=True) as stage:
            sink = Sink(stage)
            mailops = Mailops(stage, sink, profile=FILE)
            mailops.fill(recipients)
            begin_watching(stage)
            before, used = work_of(stage), usage_of(stage)
            seconds = mailops.send()
            cost = spent(used, usage_of(stage))
            work = work_between(before, work_of(stage))
            told = statements(stage)
            stage.stop("bulk1", "bulk2")  # it writes its profile as it ends
    except BenchError as error:
        sys.exit(str(error))
    print(FILE.read_text())
    print(f"{recipients:,} recipients in {seconds:.2f} s under the profiler; for each message:")
    for name, value in cost.items():
        print(f"  {name}: {value * 1e6 / recipients:,.0f} microseconds of processor time")
    for name, number in work.items():
        print(f"  {name}: {number / recipients:.3f}")
    print("\nStatements: for each message calls, microseconds of running and of planning, and rows")
    for *numbers, text in told:
        print("".join(f"{number / recipients:9.3f}" for number in numbers), "", text)
    print(f"\nThe profile of the first worker is in {FILE} (and .pstats)")
