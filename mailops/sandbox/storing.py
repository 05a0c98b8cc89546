"""Keeps what the receiver took: captured messages in their inboxes, and the reactions they call for."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.parser import HeaderParser

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from mailops.lib.storable import storable
from mailops.protocol.charsets import decode_words
from mailops.protocol.dsn_request import Notice
from mailops.sandbox.models import CapturedMessage, Inbox, Reaction
from mailops.sandbox.simulating import Behavior, tag_of

REACTIONS = {
    "later-bounce": Reaction.Kind.BOUNCE,
    "complain": Reaction.Kind.COMPLAINT,
    "unsubscribe": Reaction.Kind.UNSUBSCRIBE,
}
HEADERS_READ = 65_536  # octets; a body without headers before it must hold nobody up
_HEADERS = HeaderParser()
_ON_ONE_LINE = str.maketrans("\r\n", "  ")


@dataclass(frozen=True, slots=True)
class Addressee:
    """One recipient of a message, how its mailbox behaves, and what the client asked for it (RFC 3461)."""

    address: str
    behavior: Behavior
    notice: Notice

    @property
    def reactions(self) -> Iterator[Reaction.Kind]:
        """What its mailbox does later; of what became of the message it tells only what the client wants to know."""
        kind = REACTIONS.get(self.behavior.name)
        bounces = kind == Reaction.Kind.BOUNCE
        if kind and (not bounces or "FAILURE" in self.notice.notify):
            yield kind
        if not bounces and "SUCCESS" in self.notice.notify:
            yield Reaction.Kind.DELIVERY


@dataclass(frozen=True, kw_only=True)
class Received:
    """One message for its recipients, as the receiver took it."""

    session: str
    client: str = ""  # the address that connected
    helo: str
    envelope_sender: str
    envid: str
    recipients: Sequence[Addressee]
    content: bytes
    headers: "Headers"


@dataclass(frozen=True, slots=True)
class Headers:
    """The header fields a list shows, decoded and fit for a column."""

    message_id: str
    header_from: str
    subject: str


def headers_of(content: bytes) -> Headers:
    """Return the headers of `content`; a missing one is an empty string."""
    head = content[:HEADERS_READ].partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    fields = _HEADERS.parsestr(head)
    return Headers(
        message_id=_plain(fields.get("Message-ID", ""), 254),
        header_from=_words(fields.get("From", ""), 320),
        subject=_words(fields.get("Subject", ""), 500),
    )


def store(batch: Sequence[Received], *, reaction_delay: timedelta) -> None:
    """Insert `batch` in one transaction; raises DatabaseError where nothing of it could be kept."""
    try:
        _insert(batch, reaction_delay)
    except IntegrityError:  # an inbox was deleted between our reading and our writing it
        _insert(batch, reaction_delay)


@transaction.atomic
def _insert(batch: Sequence[Received], reaction_delay: timedelta) -> None:
    addressees = [one for received in batch for one in received.recipients]
    inboxes = _inboxes({_inbox_of(one.address) for one in addressees})
    rows = [row for received in batch for row in _rows(received, inboxes)]
    CapturedMessage.objects.bulk_create(rows)
    due_at = timezone.now() + reaction_delay
    Reaction.objects.bulk_create(
        Reaction(captured=row, kind=kind, due_at=due_at)
        for row, one in zip(rows, addressees, strict=True)
        for kind in one.reactions
    )


def _inboxes(names: set[tuple[str, str]]) -> dict[tuple[str, str], Inbox]:
    known = {
        (inbox.kind, inbox.name): inbox
        for inbox in Inbox.objects.filter(name__in={name for _, name in names})
    }
    for kind, name in names - known.keys():
        known[kind, name], _ = Inbox.objects.get_or_create(kind=kind, name=name)
    return known


def _inbox_of(recipient: str) -> tuple[str, str]:
    if tag := tag_of(recipient):
        return Inbox.Kind.TAG, tag
    return Inbox.Kind.DOMAIN, _plain(recipient.rpartition("@")[2].lower(), 253) or "localhost"


def _rows(received: Received, inboxes: dict[tuple[str, str], Inbox]) -> list[CapturedMessage]:
    packed = zlib.compress(received.content, 1)
    return [
        CapturedMessage(
            inbox=inboxes[_inbox_of(one.address)],
            session=received.session,
            client=received.client or None,
            helo=_plain(received.helo, 253),
            envelope_sender=_plain(received.envelope_sender, 320),
            recipient=_plain(one.address, 320),
            envid=received.envid,
            orcpt=one.notice.orcpt,
            notify=str(one.notice),
            behavior=one.behavior.name,
            message_id=received.headers.message_id,
            header_from=received.headers.header_from,
            subject=received.headers.subject,
            size=len(received.content),
            packed=packed,
        )
        for one in received.recipients
    ]


def _words(value: str, limit: int) -> str:
    return _plain(decode_words(value.replace("\r\n", "")), limit)


def _plain(value: object, limit: int) -> str:
    """Make text that came from a peer fit for a column: storable, on one line, not too long."""
    return storable(str(value).translate(_ON_ONE_LINE)).strip()[:limit]


def prune() -> int:
    """Delete the oldest of each inbox that holds more than its cap; return how many rows went."""
    gone = 0
    for inbox in Inbox.objects.all():
        kept = inbox.captured.order_by("-id").values_list("id", flat=True)
        newest_too_old = kept[settings.MAILOPS_SANDBOX_KEEP :].first()
        if newest_too_old is not None:
            gone += inbox.captured.filter(id__lte=newest_too_old).delete()[0]
    return gone
