"""Short runs of `make crash`: real processes are killed and cut off, and the receiver's log says what became of the mail."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.waiting import wait_until

pytestmark = pytest.mark.whole

ROOT = Path(settings.BASE_DIR)
# what no other test plays: kills are in tests/dispatch/test_kill.py, presses in tests/wrong_input, and ticks send hints anew
PLAYED = ("deployed_under_load", "database_stopped", "faulty_provider", "webhook_storm")
LONGEST_SECONDS = 1200  # on a busy machine; three minutes on an idle one


def start(*arguments):
    """Start `python -m bench.crash`, as `make` does."""
    foreign = ("MAILOPS_", "DJANGO_", "DATABASE_URL", "SECRET_KEY", "CELERY_", "PG")
    return subprocess.Popen(
        [sys.executable, "-m", "bench.crash", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def offspring():
    """Return the processes of this machine that a crash run of this tree started."""
    home = os.fsencode(ROOT / "bench" / ".home")
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            said = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if home in said:
            found[int(place.name)] = (place / "cmdline").read_bytes()
    return found


@pytest.mark.needs("redis-server")
@pytest.mark.needs("smtp-sink")
def test_nothing_is_lost_and_nothing_doubled():
    run = start("--short", *PLAYED)
    try:
        told, _ = run.communicate(timeout=LONGEST_SECONDS)
    finally:
        run.terminate()
        run.wait(30)
    assert run.returncode == 0, told
    verdict = json.loads(told.splitlines()[-1])
    assert verdict["ok"], told
    assert len(verdict["faults"]) == len(PLAYED)
    for fault in verdict["faults"]:
        assert fault["recipients"], told  # it was played
        assert (fault["lost"], fault["doubled"]) == (0, 0), told
    assert not offspring()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_nothing_running(how):
    run = start("--short", "all_workers_killed")
    try:
        wait_until(
            lambda: sum(b"celery" in command for command in offspring().values()) >= 3,
            seconds=120,
            what="the workers to run",
        )
        run.send_signal(how)
        told, _ = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait(30)
    assert run.returncode == (-how if how == signal.SIGKILL else 130), told
    wait_until(lambda: not offspring(), seconds=20, what="the kernel to end what is on the leash")
