"""Collects what a person needs to judge an incident: numbers, replies, campaigns, and what changed before."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from mailops.accounts.models import AuditEntry
from mailops.accounts.verbs import words_of
from mailops.campaigns.models import Campaign
from mailops.domains.models import Domain, FindingChange
from mailops.incidents.measuring import BAD, COLUMNS, Rate, rates, summed
from mailops.incidents.models import SubjectKind, Threshold
from mailops.outbox.models import CountKey, Message, Status
from mailops.reports.given_up import GIVEN_UP
from mailops.transports.models import Stream

LOOK_BACK = timedelta(hours=6)  # before the window: what changed then may be the cause
LOOKED_AT = 5_000  # the newest messages that stopped alike, of whatever subject: so it is cheap at any volume
NEWEST = 300  # of them, messages of the subject, whose replies are grouped; enough to see the cause
SHOWN = 8
# verbs that change what is sent, or how; reading lists and writing notes breaks no delivery
_OF_SENDING = (
    "template.",
    "credential.",
    "transport.",
    "stream.",
    "domain.",
    "identity.",
    "campaign.",
    "audience.",
    "import.",
    "route.",
)
# those that change how a mailbox is read, and who calls and is believed
_SUSPECTS: dict[str, tuple[str, ...]] = {
    Threshold.Measure.UNREAD: ("mailbox.", "credential."),
    Threshold.Measure.SILENT: ("webhook.", "transport.", "credential."),
}
# addresses and ids: what differs in equal replies
_PRIVATE = re.compile(r"\S+@\S+|\b(?=\w*\d)\w{10,}\b")
# the statuses of the messages that a measure is about
STOPPED: dict[str, tuple[str, ...]] = {
    Threshold.Measure.BOUNCES: (Status.BOUNCED,),
    Threshold.Measure.FAULT: (Status.DEFERRED,),
    Threshold.Measure.BREAKER: (Status.DEFERRED,),
    Threshold.Measure.GIVEN_UP: GIVEN_UP,
}


def numbers(threshold: Threshold, subject_id: int, rate: Rate, since: datetime) -> dict[str, Any]:
    """Return the rate and count, and those of the window before."""
    earlier = rates(threshold, since=since - threshold.window, until=since, subject_id=subject_id)
    before = earlier.get(subject_id, Rate())
    return {
        "bad": rate.bad,
        "whole": rate.whole,
        "percent": round(rate.percent, 3),
        "since": since.isoformat(),
        "before": {"bad": before.bad, "whole": before.whole, "percent": round(before.percent, 3)},
    }


def gather(threshold: Threshold, subject: Any, since: datetime) -> dict[str, Any]:
    """Return the evidence beside the numbers, as JSON."""
    found: dict[str, Any] = {
        "replies": _replies(threshold, subject.pk, since),
        "changes": _changes(threshold, subject, since - LOOK_BACK),
    }
    if threshold.is_rate:
        column = COLUMNS[SubjectKind(threshold.subject_kind)]
        bad = BAD[Threshold.Measure(threshold.measure)]
        chosen = Q(measure=CountKey.Measure.EVENT, kind__in=bad, bucket_at__gte=since)
        chosen &= Q(**{column: subject.pk})
        found["campaigns"] = _campaigns(summed(chosen, "campaign_id"))
        found["providers"] = _top(summed(chosen, "mailbox_provider"))
        found["reasons"] = _top(row for row in summed(chosen, "reason") if row[0])
    return found


def _top(rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    largest = sorted(rows, key=lambda row: -row[-1])[:SHOWN]
    return [{"name": name or "not known", "n": n} for name, n in largest if n > 0]


def _campaigns(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    names = dict(
        Campaign.objects.filter(pk__in=[pk for pk, _ in rows if pk]).values_list("pk", "name")
    )
    largest = sorted(rows, key=lambda row: -row[-1])[:SHOWN]
    return [
        {"id": pk, "name": names.get(pk, "single messages"), "n": n} for pk, n in largest if n > 0
    ]


def _replies(threshold: Threshold, subject_id: int, since: datetime) -> list[dict[str, Any]]:
    """Group the newest replies by their words, with recipients taken out of them."""
    groups: Counter[tuple[int | None, str, str]] = Counter(
        (code, _signature(text), sentence)
        for status in STOPPED.get(threshold.measure, ())
        for code, text, sentence in _newest(status, threshold, subject_id, since)
    )
    return [
        {"code": code, "text": text, "sentence": sentence, "n": n}
        for (code, text, sentence), n in groups.most_common(SHOWN)
    ]


def _newest(status: str, threshold: Threshold, subject_id: int, since: datetime) -> QuerySet[Any]:
    column = COLUMNS[SubjectKind(threshold.subject_kind)]
    # a range, and its order, leave no other index to ask than that of statuses
    alike = Message.objects.filter(status__range=(status, status)).order_by("status", "-id")
    found = Message.objects.filter(pk__in=alike.values("pk")[:LOOKED_AT], **{column: subject_id})
    if threshold.begins_anew:
        found = found.filter(settled_at__gte=since)
    return found.order_by("-id").values_list("reply_code", "reply_text", "sentence")[:NEWEST]


def _signature(text: str) -> str:
    return _PRIVATE.sub("…", " ".join(text.split()))[:300]


def _changes(threshold: Threshold, subject: Any, since: datetime) -> list[dict[str, Any]]:
    is_of_sending = threshold.measure not in _SUSPECTS
    suspects = Q()
    for prefix in _SUSPECTS.get(threshold.measure, _OF_SENDING):
        suspects |= Q(verb__startswith=prefix)
    audited = AuditEntry.objects.filter(suspects, at__gte=since).order_by("-at")[: 2 * SHOWN]
    changes = [
        {
            "at": one.at.isoformat(),
            "what": words_of(one.verb),
            "of": one.subject_label,
            "who": one.actor_label,
        }
        for one in audited
    ]
    changes += [
        {
            "at": one.at.isoformat(),
            "what": one.told,
            "of": str(one.domain),
            "who": "DNS",
        }
        for one in (_domain_changes(subject, since) if is_of_sending else ())
    ]
    return sorted(changes, key=lambda change: change["at"], reverse=True)[: 2 * SHOWN]


def _domain_changes(subject: Any, since: datetime) -> Iterable[FindingChange]:
    """Return what DNS showed otherwise."""
    changes = FindingChange.objects.from_known().filter(at__gte=since).select_related("domain")
    stream = subject.stream if isinstance(subject, Campaign) else subject
    if isinstance(stream, Stream):
        changes = changes.filter(domain=stream.domain_id)
    elif isinstance(subject, Domain):
        changes = changes.filter(domain=subject)
    return changes.order_by("-at")[:SHOWN]
