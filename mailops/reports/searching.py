"""Finds a thing by what one has at hand: a name, an address, or a message id."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailops.audiences.models import Audience, Contact
from mailops.campaigns.models import Campaign
from mailops.content.models import MailTemplate
from mailops.domains.models import Domain
from mailops.lib.templatetags.navigation import resolve
from mailops.outbox.models import Message
from mailops.outbox.searching import search_messages
from mailops.protocol.address import InvalidAddress, address_key
from mailops.transports.models import Stream, Transport

EACH = 6
SHORTEST = 2
SHORTEST_ID = 16  # a message id is at least so long; shorter words are names


@dataclass(frozen=True)
class Found:
    label: str
    url: str
    kind: str


_NAMED: tuple[tuple[str, Any, str], ...] = (
    ("Campaign", Campaign, "campaigns:detail"),
    ("Template", MailTemplate, "content:detail"),
    ("Domain", Domain, "domains:detail"),
    ("Audience", Audience, "audiences:detail"),
    ("Stream", Stream, "transports:stream-detail"),
    ("Transport", Transport, "transports:detail"),
)


def search(words: str) -> list[Found]:
    """Return what `words` names: things by a part of their name, people and messages by the whole."""
    words = words.strip()
    if len(words) < SHORTEST:
        return []
    return [*_things(words), *_contacts(words), *_messages(words)]


def _things(words: str) -> Iterator[Found]:
    for kind, model, url_name in _NAMED:
        for row in model.objects.filter(name__icontains=words).order_by("-id")[:EACH]:
            yield Found(str(row), resolve(url_name, row.pk), kind)


def _contacts(words: str) -> Iterator[Found]:
    if "@" not in words:
        return
    try:
        key = address_key(words.strip("<>"), allow_utf8=True)
    except InvalidAddress:
        return
    for contact in Contact.objects.filter(address_key=key):
        yield Found(contact.address, resolve("audiences:contact", contact.pk), "Contact")


def _messages(words: str) -> Iterator[Found]:
    if "@" not in words and len(words) < SHORTEST_ID:
        return  # the beginning of an address would read the whole ledger
    for message in search_messages(Message.objects.all(), words).order_by("-id")[:EACH]:
        label = f"{message.recipient} · {message.get_status_display()}"
        yield Found(label, resolve("outbox:detail", message.public_id), "Message")
