"""A real clamd of the tests' own, with a database of one signature: the EICAR test string."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.ports import free_port
from tests.waiting import wait_until

# in two halves, so that no scanner takes this file for an infected one
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + rb"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
CONFIGURATION = """\
DatabaseDirectory {home}/db
LocalSocket {home}/clamd.socket
TCPSocket {port}
TCPAddr 127.0.0.1
LogFile {home}/clamd.log
Foreground true
MaxThreads 2
StreamMaxLength {most}
"""
TRIES = 3
PATIENCE = 30  # seconds until it listens, on a busy machine


class Clamd:
    """Runs while the context is open; `socket` and `address` are what MAILOPS_CLAMAV may be."""

    def __init__(self, *, most: str = "10M") -> None:
        self._most = most
        self.home = Path(tempfile.mkdtemp(prefix="clamd-"))
        self.socket = f"{self.home}/clamd.socket"
        (self.home / "db").mkdir()
        # name:target type:offset:hex
        signature = f"Eicar-Test:0:*:{EICAR.hex()}\n"
        (self.home / "db" / "tests.ndb").write_text(signature)

    def __enter__(self) -> Self:
        for _ in range(TRIES):
            if self._listens():
                return self
        raise AssertionError((self.home / "clamd.log").read_text())

    def _listens(self) -> bool:
        """Start it on a free port, which somebody else may take before it does."""
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        configuration = CONFIGURATION.format(home=self.home, port=port, most=self._most)
        (self.home / "clamd.conf").write_text(configuration)
        command = shutil.which("clamd", path="/usr/sbin:/usr/bin") or "clamd"
        self._process = subprocess.Popen(
            [command, f"--config-file={self.home}/clamd.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(
            lambda: Path(self.socket).exists() or self._process.poll() is not None,
            seconds=PATIENCE,
            what=f"clamd; see {self.home}/clamd.log",
        )
        return self._process.poll() is None

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        shutil.rmtree(self.home)
