"""Reads a mail that came to the return-path host: bounce, delay, delivery, complaint, unsubscribe, or none of them."""

from datetime import datetime, timedelta

from mailops.domains.models import Domain
from mailops.feedback import matching
from mailops.feedback.domain_reports import has_room_for
from mailops.feedback.findings import (
    UNMATCHED,
    Consequence,
    Finding,
    bounce,
    complaint,
    processed,
    quarantined,
    sentence_of,
)
from mailops.feedback.leaving import leaving
from mailops.feedback.matching import Match, keys_of
from mailops.feedback.models import RawFeedback
from mailops.lib.storable import storable
from mailops.outbox.models import EventKind, Message
from mailops.outbox.recording import Outcome
from mailops.outbox.taught import understood
from mailops.protocol import unsubscribe, verp
from mailops.protocol.aggregate_report import DmarcReport, TlsReport
from mailops.protocol.dsn import Action, Dsn, DsnRecipient, Further
from mailops.protocol.feedback_mail import FeedbackKind, FeedbackMail, describe, read
from mailops.protocol.report import addresses_in

_EVENTS = {
    Action.FAILED: EventKind.RETURNED,
    Action.DELAYED: EventKind.DELAYED,
    Action.DELIVERED: EventKind.DELIVERED,
}
UNREAD = (
    "It is too long to be read to its end. {address}, to whom the message went, is not among the first {named:,} "
    "recipients that it names; look for that address in the source."
)
TOO_MUCH = (
    "More was reported on {domain} today than is kept of a day, so it may be a flood. If you know who sent this report, "
    "replay it tomorrow."
)
LONGEST = timedelta(days=31)  # that a report may tell of; receivers send one each day
AHEAD = timedelta(days=1)  # by which a receiver's clock may be wrong, or its day longer than it


def read_mail(row: RawFeedback) -> Finding:
    """Return what the archived mail came to."""
    mail = read(row.raw, envelope_recipients=tuple(row.envelope_recipients))
    if mail.dsn is not None:
        return _read_dsn(row, mail, mail.dsn)
    if mail.kind == FeedbackKind.COMPLAINT:
        return _read_complaint(row, mail)
    if mail.kind == FeedbackKind.UNSUBSCRIBE:
        return _read_unsubscribe(row, mail)
    if mail.aggregate is not None:
        return _read_aggregate(row, mail.aggregate)
    return _read_other(row, mail)


def _read_aggregate(row: RawFeedback, report: DmarcReport | TlsReport) -> Finding:
    kind = RawFeedback.Kind.DMARC if isinstance(report, DmarcReport) else RawFeedback.Kind.TLS
    if not Domain.objects.filter(name=report.domain).exists():
        return quarantined(f"It reports on {report.domain}, which is no domain of ours.", kind=kind)
    if misdated := _misdated(report, row.received_at):
        return quarantined(misdated, kind=kind)
    if not has_room_for(report):
        return quarantined(TOO_MUCH.format(domain=report.domain), kind=kind)
    span = f"{report.begins_at:%d %b} to {report.ends_at:%d %b %Y}"
    return processed(
        f"Kept: what {report.organization or 'a receiver'} saw of {report.domain} from {span}.",
        kind=kind,
        aggregate=report,
    )


def _misdated(report: DmarcReport | TlsReport, received_at: datetime) -> str:
    """Say what is wrong with the time that a report tells of; nothing where that may be true."""
    if report.ends_at > received_at + AHEAD:
        return "It reports on a time that is yet to come."
    if not timedelta() <= report.ends_at - report.begins_at <= LONGEST:
        return f"It reports on a time that ends before it begins, or is longer than {LONGEST.days} days."
    return ""


def _read_dsn(row: RawFeedback, mail: FeedbackMail, dsn: Dsn) -> Finding:
    named = (address for one in dsn.named for address in _addresses_of(one))
    match = matching.by_token([*_tokens(row), dsn.token]) or matching.by_message_id(
        dsn.original_message_id, named
    )
    if match is None:
        return quarantined(_why_unmatched(row), kind=mail.kind, result=describe(mail))
    fate = _fate(dsn, match.message)
    if fate is None:
        return quarantined(
            UNREAD.format(named=len(dsn.named), address=match.message.recipient),
            kind=mail.kind,
            is_verified=match.is_signed,
            message=match.message,
            result=describe(mail),
        )
    consequence = _consequence(row, fate, match, dsn)
    reason = "It says that the message went on to a system that doesn't report; nothing to record."
    if consequence:
        reason = sentence_of(consequence.outcome.kind, match.message)
    return processed(
        reason,
        kind=mail.kind,
        is_verified=match.is_signed,
        message=match.message,
        result=describe(mail),
        consequences=(consequence,) if consequence else (),
    )


def _fate(dsn: Dsn, message: Message) -> DsnRecipient | None:
    """Return what counts of a report for the one address that a message went to; None where that can't be known.

    The report may name where that one is forwarded, or several that it stands for: mail that reached one of them did not
    bounce. Where it names very many, and was not read to its end, ours may be among the rest.
    """
    ours = [one for one in dsn.named if message.address_key in keys_of(_addresses_of(one))]
    if not ours and dsn.further and dsn.is_cut:
        return None
    told = ours or dsn.named
    ends = (one for action in (Action.DELIVERED, Action.FAILED) for one in told if one.action == action)  # fmt: skip
    return next(ends, told[0]).read()


