"""Says what the events that providers tell by webhook mean for our messages."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason, tracking
from django.dispatch import receiver

from mailops.feedback import calls, matching
from mailops.feedback.findings import (
    Consequence,
    Finding,
    bounce,
    complaint,
    processed,
    quarantined,
)
from mailops.feedback.leaving import leaving
from mailops.feedback.models import RawFeedback, content_hash
from mailops.lib.storable import storable
from mailops.outbox.models import EventKind, Message
from mailops.outbox.recording import Outcome
from mailops.outbox.taught import understood
from mailops.protocol import verp
from mailops.protocol.classification import (
    Classification,
    Kind,
    Reason,
    classify_report,
    reply_in_report,
)
from mailops.protocol.classification.deciding import conclude
from mailops.protocol.looks import link_number
from mailops.protocol.reply import Reply
from mailops.suppressions.models import Suppression
from mailops.tracking.counting import NewLook
from mailops.tracking.machines import judge
from mailops.tracking.models import Look
from mailops.tracking.reading import outcome_of, who_left

SHOWN = 100  # events of one call on its page
TAG = "mailops"  # under which a message carries our token
_EVENTS = {
    EventType.DELIVERED: EventKind.DELIVERED,
    EventType.BOUNCED: EventKind.RETURNED,
    EventType.REJECTED: EventKind.RETURNED,
    EventType.FAILED: EventKind.RETURNED,
    EventType.DEFERRED: EventKind.DELAYED,
    EventType.COMPLAINED: EventKind.COMPLAINED,
    EventType.UNSUBSCRIBED: EventKind.UNSUBSCRIBED,
    EventType.OPENED: EventKind.OPENED,
    EventType.CLICKED: EventKind.CLICKED,
}


_TEXTS = (
    "event_id", "message_id", "recipient", "description", "mta_response", "user_agent", "click_url",
)  # fmt: skip
_LOOKS = (EventKind.OPENED, EventKind.CLICKED)

# What providers write of mail that their own list kept from leaving: the recipient said or did so before.
_LISTED = {
    # SendGrid, Event Webhook: dropped
    "unsubscribed address": Suppression.Reason.UNSUBSCRIBE,
    "spam reporting address": Suppression.Reason.COMPLAINT,
    "bounced address": Suppression.Reason.HARD_BOUNCE,
    # Mailgun, Events: failed
    "suppress-unsubscribe": Suppression.Reason.UNSUBSCRIBE,
    "suppress-complaint": Suppression.Reason.COMPLAINT,
    "suppress-bounce": Suppression.Reason.HARD_BOUNCE,
}


@dataclass(frozen=True)
class LeftOut:
    """A look at a mail that is not kept."""

    message: Message
    why: str


def sound(event: AnymailTrackingEvent) -> AnymailTrackingEvent:
    """Return `event` with texts that can be kept where anymail hands on what the call held, numbers and NULs among it."""
    for name in _TEXTS:
        if (value := getattr(event, name)) is not None:
            setattr(event, name, storable(str(value)))
    return event


def weigh(
    row: RawFeedback,
    events: list[AnymailTrackingEvent],
    matches: list[matching.Match | None],
    left: Collection[str] = (),
) -> Finding:
    """Return what a proven call came to, by the message that each of its events speaks of, `left` being who asked for no more mail."""
    told: list[Consequence | LeftOut] = []
    for event, match in zip(events, matches, strict=True):
        answers = tracking.send(
            sender=RawFeedback, event=event, esp_name=row.source, row=row, match=match, left=left
        )
        told += [answer for _, found in answers for answer in found]
    left_out = [one for one in told if isinstance(one, LeftOut)]
    return _conclude(events, [one for one in told if isinstance(one, Consequence)], left_out)


def _conclude(
    events: list[AnymailTrackingEvent],
    consequences: list[Consequence],
    left_out: list[LeftOut],
) -> Finding:
    result = {"events": [_shown(event) for event in events[:SHOWN]]}
    why = "; ".join(dict.fromkeys(one.why for one in left_out[:SHOWN]))
    if consequences:
        kinds = ", ".join(dict.fromkeys(one.outcome.kind.label for one in consequences))
        return processed(
            f"Recorded: {kinds}.{f' Left out: {why}.' if why else ''}",
            kind=RawFeedback.Kind.WEBHOOK,
            is_verified=True,
            message=consequences[0].message,
            result=result,
            consequences=tuple(consequences),
        )
    if left_out:
        return processed(
            f"Left out: {why}.",
            kind=RawFeedback.Kind.WEBHOOK,
            is_verified=True,
            message=left_out[0].message,
            result=result,
        )
    if not any(event.event_type in _EVENTS for event in events):
        return processed(
            "It tells nothing that mailops records.",
            kind=RawFeedback.Kind.WEBHOOK,
            is_verified=True,
            result=result,
        )
    return quarantined(
        "It is proven to be the provider's, but speaks of no message of this transport.",
        kind=RawFeedback.Kind.WEBHOOK,
        is_verified=True,
        result=result,
    )


@receiver(tracking)
def on_tracking(
    *,
    event: AnymailTrackingEvent,
    row: RawFeedback | None = None,
    match: matching.Match | None = None,
    left: Collection[str] = (),
    **_: Any,
) -> list[Consequence | LeftOut]:
    """Return what one normalised event means for our messages; what wasn't archived first means nothing."""
    kind = _EVENTS.get(event.event_type)
    if row is None or kind is None or match is None:
        return []
    if kind == EventKind.UNSUBSCRIBED:
        telling, data = _number(event, row), {"raw_feedback": row.pk}
        return [leaving(match.message, way="webhook", telling=telling, data=data)]
    if kind in _LOOKS:
        return [_look(event, kind, match.message, row, left)]
    if kind in {EventKind.RETURNED, EventKind.DELAYED}:
        return [_refusal(event, kind, match, row)]
    outcome = _outcome(event, kind, match, row, reply_in_report("", _status(event)))
    if kind == EventKind.COMPLAINED:
        outcome.reason = "complaint"
        return [complaint(outcome, match.message)]
    return [Consequence(outcome=outcome, message=match.message)]


