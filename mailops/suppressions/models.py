"""Addresses we must not write to, why, until when, in which stream."""

from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.meanwhile import mark_of
from mailops.lib.chunked_work import ChunkedWork
from mailops.lib.clock import ClockTimestamp
from mailops.lib.csv_reading import DELIMITERS, ENCODINGS
from mailops.protocol.address import search_forms
from mailops.transports.models import Stream


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    def active(self) -> "SuppressionQuerySet":
        """Keep those in force now, by the database's clock."""
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=Now()))

    def asked_for(self) -> "SuppressionQuerySet":
        """Keep those of which `Suppression.was_asked_for` holds."""
        return self.filter(reason__in=Suppression.ASKED_FOR)

    def about(self, text: str) -> "SuppressionQuerySet":
        """Keep those whose address has `text` in it."""
        forms = (models.Q(address_key__contains=form) for form in search_forms(text))
        return self.filter(reduce(or_, forms)) if text.strip() else self

    def firm(self) -> "SuppressionQuerySet":
        """Leave out those of which `Suppression.is_an_imports_alone` holds."""
        return self.exclude(~models.Q(brought_by=None), confirmed_as="")

    def covering(
        self, address_key: str | models.OuterRef, stream: Stream | models.OuterRef | None
    ) -> "SuppressionQuerySet":
        """Keep what stops mail to `address_key` in `stream` now: its own entry, and the one for all streams."""
        return self.active().filter(
            models.Q(stream=None) | models.Q(stream=stream), address_key=address_key
        )


