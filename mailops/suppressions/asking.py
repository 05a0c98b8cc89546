"""Asks a provider about its suppression list, with what its transport logs in with, through egress."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlencode, urljoin

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.conf import settings

from mailops.lib.http_connection import AnswerLost, AnswerTooLong, HttpConnection, NotSent
from mailops.lib.secrets import BadReference, Unsealable
from mailops.lib.whole_numbers import whole_number
from mailops.suppressions.provider_lists import Request
from mailops.transports.causes import CAUSES
from mailops.transports.kinds.apis import APIS, api_url
from mailops.transports.models import Transport

_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 20.0
_USUAL_WAIT, _MOST_WAIT = 60, 3600  # seconds, of a provider that is busy
_SHOWN = 300
_GONE = frozenset({404})


class AskingFailed(Exception):
    """The provider gave no list. The sentence says what is wrong and what to do; `wait` is what the provider asked for."""

    def __init__(self, sentence: str, detail: str = "", wait: timedelta | None = None) -> None:
        super().__init__(sentence)
        self.sentence, self.detail, self.wait = sentence, detail, wait


class Refused(AskingFailed):
    """The provider understood and refuses what was asked for; asked again, it says the same."""


@dataclass(frozen=True, kw_only=True)
class _Login:
    user: str
    key: str
    region: str

    def basic(self, user: str) -> str:
        return "Basic " + base64.b64encode(f"{user}:{self.key}".encode()).decode()


_HEADERS: Mapping[str, Callable[[_Login], dict[str, str]]] = {
    "brevo": lambda login: {"api-key": login.key},
    "mailgun": lambda login: {"Authorization": login.basic("api")},
    "postmark": lambda login: {"X-Postmark-Server-Token": login.key},
    "sendgrid": lambda login: {"Authorization": f"Bearer {login.key}"},
    "sparkpost": lambda login: {"Authorization": login.key},
}


class Provider:
    """One kept connection to the API of a transport's provider."""

    def __init__(self, transport: Transport, right: str) -> None:
        self._transport, self._right = transport, right
        self._api = APIS[transport.kind]
        self._login = self._reveal()
        self._url = self._base()
        self._connection = HttpConnection(
            self._url,
            connect_seconds=_CONNECT_SECONDS,
            answer_seconds=_ANSWER_SECONDS,
            ca_file=str(settings.MAILOPS_EXTRA_CA_FILE or ""),
        )
        login = self._login
        self._connection.hide([login.key, *(login.basic(user).split()[1] for user in ("api", ""))])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, request: Request) -> Any:
        """Return the JSON of the answer, None where it is empty or there is nothing; raise AskingFailed or Refused."""
        url = urljoin(self._url, request.path)
        if request.query:
            url += f"?{urlencode(request.query)}"
        body = json.dumps(request.body).encode() if request.body is not None else None
        headers = {"Accept": "application/json", **self._headers(request.method, url, body)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            answer = self._connection.ask(
                request.method, url, headers, body, most_octets=request.most_octets
            )
        except NotSent as fault:
            cause = CAUSES.get(fault.cause, CAUSES["unreachable"])
            raise AskingFailed(cause.sentence, fault.detail) from fault
        except AnswerTooLong as fault:
            megabytes = request.most_octets // 1_000_000
            sentence = (
                f"{self._api.name} answers with more than {megabytes} MB at once, which mailops doesn't read: "
                "nothing of it came in. Delete old entries there, or leave it to the provider's webhook, which tells of each address."
            )
            raise AskingFailed(sentence, str(fault)) from fault
        except AnswerLost as fault:
            sentence = f"{self._api.name} did not answer; it is asked again."
            raise AskingFailed(sentence, str(fault)) from fault
        return self._read(answer.status, answer.headers, answer.body, request)

    def _read(self, status: int, headers: Mapping[str, str], body: bytes, request: Request) -> Any:
        detail = f"HTTP {status}: {body.decode('utf-8', 'replace')[:_SHOWN]}"
        if request.method == "DELETE" and status in _GONE:
            return None  # it was not on the list
        if status in {401, 403}:
            # of one address the key may be right, and the answer final
            fault = AskingFailed if status == 401 else Refused
            raise fault(
                f"{self._api.name} doesn't let this key see or change its suppression list. {self._right}",
                detail,
            )
        if status == 429 or status >= 500:
            sentence = f"{self._api.name} is busy or failed; it is asked again."
            raise AskingFailed(sentence, detail, timedelta(seconds=_wait_of(headers)))
        if status >= 300:
            fault = AskingFailed if status < 400 else Refused
            raise fault(
                f"{self._api.name} refused the request for its suppression list. {self._right}",
                detail,
            )
        if not body.strip():
            return None
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self.misread(detail) from error

    def misread(self, detail: str) -> AskingFailed:
        """Return what is said of an answer whose form nobody knows."""
        sentence = f"The answer of {self._api.name} has a form that mailops doesn't know; nothing was changed by it."
        return AskingFailed(sentence, detail)

    def _base(self) -> str:
        given = self._transport.options.get("endpoint_url", "")
        if self._transport.kind == Transport.Kind.SES:
            url = given or f"https://email.{self._login.region}.amazonaws.com/"
            return url if url.endswith("/") else f"{url}/"
        return api_url(self._api, self._transport.options)

    def _reveal(self) -> _Login:
        credential = self._transport.active_credential
        if credential is None:
            raise AskingFailed("The transport has no credential. Add one on its page.")
        try:
            key = credential.reveal().reveal()
        except (Unsealable, BadReference) as error:
            raise AskingFailed(CAUSES["credential"].sentence, str(error)) from error
        region = str(self._transport.options.get("region", ""))
        return _Login(user=credential.username, key=key, region=region)

    def _headers(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
        if self._transport.kind != Transport.Kind.SES:
            headers = _HEADERS[self._transport.kind](self._login)
            subaccount = self._transport.options.get("subaccount")
            is_sparkpost = self._transport.kind == Transport.Kind.SPARKPOST
            return headers | (
                {"X-MSYS-SUBACCOUNT": str(subaccount)} if is_sparkpost and subaccount else {}
            )
        # Amazon's signature (Signature Version 4) covers what is asked for; botocore makes it
        signed = AWSRequest(method=method, url=url, data=body or b"")
        credentials = Credentials(self._login.user, self._login.key)
        SigV4Auth(credentials, "ses", self._login.region).add_auth(signed)
        return {name: str(value) for name, value in signed.headers.items()}


def _wait_of(headers: Mapping[str, str]) -> int:
    told = whole_number(headers.get("retry-after", ""))
    return _USUAL_WAIT if told is None else min(told, _MOST_WAIT)
