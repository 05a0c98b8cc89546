"""The addresses at which providers tell what became of mail."""

import secrets
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse

from mailops.lib.sealed import SealedColumns
from mailops.lib.secrets import Unsealable

MAX_TOKEN = 200


def _secret() -> str:
    return secrets.token_hex(20)


class WebhookEndpoint(SealedColumns):
    """The address at which one transport's provider tells what became of its mail."""

    sealed_columns = ("key",)

    transport = models.OneToOneField(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )
    secret = models.CharField(max_length=40, unique=True, default=_secret)  # in the address
    # what its calls are proven by: the provider's signing key, or the password we made; sealed
    key = models.BinaryField(blank=True, default=b"")
    # SNS topics a person let in
    topics = ArrayField(models.CharField(max_length=300), default=list)
    last_heard_at = models.DateTimeField(null=True)  # anything, proven or not
    last_proven_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Webhook of {self.transport}"

    @property
    def url(self) -> str:
        """The whole address, to be pasted at the provider."""
        path = reverse("feedback:webhook", args=[self.secret])
        return f"{settings.MAILOPS_BASE_URL}{path}"

    def revealed_key(self) -> str:
        """Return what proves its calls, or an empty string where there is none or it can't be opened."""
        try:
            return self.open_from("key").reveal() if self.key else ""
        except Unsealable:
            return ""


class UsedToken(models.Model):
    """A token that a provider signed instead of a call's content: whoever saw it could send another content with it."""

    transport = models.ForeignKey(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )
    token = models.CharField(max_length=MAX_TOKEN)
    raw = models.ForeignKey("feedback.RawFeedback", on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transport", "token"], name="used_token_once")
        ]

    def __str__(self) -> str:
        return self.token
