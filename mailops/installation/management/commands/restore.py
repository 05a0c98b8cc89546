"""Puts a backup in the place of the embedded database."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailops.dispatch.epochs import epoch
from mailops.installation.backing_up import NoBackup, restore
from mailops.lib.postgres import PostgresError
from mailops.lib.supervisor import StartError


class Command(BaseCommand):
    help = (
        "Puts what back_up wrote in the place of the embedded database, which is kept beside it; stop mailops first. "
        "A backup of an older PostgreSQL becomes one of the newer."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.MAILOPS_IS_EMBEDDED:
            raise CommandError(
                "DATABASE_URL names a server of yours: make an empty database there, and fill it by pg_restore."
            )
        try:
            restored = restore(
                home=settings.MAILOPS_HOME,
                binaries=settings.MAILOPS_POSTGRES_BIN,
                file=options["file"],
            )
        except NoBackup as error:
            raise CommandError(_not_restored(error)) from error
        except (PostgresError, StartError, OSError) as error:
            raise CommandError(str(error)) from error
        if restored.kept:
            self.stdout.write(
                f"The database that was there is kept in {restored.kept}: remove it once all is well."
            )
        self.stdout.write(_how_to_start(restored.lineage))


def _not_restored(error: NoBackup) -> str:
    technical = f"\nTechnical: {error.technical}" if error.technical else ""
    return f"{error} Nothing was changed: what was there is as it was.{technical}"


def _how_to_start(lineage: str) -> str:
    if epoch.file.remembered(lineage).fence:
        return f"Restored. Start mailops (make up): by {epoch.file.path} it sees whether mail was sent since the backup."
    return (
        f"Restored. {epoch.file.path} knows nothing of this database, so nobody can see whether mail was sent since the "
        "backup. Was mailops stopped before it and did not run again, start it (make up). Else start it once by "
        ".venv/bin/python manage.py up --restored: what may have been sent then waits for a person."
    )
