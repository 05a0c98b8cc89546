"""Amazon SES (API v2) through anymail and boto3: the MIME as it is, one kept client, one message a call."""

import email
import re
from collections.abc import Mapping
from email.message import Message
from typing import Any, cast
from urllib.parse import urlsplit

from anymail.exceptions import AnymailAPIError
from botocore import exceptions as boto
from django.core.mail import EmailMultiAlternatives

from mailops.lib import egress
from mailops.lib.http_connection import HttpConnection, NotSent
from mailops.lib.storable import storable
from mailops.protocol.reply import Reply, make_reply
from mailops.transports.causes import fault_of
from mailops.transports.kinds.anymail import (
    CONNECT_SECONDS,
    READ_SECONDS,
    TAG,
    AnymailSession,
)
from mailops.transports.kinds.api_replies import retry_after
from mailops.transports.kinds.apis import APIS
from mailops.transports.kinds.aws_http import EgressHttpSession
from mailops.transports.sessions import BodyResult, Envelope, Login, Phase, SessionLost

_OUTSIDE_TAG = re.compile(r"[^A-Za-z0-9_-]")

# What SES says, as the SMTP reply that means the same (RFC 5321, 3463), so that one table judges both.
_MEANING: Mapping[str, tuple[int, str]] = {
    "TooManyRequestsException": (450, "4.7.28"),
    "ThrottlingException": (450, "4.7.28"),
    "Throttling": (450, "4.7.28"),
    "LimitExceededException": (452, "4.7.28"),
    "SendingPausedException": (554, "5.7.0"),
    "AccountSuspendedException": (554, "5.7.0"),
    "MailFromDomainNotVerifiedException": (553, "5.1.8"),
    "MessageRejected": (554, "5.6.0"),
    "BadRequestException": (554, "5.6.0"),
    "NotFoundException": (554, "5.3.5"),
}
# Words that the table of replies knows an account in trouble by: all mail would be refused, so the transport must stop.
_GLOSS: Mapping[str, str] = {
    "SendingPausedException": "account paused",
    "AccountSuspendedException": "account suspended",
    "NotFoundException": "not allowed to send with this configuration set",
}
# faults before the request was on its way
_NOT_REACHED = (boto.EndpointConnectionError, boto.SSLError)  # as `aws_http` raises them
_NOT_BEGUN = (
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
    boto.NoCredentialsError,
    boto.ParamValidationError,
)


class RawMail(EmailMultiAlternatives):
    """A message whose MIME is made already; anymail carries it as it is."""

    def __init__(self, envelope: Envelope, content: bytes) -> None:
        super().__init__(from_email=envelope.sender, to=[envelope.recipient])
        self._content = content
        self.metadata = {TAG: envelope.envid} if envelope.envid else {}
        self.esp_extra: dict[str, Any] = {}
        if envelope.envid:
            value = _OUTSIDE_TAG.sub("_", envelope.envid)[:256]
            self.esp_extra["EmailTags"] = [{"Name": TAG, "Value": value}]

    def message(self, *_: Any, **__: Any) -> Message:  # type: ignore[override]
        message = email.message_from_bytes(self._content)
        for part in message.walk():
            if part.is_multipart():
                # it only says that there is 8-bit text inside; anymail would recode the whole, which has no text itself
                del part["Content-Transfer-Encoding"]
        return message


