"""`python -m bench.crash [names…] [--short]`: makes the surroundings, then breaks things."""

import os
import sys
from importlib import import_module

import django

from bench.__main__ import free_port, surround

# Short runs may not wait as long for a verdict of death as an installation does.
SHORT = {"MAILOPS_HEARTBEAT_SECONDS": "1", "MAILOPS_DEAD_AFTER_SECONDS": "5"}


def surround_crash(*, is_short: bool) -> None:
    surround()
    receiver, second = free_port(), free_port()
    os.environ |= {
        "MAILOPS_TRUSTED_RELAYS": f"127.0.0.1:{receiver},127.0.0.1:{second}",
        "MAILOPS_STOP_GRACE_SECONDS": "4",
        "CRASH_PORT": str(receiver),
        "CRASH_SECOND_PORT": str(second),
        **(SHORT if is_short else {}),
    }


if __name__ == "__main__":
    surround_crash(is_short="--short" in sys.argv)
    django.setup()
    sys.exit(import_module("bench.crash.program").main(sys.argv[1:]))
