"""Lets a recipient leave a stream, or all mail: by link, by one click, or by mail."""

from typing import Any

from django.db import transaction

from mailops.feedback.findings import Consequence
from mailops.outbox.models import EventKind, Message
from mailops.outbox.recording import Outcome, record
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress


def leaving(
    message: Message,
    *,
    way: str,
    telling: str,
    from_all: bool = False,
    data: dict[str, Any] | None = None,
) -> Consequence:
    """Return the consequence of a wish to leave; `telling` names the mail, call or page it was told by: read again, it is one event."""
    scope = "all" if from_all else "stream"
    return Consequence(
        outcome=Outcome(
            message_id=message.pk,
            kind=EventKind.UNSUBSCRIBED,
            source="unsubscribe",
            external_id=f"{message.public_id.hex}:{telling}",
            reason="unsubscribe",
            sentence="The recipient asked for no more mail of any kind."
            if from_all
            else f"The recipient asked for no more mail of “{message.stream}”.",
            data={"way": way, "scope": scope, **(data or {})},
        ),
        message=message,
        suppression=Suppression.Reason.UNSUBSCRIBE,
        in_stream_only=not from_all,
    )


@transaction.atomic
def leave(message: Message, *, way: str, from_all: bool = False) -> None:
    """Record the wish and suppress the address, again even where a person took an earlier wish back."""
    wish = leaving(message, way=way, telling="all" if from_all else "stream", from_all=from_all)
    (recorded,) = record([wish.outcome])
    suppress(
        address=message.recipient,
        stream=None if from_all else message.stream,
        reason=wish.suppression,
        evidence_text=wish.outcome.sentence,
        evidence_event_id=recorded.event_id,
    )


def has_left(message: Message) -> tuple[bool, bool]:
    """Tell whether the message's recipient asked for no more mail of its stream, and whether for none at all, for good.

    What else stops mail to them says nothing of what they wish, and may be over before long.
    """
    covering = Suppression.objects.covering(message.address_key, message.stream)
    asked = covering.asked_for().filter(expires_at=None)
    scopes = set(asked.values_list("stream_id", flat=True))
    return bool(scopes), None in scopes
