"""What a transport logs in with."""

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Case, F, Q, When
from django.utils import timezone

from mailops.accounts.meanwhile import mark_of_fields
from mailops.lib import secrets
from mailops.lib.sealed import SealedColumns
from mailops.lib.secrets import Secret
from mailops.transports.models.transport import Transport
from mailops.transports.sessions import LoginId

if TYPE_CHECKING:
    from mailops.transports.models.oauth import OAuthGrant


class CredentialQuerySet(models.QuerySet["Credential"]):
    def logging_in_as(self, login: LoginId) -> Self:
        """Keep the one that `login` is of, while its user name and secret are the same."""
        return self.filter(
            pk=login.credential_id, username=login.username, secret_set_at=login.secret_set_at
        )

    def newest_first(self) -> Self:
        """Order by the one in use, then by age."""
        rows = self.select_related("grant")
        return rows.order_by("-is_active", "-created_at", "-pk")

    def by_urgency(self, presses: Q) -> Self:
        """Order by what stops mail first: what `presses`, then whose test failed; by expiry, then by transport."""
        failed = Q(last_test__is_ok=False)
        rank = Case(When(presses, then=0), When(failed, then=1), default=2)
        return self.select_related("transport", "grant").order_by(
            rank,
            F("refused_at").desc(nulls_last=True),
            F("expires_on").asc(nulls_last=True),
            "transport__name",
            "-is_active",
            "-pk",
        )


class Credential(SealedColumns):
    """What a transport logs in with; at most one is active, others stand by for a rotation."""

    # what its form changes; a secret is known by when it was set
    SETTINGS = ("label", "username", "expires_on", "reference", "secret_set_at")
    TRIALS: ClassVar = ("last_test", "last_tested_at", "refused_at", "refusal")
    sealed_columns = ("secret",)

    transport = models.ForeignKey(Transport, on_delete=models.CASCADE, related_name="credentials")
    label = models.CharField(max_length=100)
    username = models.CharField(max_length=254, blank=True)
    # sealed by lib.secrets, bound to row and endpoint
    secret = models.BinaryField(blank=True, default=b"")
    # "env:MAILOPS_SECRET_X" or "file:name" instead of a secret
    reference = models.CharField(max_length=254, blank=True)
    last_four = models.CharField(max_length=4, blank=True)
    is_active = models.BooleanField(default=False)
    secret_set_at = models.DateTimeField(null=True)
    expires_on = models.DateField(null=True, blank=True)  # as the provider says; null: never
    activated_at = models.DateTimeField(null=True)
    # what it took over from: there the transport goes back to while that stands by
    replaces = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    refused_at = models.DateTimeField(null=True)  # its log-in failed, and the one before took over
    refusal = models.TextField(blank=True)
    last_used_at = models.DateTimeField(null=True)
    last_tested_at = models.DateTimeField(null=True)
    last_test = models.JSONField(default=dict, blank=True)  # as Transport.last_test
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["transport"],
                condition=models.Q(is_active=True),
                name="one_active_credential",
            )
        ]

    objects = CredentialQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.label} ({self.transport})"

    @property
    def sealed_endpoint(self) -> str:
        return self.transport.endpoint

    @property
    def mark(self) -> str:
        """What tells its present settings from others."""
        return mark_of_fields(self, self.SETTINGS)

    @property
    def login_id(self) -> LoginId:
        return LoginId(self.pk, self.username, self.secret_set_at)

    def reveal(self) -> Secret:
        """Return the secret; raise Unsealable or BadReference. Asks no database."""
        return secrets.follow(self.reference) if self.reference else self.open_from("secret")

    def set_secret(self, secret: Secret) -> None:
        """Keep `secret`, sealed for this row and its transport's endpoint, instead of what was there."""
        self.seal_into("secret", secret)
        self.reference = ""
        value = secret.reveal()
        # its end tells two apart; of what people choose themselves, mostly shorter, it would tell too much
        self.last_four = value[-4:] if len(value) >= 16 else ""
        self._save_secret()

    def set_reference(self, reference: str) -> None:
        """Keep only where the secret is to be read, instead of what was there."""
        self.secret, self.last_four, self.reference = b"", "", reference
        self._save_secret()

    def _save_secret(self) -> None:
        self.secret_set_at = timezone.now()
        self.forget_trials()
        self.save(update_fields=["secret", "reference", "last_four", "secret_set_at", *self.TRIALS])

    def forget_trials(self) -> None:
        """Drop, of this object only, what was said of another secret or user name."""
        self.last_test, self.last_tested_at = {}, None
        self.refused_at, self.refusal = None, ""

    @property
    def was_tested(self) -> bool:
        return self.last_tested_at is not None

    @property
    def has_secret(self) -> bool:
        return bool(self.secret or self.reference) or bool(self.oauth and self.oauth.is_given)

    @property
    def oauth(self) -> "OAuthGrant | None":
        """The permission it logs in by, instead of a secret."""
        return getattr(self, "grant", None)
