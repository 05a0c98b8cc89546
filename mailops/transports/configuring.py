"""Saves transports and streams with all that hangs on them: secrets, routes, records to publish, the audit trail."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect
from mailops.accounts.models import User
from mailops.lib.keepers import keeper_of
from mailops.lib.locks import lock_row
from mailops.lib.secrets import Secret
from mailops.transports.credentials import facts as credential_facts
from mailops.transports.credentials import forget_secrets, keep_secret
from mailops.transports.gracing import keep_stream, lock_domains
from mailops.transports.models import PAUSING, Route, Stream, Transport
from mailops.transports.requirements import domains_of, require_records
from mailops.transports.ties import ties_of


class StillNeeded(Exception):
    """A transport stays; the text is a sentence that says what for."""


@transaction.atomic
def add_transport(*, transport: Transport, actor: User | None) -> None:
    transport.save()
    audit(actor=actor, verb="transport.add", subject=transport, after=transport_facts(transport))


@transaction.atomic
def change_transport(
    *,
    transport: Transport,
    secret: Secret | None,
    reference: str = "",
    actor: User | None,
    seen: str | None = None,
) -> bool:
    """Save a transport that was edited in memory; return whether that changed anything.

    A new endpoint forgets all secrets and references but the one given anew. Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    old = Transport.objects.select_for_update().get(pk=transport.pk)
    is_changed = expect(seen, was=old.mark, wanted=transport.mark)
    active = transport.active_credential
    is_given = bool(active and (secret or reference))
    if not (is_changed or is_given):
        return False
    is_moved = old.endpoint != transport.endpoint
    transport.save(update_fields=transport.SETTINGS)
    if is_moved:
        transport.forget_endpoint()
        forget_secrets(transport=transport)
    if active and is_given:
        active.refresh_from_db()
        active.transport = transport
        keep_secret(active, secret, reference)
    require_records(domains_of(transport))
    before, after = differing(transport_facts(old), transport_facts(transport))
    if active and is_given:
        after["secret"] = credential_facts(active)
    audit(actor=actor, verb="transport.change", subject=transport, before=before, after=after)
    return True


@transaction.atomic
def delete_transport(*, transport: Transport, actor: User | None) -> None:
    """Remove a transport that no stream uses and nothing was sent through; raise StillNeeded else."""
    if not lock_row(transport):
        return
    keeper = keeper_of(transport)
    if keeper is Route:
        raise StillNeeded(f"A stream sends through {transport} by now: take it out there first.")
    if keeper is not None:
        raise StillNeeded(f"Mail was sent through {transport}: pause it instead.")
    before = transport_facts(transport)
    audit(actor=actor, verb="transport.delete", subject=transport, before=before)
    try:
        transport.delete()
    except ProtectedError as error:
        works = " and ".join(sorted(f"“{work}”" for work in error.protected_objects))
        raise StillNeeded(
            f"A log of {transport} is still worked with: {works}. Delete it once that is over."
        ) from error


@transaction.atomic
def save_stream(
    *,
    stream: Stream,
    transports: Sequence[Transport],
    actor: User | None,
    weights: Sequence[int] = (),
    seen: str | None = None,
) -> bool:
    """Save a stream, new or edited in memory, with its ways out in order; return whether that changed anything.

    `weights` are their shares, 1 each if left out. Raise ValidationError, by field, where something holds it to its kind or its domain. Whoever saves a form gives the
    mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now. Its hours stay as they are.
    """
    ways = list(zip(transports, [*weights, *[1] * len(transports)], strict=False))
    was = Stream.objects.filter(pk=stream.pk).values_list("domain_id", flat=True)
    lock_domains({stream.domain_id, *was})
    old = Stream.objects.select_for_update().get(pk=stream.pk) if stream.pk else None
    before = stream_facts(old) if old else {}
    domains = {stream.domain_id: stream.domain} | ({old.domain_id: old.domain} if old else {})
    if old:
        wanted = stream.mark_with([(transport.pk, weight) for transport, weight in ways])
        if not expect(seen, was=old.mark, wanted=wanted):
            return False
        if ties := ties_of(stream, old):
            raise ValidationError(ties)
        stream.refresh_from_db(fields=PAUSING)  # somebody may have paused it since it was read
    stream.save(update_fields=stream.POLICY if old else None)
    stream.routes.all().delete()
    Route.objects.bulk_create(
        Route(stream=stream, transport=transport, position=position, weight=weight)
        for position, (transport, weight) in enumerate(ways)
    )
    require_records(domains.values())
    before, after = differing(before, stream_facts(stream))
    verb = "stream.change" if old else "stream.add"
    audit(actor=actor, verb=verb, subject=stream, before=before, after=after)
    keep_stream(stream=stream, old=old)
    return True


@transaction.atomic
def change_stream_hours(
    *, stream: Stream, hours: dict[str, Any], actor: User | None, seen: str | None = None
) -> bool:
    """Change when mail of the stream's campaigns leaves; return whether that changed anything.

    Those that have started keep the hours they have. Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    locked = Stream.objects.select_for_update().get(pk=stream.pk)
    before, was = locked.hours_facts(), locked.hours_mark
    for name, value in hours.items():
        setattr(locked, name, value)
    if not expect(seen, was=was, wanted=locked.hours_mark):
        return False
    locked.save(update_fields=list(hours))
    before, after = differing(before, locked.hours_facts())
    audit(actor=actor, verb="stream.hours", subject=locked, before=before, after=after)
    return True


@transaction.atomic
def delete_stream(*, stream: Stream, actor: User | None) -> None:
    """Remove a stream nothing was sent through and no suppression belongs to; raise ProtectedError else."""
    if not lock_row(stream):
        return
    if keeper_of(stream):
        raise ProtectedError(f"Something belongs to {stream}.", set())
    audit(actor=actor, verb="stream.delete", subject=stream, before=stream_facts(stream))
    domain = stream.domain
    stream.delete()
    require_records([domain])


def transport_facts(transport: Transport) -> dict[str, Any]:
    return {name: getattr(transport, name) for name in transport.SETTINGS}


def stream_facts(stream: Stream) -> dict[str, Any]:
    routes = stream.routes.order_by("position").values_list("transport__name", "weight")
    facts = {name: getattr(stream, name) for name in stream.POLICY}
    facts["routes"] = [name for name, _ in routes]
    return facts | ({"weights": dict(routes)} if stream.is_weighted else {})


def differing(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values that are not the same in both."""
    names = [name for name in after if before.get(name) != after[name]]
    return {n: before[n] for n in names if n in before}, {n: after[n] for n in names}
