"""Gunicorn's configuration that arguments can't give: its workers die with their master."""

import signal

from mailops.lib.leash import PR_SET_PDEATHSIG, call


def post_fork(_arbiter: object, _worker: object) -> None:
    call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL))
