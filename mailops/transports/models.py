"""How mail leaves: credentials, transports, streams."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from mailops.lib import secrets
from mailops.lib.egress import is_trusted
from mailops.lib.secrets import Place, Secret


class RunState(models.TextChoices):
    RUNNING = "running", "Running"  # mail may leave
    PAUSED = "paused", "Paused"  # a person or a fault stopped it; cause and sentence say why


class PauseCause(models.TextChoices):
    PERSON = "person", "A person"  # somebody pressed pause
    GUARDRAIL = "guardrail", "A guardrail"  # a threshold was crossed
    FAULT = "fault", "A fault"  # our authentication, policy or quota
    RESTORED = "restored", "A restore"  # the database was restored from a backup
    STALE = "stale_schedule", "A stale schedule"  # its time is long past


class Transport(models.Model):
    class Kind(models.TextChoices):
        SMTP = "smtp", "SMTP"
        SES = "amazon_ses", "Amazon SES"

    class Security(models.TextChoices):
        STARTTLS = "starttls", "STARTTLS"  # 587
        TLS = "tls", "Implicit TLS"  # 465
        NONE = "none", "None"  # only for an exact pair in MAILOPS_TRUSTED_RELAYS

    class Breaker(models.TextChoices):
        CLOSED = "closed", "Closed"  # sessions open as usual
        OPEN = "open", "Open"  # no session until backoff_until
        HALF_OPEN = "half_open", "Half open"  # one session probes

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.SMTP)
    host = models.CharField(max_length=253, blank=True)
    port = models.PositiveIntegerField(default=587)
    security = models.CharField(max_length=10, choices=Security.choices, default=Security.STARTTLS)
    options = models.JSONField(
        default=dict, blank=True
    )  # a provider kind's own fields: {"region": "eu-west-1"}
    return_path_host = models.CharField(max_length=253, blank=True)  # empty: the installation's
    max_sessions = models.PositiveSmallIntegerField(default=4)
    messages_per_session = models.PositiveIntegerField(default=1000)
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)  # null: no limit
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.RUNNING)
    pause_cause = models.CharField(max_length=20, choices=PauseCause.choices, blank=True)
    pause_sentence = models.TextField(blank=True)
    pause_detail = models.TextField(blank=True)  # the technical text
    paused_at = models.DateTimeField(null=True)
    breaker = models.CharField(max_length=10, choices=Breaker.choices, default=Breaker.CLOSED)
    breaker_sentence = models.TextField(blank=True)
    breaker_detail = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0)  # sessions that failed in a row
    backoff_until = models.DateTimeField(null=True)
    last_tested_at = models.DateTimeField(null=True)
    last_test = models.JSONField(default=dict, blank=True)  # the last diagnosis, secrets masked
    last_used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def endpoint(self) -> str:
        """What a secret of this transport is bound to: it opens only for this host, port and security."""
        if self.kind == self.Kind.SMTP:
            return f"smtp:{self.host.lower()}:{self.port}:{self.security}"
        options = self.options
        return f"{self.kind}:{options.get('region', '')}:{options.get('endpoint_url', '')}"

    @property
    def is_trusted_relay(self) -> bool:
        return self.kind == self.Kind.SMTP and is_trusted(self.host, self.port)

    @property
    def active_credential(self) -> "Credential | None":
        return self.credentials.filter(is_active=True).first()


class Credential(models.Model):
    """What a transport logs in with; at most one is active, others stand by for a rotation."""

    transport = models.ForeignKey(Transport, on_delete=models.CASCADE, related_name="credentials")
    label = models.CharField(max_length=100)
    username = models.CharField(max_length=254, blank=True)
    secret = models.BinaryField(
        blank=True, default=b""
    )  # sealed by lib.secrets, bound to row and endpoint
    reference = models.CharField(
        max_length=254, blank=True
    )  # "env:MAILOPS_SECRET_X" or "file:name" instead of a secret
    last_four = models.CharField(max_length=4, blank=True)
    is_active = models.BooleanField(default=False)
    secret_set_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["transport"],
                condition=models.Q(is_active=True),
                name="one_active_credential",
            )
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.transport})"

    @property
    def place(self) -> Place:
        return Place(
            table=self._meta.db_table,
            column="secret",
            row=str(self.pk),
            endpoint=self.transport.endpoint,
        )

    def reveal(self) -> Secret:
        """Return the secret; raise Unsealable or BadReference. Asks no database."""
        if self.reference:
            return secrets.follow(self.reference)
        return secrets.unseal(bytes(self.secret), self.place)

    def set_secret(self, secret: Secret) -> None:
        """Keep `secret`, sealed for this row and its transport's endpoint, instead of what was there."""
        self.secret = secrets.seal(secret, self.place)
        self.reference = ""
        value = secret.reveal()
        self.last_four = value[-4:] if len(value) >= 12 else ""  # of a short one four are too many
        self.secret_set_at = timezone.now()
        self.save()


class Stream(models.Model):
    """The policy unit: what kind of mail, from which domain, through which transports, with what patience."""

    class Kind(models.TextChoices):
        TRANSACTIONAL = "transactional", "Transactional"  # one person waits for it
        BULK = "bulk", "Bulk"  # many get it; unsubscribe is a must

    class Guarantee(models.TextChoices):
        LEAVE = "leave", "Leave uncertain"  # count it, show it, never send again by itself
        RESEND = "resend", "Send again, once"  # same Message-ID
        ASK = "ask", "Ask a person"  # held

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=15, choices=Kind.choices, default=Kind.BULK)
    domain = models.ForeignKey("domains.Domain", on_delete=models.PROTECT, related_name="streams")
    owner = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # who answers for its bounces and complaints
    guarantee = models.CharField(max_length=10, choices=Guarantee.choices, default=Guarantee.LEAVE)
    backoff_seconds = ArrayField(
        models.PositiveIntegerField(), default=list
    )  # the last one repeats
    expiry_seconds = models.PositiveIntegerField(default=72 * 3600)
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    is_sensitive = models.BooleanField(default=False)  # stores and shows no body
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.RUNNING)
    pause_cause = models.CharField(max_length=20, choices=PauseCause.choices, blank=True)
    pause_sentence = models.TextField(blank=True)
    pause_detail = models.TextField(blank=True)
    paused_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def is_bulk(self) -> bool:
        return self.kind == self.Kind.BULK


class Route(models.Model):
    """One transport a stream may use; the first in order carries the mail, the others stand by."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="routes")
    transport = models.ForeignKey(Transport, on_delete=models.PROTECT, related_name="routes")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "transport"], name="route_transport_once"),
            models.UniqueConstraint(
                fields=["stream", "position"],
                name="route_position_once",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]