class Suppression(models.Model):
    """One address that must not be written to, in one stream or in all."""

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", "Hard bounce"  # the mailbox does not exist
        SOFT_BOUNCES = "soft_bounces", "Repeated soft bounces"
        COMPLAINT = "complaint", "Complaint"
        UNSUBSCRIBE = "unsubscribe", "Unsubscribed"
        MANUAL = "manual", "Added by hand"
        IMPORTED = "imported", "Imported"

    # weakest first; what the recipient asked for outranks what people told us, and that what we found out, which may turn
    # out to be wrong: taken back, it would take along what somebody barred for reasons of their own
    STRENGTH: ClassVar = [
        Reason.SOFT_BOUNCES,
        Reason.HARD_BOUNCE,
        Reason.IMPORTED,
        Reason.MANUAL,
        Reason.UNSUBSCRIBE,
        Reason.COMPLAINT,
    ]

    ASKED_FOR: ClassVar = frozenset({Reason.UNSUBSCRIBE, Reason.COMPLAINT})  # by the recipient
    FARTHEST: ClassVar = timedelta(days=3653)  # that an end may be ahead
    EVERYWHERE: ClassVar = "All streams"

    address = models.CharField(max_length=320)  # as given
    address_key = models.CharField(max_length=320)  # protocol.address.address_key
    # null: all streams
    stream = models.ForeignKey(
        "transports.Stream", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.CharField(max_length=15, choices=Reason.choices)
    evidence_event_id = models.BigIntegerField(null=True)  # outbox.Event, which lies above
    evidence_text = models.TextField(blank=True)
    created_by = models.CharField(max_length=254, default="mailops")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    # the import that made it; null: none did
    brought_by = models.ForeignKey(
        "suppressions.SuppressionImport",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    # the reason of what said the same since and is no import; blank: nothing did
    confirmed_as = models.CharField(
        max_length=15, choices=Reason.choices, blank=True, default="", db_default=""
    )

    objects = SuppressionQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["address_key", "stream"], nulls_distinct=False, name="suppression_once"
            )
        ]
        indexes: ClassVar = [
            # the sweep of what was suppressed lately
            models.Index(fields=["created_at"], name="suppression_by_time"),
            # what an import brought, to be taken back
            models.Index(
                fields=["brought_by", "id"],
                name="suppression_by_import",
                condition=~models.Q(brought_by=None),
            ),
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def was_asked_for(self) -> bool:
        """Tell whether the recipient wanted it, so that nothing but a person may take it back."""
        return self.reason in self.ASKED_FOR

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """How strong it is: what the recipient asked for, then what has no end, then by its reason."""
        reason = self.Reason(self.reason)
        return self.was_asked_for, self.expires_at is None, self.STRENGTH.index(reason)

    @property
    def is_an_imports_alone(self) -> bool:
        """Tell whether nothing but imports says it: it goes when the import that made it is taken back."""
        return self.brought_by_id is not None and not self.confirmed_as

    def take_in(self, other: "Suppression") -> bool:
        """Take over what `other`, which is no import's, says more strongly, and note that it says so; tell if anything changed, saving nothing."""
        is_stronger = self.strengthen(other)
        if not self.brought_by_id or self._is_confirmed_by(other):
            return is_stronger
        self.confirmed_as = other.reason
        return True

    def _is_confirmed_by(self, other: "Suppression") -> bool:
        strength = [reason.value for reason in self.STRENGTH]
        return bool(self.confirmed_as) and (
            strength.index(self.confirmed_as) >= strength.index(other.reason)
        )

    def strengthen(self, other: "Suppression") -> bool:
        """Take over what `other` says more strongly, or all of it once this entry has expired; tell if it changed, saving nothing."""
        if self.has_expired:
            self.brought_by_id, self.confirmed_as = other.brought_by_id, ""
        if self.has_expired or other.rank > self.rank:
            self.reason = other.reason
            self.evidence_text = other.evidence_text
            self.evidence_event_id = other.evidence_event_id
            self.created_by = other.created_by
            self.expires_at = other.expires_at if self.has_expired else self._later(other)
        elif self.expires_at != self._later(other):
            self.expires_at = self._later(other)
        else:
            return False
        return True

    @property
    def scope(self) -> str:
        return str(self.stream) if self.stream else self.EVERYWHERE

    @property
    def place(self) -> tuple[str, int]:
        """Return what no two entries have in common."""
        return self.address_key, self.stream_id or 0

    def _later(self, other: "Suppression") -> datetime | None:
        if self.expires_at is None or other.expires_at is None:
            return None
        return max(self.expires_at, other.expires_at)

    @property
    def mark(self) -> str:
        """Return what changes with whatever a page shows of this entry."""
        return mark_of(self.as_json(), self.created_by, self.confirmed_as)

    def as_json(self) -> dict[str, Any]:
        """Return what the audit trail keeps of this entry."""
        return {
            "address": self.address,
            "stream": self.scope,
            "reason": self.reason,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            "evidence": self.evidence_text,
        }


class SuppressionImport(ChunkedWork):
    """One uploaded file of addresses; its rows are the account of it."""

    COLUMNS: ClassVar = ("address", "stream", "reason", "note", "until")  # that it may read

    file_name = models.CharField(max_length=254)
    # null: all streams
    stream = models.ForeignKey(
        "transports.Stream", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.CharField(max_length=15, choices=Suppression.Reason.choices)
    # how the file is read; guessed at upload
    size = models.PositiveBigIntegerField(default=0)  # bytes
    # of the file as it came; blank: from before this was noted
    digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    encoding = models.CharField(max_length=20, default="utf-8")
    delimiter = models.CharField(max_length=1, default=",")
    # {"address": 0, "note": -1, "header": 1}: columns, and the line that names them; 0, -1 or nothing: none does
    columns = models.JSONField(default=dict)

    # how far it is, with `cursor`, the bytes read: moved in the transaction that stores the rows before it
    line = models.PositiveBigIntegerField(default=1)  # the line that begins there
    numbers = models.JSONField(default=dict)  # outcome → rows, so that a page never counts them

    def __str__(self) -> str:
        return self.file_name

    @property
    def scope(self) -> str:
        return str(self.stream) if self.stream else Suppression.EVERYWHERE

    def same_before(self) -> "SuppressionImport | None":
        """Return the last import before this one of a file with the same content."""
        same = SuppressionImport.objects.exclude(digest="").filter(digest=self.digest)
        return same.filter(pk__lt=self.pk).select_related("created_by").order_by("-pk").first()

    @property
    def read_as(self) -> str:
        """Say how the file was read, and whether that is a guess."""
        encoding = ENCODINGS.get(self.encoding, self.encoding)
        if not self.encoding.startswith("utf"):
            encoding += ", a guess since it is not UTF-8"
        return f"{encoding}; parted by the {DELIMITERS.get(self.delimiter, self.delimiter)}"

    @property
    def rows_read(self) -> int:
        return sum(self.numbers.values())

    @property
    def columns_read(self) -> list[str]:
        return [name for name in self.COLUMNS if self.columns.get(name, -1) >= 0]

    @property
    def may_be_taken_back(self) -> bool:
        """Tell whether it is over and named addresses, and the rows are still there that tell what later imports named."""
        kept = timedelta(days=settings.MAILOPS_SUPPRESSION_IMPORT_DAYS)
        return (
            self.finished_at is not None
            and self.finished_at > timezone.now() - kept
            and any(self.numbers.get(outcome) for outcome in ImportedRow.NAMED)
        )

    @property
    def has_streams(self) -> bool:
        """Tell whether its rows may name the stream that they are for."""
        return "stream" in self.columns_read

    @property
    def has_reasons(self) -> bool:
        return "reason" in self.columns_read


class ImportPiece(models.Model):
    """A piece of an uploaded list, kept until all of it is read."""

    run = models.ForeignKey(
        SuppressionImport, on_delete=models.CASCADE, related_name="pieces", db_index=False
    )
    position = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["run", "position"], name="suppression_import_piece_once"
            )
        ]