def _refusal(
    event: AnymailTrackingEvent, kind: EventKind, match: matching.Match, row: RawFeedback
) -> Consequence:
    """Return what a bounce or a delay means; where the provider's own list kept the mail back, the list's reason counts."""
    reply = reply_in_report(_said(event), _status(event))
    meaning = understood(_meaning(event), reply, "returned", recipient=match.message.address_key)
    outcome = _outcome(event, kind, match, row, reply)
    outcome.reason, outcome.fault = meaning.reason, meaning.fault
    outcome.sentence = meaning.sentence
    if kind == EventKind.DELAYED:
        return Consequence(outcome=outcome, message=match.message)
    listed = _listed_for(event)
    if not listed:
        return bounce(outcome, match.message, meaning)
    is_unsubscribe = listed == Suppression.Reason.UNSUBSCRIBE
    return Consequence(
        outcome=outcome, message=match.message, suppression=listed, in_stream_only=is_unsubscribe
    )


def _outcome(
    event: AnymailTrackingEvent,
    kind: EventKind,
    match: matching.Match,
    row: RawFeedback,
    reply: Reply,
) -> Outcome:
    return Outcome(
        message_id=match.message.pk,
        kind=kind,
        source=row.source,
        external_id=f"{_number(event, row)}:{match.message.pk}:{kind}",
        occurred_at=_happened_at(event, row),
        round=match.round,
        reply=reply if reply.code or reply.text else None,
        transport_id=row.transport_id,
        data={"raw_feedback": row.pk, "description": (event.description or "")[:500]},
    )


def left_among(told: Iterable[tuple[AnymailTrackingEvent, matching.Match | None]]) -> set[str]:
    """Return who of those that looked at their mail asked for no more of it; nobody else is asked after."""
    keys = {
        match.message.address_key
        for event, match in told
        if match and _EVENTS.get(event.event_type) in _LOOKS and match.message.stream.keeps_looks
    }
    return who_left(keys) if keys else set()


def _look(
    event: AnymailTrackingEvent,
    kind: EventKind,
    message: Message,
    row: RawFeedback,
    left: Collection[str],
) -> Consequence | LeftOut:
    """Return what an open or click means: one event for each kind of looker, or why it isn't kept."""
    stream, is_open = message.stream, kind == EventKind.OPENED
    words = "opens" if is_open else "clicks"
    if not (stream.counts_opens if is_open else stream.counts_clicks):
        return LeftOut(message, f"{words} are not kept of “{stream}”")
    if message.address_key in left:
        return LeftOut(message, f"{words} are not kept of people who unsubscribed")
    at = _happened_at(event, row)
    verdict = judge(
        is_open=is_open,
        user_agent=event.user_agent or "",
        told=_told(event),
        happened_at=event.timestamp,
        accepted_at=message.accepted_at,
    )
    link = "" if is_open else _page(event.click_url)
    look = NewLook(message, Look.Kind.OPEN if is_open else Look.Kind.CLICK, 0, verdict, at)
    of_link = (replace(look, link=link_number(link), written=link),) if link else ()
    outcome = outcome_of(look, raw_feedback=row.pk, provider=row.source)
    outcome.transport_id = row.transport_id
    return Consequence(outcome=outcome, message=message, looks=(look, *of_link))


