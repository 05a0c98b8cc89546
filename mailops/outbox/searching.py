"""Finds messages by what a person has at hand."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from mailops.outbox.models import ANSWERED_AT, IS_ANSWERED, OPEN_STATUSES, Message
from mailops.protocol.address import InvalidAddress, address_key

_HEX = re.compile(r"[0-9a-f]{32}")


NO_REPLY, NO_CODE, NO_REASON = "none", "000", "none"
# a code, or that there were words alone; an enhanced status; both; or none of all
REPLY = re.compile(
    rf"{NO_REPLY}|(?P<code>\d{{3}})? ?(?P<enhanced>\d\.\d{{1,3}}\.\d{{1,3}})?", re.ASCII
)
FILTERS = ("stream", "campaign", "reason", "transport", "mailbox_provider")


def chosen_by(data: Mapping[str, Any]) -> QuerySet[Message]:
    """Return the messages that the list's filter, validated, stands for."""
    found = with_status(search_messages(Message.objects.all(), data["q"]), data["status"])
    given = {name: data[name] for name in FILTERS if data[name]}
    if data["reason"] == NO_REASON:
        given["reason"] = ""
    if data["signature"] is not None:
        given["signature_id"] = data["signature"]
    if data["domain"]:
        given["identity__domain"] = data["domain"]
    if data["reply"] and (reply := REPLY.fullmatch(data["reply"])):
        given |= {"reply_code": reply["code"], "reply_enhanced_status": reply["enhanced"] or ""}
    if data["answered_since"] or data["answered_until"]:
        found = _answered(found, data["answered_since"], data["answered_until"])
    return found.filter(**given)


def _answered(
    found: QuerySet[Message], since: datetime | None, until: datetime | None
) -> QuerySet[Message]:
    """Keep what was accepted, or ended otherwise, from one moment on and before another."""
    found = found.filter(IS_ANSWERED).alias(answered_at=ANSWERED_AT)
    if since:
        found = found.filter(answered_at__gte=since)
    return found.filter(answered_at__lt=until) if until else found


def search_messages(messages: QuerySet[Message], text: str) -> QuerySet[Message]:
    """Keep messages whose Message-ID, public id, next hop's id or recipient is `text`; a bare word begins a recipient."""
    wanted = text.strip()
    if not wanted:
        return messages
    found = _HEX.search(wanted.replace("-", "").lower())
    if found:
        return messages.filter(Q(public_id=UUID(found.group())) | Q(transport_message_id=wanted))
    bare = wanted.strip("<>")
    has_id = Q(transport_message_id__in={wanted, bare or wanted, f"<{bare}>"})
    if "@" not in wanted:
        return messages.filter(has_id | _begins(wanted.lower()))
    with suppress(InvalidAddress):
        return messages.filter(has_id | Q(address_key=address_key(bare, allow_utf8=True)))
    return messages.filter(has_id)


def _begins(text: str) -> Q:
    """Keep recipients that begin so; as a range, which an index of any collation finds."""
    found, last = Q(address_key__startswith=text), text[-1]
    if last < "\ud7ff":  # what follows is a letter, too
        found &= Q(address_key__gte=text, address_key__lt=text[:-1] + chr(ord(last) + 1))
    return found


def with_status(messages: QuerySet[Message], status: str) -> QuerySet[Message]:
    """Keep messages of a status; "open" stands for all that may still leave."""
    if status == "open":
        return messages.filter(status__in=OPEN_STATUSES)
    return messages.filter(status=status) if status else messages
