"""Checks a domain from a shell or in CI: exit code 0 (well), 1 (findings), 2 (could not check)."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.domains.checking import Examination, examine
from mailops.domains.checks.verdict import Verdict
from mailops.domains.expected import expectations
from mailops.domains.models import SEVERITY, CheckStatus, Domain, Requirement
from mailops.lib.resolver import the_resolver
from mailops.protocol.address import domain_key

WELL, FINDINGS, COULD_NOT_CHECK = 0, 1, 2


class Command(BaseCommand):
    help = "Check what a sender domain publishes in DNS; the domain needn't be known to mailops."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--nameserver", metavar="HOST:PORT", action="append")
        parser.add_argument("--selector", action="append", default=[], help="a DKIM selector")
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--fail-on", choices=["warning", "error"], default="error")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            name = domain_key(options["name"])
            asks = the_resolver(options["nameserver"])
        except ValueError as error:
            raise CommandError(str(error), returncode=COULD_NOT_CHECK) from error
        domain = Domain.objects.filter(name=name).first()
        extra = [
            Requirement(kind=Requirement.Kind.DKIM_SELECTOR, host=selector, needed_by="--selector")
            for selector in options["selector"]
        ]
        known = list(domain.requirements.all()) if domain else []
        examination = examine(expectations(name, [*known, *extra]), asks)
        self.stdout.write(_as_json(name, examination) if options["json"] else _as_text(examination))
        sys.exit(_exit_code(examination, CheckStatus(options["fail_on"])))


def _exit_code(examination: Examination, fail_on: CheckStatus) -> int:
    statuses = [verdict.status for verdict in examination.verdicts]
    if any(SEVERITY[status] >= SEVERITY[fail_on] for status in statuses):
        return FINDINGS
    return COULD_NOT_CHECK if CheckStatus.UNKNOWN in statuses else WELL


def _as_json(name: str, examination: Examination) -> str:
    checks = [
        {
            "check": verdict.check,
            "status": verdict.status.value,
            "finding": verdict.sentence,
            "fix": verdict.fix,
            "rfc": verdict.rfc,
            "evidence": list(verdict.evidence),
        }
        for verdict in examination.verdicts
    ]
    return json.dumps({"domain": name, "checks": checks}, indent=2)


def _as_text(examination: Examination) -> str:
    return "\n".join(line for verdict in examination.verdicts for line in _lines(verdict))


def _lines(verdict: Verdict) -> list[str]:
    lines = [f"{verdict.status.value:8}{verdict.check}: {verdict.sentence}"]
    return [*lines, f"        {verdict.fix}"] if verdict.fix else lines
