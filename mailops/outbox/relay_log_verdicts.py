"""What a relay's log comes to: how many uncertain messages would become what, and the outcome of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from mailops.outbox.doubtful import with_times
from mailops.outbox.models import (
    EventKind,
    Message,
    RelayLog,
    RelayLogFinding,
    Settlement,
    Status,
)
from mailops.outbox.recording import Outcome, Recorded, kind_of_refusal
from mailops.outbox.taught import understood
from mailops.protocol.classification import Fault, classify_report, reply_in_report
from mailops.protocol.reply import Reply
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress_all
from mailops.transports.models import Route
from mailops.transports.sessions import Phase

Verdict = RelayLogFinding.Verdict

SKEW = timedelta(minutes=2)  # between the relay's clock and the database's
AFTERWARDS = timedelta(minutes=5)  # a relay may take a mail this long after we gave its answer up
BECOMES_ACCEPTED = (Verdict.SENT, Verdict.WAITING)
BECOMES_BOUNCED = (Verdict.BOUNCED, Verdict.EXPIRED, Verdict.REFUSED, Verdict.DELETED)
SETTLING = (*BECOMES_ACCEPTED, *BECOMES_BOUNCED)

SENTENCES = {
    Verdict.SENT: "The relay's log says that it took the message and sent it on.",
    Verdict.WAITING: "The relay's log says that it took the message; it is, or was, in its queue.",
    Verdict.DELETED: "The relay took the message, and somebody deleted it from its queue.",
    Verdict.EXPIRED: "The relay took the message and gave it up after trying for long.",
}


@dataclass(frozen=True)
class Row:
    """One line of a log's account."""

    word: str
    becomes: str
    tone: str
    n: int
    by_recipient: int
    sentence: str


_ACCOUNT = (
    (Verdict.SENT, "accepted", "ok", "The relay took it and sent it on."),
    (Verdict.WAITING, "accepted", "ok", "The relay took it; a bounce would still come by itself."),
    (Verdict.BOUNCED, "bounced", "bad", "The next server refused it for good."),
    (Verdict.EXPIRED, "bounced", "bad", "The relay tried for long and gave it up."),
    (
        Verdict.REFUSED,
        "bounced",
        "bad",
        "The relay refused its content for good; where that is our fault, it becomes failed.",
    ),
    (Verdict.DELETED, "bounced", "bad", "Somebody deleted it from the relay's queue."),
    (Verdict.NOT_TAKEN, "", "warn", "It came in part and was not taken."),
    (
        Verdict.OTHER_TIME,
        "",
        "warn",
        "Named, but not when it was sent: check time zone and clocks (an hour that they go through twice is the first).",
    ),
)


def account(log: RelayLog) -> list[Row]:
    """Return what the log says of messages that are still in doubt, verdict by verdict."""
    counted = {
        verdict: (n, by_recipient)
        for verdict, n, by_recipient in still_doubtful(log)
        .values("verdict")
        .annotate(n=Count("pk"), guessed=Count("pk", filter=Q(is_by_recipient=True)))
        .values_list("verdict", "n", "guessed")
    }
    return [
        Row(verdict.label, becomes, tone, *counted[verdict], sentence)
        for verdict, becomes, tone, sentence in _ACCOUNT
        if verdict in counted
    ]


def still_doubtful(log: RelayLog) -> QuerySet[RelayLogFinding]:
    return log.findings.filter(
        Q(message__status=Status.UNCERTAIN) | Q(message__status=Status.HELD),
        message__settling_fence=F("settling_fence"),
    )


def settling(log: RelayLog, *, trusts_recipients: bool) -> QuerySet[RelayLogFinding]:
    """Keep the findings that settle their message; those by the address alone only where a person trusts them."""
    found = still_doubtful(log).filter(verdict__in=SETTLING)
    return found if trusts_recipients else found.filter(is_by_recipient=False)


def findings_to_apply(run: Settlement) -> QuerySet[RelayLogFinding]:
    assert run.relay_log is not None
    return settling(run.relay_log, trusts_recipients=run.trusts_recipients)


def covers(log: RelayLog) -> bool:
    """Tell whether the log can prove that a message was not taken: it names mails, and some of ours."""
    return bool(log.mails and log.ours and log.first_at and log.last_at)


