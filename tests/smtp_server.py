"""A scripted SMTP server on loopback: says what it is told to say, drops, stalls, and keeps what it heard."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DROP = "drop"  # close without a word
RESET = "reset"  # close with a reset
STALL = "stall"  # say nothing, stay
DEFAULTS = {
    "banner": "220 scripted.example ESMTP",
    "HELO": "250 scripted.example",
    "STARTTLS": "220 go ahead",
    "AUTH": "235 2.7.0 welcome",
    "response": "235 2.7.0 welcome",  # to a line of a log-in
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    ".": "250 2.0.0 ok: queued as SCRIPT1",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 bye",
}
EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 1000000", "AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES")


@dataclass
class SmtpServer:
    """`script` maps a verb to its answer, or to a list of answers of which the last repeats."""

    script: dict[str, object] = field(default_factory=dict)
    extensions: tuple[str, ...] = EXTENSIONS
    tls: ssl.SSLContext | None = None
    is_tls_implicit: bool = False
    # octets of content after which the answer to "." is given and all ends
    speaks_after: int | None = None
    reads_after: threading.Event | None = None  # content is left unread until this is set
    holds_replies: bool = False  # until DATA or what follows it has come
    commands: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    takes_at_once: int | None = None  # sessions; others are turned away. None: one after the other
    turned_away: int = 0

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open, self._talks = [], []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._thread.join(5)

    @property
    def verbs(self):
        return [command.split(" ")[0].upper() for command in self.commands]

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            if self.takes_at_once is None:
                _Conversation(self, connection).run()
            else:
                self._take_or_turn_away(connection)

    def _take_or_turn_away(self, connection):
        self._talks = [talk for talk in self._talks if talk.is_alive()]
        if len(self._talks) >= self.takes_at_once:
            self.turned_away += 1
            connection.sendall(b"421 4.7.0 too many connections\r\n")
            connection.close()
            return
        talk = threading.Thread(target=_Conversation(self, connection).run, daemon=True)
        talk.start()
        self._talks.append(talk)

    def answer(self, verb):
        answer = self.script.get(verb, DEFAULTS.get(verb, "502 5.5.2 no such command"))
        if verb == "STARTTLS" and self.tls is None and verb not in self.script:
            return "502 5.5.1 no TLS here"
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        if verb == "EHLO" and "EHLO" not in self.script:
            lines = ["scripted.example", *self.extensions]
            return "\r\n".join(
                f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines
            )
        return answer


class _Ended(Exception):
    pass


class _Secured(ssl.SSLSocket):
    """Closes itself: where a client leaves while it is being wrapped, `wrap_socket` raises and drops it open."""

    def __del__(self):
        self.close()


class _Conversation:
    def __init__(self, server, connection):
        self.server, self.connection = server, connection
        self.held = []

    def run(self):
        with contextlib.suppress(_Ended, OSError, ssl.SSLError):
            if self.server.is_tls_implicit:
                self._secure()
            self.file = self.connection.makefile("rb")
            self._say("banner")
            while line := self.file.readline():
                self._hear(line.decode(errors="replace").rstrip("\r\n"))
        with contextlib.suppress(OSError, AttributeError):
            self.file.close()
        self.connection.close()

    def _secure(self):
        self.server.tls.sslsocket_class = _Secured
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.server._open.append(self.connection)
        self.file = self.connection.makefile("rb")

    def _hear(self, line):
        self.server.commands.append(line)
        verb = line.split(" ")[0].upper()
        said = self._say(verb)
        if verb == "STARTTLS" and said.startswith("220"):
            self._secure()
        if verb == "DATA" and said.startswith("354"):
            self._read_content()
        while verb == "AUTH" and said.startswith("334"):
            self.server.commands.append(self.file.readline().decode().rstrip("\r\n"))
            said = self._say("response")
        if verb == "QUIT":
            raise _Ended

    def _read_content(self):
        if self.server.reads_after is not None:
            self.server.reads_after.wait(60)
        content = b""
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise _Ended
            content += line
            if self.server.speaks_after is not None and len(content) > self.server.speaks_after:
                self._say(".")
                raise _Ended
        self.server.messages.append(content)
        self._say(".")

    def _say(self, verb):
        answer = self.server.answer(verb)
        if answer == DROP:
            self.connection.shutdown(socket.SHUT_RDWR)
            raise _Ended
        if answer == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raise _Ended
        if answer == STALL:
            self.file.read()
            raise _Ended
        self.held.append(answer)
        if not (self.server.holds_replies and verb in {"MAIL", "RCPT", "."}):
            raw = "".join(f"{held}\r\n" for held in self.held).encode("utf-8", "surrogateescape")
            self.held.clear()
            self.connection.sendall(raw)
        if answer.startswith("421"):
            raise _Ended
        return answer


class CertificateAuthority:
    """Signs certificates for loopback names; `file` is what a client must trust."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Scripted CA")])
        certificate = self._build(self._name, self._key, ca=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server_context(self, name="127.0.0.1", *, days=90):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._build(subject, key, alternative=name, days=days)
        path = self.folder / f"{name}-{days}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _build(self, subject, key, *, alternative="", days=90, ca=False):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=100))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if ca:
            builder = builder.add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        if alternative:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(alternative)]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
