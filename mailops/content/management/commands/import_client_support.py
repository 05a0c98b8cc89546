"""Puts the support table of caniemail, or one of our own form, in the place of the one that mailops brings."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailops.content.gates.clients import IMPORTED, features, features_of, from_caniemail


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
            table = _table_of(options["file"])
            try:
                kept.write_text(json.dumps(table, ensure_ascii=False))
            except OSError as error:
                raise CommandError(f"It can't be kept: {error}") from error
        self.stdout.write(f"{len(features())} features are known.")


def _table_of(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text())
        table = {"features": from_caniemail(read) if "data" in read else read["features"]}
        features_of(table)
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} can't be read: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CommandError(
            f"{file} is neither the data of caniemail nor a table of our own form, as content/gates/client_support.json."
        ) from error
    return table
