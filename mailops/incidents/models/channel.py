"""Where incidents are told of."""

from django.db import models

from mailops.accounts.meanwhile import mark_of_fields
from mailops.incidents.models.threshold import Level
from mailops.lib.sealed import SealedColumns
from mailops.lib.secrets import Secret


class NotificationChannel(SealedColumns):
    """Where incidents are told of."""

    sealed_columns = ("sealed_url",)

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"  # a JSON POST
        MAIL = "mail", "Mail"  # a message of ours, over a stream of ours

    # what its form changes, beside a webhook's address
    SETTINGS = ("name", "is_enabled", "least_level", "recipient", "stream_id", "identity_id")

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    is_enabled = models.BooleanField(default=True)
    least_level = models.CharField(max_length=5, choices=Level.choices, default=Level.WARN)
    host = models.CharField(max_length=253, blank=True)  # of the webhook, for people
    sealed_url = models.BinaryField(blank=True, default=b"")  # such addresses hold a token
    recipient = models.CharField(max_length=320, blank=True)
    stream = models.ForeignKey(
        "transports.Stream", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    identity = models.ForeignKey(
        "domains.Identity", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def mark(self) -> str:
        """What tells its present settings from others."""
        return mark_of_fields(self, self.SETTINGS)

    @property
    def is_webhook(self) -> bool:
        return self.kind == self.Kind.WEBHOOK

    @property
    def place(self) -> str:
        return f"{self.host}/…" if self.is_webhook else self.recipient

    def set_url(self, url: str, host: str) -> None:
        """Keep the webhook's address encrypted; the row must have its id."""
        self.host = host
        self.seal_into("sealed_url", Secret(url))

    def url(self) -> str:
        """Return the webhook's address; raises Unsealable."""
        return self.open_from("sealed_url").reveal()

    @property
    def sealed_endpoint(self) -> str:
        return self.host
