"""The embedded database goes to a file while it is used, and comes back whole or not at all."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command

from mailops.dispatch.epochs import COMMITTED, EpochFile
from mailops.dispatch.models import Lineage
from mailops.installation.backing_up import MAGIC, RESTORED, NoBackup, opened
from mailops.installation.sole_use import sole_use_of
from mailops.lib.leash import NOBODY
from mailops.lib.postgres import Server

LINEAGE = "5f0c2ff6-6f62-4c3c-8a57-5f0de1a0a001"


@pytest.fixture
def home(settings, tmp_path):
    """Return a home with a stopped database of one row in it."""
    settings.MAILOPS_HOME, settings.MAILOPS_IS_EMBEDDED = tmp_path / "home", True
    settings.MAILOPS_EPOCH_FILE = tmp_path / "home" / "epochs"
    settings.MAILOPS_POSTGRES_BIN = None
    with running(settings.MAILOPS_HOME) as connection:
        connection.execute(f"CREATE TABLE {Lineage._meta.db_table} (id uuid)")
        connection.execute(f"INSERT INTO {Lineage._meta.db_table} VALUES ('{LINEAGE}')")
        connection.execute("CREATE TABLE kept AS SELECT 1 AS it")
    return settings.MAILOPS_HOME


class running:  # noqa: N801 - used like a function
    """Let a home's server run, and give a connection to it."""

    def __init__(self, home):
        self.server = Server(home, is_durable=False)

    def __enter__(self):
        self.server.start()
        self.connection = self.server.connect()
        return self.connection

    def __exit__(self, *_):
        self.connection.close()
        self.server.stop()


def rows(home):
    with running(home) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


def add_a_row(home):
    with running(home) as connection:
        connection.execute("INSERT INTO kept VALUES (2)")


def _of_a_newer_major(whole):
    """Return a dump whose header names a version to come, and which no server takes."""
    header, rest = whole[:200], whole[200:]
    return re.sub(rb"\d\d(?=\.\d)", b"98", header) + rest.replace(b"CREATE TABLE", b"CREATE TUBLE")


