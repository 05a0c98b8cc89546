"""Runs the whole of mailops under one supervisor, with one log, until Ctrl-C."""

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mailops.installation import processes
from mailops.installation.first_account import (
    EMAIL,
    how_to_make_one,
    is_without_account,
    password_file,
)
from mailops.installation.log import Log
from mailops.installation.sole_use import sole_use_of
from mailops.lib.postgres import PostgresError, Server
from mailops.lib.supervisor import StartError, Supervisor


class Command(BaseCommand):
    help = "Run web, workers, beat and listeners, and PostgreSQL where no DATABASE_URL is set."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--restored",
            action="store_true",
            help="treat the database as one that was restored from a backup, before anything leaves; it is seen without "
            "this where the epoch file is there",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        home = settings.MAILOPS_HOME
        log = Log(sys.stdout, as_json=settings.MAILOPS_LOG == "json")
        os.chdir(settings.BASE_DIR)
        try:
            with sole_use_of(home):
                processes.check_ports()
                binaries = settings.MAILOPS_POSTGRES_BIN
                server = Server(home, binaries=binaries) if settings.MAILOPS_IS_EMBEDDED else None
                processes.preload()
                if server:
                    server.prepare()
                supervisor = Supervisor(
                    processes.stages(server, is_restored=options["restored"]),
                    log.say,
                    lambda: log.say("mailops", _ready_line(home)),
                )
                code = supervisor.run()
        except (StartError, PostgresError, OSError) as error:
            raise CommandError(str(error)) from error
        sys.exit(code)


def _ready_line(home: Path) -> str:
    ready = f"mailops is ready at {settings.MAILOPS_BASE_URL}"
    path = password_file(home)
    if is_without_account():
        return f"{ready} – there is no account yet; make the first: {how_to_make_one()}"
    if not path.exists():
        return f"{ready} – log in with an account of yours"
    shown = os.path.relpath(path)
    return f"{ready} – log in as {EMAIL} (password in {path if shown.startswith('..') else shown})"
