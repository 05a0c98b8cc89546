"""Runs a program on a leash: it gets a signal when its parent dies, and a root's one sheds root first.

Called by path, so that it costs no imports: `leash.py PARENT SIGNAL AS PROGRAM [ARGUMENT…]`, where
AS is `self`, `namespace` (root's own rights under nobody's number, by a user namespace) or `nobody`.
PostgreSQL refuses to run as root; in a namespace its files may still stay in a home that only root enters.
"""

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
CLONE_NEWUSER = 0x10000000
NOBODY = 65534
LEASH = Path(__file__)

libc = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: int) -> None:
    """Call one of libc's functions and raise OSError where it says no."""
    if getattr(libc, function)(*arguments):
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")


def enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", CLONE_NEWUSER)
    process = Path("/proc/self")
    (process / "setgroups").write_text("deny")  # the kernel asks for it before gid_map
    (process / "uid_map").write_text(f"{NOBODY} {uid} 1")
    (process / "gid_map").write_text(f"{NOBODY} {gid} 1")


def become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def leash(number: int, run_as: str = "self") -> list[str]:
    """Return the words before a command that let it get this signal when the present process dies."""
    return [sys.executable, "-IS", str(LEASH), str(os.getpid()), str(int(number)), run_as]


SHED = {"self": lambda: None, "namespace": enter_namespace, "nobody": become_nobody}


def main(parent: str, signal_number: str, run_as: str, *program: str) -> None:
    SHED[run_as]()
    # after the change of user, which clears it
    call("prctl", PR_SET_PDEATHSIG, int(signal_number))
    if os.getppid() != int(parent):
        sys.exit("the parent died before its child began")
    os.execv(program[0], program)  # noqa: S606


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[4]} can't be started: {error}")