def _happened_at(event: AnymailTrackingEvent, row: RawFeedback) -> datetime:
    """Return when it happened, by the provider's clock unless that is ahead: nothing is told before it happens."""
    told = event.timestamp
    return min(told, row.received_at) if told and told.tzinfo else row.received_at


_ONES_OWN = re.compile(r"[0-9a-fA-F-]{8,}|[0-9]{4,}|[^/]{30,}")


def _page(url: object) -> str:
    """Return where a click led, as far as it is the same for all: what may be one recipient's is left out."""
    before, slashes, behind = re.split(r"[?#]", str(url or ""), maxsplit=1)[0].partition("://")
    host, _, path = behind.partition("/")
    return f"{before}{slashes}{host}/{_ONES_OWN.sub('…', path)}"[:300] if host else ""


def _number(event: AnymailTrackingEvent, row: RawFeedback) -> str:
    """Return what tells this event from others; who numbers none tells when it happened."""
    at = event.timestamp and event.timestamp.isoformat()
    return str(event.event_id or at or content_hash([], row.raw))[:150]


def told_by(event: AnymailTrackingEvent, row: RawFeedback) -> matching.Told:
    return matching.Told(
        tokens=tuple(token for token in _tokens(event) if token),
        transport_message_id=str(event.message_id or ""),
        transport_id=row.transport_id,
        recipient=event.recipient or "",
    )


def _tokens(event: AnymailTrackingEvent) -> list[verp.Token | None]:
    """Return the tokens a message carried in metadata, or as a tag, in which SES allows no dots."""
    of_ses = _ses_mail(event).get("tags")
    own = of_ses.get(TAG) if isinstance(of_ses, dict) else None
    tags = [tag for told in (own, event.tags) if isinstance(told, list) for tag in told]
    metadata = event.metadata if isinstance(event.metadata, dict) else {}
    carried = [str(metadata.get(TAG, "")), *(str(tag).replace("_", ".") for tag in tags)]
    return [verp.parse_token(text) for text in carried[:5]]


def _listed_for(event: AnymailTrackingEvent) -> str:
    """Return for what the provider had the address on its list, so that it dropped the message; else an empty string."""
    told = _told(event)
    told = told.get("event-data", told)  # Mailgun's
    reason = told.get("reason") if isinstance(told, dict) else None
    return _LISTED.get(reason.lower(), "") if isinstance(reason, str) else ""


def _meaning(event: AnymailTrackingEvent) -> Classification:
    text, listed = _said(event), _listed_for(event)
    if listed:
        is_gone = listed == Suppression.Reason.HARD_BOUNCE
        reason = Reason.MAILBOX_DISABLED if is_gone else Reason.RECIPIENT_REFUSES
        return conclude(reason, Kind.PERMANENT, "returned")
    meaning = classify_report(text, _status(event))
    if meaning.reason == Reason.UNEXPLAINED and event.reject_reason == RejectReason.INVALID:
        return classify_report(text, "5.1.3")  # the provider calls the address invalid
    if calls.may_pass(_told(event)) and not reply_in_report(text, _status(event)).code:
        return conclude(meaning.reason, Kind.TRANSIENT, "returned")
    return meaning


def _said(event: AnymailTrackingEvent) -> str:
    """Return what the receiver answered, else the provider's own words for it."""
    if event.mta_response:
        return str(event.mta_response)
    told = _told(event)
    words = [event.description, *(told.get(name) for name in ("error", "comment", "reason"))]
    return ": ".join(dict.fromkeys(word for word in words if isinstance(word, str) and word))


def _told(event: AnymailTrackingEvent) -> dict[str, Any]:
    """Return the event as the provider told it."""
    return event.esp_event if isinstance(event.esp_event, dict) else {}


def _status(event: AnymailTrackingEvent) -> str:
    told = _told(event)
    bounced = told.get("bounce") or told.get("deliveryDelay")
    if isinstance(bounced, dict):
        recipients = bounced.get("bouncedRecipients") or bounced.get("delayedRecipients")
        for one in recipients if isinstance(recipients, list) else ():
            if isinstance(one, dict) and one.get("emailAddress") == event.recipient:
                return str(one.get("status", ""))
    return calls.status_in(told)


def _ses_mail(event: AnymailTrackingEvent) -> dict[str, Any]:
    mail = _told(event).get("mail")
    return mail if isinstance(mail, dict) else {}


def _shown(event: AnymailTrackingEvent) -> dict[str, Any]:
    return {
        "recipient": (event.recipient or "")[:320],
        "action": event.event_type,
        "diagnostic": _said(event)[:1000],
        "enhanced_status": _status(event),
    }
