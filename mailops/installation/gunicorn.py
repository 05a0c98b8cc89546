"""Gunicorn's configuration that arguments can't give.

Its workers die with their master, give short calls their turn, and let no header say where their addresses begin.
"""

import signal
import sys

from mailops.lib.leash import PR_SET_PDEATHSIG, call

# while a page is made for a tenth of a second, webhook calls wait no longer than that for each of their steps
SWITCH_SECONDS = 0.001

# else SCRIPT_NAME is one, which some proxies hand on from anybody; addresses that are made once would begin with it for ever
forwarder_headers = ""


def post_fork(_arbiter: object, _worker: object) -> None:
    call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL))
    sys.setswitchinterval(SWITCH_SECONDS)
