"""Runs the sandbox's SMTP receiver and the reactions of its simulated mailboxes, until SIGTERM."""

import asyncio
import logging
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import suppress as ignoring
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailops.lib.command_line import argument
from mailops.lib.env import host_and_port, number, port_or_any
from mailops.sandbox import reacting, receiving, storing
from mailops.sandbox.receiving import Ledger, Store
from mailops.sandbox.storing import Received

_SECONDS = argument(number(least=0, most=3600))


class Command(BaseCommand):
    help = "Receive mail into the sandbox's test inboxes."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--listen",
            type=argument(partial(host_and_port, read_port=port_or_any)),
            default=settings.MAILOPS_SANDBOX_LISTENER,
            metavar="HOST:PORT",
        )
        parser.add_argument(
            "--log", type=Path, metavar="FILE", help="append a JSON line for each message taken"
        )
        parser.add_argument(
            "--no-store", action="store_true", help="keep nothing and react to nothing, for load"
        )
        parser.add_argument(
            "--any-login", action="store_true", help="offer AUTH and let any credentials in"
        )
        parser.add_argument(
            "--reaction-delay",
            type=_SECONDS,
            default=3.0,
            metavar="SECONDS",
            help="until a reaction",
        )
        parser.add_argument("--slow-seconds", type=_SECONDS, default=5.0, metavar="SECONDS")

    def handle(self, *args: Any, **options: Any) -> None:
        # aiosmtpd tells every command of every session
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        try:
            asyncio.run(self._run(**options))
        except OSError as error:  # the port is taken, or the log can't be written
            raise CommandError(f"The sandbox can't receive mail: {error}") from error

    async def _run(self, **options: Any) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, stop.set)
        host, port = options["listen"]
        ledger = Ledger(options["log"]) if options["log"] else None
        reactions_stop = threading.Event()
        if not options["no_store"]:
            _in_background(lambda: reacting.run(reactions_stop), loop, stop)
        try:
            await receiving.serve(
                host=host,
                port=port,
                store=self._store(ledger, **options),
                stop=stop,
                any_login=options["any_login"],
                slow_seconds=options["slow_seconds"],
                ready=lambda bound: self.stdout.write(f"sandbox receives mail at {host}:{bound}"),
            )
        finally:
            reactions_stop.set()
            if ledger:
                ledger.close()

    def _store(self, ledger: Ledger | None, **options: Any) -> Store:
        keep = partial(storing.store, reaction_delay=timedelta(seconds=options["reaction_delay"]))

        def store(batch: Sequence[Received]) -> None:
            if not options["no_store"]:
                keep(batch)
            if ledger:
                ledger.write(batch)

        return store


def _in_background(
    work: Callable[[], None], loop: asyncio.AbstractEventLoop, stop: asyncio.Event
) -> None:
    """Run `work` in a thread that no stop waits for; should it end, the process stops and is started anew."""

    def watched() -> None:
        try:
            work()
        finally:
            with ignoring(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watched, name="sandbox-reactions", daemon=True).start()
