"""What changed, and may have moved the numbers: by the audit trail, by DNS, and by incidents."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.apps import apps
from django.db.models import QuerySet

from mailops.accounts.models import AuditEntry, Change
from mailops.accounts.verbs import words_of
from mailops.domains.models import BY_SCHEDULE, DnsObservation, FindingChange
from mailops.lib.templatetags.navigation import resolve
from mailops.reports.periods import Period
from mailops.reports.relating import Related

LIMIT = 40  # marks of one page; more can't be told apart


class Kind(StrEnum):
    TEMPLATE = "template"
    CREDENTIAL = "credential"
    DNS = "dns"
    LIMITS = "limits"
    ROUTING = "routing"
    PAUSE = "pause"
    CAMPAIGN = "campaign"
    DEPLOY = "deploy"
    INCIDENT = "incident"

    @property
    def word(self) -> str:
        return _SHOWN[self][0]

    @property
    def icon(self) -> str:
        return _SHOWN[self][1]


_SHOWN = {
    Kind.TEMPLATE: ("Template", "templates"),
    Kind.CREDENTIAL: ("Credential", "key"),
    Kind.DNS: ("DNS", "domains"),
    Kind.LIMITS: ("Limits", "minus"),
    Kind.ROUTING: ("Routing", "transports"),
    Kind.PAUSE: ("Pause", "pause"),
    Kind.CAMPAIGN: ("Campaign", "campaigns"),
    Kind.DEPLOY: ("Deploy", "upload"),
    Kind.INCIDENT: ("Incident", "incidents"),
}

# What can move a rate. Looking, testing and planning can't.
KIND_OF: dict[str, Kind] = {
    "template.publish": Kind.TEMPLATE,
    "template.publish_unapproved": Kind.TEMPLATE,
    "template.roll_back": Kind.TEMPLATE,
    "credential.activate": Kind.CREDENTIAL,
    "credential.add": Kind.CREDENTIAL,
    "credential.change": Kind.CREDENTIAL,
    "credential.delete": Kind.CREDENTIAL,
    "credential.fall_back": Kind.CREDENTIAL,
    "credential.refuse": Kind.CREDENTIAL,
    "credential.roll_back": Kind.CREDENTIAL,
    "credential.sign_in": Kind.CREDENTIAL,
    "signing_key.sign": Kind.DNS,
    "signing_key.stop": Kind.DNS,
    "signing_key.retire": Kind.DNS,
    "identity.add": Kind.DNS,
    "identity.delete": Kind.DNS,
    "providerlimit.add": Kind.LIMITS,
    "providerlimit.change": Kind.LIMITS,
    "providerlimit.delete": Kind.LIMITS,
    "stream.hours": Kind.LIMITS,
    "campaign.hours": Kind.LIMITS,
    "transport.warm_up": Kind.LIMITS,
    "transport.change_warm_up": Kind.LIMITS,
    "transport.end_warm_up": Kind.LIMITS,
    "transport.slow_down": Kind.LIMITS,
    "transport.fewer_sessions": Kind.LIMITS,
    "transport.all_sessions": Kind.LIMITS,
    "transport.full_speed": Kind.LIMITS,
    "stream.add": Kind.ROUTING,
    "stream.change": Kind.ROUTING,  # or of limits: `kind_of` looks at what changed
    "stream.delete": Kind.ROUTING,
    "transport.add": Kind.ROUTING,
    "transport.change": Kind.ROUTING,
    "transport.delete": Kind.ROUTING,
    "campaign.pause": Kind.PAUSE,
    "campaign.resume": Kind.PAUSE,
    "stream.pause": Kind.PAUSE,
    "stream.resume": Kind.PAUSE,
    "transport.pause": Kind.PAUSE,
    "transport.resume": Kind.PAUSE,
    "transport.breaker_open": Kind.PAUSE,
    "transport.breaker_close": Kind.PAUSE,
    "domain.stop_bulk": Kind.PAUSE,
    "domain.go_on": Kind.PAUSE,
    "campaign.start": Kind.CAMPAIGN,
    "campaign.cancel": Kind.CAMPAIGN,
    "campaign.retry": Kind.CAMPAIGN,
    "deploy.start": Kind.DEPLOY,
    "database.restored": Kind.DEPLOY,
}
LIMIT_FIELDS = {
    "max_sessions", "messages_per_session", "rate_per_minute", "daily_quota", "reserved_percent",
    "backoff_seconds", "expiry_seconds",
}  # fmt: skip
ROUTE_FIELDS = {"routes", "weights", "routing", "host", "port", "security", "kind"}

_HISTORY = "The domain's history"
# where the thing that changed is shown: the page, its words, and the column that the address names
_PAGES = {
    "transports.Transport": ("transports:detail", "The transport", "pk"),
    "transports.Stream": ("transports:stream-detail", "The stream", "pk"),
    "domains.Domain": ("domains:history", _HISTORY, "pk"),
    "domains.SigningKey": ("domains:keys", "The domain's keys", "domain_id"),
    "campaigns.Campaign": ("campaigns:detail", "The campaign", "pk"),
    "content.MailTemplate": ("content:detail", "The template", "pk"),
}


@dataclass(frozen=True)
class Changed:
    """One thing that happened beside the numbers."""

    key: str  # its anchor on the page
    kind: Kind
    at: datetime
    label: str
    who: str = ""
    fields: list[Change] = field(default_factory=list)
    reason: str = ""
    url: str = ""  # where it is told in full
    url_words: str = ""
    trail_url: str = ""  # all that was done with the same thing


def changes(period: Period, chosen: Related | None) -> list[Changed]:
    """Return the newest changes of `period` that have to do with what is chosen, newest first."""
    found = [*_audited(period, chosen), *_findings(period, chosen), *_records(period, chosen)]
    return sorted(found, key=lambda change: change.at, reverse=True)[:LIMIT]


def _audited(period: Period, chosen: Related | None) -> Iterator[Changed]:
    entries = AuditEntry.objects.filter(
        at__gte=period.start, at__lt=period.end, verb__in=list(KIND_OF)
    )
    if chosen:
        entries = entries.filter(chosen.subjects)
    trail = resolve("accounts:audit")
    newest = list(entries.order_by("-at")[:LIMIT])
    pages = _pages_of(newest)
    for entry in newest:
        url, words = pages.get(entry.subject_key, ("", ""))
        yield Changed(
            key=f"audit-{entry.pk}",
            kind=kind_of(entry),
            at=entry.at,
            label=": ".join(filter(None, (words_of(entry.verb), _about(entry)))),
            who=entry.actor_label,
            fields=entry.changes,
            reason=entry.reason,
            url=url,
            url_words=words,
            trail_url=f"{trail}?subject={entry.subject_key}"
            if trail and entry.subject_type
            else trail,
        )


def _pages_of(entries: Iterable[AuditEntry]) -> dict[str, tuple[str, str]]:
    """Return the address and the words of each subject's page; what is gone has none."""
    ids: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        ids[entry.subject_type].add(entry.subject_id)
    found = {}
    for label in ids.keys() & _PAGES.keys():
        page, words, column = _PAGES[label]
        rows = apps.get_model(label)._default_manager.filter(pk__in=ids[label])  # noqa: SLF001 - Django's documented name
        for pk, value in rows.values_list("pk", column):
            found[f"{label}:{pk}"] = (resolve(page, value), words)
    return found


