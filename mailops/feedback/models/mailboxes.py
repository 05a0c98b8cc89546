"""IMAP mailboxes that bounces come to, where no return-path host of ours can."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Case, F, Q, When
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.meanwhile import mark_of_fields
from mailops.lib.clock import ClockTimestamp
from mailops.lib.sealed import SealedColumns

# Minutes after a reading that failed; the longer, the less a provider takes us for somebody who guesses.
BACKOFF_MINUTES = (1, 5, 15, 60)
EVERY = timedelta(seconds=55)  # between readings that went well; the task comes each minute
LEASE = timedelta(seconds=120)  # longer than a reading may take
# where the server tells of new mail, in case it forgets to
EVERY_WHILE_IDLING = timedelta(minutes=10)
IDLING_LEASE = timedelta(seconds=60)  # renewed every 20


class MailboxQuerySet(models.QuerySet["Mailbox"]):
    def due(self) -> Self:
        """Keep those that are to be read now and that nobody reads, by the database's clock."""
        now = ClockTimestamp()
        is_time = Q(due_at__lte=now) & ~Q(idling_until__gt=now)
        is_long_ago = Q(due_at__lte=now - (EVERY_WHILE_IDLING - EVERY))
        was_cut_off = Q(reading_until__lte=now)
        return self.filter(
            Q(due_at=None) | is_time | is_long_ago | was_cut_off, is_enabled=True
        ).idle()

    def idle(self) -> Self:
        return self.filter(Q(reading_until=None) | Q(reading_until__lte=ClockTimestamp()))

    def to_idle(self) -> Self:
        """Keep those whose server may be asked to tell of new mail: they can be read, and it did not refuse lately."""
        now = ClockTimestamp()
        return self.filter(
            Q(idle_refused_until=None) | Q(idle_refused_until__lte=now),
            is_enabled=True,
            cause="",
            last_read_at__isnull=False,
        )

    def broken(self) -> Self:
        return self.filter(is_enabled=True).exclude(cause="")

    def broken_first(self) -> Self:
        return self.order_by("-is_enabled", F("failing_since_at").asc(nulls_last=True), "name")


