"""What should worry somebody about a credential before it stops mail."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q

from mailops.transports.models import Credential, OAuthGrant

SECRET_LASTS = timedelta(days=365)  # what auditors ask for; keys that leaked unseen end here
EXPIRY_WARNED = timedelta(days=30)
EXPIRY_URGENT = timedelta(days=7)
STANDBY_LASTS = timedelta(days=30)  # an old one kept to go back to is a key that nobody watches


@dataclass(frozen=True, slots=True)
class Concern:
    title: str
    fix: str
    tone: str = "warn"  # or "bad": it stops mail, or will within days


def concerns_of(credential: Credential, now: datetime) -> list[Concern]:
    """Return what is wrong or will be, the worst first."""
    found = [
        *_kept(credential),
        *_permitted(credential),
        *_refused(credential),
        *_expiry(credential, now.date()),
        *_tested(credential),
        *_age(credential, now),
        *_standby(credential, now),
    ]
    return sorted(found, key=lambda concern: concern.tone != "bad")


def concerns_of_secret(credential: Credential, now: datetime) -> list[Concern]:
    """Return what must be mended before a checklist holds: a secret that is missing, gone, old or at its end."""
    expiry = [concern for concern in _expiry(credential, now.date()) if concern.tone == "bad"]
    return [*_kept(credential), *_permitted(credential), *expiry, *_age(credential, now)]


def pressing(credentials: Iterable[Credential], now: datetime) -> list[tuple[Credential, Concern]]:
    """Return what has stopped mail or will, and what is past its time, the worst first: one concern for each credential.

    That one was never tested, or stands by for long, can wait until somebody looks at its page.
    """
    found = [(one, concern) for one in credentials if (concern := _pressing_of(one, now))]
    return sorted(found, key=lambda pair: pair[1].tone != "bad")


def _pressing_of(credential: Credential, now: datetime) -> Concern | None:
    found = _refused(credential)
    if credential.is_active:
        found = [*found, *_kept(credential), *_permitted(credential)]
        found += [*_expiry(credential, now.date()), *_age(credential, now)]
    return min(found, key=lambda concern: concern.tone != "bad", default=None)


def likely_pressing(now: datetime) -> Q:
    """Return what the database can tell of them, so that nobody reads the others."""
    is_old = Q(secret_set_at__lt=now - SECRET_LASTS) | Q(
        secret_set_at=None, created_at__lt=now - SECRET_LASTS
    )
    in_use = (
        Q(expires_on__lte=now.date() + EXPIRY_WARNED)
        | Q(grant=None) & (Q(secret=b"", reference="") | Q(reference="") & is_old)
        | Q(grant__isnull=False)
        & (~Q(grant__state=OAuthGrant.State.GIVEN) | Q(grant__failures__gt=0))
    )
    return Q(refused_at__isnull=False) | Q(is_active=True) & in_use


def _kept(credential: Credential) -> list[Concern]:
    if credential.has_secret or credential.oauth:
        return []
    return [
        Concern(
            "Its secret must be set again",
            "The endpoint of the transport changed, and the secret was bound to the old one.",
            "bad",
        )
    ]


def _permitted(credential: Credential) -> list[Concern]:
    grant = credential.oauth
    if grant is None:
        return []
    if grant.is_refused:
        return [Concern("The permission to send is gone", grant.sentence, "bad")]
    if not grant.is_given:
        return [Concern("Nobody has signed in", "Sign in as the mailbox that sends.", "bad")]
    if grant.failures:
        return [Concern("The provider gives no new token", grant.sentence)]
    return []


def _refused(credential: Credential) -> list[Concern]:
    if not credential.refused_at:
        return []
    return [
        Concern(
            "The server refused it, and mailops went back to the one before",
            "Make sure that the provider has it switched on, test it, then move over again.",
            "bad",
        )
    ]


def _expiry(credential: Credential, today: date) -> list[Concern]:
    if credential.expires_on is None:
        return []
    left = credential.expires_on - today
    if left > EXPIRY_WARNED:
        return []
    fix = "Add its successor, test it and move over while this one still works."
    if left <= timedelta(0):
        return [Concern("It has expired", fix, "bad" if credential.is_active else "warn")]
    is_urgent = left <= EXPIRY_URGENT and credential.is_active
    days = f"{left.days} day{'s' if left.days > 1 else ''}"
    return [Concern(f"It expires in {days}", fix, "bad" if is_urgent else "warn")]


def _tested(credential: Credential) -> list[Concern]:
    if not credential.was_tested:
        return [Concern("It was never tested", "Test it: that logs in and sends nothing.")]
    if credential.last_test.get("is_ok"):
        return []
    tone = "bad" if credential.is_active else "warn"
    return [Concern("Its last test failed", credential.last_test.get("fix", ""), tone)]


def _age(credential: Credential, now: datetime) -> list[Concern]:
    """Judge how long a secret has been around; that of a reference is not ours to know."""
    age = now - (credential.secret_set_at or credential.created_at)
    if age > SECRET_LASTS and not credential.reference and not credential.oauth:
        return [Concern(f"Its secret is {age.days} days old", "Rotate it: a year is enough.")]
    return []


def _standby(credential: Credential, now: datetime) -> list[Concern]:
    last = credential.last_used_at or credential.secret_set_at or credential.created_at
    if not credential.is_active and now - last > STANDBY_LASTS:
        return [
            Concern(
                f"It stands by unused for {(now - last).days} days",
                "Take it away at the provider, then delete it here.",
            )
        ]
    return []
