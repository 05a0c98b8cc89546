"""`python -m bench.crash [names…] [--short]`: makes the surroundings, then breaks things."""

import os
import random
import sys
from contextlib import suppress
from importlib import import_module
from socket import socket

import django

from bench.__main__ import surround

PORTS = 40
LOW, HIGH = 20_000, 32_000  # below those that the kernel gives to whoever asks for any

# Short runs may not wait as long for a verdict of death as an installation does.
SHORT = {"MAILOPS_HEARTBEAT_SECONDS": "1", "MAILOPS_DEAD_AFTER_SECONDS": "5"}


def free_ports(wanted: int) -> list[int]:
    found: list[int] = []
    first = random.randrange(LOW, HIGH - 10 * wanted)  # noqa: S311
    for port in range(first, HIGH):
        with socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == wanted:
            return found
    sys.exit(f"There are no {wanted} free ports between {first} and {HIGH}.")


def surround_crash(*, is_short: bool) -> None:
    surround()
    ports = free_ports(PORTS)
    os.environ |= {
        "MAILOPS_TRUSTED_RELAYS": ",".join(f"127.0.0.1:{port}" for port in ports),
        "MAILOPS_STOP_GRACE_SECONDS": "4",
        "CRASH_PORTS": ",".join(map(str, ports)),
        **(SHORT if is_short else {}),
    }


if __name__ == "__main__":
    surround_crash(is_short="--short" in sys.argv)
    django.setup()
    sys.exit(import_module("bench.crash.program").main(sys.argv[1:]))