def _about(entry: AuditEntry) -> str:
    """Return what was changed; of a deploy, what runs since."""
    return entry.subject_label or str(entry.after.get("revision", ""))


def kind_of(entry: AuditEntry) -> Kind:
    """Return what sort of change it is; one that only moves limits is one of limits."""
    fields = {*entry.before, *entry.after}
    is_change = entry.verb in {"stream.change", "transport.change"}
    if is_change and fields & LIMIT_FIELDS and not fields & ROUTE_FIELDS:
        return Kind.LIMITS
    return KIND_OF[entry.verb]


def _findings(period: Period, chosen: Related | None) -> Iterator[Changed]:
    found = FindingChange.objects.from_known().filter(at__gte=period.start, at__lt=period.end)
    if chosen:
        found = found.filter(domain__in=chosen.domains)
    for change in found.select_related("domain").order_by("-at")[:LIMIT]:
        yield Changed(
            key=f"check-{change.pk}",
            kind=Kind.DNS,
            at=change.at,
            label=f"{change.domain}: {change.told}",
            who=_who(change.noticed_by),
            reason=change.sentence,
            url=resolve("domains:history", change.domain_id),
            url_words=_HISTORY,
        )


def _records(period: Period, chosen: Related | None) -> Iterator[Changed]:
    """Tell the records that show something else than before; the first look changes nothing."""
    versions: QuerySet[Any] = DnsObservation.objects.with_values_before()
    found = versions.filter(
        values_before__isnull=False, first_seen_at__gte=period.start, first_seen_at__lt=period.end
    )
    if chosen:
        found = found.filter(record__domain__in=chosen.domains)
    for seen in found.select_related("record__domain").order_by("-first_seen_at")[:LIMIT]:
        record = seen.record
        yield Changed(
            key=f"record-{seen.pk}",
            kind=Kind.DNS,
            at=seen.first_seen_at,
            label=f"{record.domain}: {record.get_purpose_display()} record {'changed' if seen.values else 'removed'}",
            who=_who(seen.noticed_by),
            fields=[Change(str(record), _values(seen.values_before), _values(seen.values))],
            url=resolve("domains:history", record.domain_id),
            url_words=_HISTORY,
        )


def _who(noticed_by: str) -> str:
    return "seen by a scheduled check" if noticed_by == BY_SCHEDULE else f"seen by {noticed_by}"


def _values(values: Any) -> str:
    return "\n".join(map(str, values or []))
