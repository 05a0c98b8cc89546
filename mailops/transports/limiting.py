"""Saves what mailbox providers are sent at most, with the audit trail."""

from typing import Any

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.locks import lock_row
from mailops.transports.configuring import differing
from mailops.transports.models import ProviderLimit

_FIELDS = ("mailbox_provider", "max_sessions", "messages_per_session", "rate_per_minute", "note")


@transaction.atomic
def save_provider_limit(*, limit: ProviderLimit, actor: User | None) -> None:
    """Save a limit, new or edited in memory; it holds for claims from half a second later on."""
    old = ProviderLimit.objects.select_for_update().filter(pk=limit.pk).first()
    limit.moved_at = None
    limit.save()
    before, after = differing(_facts(old) if old else {}, _facts(limit))
    verb = "providerlimit.change" if old else "providerlimit.add"
    audit(actor=actor, verb=verb, subject=limit, before=before, after=after)


@transaction.atomic
def delete_provider_limit(*, limit: ProviderLimit, actor: User | None) -> None:
    """Remove a limit: the provider is sent what any other is."""
    if not lock_row(limit):
        return
    audit(actor=actor, verb="providerlimit.delete", subject=limit, before=_facts(limit))
    limit.delete()


def _facts(limit: ProviderLimit) -> dict[str, Any]:
    return {name: getattr(limit, name) for name in _FIELDS}
