"""Reads templates from files into drafts; a dry run says what would change."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.content.filing import changes_of, import_templates
from mailops.content.folders import BadFile, read_templates


class Command(BaseCommand):
    help = "Read what export_templates wrote into the drafts; nothing is published."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="say what would change")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            filed = read_templates(options["folder"])
            dry = options["dry_run"]
            changes = changes_of(filed) if dry else import_templates(filed, actor=None)
        except (BadFile, OSError) as error:
            raise CommandError(str(error)) from error
        for change in changes:
            fields = f": {', '.join(change.fields)}" if change.fields else ""
            self.stdout.write(f"{change.word:9}{change.filed.name}{fields}")
