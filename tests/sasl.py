"""A private Dovecot that only knows passwords: a Postfix asks it who may log in."""

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

CONFIG = """\
base_dir = {home}/run
state_dir = {home}/run
log_path = {home}/log
protocols =
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {home}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/tmp
}}
service auth {{
  unix_listener {home}/login {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


class Passwords:
    """The service that `smtpd_sasl_type = dovecot` talks to; needs root, as Dovecot does."""

    def __init__(self, users: dict[str, str]) -> None:
        self._users = users

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="dovecot", dir="/var/tmp"))
        self._home.chmod(0o755)
        self.socket = self._home / "login"
        (self._home / "config").write_text(CONFIG.format(home=self._home))
        lines = [f"{user}:{{PLAIN}}{password}" for user, password in self._users.items()]
        (self._home / "users").write_text("\n".join(lines) + "\n")
        (self._home / "users").chmod(0o644)
        command = ["/usr/sbin/dovecot", "-F", "-c", str(self._home / "config")]
        self._process = subprocess.Popen(command)
        self._wait()
        return self

    def _wait(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
                probe.connect(str(self.socket))
                return
            time.sleep(0.05)
        raise AssertionError((self._home / "log").read_text())

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)
