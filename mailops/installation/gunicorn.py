"""Gunicorn's configuration that arguments can't give: its workers die with their master, and give short calls their turn."""

import signal
import sys

from mailops.lib.leash import PR_SET_PDEATHSIG, call

# while a page is made for a tenth of a second, webhook calls wait no longer than that for each of their steps
SWITCH_SECONDS = 0.001


def post_fork(_arbiter: object, _worker: object) -> None:
    call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL))
    sys.setswitchinterval(SWITCH_SECONDS)
