"""The receivers: Postfix's smtp-sink, which counts what it took, and what its log says of each mail."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from bench.stage import BenchError, Stage, wait_for
from mailops.lib.supervisor import answers

SINK_PORT = int(os.environ["BENCH_SINK_PORT"])
BACKLOG = "512"  # connections that wait to be accepted
_COUNTED = re.compile(rb"mesg=(\d+)")


def program(name: str) -> str:
    """Return the path of one of Postfix's test programs."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if not found:
        raise BenchError(f"{name} is missing: install Postfix (Debian: apt install postfix)")
    return found


def start_sink(
    stage: Stage, name: str, port: int, *options: str, path: str, dump: Path | None = None
) -> None:
    """Start the smtp-sink at `path`, which writes each mail into `dump`, and wait until it listens."""
    dumping = ["-D", str(dump)] if dump else []
    # it refuses to run as root, and by its own change of user it would slip its leash
    run_as = "nobody" if os.geteuid() == 0 else "self"
    address = f"127.0.0.1:{port}"
    stage.start(name, path, *options, *dumping, address, BACKLOG, run_as=run_as)
    wait_for(lambda: answers("127.0.0.1", port), f"{name} to listen")


class Sink:
    """An smtp-sink; `count()` is how many messages it has accepted since it began."""

    def __init__(self, stage: Stage, *, dump: Path | None = None) -> None:
        self._stage = stage
        self._log = stage.logs / "sink.log"
        self.start(dump)

    def start(self, dump: Path | None = None) -> None:
        start_sink(self._stage, "sink", SINK_PORT, "-c", path=program("smtp-sink"), dump=dump)

    def count(self) -> int:
        # it writes its counters anew for each message, with a carriage return for a line's end
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 200))
            counted = _COUNTED.findall(log.read())
        return int(counted[-1]) if counted else 0

    def wait_for_count(self, wanted: int, *, stalls_after: float = 60) -> None:
        """Wait until so many are accepted; raise where nothing moves any more."""
        while (seen := self.count()) < wanted:
            what = f"the receiver to get on; it has accepted {seen:,} of {wanted:,}"
            wait_for(lambda seen=seen: self.count() > seen, what, stalls_after)  # type: ignore[misc]

    def stop(self) -> None:
        self._stage.stop("sink")


class Dump:
    """A file into which a sink writes each mail, for a few of them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mailops-bench-")
        Path(self._folder.name).chmod(0o777)  # a root's sink writes as nobody
        self.file = Path(self._folder.name) / "mail"

    def read(self) -> list[tuple[str, bytes]]:
        """Return recipient and content of each mail."""
        mails = []
        for text in re.split(rb"^X-Client-Addr: ", self.file.read_bytes(), flags=re.MULTILINE)[1:]:
            head, _, content = text.partition(b"Received: from ")
            recipient = re.search(rb"X-Rcpt-Args: <([^>]*)>", head)
            assert recipient is not None
            # the sink's own Received field takes three lines, and it adds an empty one at the end
            mails.append((recipient[1].decode(), content.split(b"\n", 3)[3].rstrip(b"\n") + b"\n"))
        return mails

    def clear(self) -> None:
        if self.file.exists():
            os.truncate(self.file, 0)

    def close(self) -> None:
        self._folder.cleanup()
