"""Exim and OpenSMTPD, unpacked beside Postfix since their packages exclude each other; need root, as they do."""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.ports import is_listening
from tests.waiting import wait_until

UNPACKED = Path("/opt/mail-servers")  # by .ci/run

EXIM = """\
keep_environment =
exim_path = {program}
exim_user = Debian-exim
primary_hostname = exim.example
spool_directory = {home}
log_file_path = {home}/%slog
tls_advertise_hosts =
never_users =
begin routers
unknown:
  driver = redirect
  domains = here.example
  allow_fail
  data = :fail: no such user here
far:
  driver = manualroute
  route_list = {routes}
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
begin retry
"""  # without a rule to try again, what fails for now fails at once

OPENSMTPD = """\
mta limit conn-delay-route 0
listen on 127.0.0.1 port {port} hostname opensmtpd.example
{actions}
{matches}
"""


class Exim:
    """Takes mails one by one and delivers each before it returns; `routes` are domain → port on loopback."""

    def __init__(self, routes: dict[str, int]) -> None:
        self._routes = routes
        self._program = UNPACKED / "exim/usr/sbin/exim4"

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="exim", dir="/var/tmp"))
        shutil.chown(self._home, "Debian-exim")
        self._home.chmod(0o755)
        routes = " ; ".join(
            f"{name} 127.0.0.1::{port} byname" for name, port in self._routes.items()
        )
        text = EXIM.format(home=self._home, routes=routes, program=self._program)
        (self._home / "conf").write_text(text)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._home, ignore_errors=True)

    def send(self, sender: str, recipient: str, content: bytes) -> None:
        command = [str(self._program), "-C", str(self._home / "conf"), "-odf", "-f", sender]
        subprocess.run([*command, recipient], input=content, check=True, capture_output=True)


class OpenSmtpd:
    """Listens on loopback; `routes` are domain → port on loopback."""

    def __init__(self, routes: dict[str, int]) -> None:
        self._routes = routes

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="opensmtpd", dir="/var/tmp"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        names = enumerate(self._routes.items())
        actions = [
            f'action "a{number}" relay host smtp://127.0.0.1:{port}' for number, (_, port) in names
        ]
        matches = [
            f'match from any for domain "{name}" action "a{number}"'
            for number, name in enumerate(self._routes)
        ]
        text = OPENSMTPD.format(
            port=self.port, actions="\n".join(actions), matches="\n".join(matches)
        )
        conf = self._home / "smtpd.conf"
        conf.write_text(text)
        conf.chmod(0o600)
        program = UNPACKED / "opensmtpd/usr/sbin/smtpd"
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-d", "-f", conf], stdout=log, stderr=subprocess.STDOUT
            )
        wait_until(
            lambda: is_listening(self.port), seconds=60, what=f"OpenSMTPD; see {self._home}/log"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self._home, ignore_errors=True)
