"""Contacts, lists, imports, consent."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from mailops.accounts.meanwhile import mark_of


class Contact(models.Model):
    address = models.CharField(max_length=320)  # as given
    address_key = models.CharField(max_length=320, unique=True)  # protocol.address.address_key
    attributes = models.JSONField(default=dict)  # plain scalars, merge data for templates
    # IANA name; empty: not known
    time_zone = models.CharField(max_length=64, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.address

    @property
    def revision(self) -> str:
        """What tells its present state from those before and after."""
        return self.updated_at.isoformat()


class AudienceManager(models.Manager["Audience"]):
    """Leaves out those that are deleted: they are there until all that was in them is gone."""

    def get_queryset(self) -> models.QuerySet["Audience"]:
        return super().get_queryset().filter(deleted_at=None)


class Audience(models.Model):
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    # grows with every change of members or their attributes: what a preflight is bound to
    revision = models.PositiveBigIntegerField(default=0)
    # attribute → how many members have it, and an example; counted after changes
    attributes = models.JSONField(default=dict)
    attributes_counted_at = models.DateTimeField(null=True)
    # the revision they were counted of
    attributes_revision = models.PositiveBigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, editable=False)
    # why its rows can't be deleted, technically; empty: nothing went wrong
    deletion_fault = models.TextField(blank=True, db_default="", editable=False)

    objects: ClassVar[models.Manager["Audience"]] = AudienceManager()
    with_deleted: ClassVar[models.Manager["Audience"]] = models.Manager()

    def __str__(self) -> str:
        return self.name

    @property
    def mark(self) -> str:
        """What tells its present name and description from others."""
        return mark_of(self.name, self.description)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def kept(self) -> "MembershipQuerySet":
        """Leave out those in deleted audiences."""
        return self.filter(audience__deleted_at=None)


class Membership(models.Model):
    """One contact in one audience, with what says that it agreed."""

    audience = models.ForeignKey(Audience, on_delete=models.CASCADE, related_name="memberships")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="memberships")
    consent = models.CharField(max_length=254, blank=True)  # where the consent came from
    added_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["audience", "contact"], name="membership_once")
        ]
        indexes: ClassVar = [
            # pages of members, and the chunks of a preflight and of an expansion
            models.Index(fields=["audience", "id"], name="membership_in_order"),
        ]


class ImportQuerySet(models.QuerySet["Import"]):
    def running(self) -> "ImportQuerySet":
        return self.kept().filter(state=Import.State.RUNNING)

    def over(self) -> "ImportQuerySet":
        """Keep those that read no more of their file."""
        return self.filter(state__in=Import.OVER)

    def kept(self) -> "ImportQuerySet":
        """Leave out those of deleted audiences."""
        return self.filter(audience__deleted_at=None)


class Import(models.Model):
    """One uploaded file and the account of every row in it."""

    class State(models.TextChoices):
        MAPPING = "mapping", "Choose columns"  # uploaded, waits for a person to map columns
        RUNNING = "running", "Running"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"  # `sentence` says why
        STOPPED = "stopped", "Stopped"  # a person stopped it; what was imported stays

    OVER: ClassVar = (State.COMPLETED, State.FAILED, State.STOPPED)

    audience = models.ForeignKey(Audience, on_delete=models.CASCADE, related_name="imports")
    file_name = models.CharField(max_length=254)
    state = models.CharField(max_length=10, choices=State.choices, default=State.MAPPING)
    sentence = models.TextField(blank=True)
    detail = models.TextField(blank=True)  # the technical text behind the sentence
    created_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    # how the file is read; guessed at upload, confirmed by a person
    size = models.PositiveBigIntegerField(default=0)  # bytes
    # of the file as it came; blank: from before this was noted
    digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    encoding = models.CharField(max_length=20, default="utf-8")
    is_encoding_certain = models.BooleanField(default=True)  # False: a fallback, nothing proves it
    delimiter = models.CharField(max_length=1, default=",")
    has_header = models.BooleanField(default=True)
    header = models.JSONField(default=list)  # the column names, made up where the file has none
    # {"address": 0, "time_zone": 3, "attributes": {"first_name": 2}}
    mapping = models.JSONField(default=dict)
    consent = models.CharField(max_length=254, blank=True)

    # how far it is: moved in the transaction that stores the rows before it
    cursor = models.PositiveBigIntegerField(default=0)  # bytes read
    line = models.PositiveBigIntegerField(default=1)  # the line that begins there
    failures = models.PositiveSmallIntegerField(default=0)  # chunks that failed in a row

    # the account: rows is the sum of the six below it
    rows = models.PositiveBigIntegerField(default=0)
    added = models.PositiveBigIntegerField(default=0)
    updated = models.PositiveBigIntegerField(default=0)
    unchanged = models.PositiveBigIntegerField(default=0)
    duplicate = models.PositiveBigIntegerField(default=0)
    suppressed = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    blank = models.PositiveBigIntegerField(default=0)  # blank lines are no rows

    objects: ClassVar[models.Manager["Import"]] = ImportQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="import_accounts_for_every_row",
                condition=Q(
                    rows=models.F("added")
                    + models.F("updated")
                    + models.F("unchanged")
                    + models.F("duplicate")
                    + models.F("suppressed")
                    + models.F("rejected")
                ),
            )
        ]

    def __str__(self) -> str:
        return self.file_name

    def same_before(self) -> "Import | None":
        """Return the last import into the same audience, begun before this one, of a file with the same content."""
        same = Import.objects.exclude(digest="").filter(digest=self.digest)
        same = same.filter(audience_id=self.audience_id, pk__lt=self.pk)
        begun = same.exclude(state=self.State.MAPPING)
        return begun.select_related("created_by").order_by("-pk").first()

    @property
    def is_mapping(self) -> bool:
        return self.state == self.State.MAPPING

    @property
    def is_running(self) -> bool:
        return self.state == self.State.RUNNING

    @property
    def is_completed(self) -> bool:
        return self.state == self.State.COMPLETED

    @property
    def is_finished(self) -> bool:
        return self.state in self.OVER

    @property
    def percent(self) -> int:
        return 100 if self.is_completed or not self.size else self.cursor * 100 // self.size

    @property
    def seconds(self) -> float:
        """Return how long it has been at work."""
        if self.started_at is None:
            return 0.0
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def rows_per_second(self) -> int:
        return round(self.rows / self.seconds) if self.seconds > 1 else 0

    @property
    def seconds_left(self) -> int | None:
        """Guess the time left from the bytes read so far; None where that says nothing yet."""
        if not self.is_running or not self.cursor or self.seconds < 1:
            return None
        return round(self.seconds * (self.size - self.cursor) / self.cursor)


class ImportPiece(models.Model):
    """A piece of an uploaded file, kept until the import is over: every process can read it, and no folder must be shared."""

    run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="pieces", db_index=False)
    position = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "position"], name="piece_once")
        ]


class ImportedAddress(models.Model):
    """An address that an import has met, and the line where it met it first; deleted once the import is over."""

    run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="+", db_index=False)
    address_key = models.CharField(max_length=320)
    line = models.PositiveBigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "address_key"], name="imported_address_once")
        ]


class ImportRemark(models.Model):
    """A row that did not simply become a member: where it stands, what became of it and why."""

    class Outcome(models.TextChoices):
        REJECTED = "rejected", "Rejected"  # can't be used: no member was made of it
        DUPLICATE = "duplicate", "Duplicate"  # the same person stands earlier in the file
        SUPPRESSED = "suppressed", "Suppressed"  # a member, but mail to it stays forbidden

    run = models.ForeignKey(
        Import, on_delete=models.CASCADE, related_name="remarks", db_index=False
    )
    line = models.PositiveBigIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    reason = models.TextField()
    cells = models.JSONField(default=list)  # the row as it stands in the file, to be mended

    class Meta:
        indexes: ClassVar = [
            # the page of an import, and its download
            models.Index(fields=["run", "outcome", "line"], name="remark_in_order"),
        ]