@contextmanager
def as_nobody():
    """Give up for a while what root may do."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(me)


class TestBackUp:
    def test_of_a_stopped_mailops_comes_back(self, home, tmp_path, capsys):
        file = tmp_path / "monday.dump"
        call_command("back_up", str(file))
        assert file.stat().st_mode & 0o777 == 0o600
        add_a_row(home)
        call_command("restore", str(file))
        said = capsys.readouterr().out
        assert rows(home) == 1
        (kept,) = (home / "postgres").glob("data.before-*")
        assert f"is kept in {kept.resolve()}" in said
        assert "knows nothing of this database" in said

    def test_goes_on_while_mailops_runs_and_restoring_does_not(self, home, tmp_path):
        file = tmp_path / "monday.dump"
        with sole_use_of(home), running(home) as connection:
            call_command("back_up", str(file))
            with pytest.raises(CommandError, match="mailops already runs on"):
                call_command("restore", str(file))
            assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_that_fails_leaves_the_one_before(self, home, tmp_path):
        file = tmp_path / "monday.dump"
        call_command("back_up", str(file))
        before = file.read_bytes()
        with sole_use_of(home), pytest.raises(CommandError, match="pg_dump failed"):
            call_command("back_up", str(file))  # mailops runs, and its database is away
        assert file.read_bytes() == before
        assert [one.name for one in tmp_path.glob("monday*")] == [file.name]

    def test_into_no_folder_says_which_to_make(self, settings, tmp_path):
        settings.MAILOPS_IS_EMBEDDED = True
        with pytest.raises(CommandError, match=f"There is no folder {tmp_path}/backups: make it"):
            call_command("back_up", str(tmp_path / "backups" / "monday.dump"))

    def test_of_nothing_makes_nothing(self, settings, tmp_path):
        settings.MAILOPS_HOME, settings.MAILOPS_IS_EMBEDDED = tmp_path / "wrong", True
        with pytest.raises(CommandError, match="Is MAILOPS_HOME the right one"):
            call_command("back_up", str(tmp_path / "file"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("command", ["back_up", "restore"])
    def test_leaves_a_server_of_ones_own_alone(self, command, settings, tmp_path):
        settings.MAILOPS_IS_EMBEDDED = False
        with pytest.raises(CommandError, match="DATABASE_URL names a server of yours"):
            call_command(command, str(tmp_path / "file"))


class TestRestore:
    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda _: b"", "is empty. Take another"),
            (lambda _: b"-- PostgreSQL", "is no backup. Name"),
            (lambda whole: whole[:9], "is damaged or not whole. Copy"),
            (lambda whole: whole[: len(whole) // 2], "is damaged or not whole. Copy"),
            (lambda whole: b"PGDMP\x01\x63" + whole[7:], "is of a newer PostgreSQL"),
            (_of_a_newer_major, "is of a newer PostgreSQL"),
        ],
    )
    def test_of_what_is_no_backup_leaves_all_as_it_was(self, spoil, words, home, tmp_path):
        file = tmp_path / "monday.dump"
        call_command("back_up", str(file))
        file.write_bytes(spoil(file.read_bytes()))
        assert words in self.refused(file)
        assert list((home / "postgres").glob(f"{RESTORED}*")) == []
        assert rows(home) == 1

    def refused(self, file):
        with pytest.raises(CommandError) as error:
            call_command("restore", str(file))
        said, _, technical = str(error.value).partition("\n")
        assert said.endswith("what was there is as it was.")
        assert "pg_restore" not in said
        assert technical.startswith("Technical: pg_restore: error: ") or not technical
        return said

    def test_through_a_pipe_whose_writer_fails_is_refused_and_does_not_wait(self, home, tmp_path):
        file, pipe = tmp_path / "monday.dump", tmp_path / "pipe"
        call_command("back_up", str(file))
        os.mkfifo(pipe)
        whole = file.read_bytes()
        with ThreadPoolExecutor(1) as writer:
            writer.submit(pipe.write_bytes, whole[: len(whole) // 2])
            assert "See whether what writes into it failed" in self.refused(pipe)
        assert rows(home) == 1

    def test_through_a_pipe_makes_the_whole(self, home, tmp_path):
        file, pipe = tmp_path / "monday.dump", tmp_path / "pipe"
        call_command("back_up", str(file))
        add_a_row(home)
        os.mkfifo(pipe)
        with ThreadPoolExecutor(1) as writer:
            writer.submit(pipe.write_bytes, file.read_bytes())
            call_command("restore", str(pipe))
        assert rows(home) == 1

    def test_of_what_can_not_be_opened_says_why(self, home, tmp_path):
        assert "There is no file" in self.refused(tmp_path / "none.dump")
        assert "is a folder" in self.refused(tmp_path)

    def test_of_what_one_may_not_read_says_so(self, tmp_path):
        file = tmp_path / "monday.dump"
        file.write_bytes(MAGIC)
        file.chmod(0)
        with as_nobody(), pytest.raises(NoBackup, match="You may not read"), opened(file):
            pass

    def test_of_another_database_is_refused(self, home, tmp_path):
        with running(home) as connection:
            connection.execute(f"DROP TABLE {Lineage._meta.db_table}")
        file = tmp_path / "monday.dump"
        call_command("back_up", str(file))
        assert "is a backup, but not of mailops" in self.refused(file)
        assert rows(home) == 1

    def test_begins_anew_after_one_that_was_cut(self, home, tmp_path):
        file = tmp_path / "monday.dump"
        call_command("back_up", str(file))
        for name in (RESTORED, f"{RESTORED}.new"):
            (home / "postgres" / name).mkdir()
        call_command("restore", str(file))
        assert rows(home) == 1
        assert list((home / "postgres").glob(f"{RESTORED}*")) == []

    def test_into_an_empty_home_makes_it(self, home, tmp_path, settings):
        file = tmp_path / "monday.dump"
        call_command("back_up", str(file))
        settings.MAILOPS_HOME = tmp_path / "another"
        call_command("restore", str(file))
        assert rows(tmp_path / "another") == 1

    def test_says_that_mailops_sees_it_where_the_epoch_file_knows(self, home, tmp_path, capsys):
        file = tmp_path / "monday.dump"
        call_command("back_up", str(file))
        EpochFile(home / "epochs").append(COMMITTED, LINEAGE, 7)
        call_command("restore", str(file))
        assert "it sees whether mail was sent" in capsys.readouterr().out
