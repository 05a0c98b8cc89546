"""Runs the sandbox's SMTP receiver and the reactions of its simulated mailboxes, until SIGTERM."""

import asyncio
import signal
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from mailops.sandbox import receiving, storing
from mailops.sandbox.receiving import Ledger, Store
from mailops.sandbox.storing import Received


class Command(BaseCommand):
    help = "Receive mail into the sandbox's test inboxes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--listen", default=settings.MAILOPS_SANDBOX_LISTENER, metavar="HOST:PORT"
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
            "--reaction-delay", type=float, default=3.0, metavar="SECONDS", help="until a reaction"
        )
        parser.add_argument("--slow-seconds", type=float, default=5.0, metavar="SECONDS")

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(self._run(**options))

    async def _run(self, **options: Any) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        host, _, port = options["listen"].rpartition(":")
        ledger = Ledger(options["log"]) if options["log"] else None
        work = [
            receiving.serve(
                host=host.strip("[]"),
                port=int(port),
                store=self._store(ledger, **options),
                stop=stop,
                any_login=options["any_login"],
                slow_seconds=options["slow_seconds"],
                ready=lambda port: self.stdout.write(f"sandbox receives mail at {host}:{port}"),
            )
        ]
        try:
            await asyncio.gather(*work)
        finally:
            stop.set()
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
