"""SMTP as a client, phase by phase, over one kept connection (RFC 5321, 1870, 2920, 3461, 6152, 6531)."""

from mailops.protocol.reply import Reply
from mailops.transports.kinds.smtp_connection import (
    BLOCK_TIMEOUT,
    Server,
    SmtpConnection,
    octets_of,
)
from mailops.transports.kinds.smtp_lines import (
    NO_8BIT,
    envelope_lines,
    objection_to,
    queue_id_of,
    stuff_dots,
)
from mailops.transports.sessions import (
    BodyResult,
    Envelope,
    Offer,
    Phase,
    SessionEnded,
    SessionLost,
)
from mailops.transports.wire import Observer, WireLost

_OFFER_PHASES = (Phase.MAIL, Phase.RCPT, Phase.DATA)


class SmtpSession(SmtpConnection):
    def __init__(self, server: Server, observer: Observer | None = None) -> None:
        super().__init__(server, observer)
        self._needs_reset = False  # the server still holds a sender that got no body

    def offer(self, envelope: Envelope) -> Offer:
        if not self.is_open:
            raise SessionEnded(Phase.MAIL, self.farewell or "the session had ended")
        refusal = objection_to(envelope, self.extensions)
        if refusal is not None:
            return refusal
        lines = envelope_lines(envelope, self.extensions)
        if self._needs_reset:
            self._reset(lines)
        elif self.can_pipeline:
            self._say_all(lines)
        return self._converse(lines)

    def _converse(self, lines: list[str]) -> Offer:
        """Match the replies to MAIL, RCPT and DATA with what was said; the first refusal decides."""
        refusal: Offer | None = None
        replies: list[Reply] = []
        phase = Phase.MAIL
        try:
            for phase, line in zip(_OFFER_PHASES, lines, strict=True):
                if not self.can_pipeline:
                    self._write([line], phase)
                reply = self._hear(phase, line)
                replies.append(reply)
                if refusal is None and reply.code >= 400:
                    refusal = Offer(is_ready=False, reply=reply, phase=phase)
                if reply.code == 421 or (refusal and not self.can_pipeline):
                    break
        except WireLost as lost:
            self.abandon()
            if refusal is None:
                raise SessionLost(phase, lost.detail) from lost
            return refusal
        return self._settle(refusal, replies)

    def _say_all(self, lines: list[str]) -> None:
        try:
            self._write(lines, Phase.MAIL)
        except WireLost as lost:
            raise self._lost(Phase.MAIL, lost) from lost

    def _reset(self, lines: list[str]) -> None:
        """End what a refusal left open and, where pipelined, say all of the envelope in the same write.

        Raise SessionEnded where that is refused: servers so end a session with too many errors.
        """
        try:
            self._write(["RSET", *lines] if self.can_pipeline else ["RSET"], Phase.MAIL)
            reply = self._hear(Phase.MAIL, "RSET")
        except WireLost as lost:
            self.abandon()
            raise SessionEnded(Phase.MAIL, lost.detail) from lost
        if not reply.is_positive:
            self.abandon()
            raise SessionEnded(Phase.MAIL, f"RSET was answered {reply}")
        self._needs_reset = False

    def _settle(self, refusal: Offer | None, replies: list[Reply]) -> Offer:
        """Leave the conversation ready for a body, or for the next envelope after a refusal."""
        if refusal is None:
            if self._live.has_surplus:  # replies and commands can no longer be matched
                self.abandon()
                raise SessionLost(Phase.DATA, "the server said more than it was asked")
            return Offer(is_ready=True, reply=replies[-1], phase=Phase.DATA)
        if replies[-1].code == 421 or self._live.has_surplus:
            self.abandon()
        elif replies[-1].code == 354:
            self._answer_empty_data(replies[1])
        else:
            self._needs_reset = refusal.phase is not Phase.MAIL
        return refusal

    def _answer_empty_data(self, rcpt: Reply) -> None:
        """End a DATA that was let in though nobody is to get it: a lone dot, only if RCPT was refused."""
        if rcpt.code < 400:
            self.abandon()
            return
        try:
            self._say(".", Phase.DATA)
        except WireLost:
            self.abandon()

    def body(self, content: bytes, *, then: Envelope | None = None) -> BodyResult:
        self.may_have_left = False
        if not self.can_8bit and not content.isascii():
            self.abandon()
            return BodyResult(NO_8BIT)
        refusal = objection_to(then, self.extensions) if then else None
        rides = then if self.can_pipeline and refusal is None else None
        lines = envelope_lines(rides, self.extensions) if rides else []
        data = stuff_dots(content) + b".\r\n"
        early = self._said_before_body() or self._write_body(data, lines)
        if early is not None:
            return BodyResult(early)
        if self.meanwhile is not None:
            self.meanwhile()
        try:
            reply = self._hear(Phase.BODY, ".")
        except WireLost as lost:
            raise self._lost(Phase.BODY, lost) from lost
        if reply.code == 421 or (not lines and self._live.has_surplus):
            self.abandon()
        return BodyResult(reply, queue_id_of(reply), refusal or self._hear_rider(lines))

    def _said_before_body(self) -> Reply | None:
        """Return the refusal of a server that gave up while the mark was committed, None where it still waits.

        Raise SessionLost where it is gone, or said anything else: that would be taken for the reply to this body.
        """
        try:
            if not self._live.has_spoken():
                return None
        except WireLost as lost:
            raise self._lost(Phase.DATA, lost) from lost
        reply = self._last_words(".")
        self.abandon()
        if reply is None or reply.code < 400:
            raise SessionLost(Phase.DATA, f"the server spoke before the content: {reply or ''}")
        return reply

    def _write_body(self, data: bytes, lines: list[str]) -> Reply | None:
        """Write content, dot and the envelope behind it; return the refusal of a server that would not hear the end."""
        self._show(["(content)", ".", *lines])
        self.may_have_left = True
        try:
            self._live.send_body(data, octets_of(lines), timeout=BLOCK_TIMEOUT)
        except WireLost as lost:
            reply = self._last_words(".")
            self.abandon()
            if reply is None:  # without its dot the message can't have been taken
                raise SessionLost(Phase.DATA, lost.detail) from lost
            if reply.code < 400:  # it may have taken what it had
                raise SessionLost(Phase.BODY, f"{lost.detail}: {reply}") from lost
            return reply
        return None

    def _hear_rider(self, lines: list[str]) -> Offer | None:
        """Return what became of the envelope behind the body; None if it got no answer."""
        if not lines or self.wire is None:
            return None
        try:
            return self._converse(lines)
        except SessionLost:
            return None

    def ask_only(self, envelope: Envelope) -> Offer:
        """Say MAIL and RCPT to see whether they may be, and RSET; nothing is sent. Raise SessionLost."""
        phase = Phase.MAIL
        try:
            for phase, line in zip(
                _OFFER_PHASES, envelope_lines(envelope, self.extensions)[:2], strict=False
            ):
                self._enter(phase)
                reply = self._say(line, phase)
                if reply.code >= 400:
                    return Offer(is_ready=False, reply=reply, phase=phase)
            self._say("RSET", Phase.MAIL)
        except WireLost as lost:
            raise self._lost(phase, lost) from lost
        return Offer(is_ready=True, reply=reply, phase=phase)

    def _lost(self, phase: Phase, lost: WireLost) -> SessionLost:
        self.abandon()
        return SessionLost(phase, lost.detail)
