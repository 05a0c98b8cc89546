"""Adds, changes, rotates and removes what transports log in with; every change is on the audit trail, no secret is."""

from typing import Any

from django.db import transaction
from django.db.models import Q

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.locks import lock_row
from mailops.lib.secrets import Secret
from mailops.transports.models import Credential, Transport


class StillActive(Exception):
    """The credential carries mail; another must be made active first."""


@transaction.atomic
def add_credential(
    *,
    transport: Transport,
    label: str,
    username: str,
    secret: Secret | None = None,
    reference: str = "",
    actor: User | None,
) -> Credential:
    """Add a credential; a transport's first is active at once, later ones stand by for a rotation."""
    Transport.objects.select_for_update().get(pk=transport.pk)
    is_first = not transport.credentials.exists()
    credential = Credential.objects.create(
        transport=transport, label=label, username=username, is_active=is_first
    )
    _keep(credential, secret, reference)
    _audit("credential.add", credential, actor, after=facts(credential))
    return credential


@transaction.atomic
def change_credential(
    *,
    credential: Credential,
    label: str,
    username: str,
    secret: Secret | None = None,
    reference: str = "",
    actor: User | None,
) -> None:
    """Change label, user name and, where one is given, the secret or reference."""
    before = facts(credential)
    credential.label, credential.username = label, username
    credential.save(update_fields=["label", "username"])
    if secret or reference:
        _keep(credential, secret, reference)
    _audit("credential.change", credential, actor, before=before, after=facts(credential))


@transaction.atomic
def activate_credential(*, credential: Credential, actor: User | None) -> Credential | None:
    """Let the transport log in with `credential` from its next session on; return the one it takes over from.

    To roll back, activate that one again: it keeps its secret until somebody deletes it.
    """
    transport = Transport.objects.select_for_update().get(pk=credential.transport_id)
    old = transport.credentials.filter(is_active=True).exclude(pk=credential.pk).first()
    transport.credentials.filter(is_active=True).update(is_active=False)
    Credential.objects.filter(pk=credential.pk).update(is_active=True)
    credential.refresh_from_db()
    before = {"active": old.label if old else None}
    _audit(
        "credential.activate", credential, actor, before=before, after={"active": credential.label}
    )
    return old


@transaction.atomic
def delete_credential(*, credential: Credential, actor: User | None) -> None:
    """Remove `credential`; raise StillActive while it is the one in use and others stand by."""
    if not lock_row(credential.transport) or not lock_row(credential):
        return
    credential.refresh_from_db()
    others = Credential.objects.filter(~Q(pk=credential.pk), transport=credential.transport_id)
    if credential.is_active and others.exists():
        raise StillActive
    _audit("credential.delete", credential, actor, before=facts(credential))
    credential.delete()


def forget_secrets(*, transport: Transport) -> None:
    """Wipe what was sealed for an endpoint the transport has no more: none of it would open."""
    transport.credentials.exclude(secret=b"").update(secret=b"", last_four="", secret_set_at=None)


def facts(credential: Credential) -> dict[str, Any]:
    """Return what the audit trail may know."""
    return {
        "label": credential.label,
        "username": credential.username,
        "reference": credential.reference,
        "last_four": credential.last_four,
        "is_active": credential.is_active,
    }


def _keep(credential: Credential, secret: Secret | None, reference: str) -> None:
    if reference:
        credential.set_reference(reference)
    elif secret:
        credential.set_secret(secret)


def _audit(verb: str, credential: Credential, actor: User | None, **values: Any) -> None:
    audit(actor=actor, verb=verb, subject=credential, **values)
