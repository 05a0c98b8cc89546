"""Ports for servers that are told where to listen.

They lie below those that the kernel lends to whoever connects: such a one may be lent between the look and the server's
start. They are drawn by the system's chance, since all workers of one run have the same `random`.
"""

import secrets
import socket
from contextlib import suppress

PORTS = range(10_000, 20_000)


def free_port() -> int:
    """Return a port at which nobody listens."""
    while True:
        port = secrets.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def free_ports(count: int) -> list[int]:
    """Return `count` different ones."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
