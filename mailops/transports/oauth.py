"""Gets and refreshes the tokens of OAuth 2.0 (RFC 6749, 7636): ahead of time, and by one process alone."""

import base64
import hashlib
import json
import secrets as random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib import fetching
from mailops.lib.clock import ClockTimestamp
from mailops.lib.egress import EgressFault
from mailops.lib.secrets import Secret, Unsealable
from mailops.lib.storable import storable
from mailops.transports.models import OAuthGrant, Transport
from mailops.transports.models.oauth import BACKOFF, LEASE

ASK_SECONDS = 8.0
_RUN_SECONDS = 40.0  # of one round of refreshing
_SOON = timedelta(seconds=60)  # a token with less than this left is not logged in with
_MOST_TEXT = 300
_LEAST_LIFE, _USUAL_LIFE, _MOST_LIFE = 60, 3600, 7 * 86400  # seconds, of an access token

# What a token endpoint refuses for good (RFC 6749, 5.2), and what to do about it.
REFUSALS: Mapping[str, str] = {
    "invalid_grant": "The permission was withdrawn, or its password or policy changed. Sign in again.",
    "invalid_client": "The provider does not know the client id, or its secret is wrong or has expired. Make a new secret"
    " there, set it here, then sign in again.",
    "unauthorized_client": "The app may not ask for this. Allow it at the provider, then sign in again.",
    "invalid_scope": "The app may not send mail. Add the permission at the provider, then sign in again.",
    "access_denied": "The sign-in was declined. Sign in again with an account that may give the permission.",
}


class NotGranted(Exception):
    """No token was given. `is_final`: nothing but a person can change that. The text is a sentence."""

    def __init__(self, sentence: str, detail: str = "", *, is_final: bool = False) -> None:
        super().__init__(sentence)
        self.sentence, self.detail, self.is_final = sentence, detail, is_final


@dataclass(frozen=True, kw_only=True)
class Tokens:
    access: Secret
    refresh: Secret
    seconds: int  # for which the access token holds


def redirect_uri() -> str:
    return f"{settings.MAILOPS_BASE_URL}{reverse('transports:oauth-callback')}"


def make_verifier() -> str:
    return random.token_urlsafe(48)


def sign_in_url(grant: OAuthGrant, *, state: str, verifier: str) -> str:
    """Return the provider's page on which the mailbox's owner gives consent."""
    digest = hashlib.sha256(verifier.encode()).digest()
    parameters = {
        "response_type": "code",
        "client_id": grant.client_id,
        "redirect_uri": redirect_uri(),
        "scope": grant.scope,
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "login_hint": grant.credential.username,
        **dict(grant._table.parameters),  # noqa: SLF001 - of the row's own table
    }
    glue = "&" if "?" in grant.authorize_url else "?"
    return f"{grant.authorize_url}{glue}{urlencode(parameters)}"