class SesSession(AnymailSession):
    def __init__(
        self,
        *,
        region: str,
        login: Login | None,
        endpoint_url: str = "",
        configuration_set: str = "",
        ca_file: str = "",
        patience: float = 1.0,
    ) -> None:
        super().__init__(api=APIS["amazon_ses"], login=login, patience=patience)
        self.region, self.endpoint_url = region, endpoint_url
        self.configuration_set, self._ca_file = configuration_set, ca_file

    def open(self) -> None:
        """Connect for real, so that an Amazon that can't be reached costs no message anything."""
        if self._backend is not None:
            return
        self._check_endpoint()
        secret = self._reveal()
        backend = self._make_backend(self._options(secret))
        try:
            backend.open()
        except (boto.BotoCoreError, ValueError) as error:
            raise fault_of(Phase.CONNECT, "api_refused", str(error)) from error
        self.connection = self._connect_by_egress(backend.client)
        try:
            self.connection.open()
        except NotSent as error:
            backend.close()
            phase = Phase.TLS if error.cause.startswith("tls") else Phase.CONNECT
            raise fault_of(phase, error.cause, error.detail) from error
        self.peer = self.connection.peer
        self._backend = backend

    def _check_endpoint(self) -> None:
        """Let only a trusted relay stand in for the provider: a key must not go to whoever is named."""
        if not self.endpoint_url:
            return
        parts = urlsplit(self.endpoint_url)
        port = egress.port_of(parts)
        if not egress.is_trusted(parts.hostname or "", port):
            raise fault_of(Phase.RESOLVE, "not_trusted", f"{parts.hostname}:{port}")

    def _options(self, secret: str) -> dict[str, Any]:
        client: dict[str, Any] = {
            "region_name": self.region,
            "config": {
                # A lost answer may belong to a mail that was taken: only the ledger decides what is sent again.
                "retries": {"total_max_attempts": 1, "mode": "standard"},
                # What the machine is set to must not lead a transport elsewhere.
                "ignore_configured_endpoint_urls": True,
                "proxies": {},
            },
        }
        if self.endpoint_url:
            client["endpoint_url"] = self.endpoint_url
        login = self._login
        session = {
            "aws_access_key_id": login.username if login else "",
            "aws_secret_access_key": secret,
        }
        return {
            "session_params": session,
            "client_params": client,
            "configuration_set_name": self.configuration_set or None,
        }

    def _connect_by_egress(self, client: Any) -> HttpConnection:
        connection = HttpConnection(
            client.meta.endpoint_url,
            connect_seconds=CONNECT_SECONDS * self._patience,
            answer_seconds=READ_SECONDS * self._patience,
            ca_file=self._ca_file,
        )
        # boto3 has no public way to be given a connection; a test holds that it uses this one
        client._endpoint.http_session = EgressHttpSession(connection)  # noqa: SLF001
        return connection

    def check_account(self) -> Mapping[str, Any]:
        """Ask the provider who we are and what we may send; raise SessionFault. For the connection test."""
        assert self._backend is not None
        try:
            return cast("Mapping[str, Any]", self._backend.client.get_account())
        except boto.ClientError as error:
            reply = reply_of(error.response)
            cause = "auth_failed" if reply.code == 535 else "api_refused"
            if reply.is_transient:
                cause = "unavailable"
            raise fault_of(Phase.AUTH, cause, str(reply), reply) from error
        except boto.BotoCoreError as error:
            raise fault_of(Phase.CONNECT, "unreachable", str(error)) from error

    def _mail_of(self, envelope: Envelope, content: bytes) -> EmailMultiAlternatives:
        return RawMail(envelope, content)

    def _accepted(self, mail: EmailMultiAlternatives) -> BodyResult:
        status = mail.anymail_status  # type: ignore[attr-defined]
        message_id = storable(str(status.message_id or ""))
        if not message_id:
            raise SessionLost(Phase.BODY, "the answer names no message")
        reply = make_reply(250, [f"2.0.0 accepted as {message_id}"], "POST")
        return BodyResult(reply, message_id)

    def _result_of(self, error: AnymailAPIError) -> BodyResult:
        answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
        if isinstance(answer, dict) and _leaves_its_fate_unknown(_http_status(answer)):
            self.abandon()
            raise SessionLost(Phase.BODY, str(reply_of(answer))) from error
        if isinstance(answer, dict) and "Error" in answer:
            reply = reply_of(answer)
            wish = retry_after(_http_headers(answer), reply)
            return BodyResult(reply, retry_after=wish, data=_facts(answer))
        cause = error.__cause__
        if isinstance(cause, _NOT_REACHED):
            raise self._not_sent(str(cause)) from error
        self.abandon()
        phase = Phase.DATA if isinstance(cause, _NOT_BEGUN) else Phase.BODY
        raise SessionLost(phase, str(cause or error)) from error


def _leaves_its_fate_unknown(http_status: int) -> bool:
    """Tell whether a server that broke, or one before it that lost the answer, may have taken the mail all the same.

    A busy one (503) took nothing (RFC 9110, 15.6).
    """
    return http_status >= 500 and http_status != 503


def reply_of(answer: Mapping[str, Any]) -> Reply:
    """Return SES's error as the reply that means the same, with SES's own words."""
    error = answer.get("Error", {})
    name, words = storable(str(error.get("Code", ""))), storable(str(error.get("Message", "")))
    http_status = _http_status(answer)
    code, status = _MEANING.get(name) or _meaning_of_status(http_status)
    if "not verified" in words:
        code, status = 553, "5.1.8"
    if "quota" in words.lower() and code // 100 == 4:
        status = "4.7.0"
    gloss = f"; {_GLOSS[name]}" if name in _GLOSS else ""
    return make_reply(code, [f"{status} {name}: {words} (HTTP {http_status}{gloss})"], "POST")


def _meaning_of_status(http_status: int) -> tuple[int, str]:
    if http_status in {401, 403}:
        return 535, "5.7.8"
    if http_status == 429:
        return 450, "4.7.28"
    return (554, "5.6.0") if 400 <= http_status < 500 else (451, "4.3.0")


def _http_status(answer: Mapping[str, Any]) -> int:
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _http_headers(answer: Mapping[str, Any]) -> Mapping[str, str]:
    headers: Mapping[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def _facts(answer: Mapping[str, Any]) -> dict[str, str]:
    facts = {
        "error": answer.get("Error", {}).get("Code", ""),
        "http_status": _http_status(answer),
        "request_id": answer.get("ResponseMetadata", {}).get("RequestId", ""),
    }
    return {name: storable(str(value)) for name, value in facts.items()}
