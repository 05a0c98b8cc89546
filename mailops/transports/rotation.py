"""Moves a transport from one credential to the next and back; while both stand, a refused log-in stops no mail."""

from datetime import timedelta
from typing import Protocol

from django.db import transaction
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.transports.models import Credential, Transport
from mailops.transports.sessions import LoginId

FALL_BACK_WITHIN = timedelta(hours=24)  # of a change; later the new one has proven itself
LOGIN_CAUSES = frozenset(
    {"auth_failed", "auth_required", "credential", "oauth_refused", "oauth_revoked"}
)


class NothingToGoBackTo(Exception):
    """The credential in use took over from none that still stands by."""


class Refusal(Protocol):
    """A session's fault, or a reply that speaks against the log-in."""

    @property
    def login_id(self) -> LoginId | None: ...

    @property
    def sentence(self) -> str: ...

    @property
    def detail(self) -> str: ...


@transaction.atomic
def activate_credential(*, credential: Credential, actor: User | None) -> Credential | None:
    """Let the transport log in with `credential` from its next session on; return the one it takes over from.

    Open sessions of the other end after the message they speak of. It keeps its secret until somebody deletes it, so
    that `roll_back` can return to it. Raise DoesNotExist where it was deleted meanwhile.
    """
    transport = _locked(credential.transport_id)
    credential.refresh_from_db(from_queryset=Credential.objects.select_for_update())
    old = transport.credentials.filter(is_active=True).exclude(pk=credential.pk).first()
    if old is None and Credential.objects.filter(pk=credential.pk, is_active=True).exists():
        return None
    _put_in_use(transport, credential, replaces=old)
    _audit("credential.activate", credential, actor, old)
    return old


@transaction.atomic
def roll_back(*, transport: Transport, actor: User | None) -> Credential:
    """Return to the credential before the one in use, and let go a transport that its log-in stopped."""
    locked = _locked(transport.pk)
    active = locked.active_credential
    before = _before(active)
    if active is None or before is None:
        raise NothingToGoBackTo
    _put_in_use(locked, before, replaces=None)
    _audit("credential.roll_back", before, actor, active)
    was_stopped = locked.is_stopped_by_fault
    if (
        was_stopped
        and active.activated_at
        and locked.paused_at
        and locked.paused_at > active.activated_at
    ):
        locked.resume(actor=actor)
    return before


@transaction.atomic
def outlives(transport: Transport, refusal: Refusal) -> bool:
    """Tell whether a refused log-in is nothing that the transport must stop for.

    It isn't where another credential or secret is in use by now: the old one was taken away while a session still spoke.
    Nor where the one that was refused has just taken over from another that still stands by: that one is in use again.
    """
    if refusal.login_id is None:
        return False
    locked = _locked(transport.pk)
    active = locked.active_credential
    if active is None:
        return False
    if active.login_id != refusal.login_id:
        return True
    before, now = _before(active), timezone.now()
    if (
        before is None
        or active.activated_at is None
        or now - active.activated_at > FALL_BACK_WITHIN
    ):
        return False
    active.refused_at, active.refusal = now, refusal.detail
    active.save(update_fields=["refused_at", "refusal"])
    _put_in_use(locked, before, replaces=None)
    _audit("credential.fall_back", before, None, active, reason=refusal.sentence)
    return True


def _locked(transport_id: int) -> Transport:
    return Transport.objects.select_for_update().get(pk=transport_id)


def _before(active: Credential | None) -> Credential | None:
    before = active.replaces if active else None
    return before if before and before.has_secret else None


def _put_in_use(
    transport: Transport, credential: Credential, *, replaces: Credential | None
) -> None:
    transport.credentials.filter(is_active=True).update(is_active=False)
    credential.is_active, credential.replaces = True, replaces
    credential.activated_at = timezone.now()
    credential.refused_at, credential.refusal = None, ""
    credential.save(
        update_fields=["is_active", "replaces", "activated_at", "refused_at", "refusal"]
    )


def _audit(
    verb: str, credential: Credential, actor: User | None, old: Credential | None, reason: str = ""
) -> None:
    before, after = {"active": old.label if old else None}, {"active": credential.label}
    audit(actor=actor, verb=verb, subject=credential, before=before, after=after, reason=reason)
