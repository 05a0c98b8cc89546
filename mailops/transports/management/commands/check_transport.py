"""Tests the connection of a transport from a shell or in CI: exit code 0 (well), 1 (findings), 2 (could not check)."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mailops.lib.command_line import argument, asking_the_database, named, words
from mailops.protocol.address import parse_address
from mailops.transports.diagnosis import run_test
from mailops.transports.findings import Diagnosis
from mailops.transports.models import Transport

WELL, FINDINGS, COULD_NOT_CHECK = 0, 1, 2
NOT_THE_TRANSPORTS = frozenset({"dns_silent"})  # what says nothing about the transport itself


class Command(BaseCommand):
    help = "Tries a transport step by step: resolve, connect, TLS, log-in; nothing is sent."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", type=words, metavar="NAME", help="the transport's name")
        parser.add_argument(
            "--recipient",
            type=argument(_addr_spec),
            help="also ask whether it takes mail to this address",
        )
        parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
        parser.add_argument("--fail-on", choices=["warning", "error"], default="error")

    def handle(self, *args: Any, **options: Any) -> None:
        with asking_the_database(returncode=COULD_NOT_CHECK):
            transport = named(Transport, options["name"], returncode=COULD_NOT_CHECK)
            found = run_test(transport, recipient=options["recipient"] or "", by="check_transport")
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), indent=2))
        else:
            self._print(found)
        sys.exit(_exit_code(found, fails_on_warning=options["fail_on"] == "warning"))

    def _print(self, found: Diagnosis) -> None:
        for step in found.steps:
            self.stdout.write(
                f"{step.status:8}{step.seconds:7.3f} s  {step.title}: {step.sentence or 'ok'}"
            )
        if not found.is_ok:
            self.stdout.write(f"{found.what} {found.fix}")
            self.stdout.write(found.detail)


def _addr_spec(raw: str) -> str:
    return parse_address(raw).addr_spec


def _exit_code(found: Diagnosis, *, fails_on_warning: bool) -> int:
    if not found.is_ok:
        return COULD_NOT_CHECK if found.cause in NOT_THE_TRANSPORTS else FINDINGS
    has_warning = any(step.status == "warning" for step in found.steps)
    return FINDINGS if fails_on_warning and has_warning else WELL
