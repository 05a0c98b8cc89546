"""Brings the database up to this version: tables, queues, and on an embedded installation a demo to look at."""

import logging
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mailops.dispatch.restoring import look
from mailops.incidents.models import Watch
from mailops.installation.demands import unmet_demands
from mailops.installation.deploys import record_deploy
from mailops.installation.first_account import make_first_account
from mailops.installation.static_files import collect_static_files
from mailops.lib import broker
from mailops.lib.postgres import Server
from mailops.lib.sealed import rows_without_key

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Migrate, make the queues, and fill the demo where there is one; safe to run again."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--restored",
            action="store_true",
            help="treat the database as one that was restored from a backup, whatever the epoch file says",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.MAILOPS_IS_EMBEDDED:
            _make_database()
        if unmet := list(unmet_demands()):
            raise CommandError("\n".join(["mailops can't work with this database:", *unmet]))
        call_command("migrate", interactive=False, verbosity=0)
        if settings.CELERY_BROKER_URL.startswith("pgmq"):
            broker.install(settings.CELERY_TASK_QUEUES)
        look(force=options["restored"])  # before anything can send
        _tell_of_missing_keys()
        collect_static_files()
        if settings.MAILOPS_DEMO:
            make_first_account(settings.MAILOPS_HOME)
            call_command("fill_demo")
        record_deploy()  # last: what the demo tells of was before it
        Watch.objects.begin()


def _tell_of_missing_keys() -> None:
    """Say it before mail stops over it: a database that was moved or restored came without its keys."""
    if lost := rows_without_key():
        logger.error(
            "%d rows hold secrets that can't be opened, since the key that sealed them is not among MAILOPS_SECRET_KEYS: put "
            "the keys of this database back (docs/operations.md, back up and restore), or set those secrets again",
            lost,
        )


def _make_database() -> None:
    try:
        Server(settings.MAILOPS_HOME).make_database()
    except psycopg.OperationalError as error:
        raise CommandError(
            "The embedded database does not run: it starts with mailops (make up)."
        ) from error
