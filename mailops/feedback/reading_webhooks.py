"""Reads archived webhook calls: proven by us, normalised by anymail, matched to our messages."""

import json
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from anymail.exceptions import AnymailError
from anymail.signals import AnymailTrackingEvent, EventType
from anymail.webhooks.amazon_ses import AmazonSESTrackingWebhookView
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.http.multipartparser import MultiPartParserError

from mailops.feedback import calls, matching, sns, sns_fetching
from mailops.feedback.findings import Finding, NotYet, processed, quarantined
from mailops.feedback.models import RawFeedback
from mailops.feedback.providers import left_among, sound, told_by, weigh

MAX_EVENTS = 10_000  # in one call; no provider sends more
# for a certificate: some days, since nobody looks through the quarantine for what an outage left there
PATIENCE = [*(timedelta(minutes=minutes) for minutes in (1, 5, 30)), *[timedelta(hours=1)] * 72]

_NOT_READ = (
    AnymailError,
    ImproperlyConfigured,
    ValueError,
    LookupError,
    OverflowError,
    TypeError,
    AttributeError,
    RecursionError,
    AssertionError,
    SuspiciousOperation,  # more form fields than Django reads
    MultiPartParserError,
)


class _Ses(AmazonSESTrackingWebhookView):  # type: ignore[misc]
    """anymail's reading of SES events alone: the address is secret and the signature checked by us."""

    warn_if_no_basic_auth = False


@dataclass(frozen=True)
class _Proven:
    """A call that comes from the provider it claims; `read` returns what it tells."""

    row: RawFeedback
    read: Callable[[], list[AnymailTrackingEvent]]
    token: str = ""  # that no other call may have said


@dataclass(frozen=True)
class _Heard:
    """What a proven call tells."""

    row: RawFeedback
    events: list[AnymailTrackingEvent]


def fetch_proofs(rows: Iterable[RawFeedback]) -> None:
    """Fetch what proves these calls and isn't known yet; call it before the transaction that reads them."""
    bodies = (row.raw for row in rows if row.source == RawFeedback.Source.SES)
    sns_fetching.fetch_certificates(filter(None, map(sns.certificate_address, bodies)))


def read_webhooks(rows: Sequence[RawFeedback]) -> list[Finding | NotYet]:
    """Return what each archived call came to; NotYet where Amazon's certificate could not be fetched before.

    What is asked of the database is asked once for all of them: they come in storms.
    """
    lines = calls.lines_of(rows)
    proven = [_prove(row, lines.get(row.transport_id)) for row in rows]
    said = [(one.row, one.token) for one in proven if isinstance(one, _Proven) and one.token]
    replayed = calls.spend(said)
    heard = [_hear(one, replayed) if isinstance(one, _Proven) else one for one in proven]
    telling = [(one, event) for one in heard if isinstance(one, _Heard) for event in one.events]
    found = list(matching.find_told(told_by(event, one.row) for one, event in telling))
    left = left_among(zip((event for _, event in telling), found, strict=True))
    matches = iter(found)
    return [
        weigh(one.row, one.events, [next(matches) for _ in one.events], left)
        if isinstance(one, _Heard)
        else one
        for one in heard
    ]


def _prove(row: RawFeedback, line: calls.Line | None) -> _Proven | Finding | NotYet:
    if row.source == RawFeedback.Source.SES:
        return _prove_ses(row, line)
    try:
        token = calls.check(row, line)
    except sns.Unverified as refused:
        return quarantined(refused.sentence, kind=RawFeedback.Kind.WEBHOOK)
    return _Proven(row, lambda: calls.events_of(row, line), token)