class Mailbox(SealedColumns):
    """One folder of one mailbox, and how far it was read."""

    class Security(models.TextChoices):
        TLS = "tls", "Implicit TLS"  # 993
        STARTTLS = "starttls", "STARTTLS"  # 143
        NONE = "none", "None"  # only for an exact pair in MAILOPS_TRUSTED_RELAYS

    class Then(models.TextChoices):
        FLAG = "flag", "Mark it as read"
        MOVE = "move", "Move it to another folder"
        DELETE = "delete", "Delete it"

    sealed_columns = ("password",)

    # what its form changes, beside the password
    SETTINGS = (
        "name", "host", "port", "security", "username", "grant_id", "folder", "then", "target",
        "is_enabled",
    )  # fmt: skip

    name = models.CharField(max_length=100, unique=True)
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=993)
    security = models.CharField(max_length=10, choices=Security.choices, default=Security.TLS)
    username = models.CharField(max_length=254)
    password = models.BinaryField(blank=True, default=b"")  # sealed, bound to row and endpoint
    # instead of a password: the permission that this mailbox's owner gave for sending
    grant = models.ForeignKey(
        "transports.OAuthGrant",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    folder = models.CharField(max_length=250, default="INBOX")
    then = models.CharField(max_length=10, choices=Then.choices, default=Then.FLAG)
    target = models.CharField(max_length=250, blank=True)  # the folder that mails are moved to
    is_enabled = models.BooleanField(default=True)
    uid_validity = models.BigIntegerField(null=True)  # numbers count only while it stays the same
    # up to here all was met; what was left stands below
    last_uid = models.BigIntegerField(default=0)
    refused_uids = models.JSONField(default=list, db_default=[])  # not handed out; asked for again
    # [first, last]: stored, and not yet marked, moved or deleted
    left_spans = models.JSONField(default=list, db_default=[])
    cause = models.CharField(max_length=30, blank=True)  # why it can't be read, empty where it can
    detail = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    failing_since_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    reading_until = models.DateTimeField(null=True)  # a process reads it until then
    last_read_at = models.DateTimeField(null=True)  # without a fault
    last_mail_at = models.DateTimeField(null=True)  # something new was in it
    taken = models.BigIntegerField(default=0)  # mails stored, each once
    known = models.BigIntegerField(default=0)  # met again: after a crash, or numbered anew
    cut = models.BigIntegerField(default=0)  # larger than what is read of one
    idling_until = models.DateTimeField(null=True)  # its server tells a process of new mail
    heard_at = models.DateTimeField(null=True)  # the server told of mail, or that it is still there
    idle_refused_until = models.DateTimeField(null=True)  # it doesn't tell, so it isn't asked again
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MailboxQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["host", "username", "folder"], name="mailbox_folder_once"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def mark(self) -> str:
        """What tells its present settings from others."""
        return mark_of_fields(self, self.SETTINGS)

    def get_absolute_url(self) -> str:
        return reverse("feedback:mailbox", args=[self.pk])

    @property
    def sealed_endpoint(self) -> str:
        """The password opens for this host, port and TLS alone."""
        return f"imap:{self.host.lower()}:{self.port}:{self.security}"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}, {'no TLS' if self.security == self.Security.NONE else self.get_security_display()}"

    @property
    def is_broken(self) -> bool:
        return self.is_enabled and bool(self.cause)

    @property
    def state(self) -> str:
        if not self.is_enabled:
            return "off"
        if self.cause:
            return "failing"
        return "waiting" if self.last_read_at is None else "read"

    @property
    def is_idling(self) -> bool:
        """Whether its server tells of new mail by itself."""
        return self.idling_until is not None and self.idling_until > timezone.now()

    @property
    def refuses_to_idle(self) -> bool:
        return self.idle_refused_until is not None and self.idle_refused_until > timezone.now()

    def lease(self) -> bool:
        """Tell whether this process may read it now; no lock is held while the server is spoken to."""
        free = type(self).objects.filter(pk=self.pk, is_enabled=True).idle()
        now = ClockTimestamp()
        # who hears of mail from now on makes it due again, and that outlasts this reading
        return bool(free.update(reading_until=now + LEASE, due_at=now))

    @property
    def has_left(self) -> bool:
        """Tell whether some of the mails up to `last_uid` are to be asked for, or dealt with, once more."""
        return bool(self.refused_uids or self.left_spans)

    def begin_anew(self, uid_validity: int) -> None:
        """Forget how far it was read: its mails have other numbers now. What was stored is known by its octets."""
        self.uid_validity, self.last_uid = uid_validity, 0
        self.refused_uids, self.left_spans = [], []
        self.save(update_fields=["uid_validity", "last_uid", "refused_uids", "left_spans"])

    def advance(
        self, uid: int, refused: list[int], left: list[int], counts: Mapping[str, int]
    ) -> None:
        """Note that all up to `uid` was met: all that was `refused` so far, and what more is `left` to be dealt with."""
        self.last_uid, self.refused_uids = uid, refused
        self.left_spans = _with(self.left_spans, left)
        more: dict[str, Any] = {name: F(name) + counts[name] for name in ("taken", "known", "cut")}
        if counts["taken"]:
            more["last_mail_at"] = ClockTimestamp()
        self._of_these_numbers().update(
            last_uid=uid, refused_uids=refused, left_spans=self.left_spans, **more
        )

    def leave(self, spans: list[list[int]]) -> None:
        """Note that all stored mails but these are dealt with."""
        self.left_spans = spans
        self._of_these_numbers().update(left_spans=spans)

    def _of_these_numbers(self) -> MailboxQuerySet:
        return Mailbox.objects.filter(pk=self.pk, uid_validity=self.uid_validity)

    def record_reading(self, *, is_done: bool, fault: tuple[str, str] | None) -> None:
        """Note that it could be read; it comes again at once where there is more, or came more meanwhile.

        `fault` is the cause and the technical text of what was left; where nothing more is known of that, they stay, but for
        those of readings that failed.
        """
        later = ClockTimestamp() + EVERY
        if fault is None and self.has_left and not self.failures:
            fault = self.cause, self.detail
        cause, detail = fault or ("", "")
        type(self).objects.filter(pk=self.pk).update(
            cause=cause,
            detail=detail,
            failures=0,
            failing_since_at=(self.failing_since_at or timezone.now()) if cause else None,
            due_at=Case(When(due_at=None, then=None), default=later) if is_done else None,
            reading_until=None,
            last_read_at=ClockTimestamp(),
        )

    def record_failure(self, cause: str, detail: str) -> None:
        """Note why it could not be read, and let it rest the longer the more often that was."""
        minutes = BACKOFF_MINUTES[min(self.failures, len(BACKOFF_MINUTES) - 1)]
        # mails that were left in it are another trouble, which may be days old
        since_at = self.failing_since_at if self.failures else None
        type(self).objects.filter(pk=self.pk).update(
            cause=cause,
            detail=detail,
            failures=F("failures") + 1,
            failing_since_at=since_at or timezone.now(),
            due_at=ClockTimestamp() + timedelta(minutes=minutes),
            reading_until=None,
        )


def _with(spans: Iterable[list[int]], uids: Iterable[int]) -> list[list[int]]:
    """Return spans of numbers, [first, last], ascending, with `uids` in them; neighbors are one span."""
    found: list[list[int]] = []
    for first, last in sorted([*spans, *([uid, uid] for uid in uids)]):
        if found and first <= found[-1][1] + 1:
            found[-1] = [found[-1][0], max(found[-1][1], last)]
        else:
            found.append([first, last])
    return found
