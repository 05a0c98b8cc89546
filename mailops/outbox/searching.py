"""Finds messages by what a person has at hand."""

import re
from uuid import UUID

from django.db.models import Q, QuerySet

from mailops.outbox.models import OPEN_STATUSES, Message
from mailops.protocol.address import InvalidAddress, address_key

_HEX = re.compile(r"[0-9a-f]{32}")


def search_messages(messages: QuerySet[Message], text: str) -> QuerySet[Message]:
    """Keep messages whose Message-ID, public id, next hop's id or recipient is `text`; a bare word begins a recipient."""
    wanted = text.strip()
    if not wanted:
        return messages
    found = _HEX.search(wanted.replace("-", "").lower())
    if found:
        return messages.filter(Q(public_id=UUID(found.group())) | Q(transport_message_id=wanted))
    if "@" in wanted:
        try:
            return messages.filter(address_key=address_key(wanted.strip("<>"), allow_utf8=True))
        except InvalidAddress:
            return messages.none()
    return messages.filter(
        Q(transport_message_id=wanted) | Q(address_key__startswith=wanted.lower())
    )


def with_status(messages: QuerySet[Message], status: str) -> QuerySet[Message]:
    """Keep messages of a status; "open" stands for all that may still leave."""
    if status == "open":
        return messages.filter(status__in=OPEN_STATUSES)
    return messages.filter(status=status) if status else messages
