"""One conversation with a next hop, phase by phase; the outcome follows the phase, not the exception class."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mailops.lib.secrets import Secret
from mailops.protocol.reply import Reply


class Phase(StrEnum):
    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    BANNER = "banner"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"  # the content and the final dot, or a provider's POST
    QUIT = "quit"


@dataclass(frozen=True, kw_only=True)
class Login:
    """What a session logs in with."""

    username: str
    reveal: Callable[[], Secret]  # raises Unsealable, BadReference or SessionFault
    is_token: bool = False  # the secret is an access token of OAuth 2.0


class LoginId(NamedTuple):
    """What tells one log-in from another: the credential, its user name, and when its secret was set (None: it has none)."""

    credential_id: int
    username: str
    secret_set_at: datetime | None


class SessionFault(Exception):
    """The session could not be opened: nobody was spoken of, no message is charged.

    `cause` is a name from `transports.causes` ("auth_failed", "refused", "timeout", "tls_expired", …),
    `sentence` says what is wrong and what to do, `detail` is the technical text, secrets masked.
    """

    def __init__(
        self, phase: Phase, cause: str, sentence: str, detail: str = "", reply: Reply | None = None
    ) -> None:
        super().__init__(sentence)
        self.login_id: LoginId | None = None  # what the session would have logged in with
        self.phase, self.cause, self.sentence, self.detail, self.reply = (
            phase,
            cause,
            sentence,
            detail,
            reply,
        )


class SessionLost(Exception):
    """The connection ended or timed out in `phase` without the reply that was due; the session is closed.

    In phase BODY the message that was being spoken of is uncertain; before it, it was certainly not taken.
    """

    def __init__(self, phase: Phase, detail: str) -> None:
        super().__init__(detail)
        self.phase, self.detail = phase, detail


class SessionEnded(SessionLost):
    """It was lost between messages, or a provider could not be called again: who is next has no part in it."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One recipient's envelope (RFC 5321) with what a DSN should quote (RFC 3461)."""

    sender: str
    recipient: str
    envid: str = ""
    size: int = 0  # octets of the content, 0 where not known yet
    is_8bit: bool | None = None  # whether the content has 8-bit octets, None where not known yet


@dataclass(frozen=True, slots=True)
class Offer:
    """What became of an envelope: ready for its body, or refused with the deciding reply at `phase`."""

    is_ready: bool
    reply: Reply
    phase: Phase


@dataclass(frozen=True, slots=True)
class BodyResult:
    """The reply to the body, and the offer of the envelope that rode behind it (None: none did, or it got no answer)."""

    reply: Reply
    transport_message_id: str = ""
    next_offer: Offer | None = None
    retry_after: int = 0  # seconds the peer asked for, 0 where it didn't
    data: dict[str, str] = field(default_factory=dict)


class Session(ABC):
    """One open conversation; used by one thread. Nothing here touches the database, but `open()` for a token of OAuth.

    The caller's order is open → (offer → [mark committed] → body)… → close. After SessionLost the session is closed.
    """

    peer = ""  # "host [address]:port", for events
    login_id: LoginId | None = None  # what it logs in with
    farewell = ""  # what the server said as it ended the session unasked
    can_pipeline = False  # whether an envelope may ride behind a body
    may_have_left = True  # whether anything of the last body may have; asked where an error of ours, no SessionLost, came
    meanwhile: Callable[[], None] | None = None  # done before a body's reply is waited for
    # whether content may have 8-bit octets; if not, body() refuses it with 554 5.6.3
    can_8bit = False

    @abstractmethod
    def open(self) -> None:
        """Connect, greet, secure, authenticate; raise SessionFault."""

    @abstractmethod
    def offer(self, envelope: Envelope) -> Offer:
        """Speak MAIL, RCPT, DATA (one write where pipelined); raise SessionLost, or SessionEnded before a word of it.

        Where RCPT was refused and DATA was answered 354 all the same, this sends the lone dot and reads its reply
        (only when every RCPT reply was negative). A 421 reply is returned as the refusal, and closes the session.
        """

    @abstractmethod
    def body(self, content: bytes, *, then: Envelope | None = None) -> BodyResult:
        """Send the content (CRLF lines, not yet dot-stuffed), its dot and, behind it, the envelope `then`.

        Raise SessionLost(BODY) only if the dot's reply was not read, or the server said yes to a part of the content. Once
        it is read it is final: a loss after it closes the session and returns the result with `next_offer=None`. Raise
        SessionEnded where a provider could not be reached again.
        """

    @abstractmethod
    def abandon(self) -> None:
        """Close at once, without a final dot: nothing that was offered is sent."""

    @abstractmethod
    def close(self) -> None:
        """Say QUIT and close; never raises."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether another message may be offered."""