def connect(grant: OAuthGrant, *, code: str, verifier: str, actor: User | None) -> None:
    """Change the code of a sign-in for tokens, and let go a transport that their lack had stopped; raise NotGranted."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(),
        "code_verifier": verifier,
    }
    tokens = _ask(grant, form)
    if not tokens.refresh:
        raise NotGranted(
            "The provider gave no refresh token, so mail would stop within the hour. Allow offline access and sign in again.",
            is_final=True,
        )
    _accept(grant, tokens, actor)


def accept_refresh_token(grant: OAuthGrant, refresh_token: Secret, *, actor: User | None) -> None:
    """Keep a refresh token that a person has, once it was tried; raise NotGranted."""
    tokens = _ask(grant, _refresh_form(refresh_token))
    kept = tokens.refresh or refresh_token
    _accept(grant, Tokens(access=tokens.access, refresh=kept, seconds=tokens.seconds), actor)


@transaction.atomic
def _accept(grant: OAuthGrant, tokens: Tokens, actor: User | None) -> None:
    transports = Transport.objects.filter(pk=grant.credential.transport_id)
    transport = transports.select_for_update().first()
    stored = OAuthGrant.objects.select_for_update().filter(pk=grant.pk).first()
    if transport is None or stored is None or _app(stored) != _app(grant):
        raise NotGranted("The app or its transport was changed meanwhile. Sign in again.")
    had_none = not stored.is_given
    _store(grant, tokens)
    audit(actor=actor, verb="credential.sign_in", subject=grant.credential)
    is_its_fault = transport.is_stopped_by_fault
    if had_none and grant.credential.is_active and is_its_fault:
        transport.resume(actor=actor)


def _app(grant: OAuthGrant) -> tuple[str, str]:
    """Return what tokens are given to, and where they may be said."""
    return grant.client_id, grant.sealed_endpoint


def refresh_due() -> int:
    """Refresh the access tokens that run out soon; return how many were."""
    until = time.monotonic() + _RUN_SECONDS
    refreshed = 0
    for pk in OAuthGrant.objects.due().order_by("access_expires_at").values_list("pk", flat=True):
        if time.monotonic() > until:
            break
        refreshed += refresh(pk)
    return refreshed


def refresh(grant_id: int, *, anew: bool = False) -> bool:
    """Refresh one access token if it is due (or `anew`) and nobody else does; return whether this process did.

    The lease is a time on the row: no lock and no transaction is held while the provider is asked. What it answers counts
    only while the row holds what it was asked with: somebody may have signed in, or changed the app, meanwhile.
    """
    rows = OAuthGrant.objects.filter(pk=grant_id)
    free = rows.filter(state=OAuthGrant.State.GIVEN).idle() if anew else rows.due()
    if not free.update(refreshing_until=ClockTimestamp() + LEASE):
        return False
    grant = rows.select_related("credential__transport").get()
    answer: Tokens | NotGranted
    try:
        answer = _ask(grant, _refresh_form(grant.open_from("refresh_token")))
    except Unsealable as error:
        answer = NotGranted(str(error), is_final=True)
    except NotGranted as fault:
        answer = fault
    return _take(grant, answer)


@transaction.atomic
def _take(grant: OAuthGrant, answer: Tokens | NotGranted) -> bool:
    """Write what was answered, if it counts; return whether there is a new token."""
    stored = OAuthGrant.objects.select_for_update().filter(pk=grant.pk).first()
    if stored is None or not all(
        _says_the_same(stored, grant, column) for column in ("refresh_token", "client_secret")
    ):
        return False
    if isinstance(answer, Tokens):
        _store(grant, answer)
        return True
    write = _refuse if answer.is_final else _postpone
    write(grant, answer)
    return False


def _says_the_same(stored: OAuthGrant, grant: OAuthGrant, column: str) -> bool:
    """Tell whether a column holds the same secret in both, however it is sealed by now: the keys may have changed."""
    if bytes(getattr(stored, column)) == bytes(getattr(grant, column)):
        return True
    try:
        return stored.open_from(column).reveal() == grant.open_from(column).reveal()
    except Unsealable:
        return False


def usable_token(grant: OAuthGrant, *, is_doubted: bool = False) -> Secret:
    """Return an access token that holds for a minute or more, asking for one if need be; raise NotGranted, Unsealable.

    A doubted one, since sessions failed, is asked for anew unless that was done a moment ago.
    """
    if not _holds(grant):
        refresh(grant.pk)
    elif is_doubted and not _is_recent(grant):
        refresh(grant.pk, anew=True)
    grant.refresh_from_db()
    if not grant.is_given:
        fallback = "Nobody has signed in yet."
        raise NotGranted(grant.sentence or fallback, grant.detail, is_final=True)
    if not _holds(grant):
        raise NotGranted(grant.sentence or "The access token is being asked for.", grant.detail)
    return grant.open_from("access_token")


def must_ask(grant: OAuthGrant, *, is_doubted: bool = False) -> bool:
    """Tell whether `usable_token` may have to ask the provider, which may take long."""
    return not _holds(grant) or (is_doubted and not _is_recent(grant))


def _holds(grant: OAuthGrant) -> bool:
    """Tell whether the stored token is good for a minute or more."""
    return OAuthGrant.objects.filter(pk=grant.pk).holding(_SOON).exists()


def _is_recent(grant: OAuthGrant) -> bool:
    now = ClockTimestamp()
    return OAuthGrant.objects.filter(pk=grant.pk, refreshed_at__range=(now - _SOON, now)).exists()


def _refresh_form(refresh_token: Secret) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}


def _ask(grant: OAuthGrant, form: dict[str, str]) -> Tokens:
    form["client_id"] = grant.client_id
    if grant.client_secret:
        form["client_secret"] = grant.open_from("client_secret").reveal()
    if grant.provider == "microsoft":
        form["scope"] = grant.scope
    try:
        answer = fetching.fetch(
            grant.token_url,
            method="POST",
            body=urlencode(form).encode(),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            seconds=ASK_SECONDS,
        )
    except EgressFault as fault:
        raise NotGranted(
            "The provider's token endpoint could not be asked.", fault.detail
        ) from fault
    try:
        return _read(answer.status, answer.body)
    except NotGranted as fault:
        fault.detail = storable(_masked(fault.detail, form), _MOST_TEXT)
        raise


def _masked(text: str, form: Mapping[str, str]) -> str:
    """Return `text` without what was sent in secret: an endpoint may say it back."""
    for name in ("client_secret", "refresh_token", "code", "code_verifier"):
        if secret := form.get(name):
            text = text.replace(secret, "****").replace(quote_plus(secret), "****")
    return text


def _read(status: int, body: bytes) -> Tokens:
    """Return what the endpoint gave; raise NotGranted. Of its answer only the two fields of an error are told."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise NotGranted("The provider's answer was no token.", f"HTTP {status}, not JSON")
    access = answer.get("access_token")
    if status == 200 and isinstance(access, str) and access.isprintable() and access:
        given = answer.get("refresh_token")
        return Tokens(
            access=Secret(access),
            refresh=Secret(given if isinstance(given, str) and given.isprintable() else ""),
            seconds=_seconds(answer.get("expires_in")),
        )
    name = str(answer.get("error", ""))
    detail = f"HTTP {status} {name}: {answer.get('error_description', '')}"
    if name in REFUSALS and status < 500:
        raise NotGranted(REFUSALS[name], detail, is_final=True)
    raise NotGranted("The provider gave no token just now; it is asked again.", detail)