def _addresses_of(recipient: DsnRecipient | Further) -> tuple[str, str]:
    return recipient.original_recipient, recipient.final_recipient


def _consequence(
    row: RawFeedback, recipient: DsnRecipient, match: Match, dsn: Dsn
) -> Consequence | None:
    kind = _EVENTS.get(recipient.action)
    if kind is None:
        return None
    is_good = kind == EventKind.DELIVERED
    meaning = understood(
        recipient.classification,
        recipient.reply,
        "returned",
        recipient=match.message.address_key,
    )
    outcome = Outcome(
        message_id=match.message.pk,
        kind=kind,
        source="dsn",
        external_id=_external_id(row, match, kind),
        occurred_at=row.received_at,
        round=match.round,
        reply=recipient.reply if recipient.reply.code or recipient.reply.text else None,
        reason="" if is_good else meaning.reason,
        fault="" if is_good else meaning.fault,
        sentence="" if is_good else meaning.sentence,
        data={
            "raw_feedback": row.pk,
            "reporting_mta": dsn.reporting_mta,
            "remote_mta": recipient.remote_mta,
            "action": recipient.action,
            "forwarded_to": _forwarded_to(recipient, match),
        },
    )
    if kind == EventKind.RETURNED:
        return bounce(outcome, match.message, meaning)
    return Consequence(outcome=outcome, message=match.message)


def _forwarded_to(recipient: DsnRecipient, match: Match) -> str:
    """Return the address that the report speaks of where it is not ours: what ours leads to."""
    is_other = match.message.address_key not in keys_of([recipient.final_recipient])
    return storable(recipient.final_recipient, 320) if is_other else ""


def _external_id(row: RawFeedback, match: Match, kind: EventKind) -> str:
    """Return what tells this event from others: a message comes to one end a round, but may be delayed often."""
    if kind == EventKind.DELAYED:
        return row.sha256
    round_ = match.message.round if match.round is None else match.round
    return f"{match.message.public_id.hex}:{round_}:{kind}"


def _read_complaint(row: RawFeedback, mail: FeedbackMail) -> Finding:
    report = mail.complaint
    assert report is not None
    match = (
        matching.by_token([*_tokens(row), report.token])
        or matching.by_list_unsubscribe(report.list_unsubscribe)
        or matching.by_message_id(report.original_message_id, report.original_recipients)
    )
    if match is None:
        return quarantined(_why_unmatched(row), kind=mail.kind, result=describe(mail))
    outcome = Outcome(
        message_id=match.message.pk,
        kind=EventKind.COMPLAINED,
        source="arf",
        external_id=f"{match.message.public_id.hex}:{row.sha256}",
        occurred_at=row.received_at,
        round=match.round,
        reason="complaint",
        sentence="The recipient called the message unwanted.",
        data={
            "raw_feedback": row.pk,
            "feedback_type": report.feedback_type,
            "user_agent": report.user_agent,
        },
    )
    return processed(
        sentence_of(EventKind.COMPLAINED, match.message),
        kind=mail.kind,
        is_verified=match.is_signed,
        message=match.message,
        result=describe(mail),
        consequences=(complaint(outcome, match.message),),
    )


def _read_unsubscribe(row: RawFeedback, mail: FeedbackMail) -> Finding:
    tokens = map(unsubscribe.parse_mail_address, row.envelope_recipients)
    match = next(
        (found for token in tokens if (found := matching.by_unsubscribe_token(token))), None
    )
    # Who answers a mail with “unsubscribe” names it by our token in their answer's address, or by its Message-ID.
    match = match or matching.by_token(_tokens(row))
    match = match or matching.by_message_id(mail.original_message_id, addresses_in(mail.sender))
    if match is None:
        return quarantined(_why_unmatched(row), kind=mail.kind, result=describe(mail))
    return processed(
        sentence_of(EventKind.UNSUBSCRIBED, match.message),
        kind=mail.kind,
        is_verified=match.is_signed,
        message=match.message,
        result=describe(mail),
        consequences=(
            leaving(match.message, way="mail", telling=row.sha256, data={"raw_feedback": row.pk}),
        ),
    )


def _read_other(row: RawFeedback, mail: FeedbackMail) -> Finding:
    match = matching.by_token(_tokens(row))
    found = {
        "message": match.message if match else None,
        "is_verified": match is not None,
        "result": describe(mail),
    }
    if mail.kind == FeedbackKind.AUTO_REPLY:
        return processed(
            "A machine answered for a person; nothing to record.", kind=mail.kind, **found
        )
    return quarantined(
        mail.flaw or "It is no report that mailops can read; a person should look at it.",
        kind=mail.kind,
        **found,
    )


def _tokens(row: RawFeedback) -> list[verp.Token | None]:
    return [verp.parse_envelope_sender(address) for address in row.envelope_recipients]


def _why_unmatched(row: RawFeedback) -> str:
    if any(_tokens(row)) or any(map(unsubscribe.parse_mail_address, row.envelope_recipients)):
        return "The token in its address was not signed by us, or its message is gone."
    return UNMATCHED