def _prove_ses(row: RawFeedback, line: calls.Line | None) -> _Proven | Finding | NotYet:
    try:
        notice = sns.verify(
            row.raw, received_at=row.received_at, certificate_at=sns_fetching.certificate_at
        )
        if notice.asks_to_subscribe:
            return _asked(row, notice)
        sns.check_topic(notice, line.topics if line else [])
    except sns.Unverified as refused:
        return quarantined(refused.sentence, kind=RawFeedback.Kind.WEBHOOK)
    except sns_fetching.FetchFailed as failed:
        return _not_proven(row, str(failed))
    if notice.is_notification:
        return _Proven(row, lambda: _normalised(notice))
    return quarantined(
        f"Amazon ended the subscription of {notice.topic}: no more events will come.",
        kind=RawFeedback.Kind.SUBSCRIPTION,
        result={"topic": notice.topic},
    )


def _asked(row: RawFeedback, notice: sns.Notice) -> Finding:
    kind = RawFeedback.Kind.SUBSCRIPTION
    result = {"topic": notice.topic, "subscribe_url": notice.subscribe_url}
    if row.is_confirmed:
        return processed(row.reason, kind=kind, is_verified=True, result=result)
    return quarantined(
        f"The topic {notice.topic} asks to send its events here. Confirm it only if it is yours.",
        kind=kind,
        is_verified=True,
        result=result,
    )


def _not_proven(row: RawFeedback, why: str) -> Finding | NotYet:
    if row.attempts < len(PATIENCE):
        return NotYet(f"Amazon's certificate could not be fetched: {why}.", PATIENCE[row.attempts])
    return quarantined(
        f"Amazon's certificate could not be fetched, so nothing proves it: {why}. Replay it later.",
        kind=RawFeedback.Kind.WEBHOOK,
    )


def _hear(proven: _Proven, replayed: Container[int]) -> _Heard | Finding:
    if proven.row.pk in replayed:
        return quarantined(
            "Its token was said before, with another content: it may be a replay of a call that somebody saw.",
            kind=RawFeedback.Kind.WEBHOOK,
        )
    try:
        events = [sound(event) for event in proven.read()]
    except _NOT_READ as error:
        # anymail reads the provider's JSON trustingly; what doesn't fit its form is kept for a person.
        return quarantined(
            f"It is proven to be the provider's, but its form is unknown ({error!r:.200}).",
            kind=RawFeedback.Kind.WEBHOOK,
            is_verified=True,
        )
    if len(events) > MAX_EVENTS:
        return quarantined(
            f"It holds {len(events)} events, more than any provider sends at once.",
            kind=RawFeedback.Kind.WEBHOOK,
            is_verified=True,
        )
    return _Heard(proven.row, events)


def _normalised(notice: sns.Notice) -> list[AnymailTrackingEvent]:
    ses_event = json.loads(notice.message)
    ses_event.setdefault("eventType", ses_event.get("notificationType", ""))
    if ses_event["eventType"] == "DeliveryDelay":  # newer than anymail's table
        return [
            _delay(ses_event, notice, one)
            for one in ses_event["deliveryDelay"]["delayedRecipients"]
        ]
    events = list(_Ses().esp_to_anymail_events(ses_event, notice.fields))
    for event in events:
        if _is_an_answer(ses_event, event.recipient):
            event.event_type = EventType.AUTORESPONDED
    return events


def _is_an_answer(ses_event: dict[str, Any], recipient: str | None) -> bool:
    """Tell whether a bounce is a machine's answer, such as “out of office”: SES calls it one and counts none, too.

    What comes of a notification bears its fields.
    """
    bounce = ses_event.get("bounce", {})
    if (bounce.get("bounceType"), bounce.get("bounceSubType")) != ("Transient", "General"):
        return False
    about = [one for one in bounce["bouncedRecipients"] if one["emailAddress"] == recipient]
    return not any(
        one.get(name) for one in about for name in ("action", "status", "diagnosticCode")
    )


def _delay(
    ses_event: dict[str, Any], notice: sns.Notice, recipient: dict[str, Any]
) -> AnymailTrackingEvent:
    return AnymailTrackingEvent(
        event_type=EventType.DEFERRED,
        event_id=notice.message_id,
        message_id=ses_event["mail"]["messageId"],
        recipient=recipient["emailAddress"],
        mta_response=recipient.get("diagnosticCode"),
        timestamp=None,
        metadata={},
        tags=[],
        esp_event=ses_event,
    )
