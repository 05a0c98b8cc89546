"""What is wrong with one stream, transport, campaign, domain or mailbox, and all that was noted of it."""

from datetime import datetime
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import SYSTEM
from mailops.campaigns.models import Campaign
from mailops.domains.models import Domain
from mailops.feedback.models import Mailbox
from mailops.incidents.models.threshold import Level, SubjectKind, Threshold
from mailops.transports.models import Stream, Transport

Subject = Stream | Transport | Campaign | Domain | Mailbox
SUBJECTS: dict[str, Any] = {
    SubjectKind.STREAM: Stream,
    SubjectKind.TRANSPORT: Transport,
    SubjectKind.CAMPAIGN: Campaign,
    SubjectKind.DOMAIN: Domain,
    SubjectKind.MAILBOX: Mailbox,
}


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> Self:
        """Keep those nobody and nothing has closed."""
        return self.exclude(state=Incident.State.CLOSED)

    def closed_by_people(self) -> Self:
        """Keep those that somebody judged; one that closed because its trouble was no longer seen is judged by nobody."""
        closes = IncidentNote.objects.filter(
            incident=models.OuterRef("pk"), kind=IncidentNote.Kind.CLOSED
        )
        return self.filter(models.Exists(closes.exclude(author=None, author_label=SYSTEM)))

    def last_closes(self) -> dict[int, datetime]:
        """Return by subject when its last one was closed."""
        return dict(self.values_list("subject_id").annotate(models.Max("closed_at")))

    def worst_first(self) -> Self:
        """Order by: not closed, not acknowledged, highest level, newest."""
        return self.annotate(
            rank=models.Case(
                models.When(state="open", then=0),
                models.When(state="acknowledged", then=1),
                default=2,
            ),
            weight=models.Case(
                models.When(state="closed", then=0),
                models.When(level="stop", then=-2),
                models.When(level="act", then=-1),
                default=0,
            ),
        ).order_by("rank", "weight", "-opened_at", "-id")


class Incident(models.Model):
    """One thing that is wrong with one of these, from the first sign to its close."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"  # somebody is on it
        CLOSED = "closed", "Closed"

    threshold = models.ForeignKey(Threshold, on_delete=models.PROTECT, related_name="incidents")
    subject_kind = models.CharField(max_length=10, choices=SubjectKind.choices)
    subject_id = models.BigIntegerField()
    subject_label = models.CharField(max_length=254)
    level = models.CharField(max_length=5, choices=Level.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    owner = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    sentence = models.TextField()
    evidence = models.JSONField(default=dict)
    opened_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())  # the trouble was still there
    calm_since_at = models.DateTimeField(null=True)  # all has been well since then
    closed_at = models.DateTimeField(null=True)
    close_reason = models.TextField(blank=True)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["threshold", "subject_id"],
                condition=~models.Q(state="closed"),
                name="one_open_incident",
            )
        ]
        indexes: ClassVar = [
            # since when a measurement begins anew
            models.Index(
                fields=["threshold", "subject_id", "-closed_at"], name="incident_by_subject"
            ),
            models.Index(fields=["-opened_at"], name="incident_by_time"),  # the list
        ]

    def __str__(self) -> str:
        return f"{self.threshold.get_measure_display()}: {self.subject_label}"

    @property
    def is_open(self) -> bool:
        return self.state != self.State.CLOSED

    @property
    def is_acknowledged(self) -> bool:
        return self.state == self.State.ACKNOWLEDGED

    @property
    def is_calm(self) -> bool:
        """Whether its trouble is over, and only a while must pass before it closes by itself."""
        return self.is_open and self.calm_since_at is not None

    @property
    def closes_at(self) -> datetime | None:
        """When it closes by itself if its trouble stays away; None where that can't be told: a rate's may wait longer."""
        if self.calm_since_at is None or self.threshold.is_rate:
            return None
        closes_at = self.calm_since_at + self.threshold.calm
        return closes_at if closes_at > timezone.now() else None

    @property
    def to_do(self) -> str:
        """Say what a person does about it."""
        return str(self.evidence.get("to_do") or self.threshold.to_do)

    @property
    def severity(self) -> str:
        return Level(self.level).severity

    @property
    def severity_kind(self) -> str:
        """How its severity is told: nothing is critical any more that is over."""
        return "severity" if self.is_open and not self.is_calm else "past"

    @property
    def standing(self) -> str:
        """The pill of its state: that all is well again matters more than who is on it."""
        return "calm" if self.is_calm else self.state

    @property
    def tone(self) -> str:
        """The color of what tells of it."""
        return "warn" if self.level == Level.WARN else "bad"

    @property
    def counted(self) -> str:
        return self._counted(self.evidence.get("numbers", {}))

    @property
    def counted_before(self) -> str:
        return self._counted(self.evidence.get("numbers", {}).get("before", {}))

    def _counted(self, numbers: dict[str, int]) -> str:
        if not numbers.get("whole"):
            return "nothing was sent"
        return f"{numbers.get('bad', 0):,} of {numbers.get('whole', 0):,}"

    @property
    def changes(self) -> list[dict[str, Any]]:
        """Return what changed before it opened, with real times."""
        told = self.evidence.get("changes", [])
        return [{**change, "at": datetime.fromisoformat(change["at"])} for change in told]

    def subject(self) -> Subject | None:
        """Return what it is about, or None if that is gone."""
        found: Subject | None = (
            SUBJECTS[self.subject_kind].objects.filter(pk=self.subject_id).first()
        )
        return found

    def stoppable(self) -> Stream | Transport | None:
        """Return what can be paused because of it: the stream of a campaign, but where that stopped by itself."""
        subject = self.subject()
        if isinstance(subject, Domain | Mailbox):
            return None
        if isinstance(subject, Campaign) and self.threshold.measure == Threshold.Measure.FAULT:
            return None
        return subject.stream if isinstance(subject, Campaign) else subject


class IncidentNote(models.Model):
    """One entry of an incident's timeline."""

    class Kind(models.TextChoices):
        OPENED = "opened", "Opened"
        RAISED = "raised", "Got worse"
        CALMED = "calmed", "All well again"
        RETURNED = "returned", "Back again"
        PAUSED = "paused", "Paused"
        RESUMED = "resumed", "Resumed"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        ASSIGNED = "assigned", "Owner"
        NOTE = "note", "Note"
        CLOSED = "closed", "Closed"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notes")
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.NOTE)
    text = models.TextField()
    # null: mailops
    author = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    author_label = models.CharField(max_length=254, default=SYSTEM)  # stays when the user is gone
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [models.Index(fields=["incident", "id"], name="note_by_incident")]

    @property
    def tone(self) -> str:
        """The class of its entry on the timeline."""
        bad = {self.Kind.OPENED, self.Kind.RAISED, self.Kind.RETURNED}
        good = {self.Kind.CLOSED, self.Kind.CALMED, self.Kind.RESUMED}
        return "bad" if self.kind in bad else "ok" if self.kind in good else "quiet"
