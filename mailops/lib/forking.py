"""A child made by fork: it starts with all that is imported already, so it is up at once and shares its memory."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from mailops.lib.leash import PR_SET_NAME, PR_SET_PDEATHSIG, call, libc


class Forked:
    """The part of Popen's face that a supervisor uses, over a child that calls `work`.

    The parent must have one thread and no connection open: a child would share them.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        parent = os.getpid()
        with suppress(OSError):  # nobody reads the log any more, or its disk is full
            sys.stdout.flush()
        reading, writing = os.pipe()
        self.returncode: int | None = None
        try:
            self.pid = os.fork()
        except OSError:  # no memory, or too many processes: it is tried again and again
            os.close(reading)
            os.close(writing)
            raise
        if self.pid == 0:
            _live(name, work, parent, writing)
        os.close(writing)
        self.stdout = os.fdopen(reading, "rb", buffering=0)

    def poll(self) -> int | None:
        return self._reap(os.WNOHANG)

    def wait(self) -> int | None:
        return self._reap(0)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _reap(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _live(name: str, work: Callable[[], object], parent: int, output: int) -> NoReturn:
    """Become a process of its own, work, and end without what the parent would do at its end."""
    code = 1
    try:
        _part_from(parent, name, output)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001  the outermost frame of this process
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _part_from(parent: int, name: str, output: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit("the parent died before its child began")
    libc.prctl(PR_SET_NAME, name.encode())
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, output, output)):
        os.dup2(source, target)
    # the parent's lock, pipes and selector are not for children
    os.closerange(3, min(65536, os.sysconf("SC_OPEN_MAX")))
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
