"""A submission server whose log-ins can be switched on and off while sessions are open, as a provider's console does."""

import base64
import contextlib
import socket
import ssl
import threading
from collections import Counter


class LoginServer:
    """`passwords` are those that are let in now; a session whose password is gone is told so at its next MAIL."""

    def __init__(self, context, *passwords):
        self._context = context
        self.passwords = set(passwords)
        self.log_ins = Counter()  # password → sessions that it opened
        self.refused = 0
        self.recipients = Counter()
        self._threads = []
        self._open = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._converse, connection)

    def _converse(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            secured = self._context.wrap_socket(connection, server_side=True)
            self._open.append(secured)
            with secured, secured.makefile("rb") as lines:
                _Talk(self, secured, lines).run()
        connection.close()


class _Talk:
    def __init__(self, server, connection, lines):
        self.server, self.connection, self.lines = server, connection, lines
        self.password = self.recipient = None

    def say(self, *replies):
        self.connection.sendall("".join(f"{reply}\r\n" for reply in replies).encode())

    def run(self):
        self.say("220 login.example ESMTP")
        for line in self.lines:
            verb = line[:4].upper()
            if verb == b"QUIT":
                self.say("221 bye")
                return
            answer = getattr(self, verb.decode().lower(), self.unknown)
            answer(line.decode().strip())

    def unknown(self, _line):
        self.say("502 5.5.2 what?")

    def ehlo(self, _line):
        self.say("250-login.example", "250-PIPELINING", "250-8BITMIME", "250 AUTH PLAIN")

    def auth(self, line):
        password = base64.b64decode(line.split()[-1]).split(b"\0")[-1].decode()
        if password not in self.server.passwords:
            self.server.refused += 1
            self.say("535 5.7.8 authentication failed")
            return
        self.password = password
        self.server.log_ins[password] += 1
        self.say("235 2.7.0 welcome")

    def mail(self, _line):
        self.recipient = None
        if self.password in self.server.passwords:
            self.is_wanted = True
            self.say("250 2.1.0 ok")
        else:
            self.is_wanted = False
            self.say("530 5.7.0 Authentication required")

    def rcpt(self, line):
        if self.is_wanted:
            self.recipient = line[line.index("<") + 1 : line.index(">")]
        self.say("250 2.1.5 ok" if self.recipient else "503 5.5.1 no sender")

    def data(self, _line):
        if self.recipient is None:
            self.say("503 5.5.1 no recipient")
            return
        self.say("354 go on")
        for line in self.lines:
            if line == b".\r\n":
                self.server.recipients[self.recipient] += 1
                self.recipient = None
                self.say("250 2.0.0 ok")
                return

    def rset(self, _line):
        self.say("250 2.0.0 ok")
