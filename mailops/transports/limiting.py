"""Saves what mailbox providers are sent at most, and how transports are warmed up, with the audit trail."""

from typing import Any

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect
from mailops.accounts.models import User
from mailops.lib.locks import lock_row
from mailops.lib.mailbox_providers import name_of
from mailops.transports.configuring import differing
from mailops.transports.models import ProviderLimit, WarmUp


class StillWarming(Exception):
    """A ramp holds back what only these limits keep apart. The text is a sentence."""


def ask_ramps(limit: ProviderLimit) -> None:
    """Raise StillWarming where a ramp is for a domain that has a queue of its own by `limit` alone."""
    provider = limit.mailbox_provider
    ramps = WarmUp.objects.filter(mailbox_provider=provider).select_related("transport")
    if ramps and not limit.is_known:
        names = ", ".join(sorted(ramp.transport.name for ramp in ramps))
        raise StillWarming(
            f"{name_of(provider)} is being warmed up through {names}, which needs these limits: end that first."
        )


@transaction.atomic
def save_provider_limit(
    *, limit: ProviderLimit, actor: User | None, seen: str | None = None
) -> bool:
    """Save a limit, new or edited in memory; return whether that changed anything.

    It holds for claims from half a second later on. Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    old = ProviderLimit.objects.select_for_update().get(pk=limit.pk) if limit.pk else None
    if old and not expect(seen, was=old.mark, wanted=limit.mark):
        return False
    limit.moved_at = None
    limit.save()
    before, after = differing(_facts(old) if old else {}, _facts(limit))
    verb = "providerlimit.change" if old else "providerlimit.add"
    audit(actor=actor, verb=verb, subject=limit, before=before, after=after)
    return True


@transaction.atomic
def delete_provider_limit(*, limit: ProviderLimit, actor: User | None) -> None:
    """Remove a limit: the provider is sent what any other is. Raise StillWarming where a ramp needs it."""
    if not lock_row(limit):
        return
    ask_ramps(limit)
    audit(actor=actor, verb="providerlimit.delete", subject=limit, before=_facts(limit))
    limit.delete()


@transaction.atomic
def save_warm_up(*, warm_up: WarmUp, actor: User | None, seen: str | None = None) -> bool:
    """Save a ramp, new or edited in memory; return whether that changed anything.

    The trail names its provider in any case, since a transport may have several. Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    old = WarmUp.objects.select_for_update().get(pk=warm_up.pk) if warm_up.pk else None
    if old and not expect(seen, was=old.mark, wanted=warm_up.mark):
        return False
    warm_up.save()
    before, after = differing(_ramp(old) if old else {}, _ramp(warm_up))
    after["mailbox_provider"] = warm_up.mailbox_provider
    verb = "transport.change_warm_up" if old else "transport.warm_up"
    audit(actor=actor, verb=verb, subject=warm_up.transport, before=before, after=after)
    return True


@transaction.atomic
def end_warm_up(*, warm_up: WarmUp, actor: User | None) -> None:
    """Let a transport send as much as its other limits allow."""
    if not lock_row(warm_up):
        return
    verb = "transport.end_warm_up"
    audit(actor=actor, verb=verb, subject=warm_up.transport, before=_ramp(warm_up))
    warm_up.delete()


def _ramp(warm_up: WarmUp) -> dict[str, Any]:
    return {
        "mailbox_provider": warm_up.mailbox_provider,
        "started_on": warm_up.started_on.isoformat(),
        "first_day": warm_up.first_day,
        "growth_percent": warm_up.growth_percent,
        "full_volume": warm_up.full_volume,
    }


def _facts(limit: ProviderLimit) -> dict[str, Any]:
    return {name: getattr(limit, name) for name in limit.SETTINGS}
