"""Starts the processes of a bench, each on a leash, and ends them all however the bench ends."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from mailops.installation.processes import worker_command
from mailops.lib.leash import leash
from mailops.lib.postgres import NAME, Server

ROOT = Path(settings.BASE_DIR)
HOME = Path(settings.MAILOPS_HOME)
PEERS_PYTHON = ROOT / "bench" / ".venv" / "bin" / "python"
STOP_SECONDS = 10.0

T = TypeVar("T")


class BenchError(Exception):
    """A figure can't be taken, or must not be believed."""


def wait_for(condition: Callable[[], T], what: str, seconds: float = 60, every: float = 0.02) -> T:
    """Return the first true value of `condition()`; raise where it doesn't come in time."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if value := condition():
            return value
        time.sleep(every)
    raise BenchError(f"waited {seconds:.0f} s for {what}")


class Stage:
    """Owns the processes; `start()` adds one, `close()` ends all."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.logs = HOME / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        name: str,
        *command: str,
        pipes: bool = False,
        run_as: str = "self",
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Start a process that dies with this one; its output goes to its log, but for `pipes` its standard output."""
        with (self.logs / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [*leash(signal.SIGKILL, run_as), *command],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the bench, which then ends them in order
            )

    def start_server(self) -> None:
        """Start the database server, again where it was stopped."""
        with (self.logs / "postgres.log").open("ab") as log:
            self.server.start(log)

    def log_of(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def start_worker(
        self,
        name: str,
        queue: str,
        *,
        profile: Path | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Start a Celery worker as `make up` does, or one that writes its profile as it ends."""
        command = worker_command(queue, name=f"{name}@bench")
        if profile:
            # in threads of the system's: the profiler does not see where gevent's take turns
            command = [sys.executable, "-m", "bench.profiled", *command[command.index("--quiet") :]]
            environment = {**environment, "BENCH_PROFILE": str(profile)}
        self.start(name, *command, environment=environment)

    def start_beat(
        self, name: str = "beat", *, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        schedule = HOME / name
        for file in HOME.glob(f"{name}*"):
            file.unlink()
        self.start(
            name,
            *(sys.executable, "-m", "celery", "--quiet", "-A", "mailops", "beat"),
            *("--loglevel=WARNING", "--pidfile=", f"--schedule={schedule}"),
            environment=environment,
        )

    def wait_ready(self, *names: str) -> None:
        """Wait until the logs of these workers say so."""
        for name in names:
            wait_for(lambda name=name: self._is_ready(name), f"{name} to be ready")  # type: ignore[misc]

    def _is_ready(self, name: str) -> bool:
        if self.processes[name].poll() is not None:
            raise BenchError(f"{name} ended:\n{self.log_of(name)[-2000:]}")
        return " ready." in self.log_of(name)

    def hold(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGCONT)

    def stop(self, *names: str) -> None:
        """End processes, politely at first."""
        ending = [self.processes.pop(name) for name in names if name in self.processes]
        for process in ending:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
            process.terminate()
        for process in ending:
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def close(self) -> None:
        self.stop(*self.processes)

    def make_database(self, name: str) -> None:
        with psycopg.connect(
            host=str(self.server.socket), user=NAME, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def query(self, statement: str, database: str = NAME) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host=str(self.server.socket), user=NAME, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


# for the profile alone: it costs some time itself
_WATCHING = """
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track = all
pg_stat_statements.track_planning = on
"""


@contextmanager
def staged(*, watches: bool = False) -> Iterator[Stage]:
    """Run an empty mailops database with every durability rule on; afterwards nothing runs any more.

    It counts its statements where it `watches`.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    lock = (HOME / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise BenchError("another bench runs here; two at once would measure each other") from error
    shutil.rmtree(HOME / "postgres", ignore_errors=True)
    server = Server(HOME)
    stage = Stage(server)
    if watches:
        server.prepare()
        with (server.data / "postgresql.conf").open("a") as file:
            file.write(_WATCHING)
    (stage.logs / "postgres.log").unlink(missing_ok=True)
    stage.start_server()
    try:
        call_command("prepare")
        stage.start("nameserver", sys.executable, "manage.py", "demo_nameserver")
        yield stage
    finally:
        stage.close()
        connections.close_all()
        server.stop()
        lock.close()


class Peer:
    """A contender in a process of its own, told what to do in lines on its standard input."""

    def __init__(
        self, stage: Stage, name: str, module: str, environment: Mapping[str, str]
    ) -> None:
        self._stage, self._name = stage, name
        stage.start(name, str(PEERS_PYTHON), "-m", module, pipes=True, environment=environment)
        self.ask("hello")

    def ask(self, *words: str | int) -> Any:
        """Say a line and return what the answer, one line of JSON, holds."""
        process = self._stage.processes[self._name]
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(f"{' '.join(map(str, words))}\n".encode())
            process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise BenchError(f"{self._name} ended:\n{self._stage.log_of(self._name)[-2000:]}")
        return json.loads(answer)