NOTE_LENGTH = 2000  # a reply that is kept as evidence is no longer


class ImportedRow(models.Model):
    """One row of an uploaded file and what became of it."""

    class Outcome(models.TextChoices):
        ADDED = "added", "Added"
        STRENGTHENED = "strengthened", "Made stronger"  # an entry was there, with a weaker reason
        UNCHANGED = "unchanged", "Unchanged"  # an entry was there, as strong or stronger
        DUPLICATE = "duplicate", "Duplicate"  # an earlier row of the file has the address
        TAKEN_BACK = "taken_back", "Taken back"  # was added, and taken off with the whole import
        EXPIRED = "expired", "Expired"  # the end that the file gives is over
        REJECTED = "rejected", "Rejected"  # `why` says so

    NAMED: ClassVar = (Outcome.ADDED, Outcome.STRENGTHENED, Outcome.UNCHANGED)
    PASSED_OVER: ClassVar = (Outcome.EXPIRED, Outcome.REJECTED)  # said nothing of its address

    run = models.ForeignKey(SuppressionImport, on_delete=models.CASCADE, related_name="rows")
    line = models.PositiveIntegerField()
    address = models.CharField(max_length=320)  # as given, cut
    address_key = models.CharField(max_length=320, blank=True)
    # null: all streams
    stream = models.ForeignKey(
        "transports.Stream", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    note = models.CharField(max_length=NOTE_LENGTH, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    why = models.CharField(max_length=254, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["run", "outcome", "id"], name="imported_row_by_outcome"),
            # has an earlier row the address
            models.Index(fields=["run", "address_key"], name="imported_row_by_address"),
        ]

    @property
    def place(self) -> tuple[str, int]:
        """Return that of the entry it is about."""
        return self.address_key, self.stream_id or 0

    @property
    def scope(self) -> str:
        """Return what it is for; nothing of a row that was not understood."""
        if self.outcome == self.Outcome.REJECTED:
            return ""
        return str(self.stream) if self.stream else Suppression.EVERYWHERE


class TakingBack(ChunkedWork):
    """That what an import added is taken off the list again; `cursor` is the id of the last entry looked at."""

    run = models.OneToOneField(
        SuppressionImport, on_delete=models.CASCADE, primary_key=True, related_name="taking_back"
    )
    reason = models.TextField()
    planned = models.PositiveBigIntegerField(default=0)
    removed = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.run)


