"""Runs the SMTP server of the return-path host, until SIGTERM."""

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailops.feedback import listening


class Command(BaseCommand):
    help = "Take bounces, complaints and unsubscribe mails at the return-path host."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        host, _, port = settings.MAILOPS_FEEDBACK_LISTENER.rpartition(":")
        parser.add_argument("--host", default=host.strip("[]"))
        parser.add_argument("--port", type=int, default=int(port))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(self._run(options["host"], options["port"]))
        except OSError as error:
            raise CommandError(
                f"can't listen at {options['host']}:{options['port']}: {error}"
            ) from error

    async def _run(self, host: str, port: int) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await listening.serve(
            host=host,
            port=port,
            stop=stop,
            ready=lambda port: self.stdout.write(f"feedback is taken at {host}:{port}"),
        )
