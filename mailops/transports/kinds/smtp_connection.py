"""An SMTP connection from the name look-up to the log-in (RFC 5321, 3207, 4954); every fault here charges no message."""

import re
import ssl
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailops.lib import egress
from mailops.lib.secrets import BadReference, Unsealable, spellings
from mailops.lib.tls import client_context, flaw_of
from mailops.protocol.reply import Reply
from mailops.transports import sasl
from mailops.transports.causes import better_cause, fault_of
from mailops.transports.kinds.smtp_lines import parse_extensions
from mailops.transports.sessions import Login, Phase, Session, SessionFault
from mailops.transports.wire import Observer, Wire, WireLost

# Seconds the peer has in each phase (RFC 5321, 4.5.3.2): for the whole reply, not for each octet of it.
TIMEOUTS: Mapping[Phase, float] = {
    Phase.CONNECT: 30,
    Phase.TLS: 60,
    Phase.BANNER: 300,
    Phase.EHLO: 300,
    Phase.AUTH: 120,
    Phase.MAIL: 300,
    Phase.RCPT: 300,
    Phase.DATA: 120,
    Phase.BODY: 600,
    Phase.QUIT: 5,
}
# A server's greeting and farewell: in the midst of a session another one speaks, or this one leaves (RFC 5321, 4.2.2).
_OF_CONNECTIONS = frozenset({220, 221})
_NOT_THIS_MECHANISM = frozenset({504, 534})  # RFC 4954, 6: another may be let in
_OLD_TLS = frozenset({"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"})
_CROSSED_OUT = re.compile(r"X{4,}[A-Z]?")  # as firewalls do that inspect SMTP
BLOCK_TIMEOUT = 180  # for each block that is written
_LAST_WORDS_TIMEOUT = 2  # for a reply that came just before the connection broke


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where to and how: all that a session must know of its transport."""

    host: str
    port: int
    security: str  # "starttls", "tls" or "none"
    ehlo_name: str
    login: Login | None = None
    ca_file: str = ""  # certificates to trust beside the system's
    timeouts: Mapping[Phase, float] = field(default_factory=lambda: TIMEOUTS)


class SmtpConnection(Session, ABC):
    """Opens and ends the conversation; `smtp.SmtpSession` sends mail over it."""

    def __init__(self, server: Server, observer: Observer | None = None) -> None:
        self.server = server
        self.extensions: dict[str, str] = {}
        self.wire: Wire | None = None
        self.banner = ""
        self.is_logged_in = False
        self._observer = observer

    def open(self) -> None:
        if self.wire is not None:
            return
        try:
            self._connect()
            self._greet()
            self._secure_and_log_in()
        except SessionFault as fault:
            self.abandon()
            cause = better_cause(fault.cause, fault.phase, self.server.port, self.server.security)
            raise fault_of(fault.phase, cause, fault.detail, fault.reply) from fault

    def _connect(self) -> None:
        host, port = self.server.host, self.server.port
        self._enter(Phase.RESOLVE)
        try:
            endpoint = egress.resolve(host, port)
        except egress.EgressFault as fault:
            raise fault_of(Phase.RESOLVE, fault.cause, fault.detail) from fault
        if self.server.security == "none" and not egress.is_trusted(host, port):
            raise fault_of(Phase.CONNECT, "not_trusted", f"{host}:{port} is not a trusted relay")
        self._enter(Phase.CONNECT)
        try:
            connection, address = egress.connect(
                endpoint, timeout=self.server.timeouts[Phase.CONNECT]
            )
        except egress.EgressFault as fault:
            raise fault_of(Phase.CONNECT, fault.cause, fault.detail) from fault
        self.peer = f"{host} [{address}]:{port}"
        self.wire = Wire(connection, self._observer)

    def _greet(self) -> None:
        if self.server.security == "tls":
            self._enter(Phase.TLS)
            self._start_tls()
        self._enter(Phase.BANNER)
        banner = self._opening_reply(Phase.BANNER, "")
        if not banner.is_positive:
            raise _refused(Phase.BANNER, banner)
        self.banner = banner.text
        self._say_hello()

    def _say_hello(self) -> None:
        """Say EHLO, or HELO to a server that doesn't know it, and keep what it offers."""
        self._enter(Phase.EHLO)
        reply = self._ask(Phase.EHLO, f"EHLO {self.server.ehlo_name}")
        self.extensions = parse_extensions(reply) if reply.is_positive else {}
        self.can_pipeline = "PIPELINING" in self.extensions
        self.can_8bit = "8BITMIME" in self.extensions
        if reply.is_permanent:
            reply = self._ask(Phase.EHLO, f"HELO {self.server.ehlo_name}")
        if not reply.is_positive:
            raise _refused(Phase.EHLO, reply)

    def _secure_and_log_in(self) -> None:
        if self.server.security == "starttls":
            self._upgrade()
        if self.server.login is not None:
            self._log_in(self.server.login)

    def _upgrade(self) -> None:
        """Go over to TLS; a server, or someone on the way, that doesn't offer it gets nothing in clear text."""
        self._enter(Phase.TLS)
        if "STARTTLS" not in self.extensions:
            offered = " ".join(self.extensions) or "nothing"
            raise fault_of(Phase.TLS, self._why_no_tls(), f"EHLO offers: {offered}")
        reply = self._ask(Phase.TLS, "STARTTLS")
        if reply.code != 220:
            raise fault_of(Phase.TLS, "no_tls", str(reply), reply)
        if self._live.has_surplus:  # clear text that would be read as if it came under TLS
            raise fault_of(Phase.TLS, "protocol", "the server spoke on before TLS began")
        self._start_tls()
        self._say_hello()

    def _why_no_tls(self) -> str:
        if self._takes_starttls_all_the_same():
            return "tls_stripped"
        is_trusted = egress.is_trusted(self.server.host, self.server.port)
        return "no_tls_trusted" if is_trusted else "no_tls"

    def _takes_starttls_all_the_same(self) -> bool:
        """Tell whether the server has STARTTLS and something on the way took the offer out, or crossed it out."""
        if any(_CROSSED_OUT.fullmatch(name) for name in self.extensions):
            return True
        try:
            return self._ask(Phase.TLS, "STARTTLS").code == 220
        except SessionFault:
            return False

    def _start_tls(self) -> None:
        context = client_context(self.server.ca_file)
        timeout = self.server.timeouts[Phase.TLS]
        try:
            self._live.start_tls(context, self.server.host, timeout=timeout)
        except ssl.SSLCertVerificationError as error:
            raise fault_of(Phase.TLS, flaw_of(error), error.verify_message) from error
        except WireLost as lost:
            raise fault_of(Phase.TLS, lost.cause, lost.detail) from lost
        except OSError as error:
            is_old = isinstance(error, ssl.SSLError) and error.reason in _OLD_TLS
            raise fault_of(Phase.TLS, "tls_old" if is_old else "tls_failed", str(error)) from error

    def _log_in(self, login: Login) -> None:
        self._enter(Phase.AUTH)
        if self._live.tls is None:
            raise fault_of(Phase.AUTH, "clear_text_auth", "nothing was sent")
        offered = self.extensions.get("AUTH", "")
        mechanisms = sasl.usable(offered, is_token=login.is_token)
        if not mechanisms:
            wants_token = bool(sasl.usable(offered, is_token=True))
            cause = "needs_oauth" if wants_token else "auth_not_offered"
            cause = "oauth_not_offered" if login.is_token else cause
            raise fault_of(Phase.AUTH, cause, f"AUTH offers: {offered or 'nothing'}")
        try:
            secret = login.reveal()
        except (BadReference, Unsealable) as error:
            raise fault_of(Phase.AUTH, "credential", str(error)) from error
        self._live.hide(spellings(login.username, secret))
        for mechanism in mechanisms:
            reply = self._exchange(mechanism, mechanism.steps(login.username, secret))
            if reply.code not in _NOT_THIS_MECHANISM:
                break
        if reply.code // 100 != 2:
            raise fault_of(Phase.AUTH, _cause_of(reply, login), str(reply), reply)
        self.is_logged_in = True

    def _exchange(self, mechanism: sasl.Mechanism, steps: sasl.Steps) -> Reply:
        """Walk through challenges and responses (RFC 4954) and return the last reply."""
        initial = next(steps)
        shown = f"AUTH {mechanism.name}" + (" ****" if initial else "")
        reply = self._ask(Phase.AUTH, f"AUTH {mechanism.name} {initial}".rstrip(), shown=shown)
        for _ in range(3):
            if reply.code != 334:
                break
            try:
                answer, shown = steps.send(reply.text), "****"
            except StopIteration:
                answer = shown = "*"  # it asks for more than there is: cancel
            reply = self._ask(Phase.AUTH, answer, shown=shown)
        return reply

    def abandon(self) -> None:
        if self.wire is not None:
            self.wire.cut()
        self.wire = None

    def close(self) -> None:
        if self.wire is None:
            return
        try:
            self._say("QUIT", Phase.QUIT)
        except WireLost:
            self.abandon()
            return
        self.wire.close()
        self.wire = None

    @property
    def is_open(self) -> bool:
        if self.wire is not None and not self.wire.is_quiet():
            self.farewell = str(self._last_words("") or "")
            self.abandon()
        return self.wire is not None

    def _last_words(self, command: str) -> Reply | None:
        try:
            return self._live.read_reply(command, timeout=_LAST_WORDS_TIMEOUT)
        except WireLost:
            return None

    @property
    def _live(self) -> Wire:
        if self.wire is None:
            raise WireLost("dropped", "the session had ended")
        return self.wire

    def _enter(self, phase: Phase) -> None:
        if self._observer is not None:
            self._observer.entered(phase)

    def _write(self, lines: list[str], phase: Phase) -> None:
        self._show(lines)
        self._live.send(octets_of(lines), timeout=min(BLOCK_TIMEOUT, self.server.timeouts[phase]))

    def _show(self, lines: list[str]) -> None:
        if self._observer is not None:
            for line in lines:
                self._observer.sent(line)

    def _hear(self, phase: Phase, line: str) -> Reply:
        """Return the reply to `line`; raise WireLost if it is not one that this command can have."""
        verb = line.partition(" ")[0]
        reply = self._live.read_reply(verb, timeout=self.server.timeouts[phase])
        is_expected = reply.code == 354 if verb == "DATA" else reply.code < 300
        is_expected &= reply.code not in _OF_CONNECTIONS or verb == "QUIT"
        if not (is_expected or reply.code >= 400):
            raise WireLost("protocol", f"{verb} was answered {reply}")
        return reply

    def _say(self, line: str, phase: Phase) -> Reply:
        self._write([line], phase)
        return self._hear(phase, line)

    def _opening_reply(self, phase: Phase, command: str) -> Reply:
        try:
            return self._live.read_reply(command, timeout=self.server.timeouts[phase])
        except WireLost as lost:
            raise fault_of(phase, lost.cause, lost.detail) from lost

    def _ask(self, phase: Phase, line: str, *, shown: str = "") -> Reply:
        """Say one command of the opening; `shown` stands for a line that holds a secret."""
        self._show([shown or line])
        try:
            self._live.send(octets_of([line]), timeout=self.server.timeouts[phase])
        except WireLost as lost:
            raise fault_of(phase, lost.cause, lost.detail) from lost
        return self._opening_reply(phase, "AUTH" if shown else line.partition(" ")[0])


def octets_of(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def _cause_of(reply: Reply, login: Login) -> str:
    if reply.is_transient:
        return "auth_busy"
    return "oauth_refused" if login.is_token else "auth_failed"


def _refused(phase: Phase, reply: Reply) -> SessionFault:
    if reply.code == 530:
        return fault_of(phase, "auth_required", str(reply), reply)
    return fault_of(phase, "unavailable" if reply.is_transient else "rejected", str(reply), reply)
