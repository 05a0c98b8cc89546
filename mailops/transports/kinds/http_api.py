"""Providers' HTTP APIs through anymail, over one kept connection of our own opening."""

import base64
import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import requests
from anymail.exceptions import AnymailAPIError
from django.core.mail import EmailMultiAlternatives
from requests.adapters import BaseAdapter

from mailops.lib.fetching import Fetched
from mailops.lib.http_connection import AnswerLost, HttpConnection, NotSent
from mailops.lib.storable import storable
from mailops.protocol.reply import make_reply
from mailops.transports.causes import fault_of
from mailops.transports.kinds.anymail import (
    CONNECT_SECONDS,
    READ_SECONDS,
    AnymailSession,
    parts_of,
)
from mailops.transports.kinds.api_replies import is_definite, refusal, retry_after
from mailops.transports.kinds.apis import Api, Probe, api_url
from mailops.transports.sessions import BodyResult, Envelope, Login, Phase, SessionLost
from mailops.transports.wire import Observer

_TAKEN, _REFUSED = frozenset({"sent", "queued"}), frozenset({"invalid", "rejected"})


class HttpApiSession(AnymailSession):
    def __init__(
        self,
        *,
        api: Api,
        options: Mapping[str, Any],
        login: Login | None,
        return_path_host: str = "",
        ca_file: str = "",
        patience: float = 1.0,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(api=api, login=login, patience=patience)
        self.options, self.url = options, api_url(api, options)
        self._return_path_host, self._observer = return_path_host, observer
        self.connection = HttpConnection(
            self.url,
            connect_seconds=CONNECT_SECONDS * patience,
            answer_seconds=READ_SECONDS * patience,
            ca_file=ca_file,
        )

    def open(self) -> None:
        """Connect for real, so that a provider that can't be reached costs no message anything."""
        if self._backend is not None:
            return
        secret = self._reveal()
        backend = self._make_backend(self._backend_options(secret))
        self.connection.hide(self._spellings(secret))
        try:
            self.connection.open()
        except NotSent as error:
            phase = Phase.TLS if error.cause.startswith("tls") else Phase.CONNECT
            raise fault_of(phase, error.cause, error.detail) from error
        self.peer = self.connection.peer
        backend.session = _Session(self.connection)
        self._backend = backend

    def _spellings(self, secret: str) -> list[str]:
        """Return the forms in which an answer might quote the secret."""
        users = {"", "api", self._login.username if self._login else ""}
        basic = [base64.b64encode(f"{user}:{secret}".encode()).decode() for user in users]
        return [*basic, base64.b64encode(secret.encode()).decode(), secret]

    def _backend_options(self, secret: str) -> dict[str, Any]:
        options: dict[str, Any] = {
            "api_url": self.url,
            self.api.key_is: secret,
            # one recipient a call: what became of it is read here
            "ignore_recipient_status": True,
            "ignore_unsupported_features": False,
            "debug_api_requests": False,
        }
        if self.api.user_is and self._login is not None:
            options[self.api.user_is] = self._login.username
        return options | {name: self.options.get(name) or None for name in self.api.passes}

    def _mail_of(self, envelope: Envelope, content: bytes) -> EmailMultiAlternatives:
        mail = parts_of(envelope, content, self.api)
        if self.api.extra:
            mail.esp_extra = dict(self.api.extra)  # type: ignore[attr-defined]
        if self.api.envelope_domain and self._return_path_host:
            mail.envelope_sender = envelope.sender  # type: ignore[attr-defined]
        return mail

    def _accepted(self, mail: EmailMultiAlternatives) -> BodyResult:
        told = mail.anymail_status  # type: ignore[attr-defined]
        states = told.status or set()
        message_id = storable(str(told.message_id or ""))
        answer = _answer_of(told.esp_response)
        if self._is_taken(states, message_id, answer.status):
            reply = make_reply(250, [f"2.0.0 accepted as {message_id or 'asked'}"], "POST")
            return BodyResult(reply, message_id, data={"http_status": str(answer.status)})
        # anymail takes what it does not understand for a success with some, for a failure with others
        is_nothing = states & _TAKEN or states <= {"unknown"}
        if is_nothing or (states == {"failed"} and not _names(answer, mail.to[0])):
            raise SessionLost(Phase.BODY, f"the answer names no recipient: {_words(answer)}")
        return self._refused(answer)

    def _is_taken(self, states: set[str], message_id: str, status: int) -> bool:
        """Tell whether an answer of success names our one recipient as taken, and nothing in it as refused.

        Each API gives what it takes an id, but where the status alone says it.
        """
        if self.api.taken_with:
            return bool(states & _TAKEN) and status in self.api.taken_with
        is_said = states & _TAKEN or (self.api.unknown_is_taken and states == {"unknown"})
        return bool(is_said and message_id) and not states & _REFUSED

    def _result_of(self, error: AnymailAPIError) -> BodyResult:
        if isinstance(error.__cause__, NotSentError):
            raise self._not_sent(str(error.__cause__)) from error
        response = getattr(error, "response", None)
        if response is None:
            self.abandon()
            phase = Phase.BODY if self._has_asked else Phase.DATA
            raise SessionLost(phase, str(error.__cause__ or error)) from error
        answer = _answer_of(response)
        if not is_definite(answer.status, _words(answer)):
            self.abandon()
            raise SessionLost(Phase.BODY, f"HTTP {answer.status}: {_words(answer)}") from error
        return self._refused(answer)

    def _refused(self, answer: Fetched) -> BodyResult:
        reply = refusal(self.api.name, answer.status, _words(answer))
        data = {"http_status": str(answer.status), "answer": _words(answer)}
        return BodyResult(reply, retry_after=retry_after(answer.headers, reply), data=data)

    def check_account(self) -> str:
        """Make the provider's harmless call; return what it said, raise SessionFault. For the connection test."""
        probe = self.api.probe
        assert probe is not None
        answer = self._ask(probe)
        words = _words(answer)
        if answer.status < 300 and '"status":"error"' not in words.replace(" ", "").lower():
            return _shown(answer)
        if any(sign in words for sign in probe.proven_by):
            return _shown(answer)
        if probe.is_empty_send and answer.status in {400, 422}:
            return (
                f"The key may send (asked without a recipient, so nothing was sent): {words[:200]}"
            )
        reply = refusal(self.api.name, answer.status, words)
        cause = "auth_failed" if reply.code == 535 else "api_refused"
        cause = "unavailable" if reply.is_transient and reply.code != 452 else cause
        raise fault_of(Phase.AUTH, cause, f"HTTP {answer.status}: {words}", reply)

    def _ask(self, probe: Probe) -> Fetched:
        """Send the probe with the headers that anymail logs in with."""
        backend = cast("Any", self._backend)
        mail = EmailMultiAlternatives(
            to=["probe@example.invalid"], from_email="probe@example.invalid"
        )
        login = backend.build_message_payload(mail, {}).get_request_params(self.url)
        fill = {name: str(value) for name, value in self.options.items()}
        body = probe.body and probe.body.replace("{secret}", self._reveal())
        request = requests.Request(
            probe.method,
            urljoin(self.url, _filled(probe.path, fill)),
            headers={**(login["headers"] or {}), "Content-Type": "application/json"},
            auth=login["auth"],
            data=body,
        )
        self._observe_sent(f"{probe.method} {urlsplit(str(request.url)).path}")
        try:
            answer = _answer_of(backend.session.send(backend.session.prepare_request(request)))
        except NotSentError as error:
            raise fault_of(Phase.CONNECT, error.cause, str(error)) from error
        except requests.RequestException as error:
            raise fault_of(Phase.AUTH, "dropped", str(error)) from error
        if self._observer is not None:
            self._observer.received(make_reply(answer.status, [_words(answer)], "HTTP"))
        return answer

    def _observe_sent(self, text: str) -> None:
        if self._observer is not None:
            self._observer.sent(text)

    def close(self) -> None:
        super().close()
        self.connection.close()


class NotSentError(requests.ConnectionError):
    """What `lib.http_connection.NotSent` is to anymail, which makes another of it from words alone."""

    def __init__(self, *words: object, cause: str = "", **options: Any) -> None:
        super().__init__(*words, **options)
        self.cause = cause


class _Session(requests.Session):
    """A requests session over one connection: no proxy, no .netrc, no cookie, no redirect."""

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = "mailops"
        self.headers["Accept-Encoding"] = "identity"  # answers are read as they are
        adapter = _Adapter(connection)
        for scheme in ("https://", "http://"):
            self.mount(scheme, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - never followed
        return None


class _Adapter(BaseAdapter):
    def __init__(self, connection: HttpConnection) -> None:
        super().__init__()
        self._connection = connection

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **_: Any
    ) -> requests.Response:
        url = request.url or ""
        if not self._connection.leads_to(url):
            where = urlsplit(url).netloc
            raise NotSentError(f"{where} is not this API's address", cause="not_allowed")
        body = request.body
        octets = body.encode() if isinstance(body, str) else cast("bytes | None", body)
        headers = {name: _text(value) for name, value in request.headers.items()}
        try:
            answer = self._connection.ask(request.method or "POST", url, headers, octets)
        except NotSent as error:
            raise NotSentError(error.detail, cause=error.cause) from error
        except AnswerLost as error:
            raise requests.ConnectionError(str(error)) from error
        return _response(request, answer)

    def close(self) -> None:
        self._connection.close()


def _response(request: requests.PreparedRequest, answer: Fetched) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url, response.request = answer.status, request.url or "", request
    response.headers.update(answer.headers)
    response._content = answer.body  # noqa: SLF001 - as requests' own adapter leaves it once read
    response.encoding = "utf-8"
    return response


def _answer_of(response: requests.Response) -> Fetched:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Fetched(response.status_code, headers, response.content)


def _words(answer: Fetched) -> str:
    return storable(answer.body[:1000].decode(errors="replace"))


def _names(answer: Fetched, recipient: str) -> bool:
    return recipient.lower().encode() in answer.body.lower()


def _shown(answer: Fetched) -> str:
    """Return an account's name, if the answer has one, for a person to see that it is the right one."""
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        told = {}
    names = ("companyName", "Name", "name", "email", "username", "quota")
    found = [str(told[key]) for key in names if isinstance(told, dict) and told.get(key)]
    return f"The key works{': ' + storable(found[0], 100) if found else ''}."


def _filled(path: str, options: Mapping[str, str]) -> str:
    for name, value in options.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
