"""Checks a domain from a shell or in CI: exit code 0 (well), 1 (findings), 2 (could not check)."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from mailops.domains.checks.dkim import find_selectors
from mailops.domains.checks.verdict import Verdict
from mailops.domains.examining import Examination, examine
from mailops.domains.expected import Expectations, Way, expectations, expectations_of
from mailops.domains.models import NOT_OURS_TO_KNOW, SEVERITY, CheckStatus, Domain, Requirement
from mailops.lib.dns_answers import Asks
from mailops.lib.resolver import Memo, resolve, the_resolver
from mailops.protocol.address import domain_key

WELL, FINDINGS, COULD_NOT_CHECK = 0, 1, 2


class Command(BaseCommand):
    help = "Check what a sender domain publishes in DNS; the domain needn't be known to mailops."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument(
            "--nameserver",
            metavar="HOST:PORT",
            action="append",
            help="asked instead of the configured ones; may be given more than once",
        )
        parser.add_argument(
            "--selector",
            action="append",
            default=[],
            help="a DKIM selector; without any, and for a domain unknown to mailops, the usual ones are tried",
        )
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--fail-on", choices=["warning", "error"], default="error")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["name"].strip(" ."):
            raise CommandError(
                "Give a domain name, such as example.com.", returncode=COULD_NOT_CHECK
            )
        try:
            name = domain_key(options["name"])
            asks = the_resolver(options["nameserver"]) if options["nameserver"] else resolve
        except ValueError as error:
            raise CommandError(str(error), returncode=COULD_NOT_CHECK) from error
        expected = _expected(name, options["selector"], asks)
        examination = examine(expected, asks)
        self.stdout.write(_as_json(name, examination) if options["json"] else _as_text(examination))
        sys.exit(_exit_code(examination, CheckStatus(options["fail_on"])))


def _expected(name: str, selectors: list[str], asks: Asks) -> Expectations:
    """Return what `name` should publish: by what we know of it, else by what it publishes itself."""
    known = _known(name)
    if known is None:
        return _of_stranger(name, selectors or find_selectors(name, Memo(asks)))
    extra = _expectations(name, selectors).selectors
    names = [selector.name for selector in extra]
    ways = (
        replace(way, selectors=tuple(dict.fromkeys([*way.selectors, *names]))) for way in known.ways
    )
    return replace(
        known, selectors=tuple(dict.fromkeys([*known.selectors, *extra])), ways=tuple(ways)
    )


def _of_stranger(name: str, selectors: list[str]) -> Expectations:
    """Return what a domain should publish that nothing of ours sends for: its mail may have its own return path."""
    expected = _expectations(name, selectors)
    way = Way(
        "mail of the domain itself",
        name,
        tuple(selectors),
        signs_here=False,
        selectors_named="by --selector",
    )
    return replace(
        expected,
        spf=tuple(item for item in expected.spf if item.host == name),
        return_paths=(),
        ways=(way,),
        is_ours=False,
    )


def _expectations(name: str, selectors: list[str]) -> Expectations:
    kind = Requirement.Kind.DKIM_SELECTOR
    rows = [Requirement(kind=kind, host=host, needed_by="--selector") for host in selectors]
    return expectations(name, rows)


def _known(name: str) -> Expectations | None:
    """Return what the database says of `name`; a database that is away knows nothing."""
    try:
        domain = Domain.objects.filter(name=name).first()
        return expectations_of(domain) if domain else None
    except DatabaseError:
        return None


def _exit_code(examination: Examination, fail_on: CheckStatus) -> int:
    if any(SEVERITY[verdict.status] >= SEVERITY[fail_on] for verdict in examination.verdicts):
        return FINDINGS
    is_unknown = any(
        verdict.status is CheckStatus.UNKNOWN and verdict.check not in NOT_OURS_TO_KNOW
        for verdict in examination.verdicts
    )
    return COULD_NOT_CHECK if is_unknown else WELL


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
