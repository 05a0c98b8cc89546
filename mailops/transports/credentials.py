"""Adds, changes and removes what transports log in with; every change is on the audit trail, no secret is."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect
from mailops.accounts.models import User
from mailops.lib.locks import lock_row
from mailops.lib.secrets import Secret
from mailops.transports.models import Credential, OAuthGrant, Transport


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
    expires_on: date | None = None,
    actor: User | None,
) -> Credential:
    """Add a credential; a transport's first is active at once, later ones stand by for a rotation.

    One that says just the same is there already where a button was pressed twice: return it.
    """
    transport = Transport.objects.select_for_update().get(pk=transport.pk)
    named = {"label": label, "username": username, "expires_on": expires_on}
    for one in transport.credentials.filter(grant=None, **named) if secret or reference else ():
        if _is_kept(one, secret, reference):
            return one
    is_first = not transport.credentials.exists()
    credential = Credential.objects.create(
        transport=transport,
        **named,
        is_active=is_first,
        activated_at=timezone.now() if is_first else None,
    )
    keep_secret(credential, secret, reference)
    _audit("credential.add", credential, actor, after=facts(credential))
    return credential


@transaction.atomic
def add_grant(
    *,
    transport: Transport,
    credential: Mapping[str, Any],
    grant: Mapping[str, Any],
    client_secret: Secret | None,
    actor: User | None,
) -> OAuthGrant:
    """Add a credential that logs in by OAuth 2.0; it sends once somebody has signed in. Pressed twice it is one, too."""
    Transport.objects.select_for_update().get(pk=transport.pk)
    named = {f"credential__{name}": value for name, value in credential.items()}
    for one in OAuthGrant.objects.filter(credential__transport=transport, **named, **grant):
        if one.holds("client_secret", client_secret):
            return one
    added = add_credential(transport=transport, actor=actor, **credential)
    made = OAuthGrant.objects.create(credential=added, **grant)
    if client_secret:
        made.seal_into("client_secret", client_secret)
        made.save(update_fields=["client_secret"])
    return made


@transaction.atomic
def change_grant(
    *,
    grant: OAuthGrant,
    credential: Mapping[str, Any],
    changed: Mapping[str, Any],
    client_secret: Secret | None,
    actor: User | None,
    seen: str | None = None,
) -> bool:
    """Change what an app is known by; return whether that changed anything.

    A new client or endpoint forgets the tokens, which were given to the old. Raise DoesNotExist where it was deleted meanwhile. Whoever saves a form gives the mark that it showed as `seen`: raise
    ChangedMeanwhile where it is another by now.
    """
    Transport.objects.select_for_update().get(pk=grant.credential.transport_id)
    # a refresh may have written its tokens since it was read
    grant.refresh_from_db(from_queryset=OAuthGrant.objects.select_for_update())
    was, old = grant.mark, (grant.token_url, grant.client_id)
    before = _app_facts(grant)
    is_told = change_credential(credential=grant.credential, actor=actor, **credential)
    for name, value in changed.items():
        setattr(grant, name, value)
    if (grant.token_url, grant.client_id) != old:
        grant.forget()
    if client_secret and not grant.holds("client_secret", client_secret):
        grant.seal_into("client_secret", client_secret)
    if not expect(seen, was=was, wanted=grant.mark):
        return False
    grant.save()
    after = _app_facts(grant) | ({"client_secret": "given anew"} if client_secret else {})
    if not is_told or after != before:
        _audit("credential.change", grant.credential, actor, before=before, after=after)
    return True


@transaction.atomic
def change_credential(
    *,
    credential: Credential,
    label: str,
    username: str,
    secret: Secret | None = None,
    reference: str = "",
    expires_on: date | None = None,
    actor: User | None,
    seen: str | None = None,
) -> bool:
    """Change label, user name, expiry and, where one is given, the secret or reference; return whether that changed anything.

    The transport is locked, as for a rotation or a move of it, and the credential is read anew. Sessions that logged in
    with another user name or secret end. Raise DoesNotExist where it was deleted meanwhile. Whoever saves a form gives the
    mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    Transport.objects.select_for_update().get(pk=credential.transport_id)
    credential.refresh_from_db(from_queryset=Credential.objects.select_for_update())
    before, was = facts(credential), credential.mark
    if credential.username != username:
        credential.forget_trials()
    credential.label, credential.username = label, username
    credential.expires_on = expires_on
    if not _is_kept(credential, secret, reference):
        credential.secret_set_at = timezone.now()
    if not expect(seen, was=was, wanted=credential.mark):
        return False
    credential.save(update_fields=["label", "username", "expires_on", *Credential.TRIALS])
    if secret or reference:
        keep_secret(credential, secret, reference)
    _audit("credential.change", credential, actor, before=before, after=facts(credential))
    return True


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
    """Wipe what was kept for an endpoint the transport has no more: no secret would open, no reference may follow.

    What was found with them there goes as well.
    """
    kept = transport.credentials.exclude(secret=b"", reference="")
    kept.update(secret=b"", reference="", last_four="", secret_set_at=None)
    transport.credentials.update(last_test={}, last_tested_at=None, refused_at=None, refusal="")
    grants = OAuthGrant.objects.filter(credential__transport=transport)
    for grant in grants.select_for_update(of=("self",)):
        grant.forget()


def facts(credential: Credential) -> dict[str, Any]:
    """Return what the audit trail may know."""
    return {
        "label": credential.label,
        "username": credential.username,
        "reference": credential.reference,
        "last_four": credential.last_four,
        "expires_on": credential.expires_on.isoformat() if credential.expires_on else None,
        "is_active": credential.is_active,
    }


def _app_facts(grant: OAuthGrant) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in grant.SETTINGS}


def keep_secret(credential: Credential, secret: Secret | None, reference: str) -> None:
    """Keep a secret, or only where it is read."""
    if reference:
        credential.set_reference(reference)
    elif secret:
        credential.set_secret(secret)


def _is_kept(credential: Credential, secret: Secret | None, reference: str) -> bool:
    """Tell whether that is kept already, or nothing was given to keep."""
    if reference:
        return reference == credential.reference
    return not secret or credential.holds("secret", secret)


def _audit(verb: str, credential: Credential, actor: User | None, **values: Any) -> None:
    audit(actor=actor, verb=verb, subject=credential, **values)
