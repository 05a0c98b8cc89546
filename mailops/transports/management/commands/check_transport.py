"""Runs the connection test of one transport; exits with 1 if it fails, for use in CI."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.transports.diagnosis import Diagnosis, run_test
from mailops.transports.models import Transport


class Command(BaseCommand):
    help = "Tries a transport step by step: resolve, connect, TLS, log-in; nothing is sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the transport's name")
        parser.add_argument(
            "--recipient", default="", help="also ask whether it takes mail to this address"
        )
        parser.add_argument("--json", action="store_true", help="print the whole result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        transport = Transport.objects.filter(name=options["name"]).first()
        if transport is None:
            raise CommandError(f"There is no transport named {options['name']!r}.")
        found = run_test(transport, recipient=options["recipient"], by="check_transport")
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), indent=2))
        else:
            self._print(found)
        if not found.is_ok:
            raise CommandError(f"{found.what} {found.fix}")

    def _print(self, found: Diagnosis) -> None:
        for step in found.steps:
            self.stdout.write(
                f"{step.status:8}{step.seconds:7.3f} s  {step.title}: {step.sentence or 'ok'}"
            )
