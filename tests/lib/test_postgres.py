import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from mailops.lib import postgres
from mailops.lib.postgres import PostgresError, Server, socket_folder


def ask(home, question="SELECT count(*) FROM kept"):
    with psycopg.connect(host=str(socket_folder(home)), user="mailops", dbname="mailops") as to:
        return to.execute(question).fetchone()[0]


def write(home):
    with psycopg.connect(host=str(socket_folder(home)), user="mailops", dbname="mailops") as to:
        to.execute("CREATE TABLE IF NOT EXISTS kept (it int)")
        to.execute("INSERT INTO kept VALUES (1)")


@pytest.fixture
def start():
    """Return a function that starts a server over a home; all are stopped in the end."""
    started = []

    def start(home):
        server = Server(home, is_durable=False)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


class TestServer:
    def test_keeps_its_data_over_stop_and_start(self, tmp_path, start):
        server = start(tmp_path)
        write(tmp_path)
        server.stop()
        server.start()
        assert ask(tmp_path) == 1

    def test_comes_back_after_kill_9_with_what_was_committed(self, tmp_path, start):
        server = start(tmp_path)
        write(tmp_path)
        server.process.kill()
        server.process.wait()
        server.start()
        assert ask(tmp_path) == 1

    def test_ends_what_a_killed_supervisor_left_over_and_never_hands_it_back(self, tmp_path, start):
        left = start(tmp_path)
        write(tmp_path)
        fresh = start(tmp_path)  # a second supervisor, as after kill -9 of the first
        assert left.process.wait(timeout=5) == 0
        assert fresh.process.poll() is None
        assert ask(tmp_path) == 1

    def test_stops_with_clients_still_connected(self, tmp_path, start):
        server = start(tmp_path)
        with psycopg.connect(host=str(server.socket), user="mailops", dbname="mailops"):
            server.stop()
        with pytest.raises(psycopg.OperationalError):
            ask(tmp_path)

    def test_two_stand_side_by_side(self, tmp_path, start):
        start(tmp_path / "one")
        start(tmp_path / "two")
        write(tmp_path / "one")
        assert ask(tmp_path / "one") == 1
        assert ask(tmp_path / "two", "SELECT to_regclass('kept') IS NULL")

    def test_lets_no_other_user_in(self, tmp_path, start):
        server = start(tmp_path)
        assert server.data.stat().st_mode & 0o777 == 0o700
        assert server.socket.stat().st_mode & 0o777 == 0o700
        assert (server.socket / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o600

    def test_listens_to_no_network(self, tmp_path, start):
        start(tmp_path)
        assert ask(tmp_path, "SHOW listen_addresses") == ""

    def test_an_interrupted_initdb_leaves_nothing_half_made(self, tmp_path, start):
        (tmp_path / "postgres" / "data.new").mkdir(parents=True)
        (tmp_path / "postgres" / "data.new" / "PG_VERSION").write_text("18\n")
        start(tmp_path)
        assert ask(tmp_path, "SELECT 1") == 1

    def test_goes_when_its_supervisor_is_killed(self, tmp_path):
        program = (
            "import sys, time; from pathlib import Path; from mailops.lib.postgres import Server\n"
            "server = Server(Path(sys.argv[1]), is_durable=False); server.start()\n"
            "print(server.process.pid, flush=True); time.sleep(60)"
        )
        supervisor = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        pid = int(supervisor.stdout.readline())
        ended = os.pidfd_open(pid)
        supervisor.kill()
        supervisor.communicate()
        import select

        assert select.select([ended], [], [], 5)[0]
        os.close(ended)


class TestChoices:
    def test_refuses_data_of_another_version(self, tmp_path):
        data = tmp_path / "postgres" / "data"
        data.mkdir(parents=True)
        (data / "PG_VERSION").write_text("9\n")
        with pytest.raises(PostgresError, match=r"are of PostgreSQL 9, and here is only: \d+ in"):
            Server(tmp_path).binaries  # noqa: B018

    def test_says_what_to_do_where_there_is_no_postgresql(self, tmp_path):
        with pytest.raises(PostgresError, match="or DATABASE_URL to a server"):
            Server(tmp_path, binaries=tmp_path).binaries  # noqa: B018

    def test_a_socket_path_that_is_too_long_moves_to_a_private_folder(self, tmp_path):
        home = tmp_path / ("long" * 30)
        assert len(str(socket_folder(home))) < postgres.SOCKET_PATH_LIMIT
        assert socket_folder(home) != socket_folder(home / "other")

    def test_refuses_a_socket_folder_that_another_user_made(self, tmp_path, monkeypatch):
        server = Server(tmp_path)
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(PostgresError, match="belongs to another user"):
            server.prepare()


@pytest.mark.skipif("os.geteuid() != 0")
class TestAsNobody:
    """Root without user namespaces, as in a container: the server runs as nobody, outside a closed home."""

    def test_runs_outside_a_home_it_can_not_enter(self, tmp_path, start, monkeypatch):
        monkeypatch.setattr(Server, "run_as", "nobody")
        tmp_path.chmod(0o700)
        server = start(tmp_path)
        try:
            assert Path(f"/proc/{server.process.pid}").stat().st_uid == postgres.NOBODY
            assert ask(tmp_path, "SELECT 1") == 1
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            server.start()
            assert ask(tmp_path, "SELECT 1") == 1
        finally:
            server.stop()
            import shutil

            shutil.rmtree(server.place.resolve())
