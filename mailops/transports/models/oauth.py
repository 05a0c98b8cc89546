"""What a mailbox's owner permitted: tokens that stand in for a password (RFC 6749)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q

from mailops.accounts.meanwhile import mark_of_fields
from mailops.lib.clock import ClockTimestamp
from mailops.lib.sealed import SealedColumns
from mailops.transports.models.credential import Credential

REFRESH_AHEAD = timedelta(minutes=10)  # of an hour, as both providers give
LEASE = timedelta(seconds=30)  # longer than an answer may take, so that two never ask at once
BACKOFF = (15, 60, 300, 900)  # seconds after an answer that says nothing about the grant
LONGEST_BACKOFF = timedelta(seconds=BACKOFF[-1])


@dataclass(frozen=True, slots=True)
class Provider:
    """Where to ask for tokens; `{tenant}` stands for Microsoft's directory."""

    name: str
    authorize_url: str
    token_url: str
    scope: str
    parameters: tuple[tuple[str, str], ...] = ()  # of the sign-in page


# Microsoft gives IMAP and submission apart, Google's one scope covers both
MICROSOFT_READING = "https://outlook.office.com/IMAP.AccessAsUser.All"

PROVIDERS: dict[str, Provider] = {
    "google": Provider(
        "Google (Gmail)",
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        "https://mail.google.com/",
        (("access_type", "offline"), ("prompt", "consent")),  # else it gives no refresh token again
    ),
    "microsoft": Provider(
        "Microsoft 365",
        "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        "https://outlook.office.com/SMTP.Send offline_access",
    ),
    "other": Provider("Another provider", "", "", ""),
}


class GrantQuerySet(models.QuerySet["OAuthGrant"]):
    """Its times are the database's; what a clock ahead wrote, and one of today can't have, counts as past."""

    def due(self) -> Self:
        """Keep those whose access token runs out soon and that nobody refreshes just now."""
        now = ClockTimestamp()
        runs_out = Q(access_expires_at=None) | Q(access_expires_at__lte=now + REFRESH_AHEAD)
        return self.filter(
            runs_out | Q(refreshed_at__gt=now),
            Q(retry_at=None) | ~Q(retry_at__range=(now, now + LONGEST_BACKOFF)),
            state=OAuthGrant.State.GIVEN,
        ).idle()

    def idle(self) -> Self:
        now = ClockTimestamp()
        return self.filter(
            Q(refreshing_until=None) | ~Q(refreshing_until__range=(now, now + LEASE))
        )

    def holding(self, span: timedelta) -> Self:
        """Keep those whose access token is good for so long."""
        now = ClockTimestamp()
        return self.filter(
            Q(refreshed_at=None) | Q(refreshed_at__lte=now),
            access_expires_at__gt=now + span,
            state=OAuthGrant.State.GIVEN,
        )


class OAuthGrant(SealedColumns):
    """The permission to send as a mailbox; its access token is what sessions log in with."""

    class State(models.TextChoices):
        WAITING = "waiting", "Not signed in yet"  # nobody has given consent
        GIVEN = "given", "Given"  # tokens come and are refreshed
        REFUSED = "refused", "Withdrawn"  # the provider refuses for good: a person must sign in

    # what its form changes, beside its credential and the client secret
    SETTINGS = ("tenant", "client_id", "own_authorize_url", "own_token_url", "own_scope")

    sealed_columns = ("client_secret", "refresh_token", "access_token")

    credential = models.OneToOneField(Credential, on_delete=models.CASCADE, related_name="grant")
    provider = models.CharField(
        max_length=10, choices=[(key, provider.name) for key, provider in PROVIDERS.items()]
    )
    tenant = models.CharField(max_length=100, blank=True)  # Microsoft's directory
    client_id = models.CharField(max_length=254)
    own_authorize_url = models.CharField(max_length=500, blank=True)  # of another provider
    own_token_url = models.CharField(max_length=500, blank=True)
    own_scope = models.CharField(max_length=500, blank=True)
    client_secret = models.BinaryField(blank=True, default=b"")
    refresh_token = models.BinaryField(blank=True, default=b"")
    access_token = models.BinaryField(blank=True, default=b"")
    access_expires_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    sentence = models.TextField(blank=True)  # what is wrong, and what to do
    detail = models.TextField(blank=True)
    refreshed_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    retry_at = models.DateTimeField(null=True)
    refreshing_until = models.DateTimeField(null=True)  # a process asks for a token until then

    objects = GrantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.get_provider_display()} for {self.credential}"

    @property
    def mark(self) -> str:
        """What tells its present settings, with those of its credential, from others."""
        return mark_of_fields(self, self.SETTINGS, self.credential.mark, bytes(self.client_secret))

    @property
    def sealed_endpoint(self) -> str:
        """Tokens go to the token endpoint and to the transport's, and nowhere else."""
        return f"{self.token_url} {self.credential.transport.endpoint}"

    @property
    def token_url(self) -> str:
        return self.own_token_url or self._table.token_url.format(tenant=self.tenant or "common")

    @property
    def authorize_url(self) -> str:
        tenant = self.tenant or "common"
        return self.own_authorize_url or self._table.authorize_url.format(tenant=tenant)

    @property
    def scope(self) -> str:
        return self.own_scope or self._table.scope

    @property
    def reads_mail(self) -> bool:
        """Whether what is asked for covers reading the mailbox by IMAP; of another provider only a person knows."""
        return self.provider != "microsoft" or MICROSOFT_READING.lower() in self.scope.lower()

    @property
    def _table(self) -> Provider:
        return PROVIDERS[self.provider]

    @property
    def is_given(self) -> bool:
        return self.state == self.State.GIVEN

    @property
    def is_refused(self) -> bool:
        return self.state == self.State.REFUSED

    def forget(self) -> None:
        """Wipe what was sealed for an endpoint that is no more; somebody must sign in again."""
        for column in self.sealed_columns:
            setattr(self, column, b"")
        self.state, self.access_expires_at = self.State.WAITING, None
        self.sentence = self.detail = ""
        self.save()