def _seconds(told: Any) -> int:
    try:
        return max(_LEAST_LIFE, min(int(told), _MOST_LIFE))
    except (TypeError, ValueError, OverflowError):
        return _USUAL_LIFE


def _store(grant: OAuthGrant, tokens: Tokens) -> None:
    """Keep tokens; a provider that gives no new refresh token means the old one to go on, as it is sealed by now."""
    grant.seal_into("access_token", tokens.access)
    given = {"access_token": grant.access_token}
    if tokens.refresh:
        grant.seal_into("refresh_token", tokens.refresh)
        given["refresh_token"] = grant.refresh_token
    OAuthGrant.objects.filter(pk=grant.pk).update(
        **given,
        access_expires_at=ClockTimestamp() + timedelta(seconds=tokens.seconds),
        refreshed_at=ClockTimestamp(),
        state=OAuthGrant.State.GIVEN,
        sentence="",
        detail="",
        failures=0,
        retry_at=None,
        refreshing_until=None,
    )
    grant.refresh_from_db()


def _refuse(grant: OAuthGrant, fault: NotGranted) -> None:
    """Write down that only a person can help, so that nobody asks again."""
    OAuthGrant.objects.filter(pk=grant.pk).update(
        state=OAuthGrant.State.REFUSED,
        sentence=fault.sentence,
        detail=fault.detail,
        refreshing_until=None,
    )
    audit(actor=None, verb="credential.refuse", subject=grant.credential, reason=fault.sentence)


def _postpone(grant: OAuthGrant, fault: NotGranted) -> None:
    wait = BACKOFF[min(grant.failures, len(BACKOFF) - 1)]
    OAuthGrant.objects.filter(pk=grant.pk).update(
        sentence=fault.sentence,
        detail=fault.detail,
        failures=grant.failures + 1,
        retry_at=ClockTimestamp() + timedelta(seconds=wait),
        refreshing_until=None,
    )
