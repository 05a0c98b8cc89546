"""A real clamd of the tests' own, with a database of one signature: the EICAR test string."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

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
PATIENCE = 30  # seconds until it listens, on a busy machine


class Clamd:
    """Runs while the context is open; `socket` and `address` are what MAILOPS_CLAMAV may be."""

    def __init__(self, port: int, *, most: str = "10M") -> None:
        self.home = Path(tempfile.mkdtemp(prefix="clamd-"))
        self.socket, self.address = f"{self.home}/clamd.socket", f"127.0.0.1:{port}"
        (self.home / "db").mkdir()
        # name:target type:offset:hex
        signature = f"Eicar-Test:0:*:{EICAR.hex()}\n"
        (self.home / "db" / "tests.ndb").write_text(signature)
        configuration = CONFIGURATION.format(home=self.home, port=port, most=most)
        (self.home / "clamd.conf").write_text(configuration)

    def __enter__(self) -> Self:
        command = [shutil.which("clamd", path="/usr/sbin:/usr/bin") or "clamd"]
        self._process = subprocess.Popen(
            [*command, f"--config-file={self.home}/clamd.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + PATIENCE
        while not Path(self.socket).exists() and time.monotonic() < until:
            assert self._process.poll() is None, (self.home / "clamd.log").read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        shutil.rmtree(self.home)
