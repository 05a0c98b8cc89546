"""Asks a stream's checklist in CI: exit code 0 (all hold), 1 (an item doesn't), 2 (could not check)."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mailops.lib.command_line import asking_the_database, named, words
from mailops.rollouts.models import Checklist, ChecklistItem
from mailops.rollouts.probing import checklists_of, probe
from mailops.transports.models import Stream

ALL_HOLD, AN_ITEM_DOES_NOT, COULD_NOT_CHECK = 0, 1, 2


class Command(BaseCommand):
    help = "Probe the checklist of a stream and say which items hold."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("stream", type=words, metavar="STREAM", help="its name")
        parser.add_argument("--list", choices=Checklist.Plan.values, default="production")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        with asking_the_database(returncode=COULD_NOT_CHECK):
            self._check(options)

    def _check(self, options: dict[str, Any]) -> None:
        stream = named(Stream, options["stream"], returncode=COULD_NOT_CHECK)
        wanted = next(one for one in checklists_of(stream) if one.plan == options["list"])
        checklist = probe(wanted)
        items = list(checklist.items.select_related("checklist").order_by("number"))
        self.stdout.write(_as_json(stream, items) if options["json"] else _as_text(items))
        sys.exit(ALL_HOLD if all(item.holds for item in items) else AN_ITEM_DOES_NOT)


def _as_json(stream: Stream, items: list[ChecklistItem]) -> str:
    said = [
        {
            "number": item.number,
            "title": item.title,
            "state": item.state,
            "sentence": item.sentence,
            "fix": item.fix,
        }
        for item in items
    ]
    return json.dumps({"stream": stream.name, "items": said}, indent=2)


def _as_text(items: list[ChecklistItem]) -> str:
    return "\n".join(f"{item.state:8}{item}: {item.sentence} {item.fix}".rstrip() for item in items)
