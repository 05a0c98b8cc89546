"""Keeps every version of every record: what DNS showed, from when until when."""

from collections.abc import Sequence
from datetime import datetime

from mailops.domains.checks.verdict import Seen
from mailops.domains.models import DnsObservation, DnsRecord, Domain


def observe(domain: Domain, seen: Sequence[Seen], *, now: datetime) -> None:
    """Write down what DNS showed at `now`; where it didn't answer, the last version stays as it was."""
    kept = []
    for look in seen:
        record = _record_of(domain, look)
        for name, value in _fields(look, now).items():
            setattr(record, name, value)
        record.save()
        kept.append(record.pk)
        if look.answer.is_known:
            _note_version(record, sorted(look.values), now)
    domain.records.exclude(pk__in=kept).update(is_expected=False)


def _record_of(domain: Domain, look: Seen) -> DnsRecord:
    """Return the row of what was looked for; while DNS is silent, an inherited DMARC record keeps its place."""
    same = domain.records.filter(purpose=look.purpose)
    record = same.filter(host=look.host).first()
    if record is None and look.purpose == DnsRecord.Purpose.DMARC and not look.answer.is_known:
        record = same.filter(is_expected=True).first()
    return record or DnsRecord(
        domain=domain, purpose=look.purpose, host=look.host, to_publish=look.to_publish
    )


def _fields(look: Seen, now: datetime) -> dict[str, object]:
    fields: dict[str, object] = {"rtype": look.rtype, "asked_at": now, "is_expected": True}
    if not look.answer.is_known:
        return fields | {"failure": look.answer.detail}
    return fields | {
        "failure": "",
        "state": look.state,
        "to_publish": look.to_publish,
        "needed_by": look.needed_by,
    }


def _note_version(record: DnsRecord, values: list[str], now: datetime) -> None:
    newest = record.observations.order_by("-first_seen_at").first()
    if newest and newest.values == values:
        newest.last_seen_at = now
        newest.save(update_fields=["last_seen_at"])
        return
    DnsObservation.objects.create(record=record, values=values, first_seen_at=now, last_seen_at=now)
