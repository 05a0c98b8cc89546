"""Keeps every version of every record: what DNS showed, from when until when."""

from collections.abc import Sequence
from datetime import datetime

from mailops.domains.checks.authority import Difference
from mailops.domains.checks.verdict import Seen
from mailops.domains.models import BY_SCHEDULE, DnsObservation, DnsRecord, Domain
from mailops.protocol.address import MAX_DOMAIN


def observe(
    domain: Domain,
    seen: Sequence[Seen],
    *,
    now: datetime,
    noticed_by: str = BY_SCHEDULE,
    differences: Sequence[Difference] | None = None,
) -> bool:
    """Write down what DNS showed at `now`, and return whether that was new; what didn't answer stays as it was.

    `differences` are those between the domain's own name servers and the resolver, None where they were not asked.
    """
    kept, is_new = [], False
    for look in seen:
        if len(look.host) > MAX_DOMAIN:
            continue  # DNS has no such name, so nothing is ever there
        record = _record_of(domain, look)
        if look.is_optional and not look.values and record.pk is None:
            continue  # never published, and needn't be
        for name, value in _fields(look, now).items():
            setattr(record, name, value)
        record.by_server = _by_server(look, differences)
        record.save()
        kept.append(record.pk)
        if look.answer.is_known:
            is_new |= _note_version(record, sorted(look.values), now, noticed_by)
    domain.records.exclude(pk__in=kept).update(is_expected=False)
    return is_new


def _by_server(look: Seen, differences: Sequence[Difference] | None) -> dict[str, list[str]] | None:
    if differences is None:
        return None
    kind = look.values[0].split("=")[0].lower() if look.values else ""
    return {
        server: sorted(v for v in values if v.lower().startswith(kind) or look.rtype != "TXT")
        for one in differences
        if (one.host, one.rtype) == (look.host, look.rtype)
        for server, values in one.by_server.items()
        if sorted(values) != sorted(look.answer.values)
    }


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
    fields: dict[str, object] = {"rtype": look.rtype, "asked_at": now}
    if not look.answer.is_known:
        kept = {} if look.is_optional else {"is_expected": True}
        return fields | kept | {"failure": look.answer.detail}
    return fields | {
        "is_expected": bool(look.values) or not look.is_optional,
        "failure": "",
        "state": look.state,
        "to_publish": look.to_publish,
        "needed_by": look.needed_by,
    }


def _note_version(record: DnsRecord, values: list[str], now: datetime, noticed_by: str) -> bool:
    """Prolong the newest version or begin another; return whether it took the place of one."""
    newest = record.observations.order_by("-first_seen_at").first()
    if newest and newest.values == values:
        newest.last_seen_at = now
        newest.save(update_fields=["last_seen_at"])
        return False
    DnsObservation.objects.create(
        record=record, values=values, first_seen_at=now, last_seen_at=now, noticed_by=noticed_by
    )
    return newest is not None
