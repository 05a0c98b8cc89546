"""Takes one call of a webhook, whoever carries it here: Django's view, or the door before Django."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http.request import HttpHeaders

from mailops.feedback.models import WebhookEndpoint
from mailops.feedback.proving import BASIC, PROOFS, is_proven_by_password, worth_of
from mailops.feedback.taking import door_of, take
from mailops.lib.client_address import client_address
from mailops.lib.whole_numbers import whole_number

logger = logging.getLogger(__name__)

MAX_WEBHOOK = 2_000_000  # octets; SNS sends 256 KB at most, the others a thousand events
_NAMES = (  # of the headers that are archived
    "Content-Type", "User-Agent", "X-Amz-Sns-Message-Type", "X-Amz-Sns-Topic-Arn",
    *(name for proof in PROOFS.values() for name in proof.headers),
)  # fmt: skip
_KEPT = {HttpHeaders.to_wsgi_name(header): header for header in _NAMES}


@dataclass(frozen=True)
class Answer:
    status: int
    text: str = ""


STORED = Answer(200, "Stored.\n")
NOT_HERE = Answer(404, "There is no webhook here.\n")
TOO_LARGE = Answer(413)
NOT_NOW = Answer(503, "Its password can't be compared now. Call again.\n")


def declared_size(environ: Mapping[str, Any]) -> int | None:
    """Return how many octets a call says that it has, 0 where it doesn't say; None where that is no number."""
    return whole_number(environ.get("CONTENT_LENGTH") or "0")


def receive(secret: str, content: bytes, environ: Mapping[str, Any]) -> Answer:
    """Store a call as it came and return what to answer; raises DatabaseError where it could not be kept."""
    door = door_of(secret)
    if door is None:
        return NOT_HERE
    if len(content) > MAX_WEBHOOK:
        return TOO_LARGE
    if _is_locked(door.endpoint):
        logger.error("a call for %s is refused: its password can't be opened", door.endpoint)
        return NOT_NOW
    take(
        door,
        content=content,
        peer=client_address(environ),
        headers=_kept(environ, door.endpoint),
    )
    return STORED


def _is_locked(endpoint: WebhookEndpoint) -> bool:
    """Tell whether a password of ours proves its calls and can't be opened: later nothing would prove them."""
    is_password = is_proven_by_password(endpoint.transport.kind)
    return is_password and bool(endpoint.key) and not endpoint.revealed_key()


def _kept(environ: Mapping[str, Any], endpoint: WebhookEndpoint) -> dict[str, str]:
    """Return the headers that are archived; of a password, only what it was worth."""
    kept = {header: environ[name] for name, header in _KEPT.items() if environ.get(name)}
    if is_proven_by_password(endpoint.transport.kind):
        given = environ.get("HTTP_AUTHORIZATION", "")
        kept[BASIC] = worth_of(given, endpoint.revealed_key())
    return kept
