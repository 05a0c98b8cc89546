"""Whoever types a command is told in a sentence what is wrong, and by a trace only what is our fault."""

import os
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError
from django.db import OperationalError, ProgrammingError, connection
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.recorder import MigrationRecorder
from psycopg import errors

from mailops.lib.command_line import (
    argument,
    asking_the_database,
    ending_in_a_sentence,
    trouble_of,
)
from mailops.lib.env import port_number

AWAY = OperationalError("connection failed: Connection refused\n\tIs the server running?")


def from_psycopg(cause):
    error = ProgrammingError("it went wrong\nLINE 1: SELECT")
    error.__cause__ = cause
    return error


class TestArgument:
    def test_tells_what_is_wrong_with_it(self):
        assert argument(port_number)("25") == 25
        with pytest.raises(ArgumentTypeError, match="“http” is no port"):
            argument(port_number)("http")


class TestTrouble:
    def test_of_a_database_that_is_away(self):
        told = trouble_of(AWAY)
        assert told.startswith(
            "The database could not be asked: connection failed: Connection refused. "
        )

    def test_of_a_database_that_takes_no_changes(self):
        told = trouble_of(from_psycopg(errors.ReadOnlySqlTransaction("read-only")))
        assert "give the address of the one that takes them" in told

    def test_of_a_role_that_may_too_little(self):
        refused = from_psycopg(errors.InsufficientPrivilege("permission denied"))
        assert "let its role own the database" in trouble_of(refused)
        wrapped = MigrationSchemaMissing("Unable to create")
        wrapped.__context__ = refused
        assert trouble_of(wrapped) == trouble_of(refused)

    def test_of_tables_of_an_older_version(self, db):
        last = MigrationRecorder.Migration.objects.using(connection.alias).order_by("-id").first()
        last.delete()
        for cause in (errors.UndefinedTable("no table"), errors.UndefinedColumn("no column")):
            assert "1 migrations are missing" in trouble_of(from_psycopg(cause))

    def test_of_our_own_has_no_sentence(self, db):
        assert trouble_of(from_psycopg(errors.UndefinedColumn("no column"))) is None
        assert trouble_of(from_psycopg(errors.SyntaxError("at SELECT"))) is None


class TestEnding:
    @pytest.mark.parametrize("error", [AWAY, CommandError("It can't.")])
    def test_is_a_sentence(self, error):
        with pytest.raises(SystemExit) as ended, ending_in_a_sentence():
            raise error
        assert "\n" not in ended.value.code

    def test_is_a_trace_where_a_fault_of_ours_is_why(self):
        with pytest.raises(ProgrammingError), ending_in_a_sentence():
            raise from_psycopg(errors.SyntaxError("at SELECT"))

    def test_of_a_check_has_its_own_exit_code(self):
        with pytest.raises(CommandError) as ended, asking_the_database(returncode=2):
            raise AWAY
        assert ended.value.returncode == 2

    @pytest.mark.parametrize(
        ("command", "code"), [(["after_restore"], 1), (["check_transport", "Relay"], 2)]
    )
    def test_of_a_command_without_a_database(self, command, code, tmp_path):
        ended = self.run(command, tmp_path)
        assert ended.returncode == code
        assert "The database could not be asked" in ended.stderr
        assert "Traceback" not in ended.stderr

    @pytest.mark.parametrize(
        "command",
        [
            ["check_transport", b"caf\xe9"],
            ["check_rollout", b"caf\xe9"],
            ["check_template", b"caf\xe9"],
            ["render_template", b"caf\xe9"],
            ["check_template", "manage.py", "--subject", b"caf\xe9"],
        ],
    )
    def test_of_a_name_that_is_not_utf8(self, command, tmp_path):
        ended = self.run(command, tmp_path)
        assert ended.returncode == 2
        assert "“caf\\udce9” is not UTF-8; set your terminal to UTF-8" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_of_a_file_whose_name_is_not_utf8(self, tmp_path):
        file = bytes(tmp_path) + b"/caf\xe9"
        Path(os.fsdecode(file)).write_text("<title>Hi</title>")
        report = tmp_path / "report.xml"
        ended = self.run(["check_template", file, "--junit", report], tmp_path)
        assert ended.returncode in {0, 1}
        assert "Traceback" not in ended.stderr
        assert "caf�" in report.read_text()
        ended = self.run(["parse_bounce", file], tmp_path)
        assert ended.stdout.strip().endswith("/caf\\udce9: other")

    def run(self, command, home):
        return subprocess.run(
            [sys.executable, settings.BASE_DIR / "manage.py", *command],
            # as terminals are that are no C.UTF-8: Python writes what is no text to none of those
            env={
                "PATH": os.environ["PATH"],
                "MAILOPS_HOME": str(home),
                "PYTHONIOENCODING": "utf-8:strict",
            },
            capture_output=True,
            text=True,
            check=False,
        )
