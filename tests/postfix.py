"""A private Postfix: its own folder, port and log, so that tests read what the real thing writes."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.ports import free_ports

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
retry unix - - n - - error
error unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""
MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
maillog_file = {home}/mail.log
maillog_file_prefixes = {home}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
myhostname = relay.example
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{next_hop}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = permit_mynetworks, reject
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_tls_security_level = none
smtpd_tls_security_level = none
alias_maps =
alias_database =
local_recipient_maps =
notify_classes =
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
smtp_connection_cache_on_demand = no
smtp_destination_concurrency_limit = 1
smtp_host_lookup = native
{more}
"""


class Postfix:
    """A relay on loopback that hands everything to `next_hop`; needs root, as Postfix does."""

    def __init__(
        self,
        next_hop: int,
        *,
        services: Mapping[str, Mapping[str, str]] | None = None,
        **options: str,
    ) -> None:
        """Give `services` for more listeners, each with options of its own; `ports` has theirs."""
        self._next_hop, self._options, self._services = next_hop, options, services or {}

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="postfix", dir="/var/tmp"))
        self._home.chmod(0o755)
        self.port, *others = free_ports(1 + len(self._services))
        self.ports = dict(zip(self._services, others, strict=True))
        config = self._home / "config"
        for folder in (config, self._home / "spool", self._home / "data"):
            folder.mkdir()
        shutil.chown(self._home / "data", "postfix")
        more = "\n".join(f"{name} = {value}" for name, value in self._options.items())
        (config / "main.cf").write_text(
            MAIN.format(home=self._home, next_hop=self._next_hop, more=more)
        )
        lines = [self._service(name) for name in self._services]
        (config / "master.cf").write_text(MASTER.format(port=self.port) + "".join(lines))
        self._run("start")
        return self

    def __exit__(self, *_: object) -> None:
        self._run("stop")
        shutil.rmtree(self._home, ignore_errors=True)

    def _service(self, name: str) -> str:
        options = "".join(f"\n  -o {key}={value}" for key, value in self._services[name].items())
        return f"127.0.0.1:{self.ports[name]} inet n - n - - smtpd{options}\n"

    def _run(self, verb: str) -> None:
        subprocess.run(
            ["/usr/sbin/postfix", "-c", self._home / "config", verb],
            check=True,
            capture_output=True,
            env={**os.environ, "PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"},
        )

    def _retry_all(self) -> None:
        """Have the queue manager look at all it has, whenever it was to be tried again."""
        kick = ["/usr/sbin/postkick", "-c", str(self._home / "config"), "public", "qmgr", "DIAF"]
        subprocess.run(kick, check=False, capture_output=True)

    @property
    def log(self) -> bytes:
        path = self._home / "mail.log"
        return path.read_bytes() if path.exists() else b""

    def log_with(self, word: bytes, times: int = 1) -> bytes:
        """Return the log once it holds `word` so many times; what Postfix does is not done at once."""
        until, nudge_at = time.monotonic() + 60, time.monotonic() + 3
        while self.log.count(word) < times and time.monotonic() < until:
            time.sleep(0.05)
            if time.monotonic() > nudge_at:  # a deferred mail it met too early is left for long
                self._retry_all()
                nudge_at += 3
        assert self.log.count(word) >= times, self.log.decode()
        return self.log