SYNC_LEASE = timedelta(seconds=120)  # longer than a run may take
LONGEST_REST = timedelta(hours=2)  # from one run to the next, whatever went wrong


class LeaseLost(Exception):
    """Another process is at it by now, or nobody is to be any more."""


class ProviderSyncQuerySet(models.QuerySet["ProviderSync"]):
    def due(self) -> "ProviderSyncQuerySet":
        """Keep those whose time has come and that nobody is at.

        By the database's clock, not by when the statement began: who waits for a row began before its lease was taken.
        A time further away than one can be was set while that clock was ahead.
        """
        now = ClockTimestamp()
        return self.filter(
            ~models.Q(due_at__gt=now, due_at__lte=now + LONGEST_REST),
            models.Q(running_until=None)
            | ~models.Q(running_until__gt=now, running_until__lte=now + SYNC_LEASE),
        )


class ProviderSync(models.Model):
    """That a provider's own suppression list is kept in step with ours, and how far that is."""

    transport = models.OneToOneField(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )
    list_number = models.SmallIntegerField(default=0)  # of the provider's lists, the one walked now
    cursor = models.TextField(blank=True)  # the provider's own word for the next page
    begun_at = models.DateTimeField(null=True)  # the walk under way
    since = models.DateTimeField(null=True)  # when the last whole walk began; null: everything
    # streams that the transport carried when the walk under way began
    walked_for = ArrayField(models.BigIntegerField(), default=list)
    # those that the last whole walk was for; null: there was none
    covered = ArrayField(models.BigIntegerField(), null=True)
    in_step_at = models.DateTimeField(null=True)  # when the last whole walk ended
    came = models.BigIntegerField(default=0)  # addresses that the provider knew and we did not
    # taken off the provider's list, since a person took them off ours
    went = models.BigIntegerField(default=0)
    sentence = models.TextField(blank=True)  # what is wrong and what to do; empty where nothing is
    detail = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    due_at = models.DateTimeField(db_default=Now())
    running_until = models.DateTimeField(null=True)  # a process is at it until then
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProviderSyncQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Suppression list of {self.transport}"

    @property
    def is_failing(self) -> bool:
        return bool(self.sentence)

    def hold(self, **noted: Any) -> None:
        """Write down what is `noted`, and stay at it for longer; raise LeaseLost where somebody else is at it."""
        self._note({**noted, "running_until": ClockTimestamp() + SYNC_LEASE})
        self.refresh_from_db(fields=[*noted, "running_until"])

    def let_go(self, **noted: Any) -> None:
        """Write down how a run ended, and let the next one begin; raise LeaseLost."""
        self._note({**noted, "running_until": None})

    def _note(self, noted: dict[str, Any]) -> None:
        mine = ProviderSync.objects.filter(pk=self.pk, running_until=self.running_until)
        if not mine.update(**noted):
            raise LeaseLost


class ProviderRemoval(models.Model):
    """An address that a person took off our list: it leaves the provider's too, and what stood there until then stays off ours."""

    sync = models.ForeignKey(ProviderSync, on_delete=models.CASCADE, related_name="removals")
    address = models.CharField(max_length=320)
    address_key = models.CharField(max_length=320)
    asked_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)
    # why the provider keeps it on its list all the same
    refusal = models.TextField(blank=True, db_default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["sync", "address_key"], name="provider_removal_once")
        ]
        # what is still to be told
        indexes: ClassVar = [
            models.Index(
                fields=["sync", "id"],
                name="provider_removal_waiting",
                condition=models.Q(done_at=None),
            )
        ]

    def __str__(self) -> str:
        return self.address
