"""Finds the message that feedback speaks of: by a token we signed, else by a Message-ID and the recipient it went to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from mailops.outbox.models import Message
from mailops.outbox.tokens import token_key
from mailops.protocol import unsubscribe, verp
from mailops.protocol.address import InvalidAddress, address_key
from mailops.protocol.message_id import parse_message_id

_IN_LINK = re.compile(r"/([0-9a-f]{32}\.[a-z2-7]{20})(?:/|>|$)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Match:
    """A message of ours, and the round the feedback speaks of where it says one; `is_signed` where a token proves it."""

    message: Message
    round: int | None = None
    is_signed: bool = True


def by_token(tokens: Iterable[verp.Token | None]) -> Match | None:
    """Return the message of the first token that bears our signature."""
    for token in tokens:
        if token is None:
            continue
        message = _messages().filter(public_id=token.public_id).first()
        key = token_key(message.token_key_id) if message else None
        if message and key and token.is_signed_by(key):
            return Match(message, token.round)
    return None


def by_unsubscribe_token(token: unsubscribe.UnsubscribeToken | None) -> Match | None:
    if token is None:
        return None
    message = _messages().filter(public_id=token.public_id).first()
    key = token_key(message.token_key_id) if message else None
    return Match(message) if message and key and token.is_signed_by(key) else None


def by_list_unsubscribe(header: str) -> Match | None:
    """Return the message whose List-Unsubscribe field a complaint gives back: its token is signed too."""
    found = _IN_LINK.search(header)
    return by_unsubscribe_token(unsubscribe.parse_token(found[1])) if found else None


def by_message_id(message_id: str, recipients: Iterable[str]) -> Match | None:
    """Return the message of this Message-ID if it went to one of `recipients`."""
    parsed = parse_message_id(message_id)
    if parsed is None:
        return None
    public_id, domain = parsed
    message = _messages().filter(public_id=public_id, identity__domain__name=domain).first()
    if message is None or message.address_key not in keys_of(recipients):
        return None
    return Match(message, is_signed=False)


def by_transport_message_id(
    transport_message_id: str, *, transport_id: int | None, recipient: str
) -> Match | None:
    """Return the message that this transport's provider knows by its own id."""
    if not transport_message_id or transport_id is None:
        return None
    found = _messages().filter(transport_message_id=transport_message_id, transport_id=transport_id)
    message = found.filter(address_key__in=keys_of([recipient])).first()
    return Match(message, is_signed=False) if message else None


def keys_of(addresses: Iterable[str]) -> set[str]:
    """Return the keys of those addresses that have one."""
    keys = set()
    for address in addresses:
        try:
            keys.add(address_key(address.strip().strip("<>"), allow_utf8=True))
        except InvalidAddress:
            continue
    return keys


def _messages() -> QuerySet[Message]:
    return Message.objects.select_related("stream", "identity__domain").defer("merge_data")
