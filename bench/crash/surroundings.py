"""Other surroundings for PostgreSQL than the machine's own: a small disk, a clock that can be put."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connections

from bench.crash.scene import NotPlayedError, Scene
from bench.stage import HOME, wait_for
from mailops.lib.postgres import Server

MEGA = 2**20
# in a mount namespace of its own, which ends with it: nothing is left mounted
_HOLD = """
set -e
mount -t tmpfs -o size=$1,mode=0700 tmpfs "$2"
cp -a "$3/." "$2"
mount --bind "$2" "$3"
touch "$2/.is-small"
exec sleep infinity
"""


class MovedServer(Server):
    """The same server and data, started by way of another program."""

    def __init__(self, home: Path, by: list[str]) -> None:
        super().__init__(home)
        self._by = by

    def command(self) -> list[str]:
        return [*self._by, *super().command()]


@contextmanager
def moved(scene: Scene, *by: str) -> Iterator[MovedServer]:
    """Run PostgreSQL by way of `by`; when the block ends it is stopped, and the usual one may be started."""
    usual, server = scene.stage.server, MovedServer(HOME, list(by))
    _stop(usual)
    scene.stage.server = server
    try:
        scene.stage.start_server()
        yield server
    finally:
        _stop(server)
        scene.stage.server = usual


def _stop(server: Server) -> None:
    connections.close_all()
    server.stop()


class SmallDisk:
    """The file system that PostgreSQL's data are on."""

    def __init__(self, root: Path) -> None:
        self._ballast = root / "ballast"

    def fill(self) -> int:
        """Take all the space there is; return how many bytes that was."""
        with self._ballast.open("ab", buffering=0) as ballast:
            while True:
                try:
                    ballast.write(bytes(MEGA))
                except OSError:
                    break
            while True:
                try:
                    ballast.write(bytes(512))
                except OSError:
                    return ballast.tell()

    def clear(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def on_a_small_disk(scene: Scene, spare: int) -> Iterator[SmallDisk]:
    """Put the data on a file system of their own with `spare` bytes free, and back when the block ends."""
    enter, unshare = scene.program("nsenter", "util-linux"), scene.program("unshare", "util-linux")
    data, place = scene.stage.server.data, HOME / "small-disk"
    place.mkdir(exist_ok=True)
    usual = scene.stage.server
    _stop(usual)
    size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
    script = ["sh", "-c", _HOLD, "hold", str(size + spare), str(place), str(data)]
    scene.stage.start("disk", unshare, "--mount", *script)
    holder = scene.stage.processes["disk"]
    # not by the data's own path: whoever empties that takes away what is mounted on it there
    inside = Path(f"/proc/{holder.pid}/root{place}")
    try:
        wait_for(
            lambda: (inside / ".is-small").exists() or holder.poll() is not None,
            "the small file system",
        )
        if holder.poll() is not None:
            raise NotPlayedError(
                f"no file system can be mounted here: {scene.stage.log_of('disk').strip()}"
            )
        (inside / ".is-small").unlink()
        with moved(scene, enter, f"--mount=/proc/{holder.pid}/ns/mnt", "--"):
            yield SmallDisk(inside)
        _take_back(inside, data)
    finally:
        scene.stage.stop("disk")
        if usual.process is None:
            scene.stage.start_server()


def _take_back(inside: Path, data: Path) -> None:
    """Put what the server wrote where it is otherwise."""
    shutil.rmtree(data)
    subprocess.run(["cp", "-a", f"{inside}/.", str(data)], check=True)  # noqa: S607


class Clock:
    """What processes take for the time of day; their monotonic clocks stay as they are."""

    def __init__(self, compiler: str) -> None:
        self._file, library = HOME / "clock", HOME / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True
        )
        self._file.write_bytes(bytes(8))
        self._file.chmod(0o644)
        self.environment = {"LD_PRELOAD": str(library), "CRASH_CLOCK": str(self._file)}

    def put(self, hours: int) -> None:
        """Let the clock be off by so much, from now on."""
        with self._file.open("r+b", buffering=0) as file:
            file.write((hours * 3600).to_bytes(8, sys.byteorder, signed=True))


@contextmanager
def by_another_clock(scene: Scene) -> Iterator[Clock]:
    """Run PostgreSQL by a clock that can be put; workers started meanwhile go by it as well."""
    clock = Clock(scene.program("cc", "gcc"))
    scene.environment |= clock.environment
    env = [f"{name}={value}" for name, value in clock.environment.items()]
    try:
        with moved(scene, scene.program("env", "coreutils"), *env):
            yield clock
    finally:
        scene.stage.start_server()
