"""Finds the message that feedback speaks of: by a token we signed, else by a Message-ID and the recipient it went to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
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
        if message and _is_ours(token, message):
            return Match(message, token.round)
    return None


@dataclass(frozen=True, slots=True)
class Told:
    """What one event of a provider says to name its message."""

    tokens: tuple[verp.Token, ...]
    transport_message_id: str
    transport_id: int | None
    recipient: str


def find_told(told: Iterable[Told]) -> list[Match | None]:
    """Return the message of each: by a token that bears our signature, else by the id that the provider gave it.

    It asks once for each of the two, however many there are.
    """
    told = list(told)
    named = _by_public_id({token.public_id for one in told for token in one.tokens})
    signed = [_signed(one, named) for one in told]
    known = _by_provider([one for one, match in zip(told, signed, strict=True) if match is None])
    return [match or _known(one, known) for one, match in zip(told, signed, strict=True)]


_Numbered = dict[tuple[int, str, str], Message]


def _signed(one: Told, named: dict[UUID, Message]) -> Match | None:
    for token in one.tokens:
        message = named.get(token.public_id)
        if message and _is_ours(token, message):
            return Match(message, token.round)
    return None


def _known(one: Told, known: _Numbered) -> Match | None:
    if one.transport_id is None:
        return None
    for key in keys_of([one.recipient]):
        if message := known.get((one.transport_id, one.transport_message_id, key)):
            return Match(message, is_signed=False)
    return None


def _by_public_id(ids: set[UUID]) -> dict[UUID, Message]:
    if not ids:
        return {}
    return {message.public_id: message for message in _brief().filter(public_id__in=ids)}


def _by_provider(told: list[Told]) -> _Numbered:
    numbered = [one for one in told if one.transport_message_id and one.transport_id is not None]
    if not numbered:
        return {}
    found = _brief().filter(
        transport_id__in={one.transport_id for one in numbered},
        transport_message_id__in={one.transport_message_id for one in numbered},
        address_key__in=keys_of(one.recipient for one in numbered),
    )
    return {
        (message.transport_id, message.transport_message_id, message.address_key): message
        for message in found.order_by("-pk")  # so the first of several stays
        if message.transport_id is not None
    }


def _is_ours(token: verp.Token | unsubscribe.UnsubscribeToken, message: Message) -> bool:
    """Tell whether the message's key signed it, or where that is gone any other of ours: mail that left since bears it."""
    ids = [message.token_key_id]
    if token_key(message.token_key_id) is None:
        ids = list(settings.MAILOPS_TOKEN_KEYS)
    return any(token.is_signed_by(key) for key in map(token_key, ids) if key is not None)


def by_unsubscribe_token(token: unsubscribe.UnsubscribeToken | None) -> Match | None:
    if token is None:
        return None
    message = _messages().filter(public_id=token.public_id).first()
    return Match(message) if message and _is_ours(token, message) else None


def names_a_message(address: str) -> bool:
    """Tell whether an address has the form of those that we sign; by whom it is signed is not asked."""
    return bool(verp.parse_envelope_sender(address) or unsubscribe.parse_mail_address(address))


def by_address(address: str) -> Match | None:
    """Return the message that an address of ours was signed for, to report to or to leave at."""
    return by_token([verp.parse_envelope_sender(address)]) or by_unsubscribe_token(
        unsubscribe.parse_mail_address(address)
    )


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


def keys_of(addresses: Iterable[str]) -> set[str]:
    """Return the keys of those addresses that have one."""
    keys = set()
    for address in addresses:
        try:
            keys.add(address_key(address.strip().strip("<>"), allow_utf8=True))
        except InvalidAddress:
            continue
    return keys


def _brief() -> QuerySet[Message]:
    """Return messages with what a provider's event asks of them."""
    return Message.objects.only(
        "public_id", "token_key_id", "round", "recipient", "address_key", "accepted_at", "stream",
        "transport", "transport_message_id",
    ).prefetch_related("stream")  # fmt: skip


def _messages() -> QuerySet[Message]:
    return Message.objects.select_related("stream", "identity__domain").defer("merge_data")
