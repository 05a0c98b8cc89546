"""Puts the support table of caniemail, or one of our own form, in the place of the one that mailops brings."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailops.content.gates.clients import IMPORTED, features, from_caniemail


class Command(BaseCommand):
    help = "Read which mail programs support what from a JSON file; --remove goes back to our own table."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, nargs="?")
        parser.add_argument("--remove", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        kept = settings.MAILOPS_HOME / IMPORTED
        if options["remove"]:
            kept.unlink(missing_ok=True)
        elif options["file"] is None:
            raise CommandError("Name a file, or --remove.")
        else:
            try:
                read = json.loads(options["file"].read_text())
                table = {"features": from_caniemail(read) if "data" in read else read["features"]}
                known = kept.read_text() if kept.exists() else None
                kept.write_text(json.dumps(table, ensure_ascii=False))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise CommandError(f"It can't be read: {error!r}") from error
            try:
                features()
            except (ValueError, KeyError, TypeError) as error:
                if known is None:
                    kept.unlink()
                else:
                    kept.write_text(known)
                raise CommandError(f"The table has another form: {error!r}") from error
        self.stdout.write(f"{len(features())} features are known.")
