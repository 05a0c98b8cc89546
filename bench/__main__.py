"""`python -m bench [quick]`: makes the surroundings, then measures."""

import os
import socket
import sys
from importlib import import_module
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
# what would lead to another installation than the bench's own
FOREIGN = ("DATABASE_URL", "CELERY_BROKER_URL", "PORT", "PGHOST", "PGDATABASE", "PGUSER")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def surround() -> None:
    """Set what mailops' settings read, here and in every process started from here."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    sink, slow, nameserver = free_port(), free_port(), free_port()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "mailops.settings",
        "MAILOPS_HOME": str(ROOT / "bench" / ".home"),
        "MAILOPS_DEMO": "0",
        "MAILOPS_NAMESERVERS": f"127.0.0.1:{nameserver}",
        "MAILOPS_TRUSTED_RELAYS": f"127.0.0.1:{sink},127.0.0.1:{slow}",
        "BENCH_SINK_PORT": str(sink),
        "BENCH_SLOW_PORT": str(slow),
    }


if __name__ == "__main__":
    surround()
    django.setup()
    sys.exit(import_module("bench.program").main(sys.argv[1:]))
