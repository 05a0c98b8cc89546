"""Writes the audit trail."""

from collections.abc import Mapping
from typing import Any

from django.db import models

from mailops.accounts.models import AuditEntry, User

SYSTEM = "mailops"


def audit(
    *,
    actor: User | None,
    verb: str,
    subject: models.Model | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Record one change by `actor` (None: mailops itself); `before` and `after` hold JSON values, never a secret."""
    return AuditEntry.objects.create(
        actor=actor,
        actor_label=actor.email if actor else SYSTEM,
        verb=verb,
        subject_type=subject._meta.label if subject else "",  # noqa: SLF001 - Django's public-by-convention API
        subject_id=str(subject.pk) if subject else "",
        subject_label=str(subject)[:254] if subject else "",
        before=dict(before or {}),
        after=dict(after or {}),
        reason=reason,
    )