def untraced(messages: QuerySet[Message], log: RelayLog) -> QuerySet[Message]:
    """Keep those sent through the log's transport in a time it covers, which it says nothing of, or that they broke off."""
    if not covers(log) or log.first_at is None or log.covers_until is None:
        return messages.none()
    traced = RelayLogFinding.objects.filter(log=log, message=OuterRef("pk")).exclude(
        verdict=Verdict.NOT_TAKEN
    )
    timed = with_times(messages.filter(_through(log)))
    return timed.filter(
        ~Exists(traced),
        began_at__gte=log.first_at + SKEW,
        ended_at__lte=log.covers_until - AFTERWARDS,
    )


def _through(log: RelayLog) -> Q:
    """Fit what went through the log's transport. After a restore nobody knows, unless its stream has no other.

    A message that a restored database owes may keep the transport of an attempt before the backup.
    """
    others = Route.objects.filter(stream=OuterRef("stream")).exclude(transport=log.transport)
    only = Route.objects.filter(stream=OuterRef("stream"), transport=log.transport)
    is_unknown = Q(transport=None) | Q(reason="restored")
    return (Q(transport=log.transport) & ~is_unknown) | (
        is_unknown & Exists(only) & ~Exists(others)
    )


def consequence_of(finding: RelayLogFinding, run: Settlement) -> Outcome:
    """Return what is to be recorded of a finding that settles its message."""
    given: dict[str, Any] = {
        "message_id": finding.message_id,
        "source": "relay_log",
        "external_id": f"settlement:{run.pk}:{finding.message_id}",
        "occurred_at": min(finding.at, run.created_at),  # the relay's clock may be ahead
        "data": {
            "by": run.actor_name,
            "settlement": run.pk,
            "queue_id": finding.queue_id,
            "relay": finding.relay,
            "log_text": finding.text,
        },
    }
    verdict = Verdict(finding.verdict)
    if verdict in BECOMES_ACCEPTED:
        return Outcome(
            **given,
            kind=EventKind.ACCEPTED,
            sentence=SENTENCES[verdict],
            transport_message_id=finding.queue_id,
        )
    return _bounce(finding, verdict, given)


def _bounce(finding: RelayLogFinding, verdict: Verdict, given: dict[str, Any]) -> Outcome:
    reply = reply_in_report(finding.text, finding.enhanced_status)
    meaning = understood(
        classify_report(finding.text, finding.enhanced_status),
        reply,
        "returned",
        recipient=finding.message.address_key,
    )
    has_reply = verdict in {Verdict.BOUNCED, Verdict.REFUSED, Verdict.EXPIRED} and finding.text
    is_unheard = verdict == Verdict.DELETED or not finding.text
    bounce = Outcome(
        **given,
        kind=EventKind.RETURNED,
        round=finding.message.round,
        reply=reply if has_reply else None,
        reason="" if is_unheard else meaning.reason,
        fault=Fault.UNKNOWN if is_unheard else meaning.fault,
        sentence=SENTENCES.get(verdict, meaning.sentence),
    )
    return _in_session(bounce, finding) if verdict == Verdict.REFUSED else bounce


def _in_session(bounce: Outcome, finding: RelayLogFinding) -> Outcome:
    """Make it the reply that nobody read: content that is refused was never taken."""
    data = {**bounce.data, "phase": Phase.BODY}
    kind = kind_of_refusal(bounce.fault)
    return replace(bounce, kind=kind, fence=finding.settling_fence, data=data)


def suppress_what_bounced(outcomes: Sequence[Outcome], recorded: Iterable[Recorded]) -> None:
    """Suppress at once what a relay's log shows to be refused for the recipient's own fault, like any bounce."""
    refused = [
        (outcome.message_id, outcome.reply, told.event_id)
        for outcome, told in zip(outcomes, recorded, strict=True)
        if outcome.reply is not None and told.was_applied
    ]
    messages = Message.objects.only("recipient", "address_key").in_bulk(pk for pk, _, _ in refused)
    suppress_all(
        [
            _entry(messages[pk], reply, event_id)
            for pk, reply, event_id in refused
            if _is_their_own(reply, messages[pk])
        ]
    )


def _is_their_own(reply: Reply, message: Message) -> bool:
    reading = classify_report(str(reply), reply.enhanced_status)
    return understood(reading, reply, "returned", recipient=message.address_key).suppress


def _entry(message: Message, reply: Reply, event_id: int | None) -> Suppression:
    return Suppression(
        address=message.recipient,
        address_key=message.address_key,
        reason=Suppression.Reason.HARD_BOUNCE,
        evidence_text=str(reply),
        evidence_event_id=event_id,
    )
