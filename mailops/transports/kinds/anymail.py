"""What sessions over anymail share: the mail, the backend made from a row and nothing else, the phases of a call.

The only module that calls Django's `get_connection()`.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.encoders import encode_base64
from email.message import EmailMessage as MimeMessage
from email.mime.base import MIMEBase
from email.policy import SMTP
from typing import Any, cast

from anymail.backends.base import AnymailBaseBackend
from anymail.exceptions import AnymailAPIError, AnymailError
from django.core.mail import EmailMultiAlternatives, get_connection

from mailops.lib.http_connection import HttpConnection
from mailops.lib.secrets import BadReference, Unsealable
from mailops.protocol.reply import Reply, make_reply
from mailops.transports.causes import fault_of
from mailops.transports.kinds.apis import Api
from mailops.transports.kinds.smtp_lines import objection_to
from mailops.transports.sessions import (
    BodyResult,
    Envelope,
    Login,
    Offer,
    Phase,
    Session,
    SessionEnded,
    SessionLost,
)

CONNECT_SECONDS = 30
READ_SECONDS = 60
TAG = "mailops"  # under which our token travels
_MISCOPIED = (
    "The {} has a space at an end, or a character that no key of an API has: it was copied wrongly."
)

# what anymail, which trusts an answer's shape, raises of one that has another
_NOT_READ = (
    AnymailError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)

_READY = Reply(354, "ready (an API is asked only once)", "", "DATA")
# Header fields that an API has parameters for, or makes itself.
_NOT_EXTRA = frozenset(
    {"from", "to", "subject", "reply-to", "date", "mime-version", "message-id", "content-type"}
    | {"content-transfer-encoding", "content-disposition"}
)


class AnymailSession(Session):
    """One kept connection, one message a call; nothing rides behind a call."""

    can_8bit = True  # a provider encodes the text by itself
    connection: HttpConnection  # made by open() at the latest

    def __init__(self, *, api: Api, login: Login | None, patience: float = 1.0) -> None:
        self.api, self._login, self._patience = api, login, patience
        self._backend: AnymailBaseBackend | None = None
        self._envelope: Envelope | None = None
        self._asked_before = 0  # requests of the connection before the present body
        self._extensions = {"8BITMIME": "", "SMTPUTF8": "", "SIZE": str(api.size_limit or "")}

    def offer(self, envelope: Envelope) -> Offer:
        if self._backend is None:
            raise SessionEnded(Phase.MAIL, "the session had ended")
        refusal = objection_to(envelope, self._extensions)
        self._envelope = None if refusal else envelope
        return refusal or Offer(is_ready=True, reply=_READY, phase=Phase.DATA)

    def body(self, content: bytes, *, then: Envelope | None = None) -> BodyResult:  # noqa: ARG002 - nothing rides behind a call
        envelope, self._envelope = self._envelope, None
        if self._backend is None or envelope is None:
            raise SessionLost(Phase.DATA, "the session had ended")
        self._asked_before = self.connection.requests
        self.may_have_left = False
        try:
            mail = self._mail_of(envelope, content)
            self._backend.send_messages([mail])
        except AnymailAPIError as error:
            return self._result_of(error)
        except _NOT_READ as error:
            if self._has_asked:
                self.abandon()  # its answer can't be read: the mail may have been taken
                raise SessionLost(Phase.BODY, repr(error)) from error
            if not isinstance(error, AnymailError | ValueError):
                raise
            return BodyResult(make_reply(554, [f"5.6.0 mailops: {error}"], "POST"))
        finally:
            self.may_have_left = self._has_asked
        return self._accepted(mail)

    @property
    def _has_asked(self) -> bool:
        """Whether anything of the present body may have left."""
        return self.connection.requests > self._asked_before

    def _not_sent(self, detail: str) -> SessionLost:
        """Close, and return what tells that nothing was taken: where no call began, its message has no part in that."""
        self.abandon()
        self.farewell = detail
        return (SessionLost if self._has_asked else SessionEnded)(Phase.DATA, detail)

    @abstractmethod
    def _mail_of(self, envelope: Envelope, content: bytes) -> EmailMultiAlternatives:
        """Return the mail as anymail wants it."""

    @abstractmethod
    def _accepted(self, mail: EmailMultiAlternatives) -> BodyResult:
        """Return what a call without an error came to; raise SessionLost where that can't be known."""

    @abstractmethod
    def _result_of(self, error: AnymailAPIError) -> BodyResult:
        """Return what the provider refused; raise SessionLost where it can't be known whether it did."""

    def _reveal(self) -> str:
        if self._login is None:
            raise fault_of(Phase.AUTH, "auth_required", "the transport has no active credential")
        try:
            secret = self._login.reveal().reveal()
        except (BadReference, Unsealable) as error:
            raise fault_of(Phase.AUTH, "credential", str(error)) from error
        username = self._login.username if self.api.user_label else ""
        for name, text in (("user name", username), ("secret", secret)):
            if not text.isascii() or not text.isprintable() or text != text.strip():
                raise fault_of(Phase.AUTH, "credential", _MISCOPIED.format(name))
        return secret

    def _make_backend(self, options: Mapping[str, Any]) -> AnymailBaseBackend:
        """Return anymail's backend of this kind, made of `options` alone."""
        path = f"anymail.backends.{self.api.kind}.EmailBackend"
        return cast("AnymailBaseBackend", get_connection(path, **options))

    def abandon(self) -> None:
        self.close()

    def close(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close()

    @property
    def is_open(self) -> bool:
        """A kept connection that its peer closed is opened anew with the next call, before anything is sent."""
        return self._backend is not None


def parts_of(envelope: Envelope, content: bytes, api: Api) -> EmailMultiAlternatives:
    """Return the mail `content` in the parts that an API takes, with our token where it carries it."""
    mime = message_from_bytes(content, policy=SMTP)
    text, html = _text_of(mime, "plain"), _text_of(mime, "html")
    mail = EmailMultiAlternatives(
        subject=str(mime["Subject"] or ""),
        body=text or "",
        from_email=_addresses(mime, "From")[0],
        to=[envelope.recipient],
        reply_to=_addresses(mime, "Reply-To"),
        headers=_extra_headers(mime, api),
    )
    if html is not None:
        mail.attach_alternative(html, "text/html")
    for part in _files_of(mime):
        mail.attach(part)
    if envelope.envid and api.carries_metadata:
        mail.metadata = {TAG: envelope.envid}  # type: ignore[attr-defined]
    elif envelope.envid:
        mail.tags = [envelope.envid]  # type: ignore[attr-defined]
    return mail


def _text_of(mime: MimeMessage, subtype: str) -> str | None:
    part = mime.get_body(preferencelist=(subtype,))
    return cast("str", part.get_content()) if part is not None else None


def _files_of(mime: MimeMessage) -> Iterator[MIMEBase]:
    """Yield what is attached, and the pictures that the HTML shows, as anymail takes them apart."""
    for part in mime.walk():
        disposition = part.get_content_disposition()
        if part.is_multipart() or disposition not in {"inline", "attachment"}:
            continue
        file = MIMEBase(part.get_content_maintype(), part.get_content_subtype())
        file.set_payload(part.get_payload(decode=True))
        encode_base64(file)
        name = ("utf-8", "", part.get_filename() or "file")
        file.add_header("Content-Disposition", disposition, filename=name)
        if part["Content-ID"]:
            file["Content-ID"] = str(part["Content-ID"])
        yield file


def _addresses(mime: MimeMessage, name: str) -> list[str]:
    header = mime[name]
    return [str(address) for address in header.addresses] if header is not None else []


def _extra_headers(mime: MimeMessage, api: Api) -> dict[str, str]:
    headers = {name: str(value) for name, value in mime.items() if name.lower() not in _NOT_EXTRA}
    if api.keeps_message_id and mime["Message-ID"]:
        headers["Message-ID"] = str(mime["Message-ID"])
        headers |= api.adds_headers
    return headers
