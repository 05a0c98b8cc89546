"""Evaluates SPF for an envelope as a receiver would, and says why."""

import ipaddress
import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.lib.resolver import Memo, the_resolver
from mailops.protocol.spf import Evaluation, evaluate
from mailops.protocol.spf_envelope import Envelope

SECONDS = 20  # for all questions together (RFC 7208 section 4.6.4)
NONSENSE = 2


class Command(BaseCommand):
    help = "Say what SPF (RFC 7208) makes of a client that sends for an address; asks DNS and no database."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ip", required=True, help="the address that connects")
        parser.add_argument("--sender", required=True, help="MAIL FROM; empty for the null sender")
        parser.add_argument("--helo", default="", help="the name given in HELO or EHLO")
        parser.add_argument("--receiver", default="unknown", help="who checks, for the macro r")
        parser.add_argument("--nameserver", metavar="HOST:PORT", action="append")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            ip = ipaddress.ip_address(options["ip"].strip())
            if "%" in str(ip):
                raise ValueError(f"{ip} is an address of one link only")  # noqa: TRY301
            asks = Memo(the_resolver(options["nameserver"]), seconds=SECONDS)
        except ValueError as error:
            raise CommandError(str(error), returncode=NONSENSE) from error
        envelope = Envelope(
            ip, options["sender"], options["helo"], options["receiver"], int(time.time())
        )
        said = evaluate(envelope, asks)
        self.stdout.write(json.dumps(asdict(said), indent=2) if options["json"] else _as_text(said))


def _as_text(said: Evaluation) -> str:
    counted = f"{said.lookups} lookups, {said.voids} of them void"
    lines = [f"{said.result}: {said.reason}", *said.questions, counted]
    return "\n".join([*lines, f"Explanation: {said.explanation}"] if said.explanation else lines)
