"""Stops bulk mail from domains whose grace is over, and lets it go on once they authenticate again."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import AuditEntry
from mailops.domains.grace import Grace, grace_of
from mailops.domains.models import Domain
from mailops.transports.models import PauseCause, RunState, Stream

_OVER = Q(bulk_stops_at__lte=Now())


def keep_grace() -> tuple[int, int]:
    """Stop what is past its grace and resume what is no more; return how many domains each."""
    domains = Domain.objects.with_grace()
    past = domains.filter(_OVER, bulk_stopped_at=None)
    mended = domains.filter(~_OVER | Q(failing_since_at=None), bulk_stopped_at__isnull=False)
    stopped = sum(_stop(pk) for pk in past.values_list("pk", flat=True))
    return stopped, sum(_go_on(pk) for pk in mended.values_list("pk", flat=True))


@transaction.atomic
def _stop(pk: int) -> bool:
    """Pause the domain's bulk streams, once for each time it breaks: who resumes one by hand has decided."""
    Domain.objects.select_for_update().get(pk=pk)
    domain = Domain.objects.with_grace().get(pk=pk)
    grace = grace_of(domain)
    if grace is None or not grace.is_over or grace.has_stopped:
        return False
    streams = domain.streams.filter(kind=Stream.Kind.BULK, state=RunState.RUNNING)
    names = [stream.name for stream in streams if _pause(stream, grace)]
    Domain.objects.filter(pk=pk).update(bulk_stopped_at=timezone.now())
    if names:
        audit(
            actor=None,
            verb="domain.stop_bulk",
            subject=domain,
            after={"streams": names},
            reason=_sentence(grace),
        )
    return True


def _pause(stream: Stream, grace: Grace) -> bool:
    detail = "\n".join(f"{finding.label}: {finding.sentence}" for finding in grace.findings)
    return stream.pause(PauseCause.DOMAIN, _sentence(grace), detail)


def lock_domains(domain_ids: Iterable[int]) -> None:
    """Keep others from stopping these domains or letting them go on until the transaction ends."""
    rows = Domain.objects.select_for_update(no_key=True).filter(pk__in=list(domain_ids))
    list(rows.order_by("pk").values_list("pk", flat=True))


def keep_stream(*, stream: Stream, old: Stream | None) -> None:
    """Let a stream that came to its domain, or became bulk, stand still or go on like the others there.

    One that stays as it was is left alone: who resumed it by hand has decided. The domain must be locked.
    """
    if old and (old.domain_id, old.kind) == (stream.domain_id, stream.kind):
        return
    domain = Domain.objects.with_grace().get(pk=stream.domain_id)
    grace = grace_of(domain)
    is_stopped = stream.is_bulk and grace is not None and grace.is_over and grace.has_stopped
    if is_stopped and grace is not None:
        _pause(stream, grace)
    elif stream.is_stopped_by_domain:
        stream.resume(
            reason=f"It sends {stream.get_kind_display().lower()} mail from {domain} now."
        )


def _sentence(grace: Grace) -> str:
    domain, hours = grace.domain, grace.domain.grace_hours
    return (
        f"{grace.broken} of {domain} {'has' if len(grace.findings) == 1 else 'have'} been broken for more than "
        f"{hours} hours: receivers turn its mail away, and each mail costs the domain some of its name. Mend what its "
        "page names and press “Verify now”: sending goes on by itself. Or give it more hours of grace there."
    )


@transaction.atomic
def _go_on(pk: int) -> bool:
    Domain.objects.select_for_update().get(pk=pk)
    domain = Domain.objects.with_grace().get(pk=pk)
    grace = grace_of(domain)
    if domain.bulk_stopped_at is None or (grace is not None and grace.is_over):
        return False
    why = "It has more time now." if grace else "It authenticates again."
    streams = domain.streams.filter(pause_cause=PauseCause.DOMAIN, state=RunState.PAUSED)
    names = [stream.name for stream in streams if stream.resume(reason=why)]
    Domain.objects.filter(pk=pk).update(bulk_stopped_at=None)
    if names or _was_told_to_stop(domain):
        audit(actor=None, verb="domain.go_on", subject=domain, after={"streams": names}, reason=why)
    return True


def _was_told_to_stop(domain: Domain) -> bool:
    """Tell whether the audit trail says that bulk mail from `domain` stands; it doesn't where nothing was paused."""
    trail = AuditEntry.objects.about(Domain, [domain.pk])
    told = trail.filter(verb__in=("domain.stop_bulk", "domain.go_on"))
    return told.order_by("-at", "-pk").values_list("verb", flat=True).first() == "domain.stop_bulk"
