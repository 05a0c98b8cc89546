"""A private Dovecot that knows who may log in: a Postfix asks it, or it listens for submissions itself."""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.ports import free_ports
from tests.waiting import wait_until

CONFIG = """\
base_dir = {home}/run
state_dir = {home}/run
log_path = {home}/log
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {home}/users
  mechanisms = plain login cram-md5
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


ONLY_FOR_POSTFIX = """\
protocols =
ssl = no
"""
SUBMISSION = """\
protocols = submission
listen = 127.0.0.1
hostname = dovecot.example
ssl = yes
ssl_cert = <{pair}
ssl_key = <{pair}
disable_plaintext_auth = no
submission_relay_host = 127.0.0.1
submission_relay_port = {next_hop}
submission_relay_trusted = no
mail_location = maildir:/tmp/nobody
service submission-login {{
  inet_listener submission {{
    port = {starttls}
  }}
  inet_listener submissions {{
    port = {tls}
    ssl = yes
  }}
}}
"""
TOKENS = """\
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {home}/oauth2
}}
"""


class Passwords:
    """The service that `smtpd_sasl_type = dovecot` talks to; needs root, as Dovecot does.

    With a `token_info` address it asks there whose access token is whose. With `submission`, (a file with key and
    certificate, the port to hand mail on to), it listens for submissions on `ports`.
    """

    def __init__(
        self,
        users: dict[str, str],
        *,
        mechanisms: str = "plain login",
        token_info: str = "",
        submission: tuple[Path, int] | None = None,
    ) -> None:
        self._users, self._mechanisms = users, mechanisms
        self._token_info, self._submission = token_info, submission
        self.ports = dict(zip(("starttls", "tls"), free_ports(2), strict=True))

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="dovecot", dir="/var/tmp"))
        self._home.chmod(0o755)
        self.socket = self._home / "login"
        (self._home / "config").write_text(self._config())
        if self._token_info:
            told = f"tokeninfo_url = {self._token_info}\nusername_attribute = email\n"
            (self._home / "oauth2").write_text(told)
        lines = [f"{user}:{{PLAIN}}{password}" for user, password in self._users.items()]
        (self._home / "users").write_text("\n".join(lines) + "\n")
        (self._home / "users").chmod(0o644)
        command = ["/usr/sbin/dovecot", "-F", "-c", str(self._home / "config")]
        self._process = subprocess.Popen(command)
        wait_until(self._answers, seconds=30, what=f"Dovecot; see {self._home}/log")
        return self

    def _config(self) -> str:
        config = CONFIG.format(home=self._home, mechanisms=self._mechanisms)
        if self._token_info:
            config += TOKENS.format(home=self._home)
        if self._submission is None:
            return config + ONLY_FOR_POSTFIX
        pair, next_hop = self._submission
        return config + SUBMISSION.format(pair=pair, next_hop=next_hop, **self.ports)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)
