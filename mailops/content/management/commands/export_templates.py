"""Writes all templates as files: source, sample and meta as YAML."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.content.filing import export_templates


class Command(BaseCommand):
    help = "Write the drafts of all templates below a folder, to be kept in git."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            written = export_templates(options["folder"])
        except OSError as error:
            raise CommandError(f"The folder can't be written: {error}") from error
        for folder in written:
            self.stdout.write(str(folder))
