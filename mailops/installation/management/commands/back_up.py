"""Copies the embedded database to a file, while mailops runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailops.installation.backing_up import back_up
from mailops.lib.postgres import PostgresError
from mailops.lib.supervisor import StartError


class Command(BaseCommand):
    help = (
        "Writes the embedded database to FILE, by pg_dump, as it is at one moment; mailops may run meanwhile, or be stopped. "
        "The keys are not in it: keep a copy of secrets.json beside it."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="is replaced once the new one is whole"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.MAILOPS_IS_EMBEDDED:
            raise CommandError(
                "DATABASE_URL names a server of yours: back it up as you do others, by pg_dump --format=custom say."
            )
        home, file = settings.MAILOPS_HOME, options["file"]
        if not file.parent.is_dir():
            raise CommandError(
                f"There is no folder {file.parent}: make it, for the user that calls this."
            )
        try:
            back_up(home=home, binaries=settings.MAILOPS_POSTGRES_BIN, file=file)
        except (PostgresError, StartError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"The database is in {file} ({file.stat().st_size:,} bytes). Keep {home / 'secrets.json'} with it, and both away "
            "from this machine."
        )
