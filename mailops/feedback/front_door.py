"""Answers webhook calls before Django does: providers call in storms, and need nothing that makes a page.

What is looked at is the same: the host, the address, the size. All other requests, and what is odd of these, go on to
Django, whose view takes a call by the same verb.
"""

import logging
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import Error
from django.http.request import split_domain_port, validate_host
from django.urls import reverse

from mailops.feedback.intake import MAX_WEBHOOK, TOO_LARGE, Answer, declared_size, receive
from mailops.lib.database_away import RETRY_AFTER_SECONDS

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

logger = logging.getLogger(__name__)

_CUT_OFF = Answer(400, "It ended before its end.\n")
_NOT_STORED = Answer(503, "It could not be stored now. Call again.\n")


class FrontDoor:
    """A WSGI application before another one."""

    def __init__(self, application: Application) -> None:
        self._application = application
        before, _, after = reverse("feedback:webhook", args=["-"]).partition("-")
        self._address = re.compile(f"{re.escape(before)}([0-9a-f]{{40}}){re.escape(after)}")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        address = self._address.fullmatch(environ.get("PATH_INFO", ""))
        if not (address and environ["REQUEST_METHOD"] == "POST" and _is_for_us(environ)):
            return self._application(environ, start_response)
        request_started.send(sender=type(self), environ=environ)  # connections that are too old go
        try:
            return _say(_answer(address[1], environ), start_response)
        finally:
            request_finished.send(sender=type(self))


def _answer(secret: str, environ: Environ) -> Answer:
    declared = declared_size(environ)
    if declared is None or declared > MAX_WEBHOOK:
        return TOO_LARGE
    try:
        body = _body(environ, declared)
        return _CUT_OFF if len(body) < declared else receive(secret, body, environ)
    except Error as error:
        logger.error("a webhook call could not be stored: %s", error)  # noqa: TRY400 - of thousands alike, a trace each tells no more
        return _NOT_STORED


def _body(environ: Environ, declared: int) -> bytes:
    """Return the body; in chunks, without a size told before, it ends where the server says (PEP 3333 leaves it open)."""
    size = declared
    if not declared and environ.get("wsgi.input_terminated"):
        size = MAX_WEBHOOK + 1
    body: bytes = environ["wsgi.input"].read(size)
    return body


def _is_for_us(environ: Environ) -> bool:
    return _is_allowed(environ.get("HTTP_HOST", ""), tuple(settings.ALLOWED_HOSTS))


@lru_cache(maxsize=64)
def _is_allowed(host: str, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def _say(answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
    text = answer.text.encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(text))),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", RETRY_AFTER_SECONDS))
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
    return [text]
