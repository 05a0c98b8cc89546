"""A private Dovecot with mailboxes: IMAP with implicit TLS, with STARTTLS, and in clear text."""

import imaplib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.ports import free_ports, is_listening
from tests.waiting import wait_until

CONFIG = """\
base_dir = {home}/run
state_dir = {home}/run
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{pair}
ssl_key = <{pair}
auth_mechanisms = plain xoauth2
auth_failure_delay = 0
disable_plaintext_auth = no
mail_location = maildir:{home}/mail/%u
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {home}/users
  mechanisms = plain
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {home}/oauth2
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={home}/mail
}}
service imap-login {{
  inet_listener imap {{
    port = {starttls}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


class MailboxServer:
    """`users` have passwords; `ports` are by TLS; `pair` is a file with the key and its certificate."""

    def __init__(self, users: dict[str, str], *, pair: Path, token_info: str) -> None:
        self._users, self._pair, self._token_info = users, pair, token_info
        self.ports = dict(zip(("starttls", "tls"), free_ports(2), strict=True))

    def __enter__(self) -> Self:
        self.home = Path(tempfile.mkdtemp(prefix="dovecot", dir="/var/tmp"))
        self.home.chmod(0o755)
        (self.home / "mail").mkdir()
        os.chown(self.home / "mail", 65534, 65534)
        config = CONFIG.format(home=self.home, pair=self._pair, **self.ports)
        (self.home / "config").write_text(config)
        told = f"tokeninfo_url = {self._token_info}\nusername_attribute = email\n"
        (self.home / "oauth2").write_text(told)
        lines = [f"{user}:{{PLAIN}}{password}" for user, password in self._users.items()]
        (self.home / "users").write_text("\n".join(lines) + "\n")
        (self.home / "users").chmod(0o644)
        self._process = subprocess.Popen(
            ["/usr/sbin/dovecot", "-F", "-c", str(self.home / "config")]
        )
        wait_until(
            lambda: is_listening(self.ports["tls"]),
            seconds=30,
            what=f"Dovecot; see {self.home}/log",
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self.home, ignore_errors=True)

    def open(self, user: str) -> imaplib.IMAP4:
        """Return a session of the mailbox's owner."""
        client = imaplib.IMAP4("127.0.0.1", self.ports["starttls"])
        client.login(user, self._users[user])
        return client

    def deliver(self, user: str, *mails: bytes, folder: str = "INBOX") -> None:
        client = self.open(user)
        for mail in mails:
            status, told = client.append(folder, "", imaplib.Time2Internaldate(time.time()), mail)
            assert status == "OK", told
        client.logout()

    def folders(self, user: str, *names: str) -> dict[str, list[str]]:
        """Return the flags of each mail in each folder."""
        client = self.open(user)
        found = {}
        for name in names:
            _, (count,) = client.select(name, readonly=True)
            _, told = client.fetch("1:*", "(FLAGS)") if int(count or 0) else ("", [])
            found[name] = [one.decode().partition("FLAGS ")[2].strip("()") for one in told]
        client.logout()
        return found

    def number_anew(self, user: str) -> None:
        """Make the server forget the numbers of all mails, as a restored or moved mailbox does."""
        # the last validity stays: without it the new one is the time, in seconds, which may be the old one
        for name in ("dovecot-uidlist", "dovecot.index"):
            for path in (self.home / "mail" / user).glob(f"{name}*"):
                path.unlink()
