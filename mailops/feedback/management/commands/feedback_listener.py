"""Runs the SMTP server of the return-path host, and listens to mailboxes, until SIGTERM."""

import asyncio
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailops.feedback import listening
from mailops.feedback.idling import Listening
from mailops.feedback.tasks import read_mailbox_soon
from mailops.lib.command_line import argument
from mailops.lib.env import host_and_port, port_or_any

STOP_SECONDS = 2.0  # for mailboxes to be hung up on


class Command(BaseCommand):
    help = "Take bounces, complaints and unsubscribe mails at the return-path host, and listen to mailboxes."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        host, port = host_and_port(settings.MAILOPS_FEEDBACK_LISTENER)
        parser.add_argument("--host", default=host)
        parser.add_argument("--port", type=argument(port_or_any), default=port)

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
        mailboxes = Listening(read_mailbox_soon)
        thread = threading.Thread(target=mailboxes.run, name="mailboxes", daemon=True)
        thread.start()
        try:
            await listening.serve(
                host=host,
                port=port,
                stop=stop,
                ready=lambda port: self.stdout.write(f"feedback is taken at {host}:{port}"),
            )
        finally:
            mailboxes.stop()
            thread.join(STOP_SECONDS)
