"""Serves the demo's zones on loopback until it is stopped, and each key that is made for its domains."""

import signal
import sys
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from mailops.domains.demo_zones import demo_zones, made_keys
from mailops.lib.nameserver import Nameserver, Zones
from mailops.lib.resolver import parse_nameserver

LOOPBACK = {"127.0.0.1", "::1"}
LOOK_SECONDS = 2.0  # after which a key that was made is shown


def _zones() -> Zones | None:
    """Return what is to be served; None while the database is away."""
    try:
        return {**demo_zones(), **made_keys()}
    except DatabaseError:
        connection.close()
        return None


class Command(BaseCommand):
    help = "Answer DNS for the demo's domains and the keys that were made for them, on loopback, over UDP and TCP."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--listen",
            metavar="HOST:PORT",
            help="a loopback address; by default where the demo asks, PORT + 3000, whatever MAILOPS_NAMESERVERS says",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        text = options["listen"] or settings.MAILOPS_DEMO_NAMESERVER
        try:
            host, port = parse_nameserver(text)
        except ValueError as error:
            raise CommandError(f"Give --listen 127.0.0.1:5300: {error}") from error
        if host not in LOOPBACK:
            raise CommandError(f"The demo's name server listens on loopback only, not on {host}.")
        stop = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        try:
            with Nameserver(_zones() or demo_zones(), host=host, port=port) as server:
                sys.stdout.write(f"demo name server is ready at {server.address}\n")
                sys.stdout.flush()
                while not stop.wait(LOOK_SECONDS):
                    server.answer_for(_zones() or server.zones)
        except OSError as error:
            raise CommandError(f"Can't listen on {host}:{port}: {error}") from error
