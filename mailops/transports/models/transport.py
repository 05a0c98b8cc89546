"""A way out."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import mark_of
from mailops.accounts.models import User
from mailops.lib.clock import database_now
from mailops.lib.egress import is_trusted
from mailops.lib.storable import storable
from mailops.transports.models.pausing import Pausable, PauseCause, RunState

if TYPE_CHECKING:
    from mailops.transports.models.credential import Credential

BREAKER_BACKOFF = (1, 5, 30, 120, 300, 600)  # seconds; the last one repeats
LONGEST_BACKOFF = timedelta(seconds=BREAKER_BACKOFF[-1])  # an end beyond was set by a clock ahead
BREAKER_THRESHOLD = 3  # rounds of failing sessions until only one at a time may probe

_BREAKER_RESET: dict[str, Any] = {
    "breaker": "closed",
    "breaker_sentence": "",
    "breaker_detail": "",
    "failures": 0,
    "backoff_until": None,
}
_BREAKER_FIELDS = list(_BREAKER_RESET)


class TransportQuerySet(models.QuerySet["Transport"]):
    def running(self) -> Self:
        return self.filter(state=RunState.RUNNING)

    def broken_first(self) -> Self:
        """Order by what needs somebody: paused, then not reachable, then by name."""
        return self.annotate(is_stopped=Q(state=RunState.PAUSED)).order_by(
            "-is_stopped", "-failures", "name"
        )


class Transport(Pausable):
    class Kind(models.TextChoices):
        # but for the first, the names of anymail's backends; `kinds.apis` says all that tells them apart
        SMTP = "smtp", "SMTP"
        SES = "amazon_ses", "Amazon SES"
        BREVO = "brevo", "Brevo"
        MAILERSEND = "mailersend", "MailerSend"
        MAILGUN = "mailgun", "Mailgun"
        MAILJET = "mailjet", "Mailjet"
        MAILTRAP = "mailtrap", "Mailtrap"
        MANDRILL = "mandrill", "Mandrill"
        POSTAL = "postal", "Postal"
        POSTMARK = "postmark", "Postmark"
        RESEND = "resend", "Resend"
        SCALEWAY = "scaleway", "Scaleway"
        SENDGRID = "sendgrid", "SendGrid"
        SPARKPOST = "sparkpost", "SparkPost"
        UNISENDER_GO = "unisender_go", "Unisender Go"

    class Environment(models.TextChoices):
        DEVELOPMENT = "development", "Development"  # a developer's own relay or catcher
        STAGING = "staging", "Staging"  # rehearsals, with a provider's test account
        PRODUCTION = "production", "Production"  # what reaches recipients

    class Security(models.TextChoices):
        STARTTLS = "starttls", "STARTTLS"  # 587
        TLS = "tls", "Implicit TLS"  # 465
        NONE = "none", "None"  # only for an exact pair in MAILOPS_TRUSTED_RELAYS

    class Breaker(models.TextChoices):
        CLOSED = "closed", "Closed"  # sessions open as usual
        OPEN = "open", "Open"  # no session until backoff_until, then one that tries

    # what its form changes
    SETTINGS = (
        "name",
        "kind",
        "environment",
        "host",
        "port",
        "security",
        "options",
        "return_path_host",
        "max_sessions",
        "messages_per_session",
        "rate_per_minute",
        "daily_quota",
    )

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.SMTP)
    # carries mail of streams of the same one alone
    environment = models.CharField(
        max_length=12, choices=Environment.choices, default=Environment.PRODUCTION
    )
    host = models.CharField(max_length=253, blank=True)
    port = models.PositiveIntegerField(default=587)
    security = models.CharField(max_length=10, choices=Security.choices, default=Security.STARTTLS)
    # a provider kind's own fields: {"region": "eu-west-1"}
    options = models.JSONField(default=dict, blank=True)
    return_path_host = models.CharField(max_length=253, blank=True)  # empty: the installation's
    max_sessions = models.PositiveSmallIntegerField(default=4)
    messages_per_session = models.PositiveIntegerField(default=1000)
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)  # null: no limit
    daily_quota = models.PositiveIntegerField(null=True, blank=True)  # a day of UTC; null: no limit
    breaker = models.CharField(max_length=10, choices=Breaker.choices, default=Breaker.CLOSED)
    breaker_sentence = models.TextField(blank=True)
    breaker_detail = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0)  # sessions that failed in a row
    backoff_until = models.DateTimeField(null=True)
    last_tested_at = models.DateTimeField(null=True)
    last_test = models.JSONField(default=dict, blank=True)  # the last diagnosis, secrets masked
    live_test = models.JSONField(default=dict, blank=True)  # the diagnosis under way, else empty
    last_used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TransportQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def mark(self) -> str:
        """What tells its present settings from others."""
        settings = {name: getattr(self, name) for name in self.SETTINGS}
        return mark_of(settings | {"options": sorted(self.options.items())})

    @property
    def endpoint(self) -> str:
        """What a secret of this transport is bound to: it opens only for this host, port and security."""
        if self.kind == self.Kind.SMTP:
            return f"smtp:{self.host.lower()}:{self.port}:{self.security}"
        options = self.options
        return f"{self.kind}:{options.get('region', '')}:{options.get('endpoint_url', '')}"

    @property
    def address(self) -> str:
        """The endpoint as a person names it."""
        if self.kind == self.Kind.SMTP:
            is_plain = self.security == self.Security.NONE
            return (
                f"{self.host}:{self.port}, {'no TLS' if is_plain else self.get_security_display()}"
            )
        names = ("endpoint_url", "region", "sender_domain")
        return ", ".join(str(self.options[name]) for name in names if self.options.get(name))

    @property
    def is_production(self) -> bool:
        return self.environment == self.Environment.PRODUCTION

    @property
    def is_smtp(self) -> bool:
        return self.kind == self.Kind.SMTP

    @property
    def is_signed_here(self) -> bool:
        """Whether mailops signs what leaves here with the domain's own keys: a provider that names selectors signs itself."""
        return self.is_smtp and not self.options.get("dkim_selectors")

    @property
    def was_tested(self) -> bool:
        return self.last_tested_at is not None

    @property
    def pause_fix(self) -> str:
        """What to do; "" where the sentence says it."""
        if self.pause_cause == PauseCause.FAULT:
            return "Mend what it says and test the connection; then resume. What is not mended stops it again."
        return super().pause_fix

    @property
    def breaker_title(self) -> str:
        if self.breaker == self.Breaker.CLOSED:
            return "Sessions fail; it waits a little before the next"
        return f"Not reachable: {self.failures} rounds of sessions failed"

    @property
    def is_trusted_relay(self) -> bool:
        return self.kind == self.Kind.SMTP and is_trusted(self.host, self.port)

    @property
    def active_credential(self) -> "Credential | None":
        return self.credentials.filter(is_active=True).select_related("grant").first()

    def note_use(self, credential: "Credential | None") -> None:
        """Write down that sessions are opened with `credential`, once a minute at most: rows are read often."""
        now = timezone.now()
        long_ago = now - timedelta(minutes=1)
        stale = Q(last_used_at=None) | Q(last_used_at__lt=long_ago)
        if self.last_used_at is None or self.last_used_at < long_ago:
            Transport.objects.filter(stale, pk=self.pk).update(last_used_at=now)
        if credential and (credential.last_used_at is None or credential.last_used_at < long_ago):
            self.credentials.filter(stale, pk=credential.pk).update(last_used_at=now)

    @property
    def is_backing_off(self) -> bool:
        return self.breaker != self.Breaker.CLOSED or self.failures > 0

    @property
    def is_broken(self) -> bool:
        """Whether its breaker is open: then one session at a time may try it."""
        return self.breaker == self.Breaker.OPEN

    @property
    def next_try_at(self) -> datetime | None:
        """When it has rested; None where it has."""
        return self.backoff_until if self.rests_at(timezone.now()) else None

    def rests_at(self, now: datetime) -> bool:
        return bool(self.backoff_until and now < self.backoff_until <= now + LONGEST_BACKOFF)

    @transaction.atomic
    def resume(
        self, *, actor: User | None = None, reason: str = "", seen: str | None = None
    ) -> bool:
        """Let mail pass again, as any that is paused; its ramps go on where they were."""
        rows = Transport.objects.select_for_update(no_key=True).filter(pk=self.pk)
        paused_at = rows.values_list("paused_at", flat=True).first()
        is_resumed = super().resume(actor=actor, reason=reason, seen=seen)
        if is_resumed and paused_at is not None:
            self._hold_ramps(paused_at.astimezone(UTC).date())
        return is_resumed

    def _on_resume(self) -> dict[str, Any]:
        return _BREAKER_RESET

    def _hold_ramps(self, since: date) -> None:
        """Take days on which it was paused out of its ramps: nobody came to trust its address more by silence."""
        today = database_now().astimezone(UTC).date()
        for ramp in self.warm_ups.select_for_update():
            before = ramp.started_on
            if days := ramp.stand_still(since, today):
                ramp.save(update_fields=["started_on"])
                audit(
                    actor=None,
                    verb="transport.change_warm_up",
                    subject=self,
                    before={"started_on": before.isoformat()},
                    after={
                        "started_on": ramp.started_on.isoformat(),
                        "mailbox_provider": ramp.mailbox_provider,
                    },
                    reason=f"Nothing left for {days} day{'s'[: days > 1]}, since it was paused: the ramp goes on where "
                    "it was.",
                )

    @transaction.atomic
    def record_failure(self, sentence: str, detail: str = "") -> bool:
        """Back off after a session that failed; return True if this opened the breaker.

        Sessions that fail together count once: the first sets `backoff_until`, the others find it.
        """
        row = type(self).objects.select_for_update().get(pk=self.pk)
        now = database_now()
        if row.rests_at(now):
            return False
        row.failures += 1
        wait = BREAKER_BACKOFF[min(row.failures, len(BREAKER_BACKOFF)) - 1]
        row.backoff_until = now + timedelta(seconds=wait)
        opens = row.failures >= BREAKER_THRESHOLD
        was_open = row.breaker != self.Breaker.CLOSED
        row.breaker = self.Breaker.OPEN if opens else self.Breaker.CLOSED
        row.breaker_sentence, row.breaker_detail = storable(sentence), storable(detail)
        row.save(update_fields=_BREAKER_FIELDS)
        self.refresh_from_db(fields=_BREAKER_FIELDS)
        if opens and not was_open:
            self._audit_breaker("open", sentence)
        return opens and not was_open

    def record_success(self) -> bool:
        """End the back-off after a session that opened; return True if this closed the breaker."""
        return self.end_backoff("A session opened again.")

    @transaction.atomic
    def end_backoff(self, reason: str) -> bool:
        """Let sessions be tried at once, because of `reason`; return True if this closed the breaker."""
        same = type(self).objects.filter(pk=self.pk)
        was_open = same.exclude(breaker=self.Breaker.CLOSED).update(**_BREAKER_RESET)
        if not was_open:
            same.filter(failures__gt=0).update(**_BREAKER_RESET)
        self.refresh_from_db(fields=_BREAKER_FIELDS)
        if was_open:
            self._audit_breaker("close", reason)
        return bool(was_open)

    def forget_endpoint(self) -> None:
        """Drop what was found at an endpoint that it has no more, by tests and by sessions."""
        self.last_test, self.last_tested_at = {}, None
        self.save(update_fields=["last_test", "last_tested_at"])
        self.end_backoff("It was given another endpoint.")

    def _audit_breaker(self, act: str, reason: str) -> None:
        audit(actor=None, verb=f"transport.breaker_{act}", subject=self, reason=reason)
