"""What must hold before a stream goes live: checklists, what proves them, and who let mail go without."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Count, F, Q
from django.db.models.functions import Now

from mailops.campaigns.models import Campaign
from mailops.rollouts.items import PRODUCTION, TWO_WEEKS, Item
from mailops.transports.models import Stream


class ChecklistQuerySet(models.QuerySet["Checklist"]):
    def current(self) -> Self:
        """Those of a stream's present domain; others are kept for their history."""
        return self.filter(domain=F("stream__domain"))

    def production_of(self, stream: Stream) -> "Checklist | None":
        """Return the production checklist of `stream` on its present domain, if it was made by now."""
        return self.current().filter(stream=stream, plan=Checklist.Plan.PRODUCTION).first()

    def of_sending_streams(self) -> Self:
        """Those whose stream has a campaign that runs, waits for its time or is paused."""
        states = (Campaign.State.RUNNING, Campaign.State.SCHEDULED, Campaign.State.PAUSED)
        return self.filter(stream__in=Campaign.objects.filter(state__in=states).values("stream_id"))

    def with_numbers(self) -> Self:
        """Annotate how many items there are, hold and failed; those with failures come first."""
        return self.annotate(
            total=Count("items"),
            holding=Count("items", filter=Q(items__state=ChecklistItem.State.HOLDS)),
            failing=Count("items", filter=Q(items__state=ChecklistItem.State.FAILED)),
        ).order_by("-failing", F("holding") - F("total"), "stream__name")


class Checklist(models.Model):
    """One list for one stream on its domain; another domain begins another list."""

    class Plan(models.TextChoices):
        PRODUCTION = "production", "Production checklist"  # blocks bulk launches
        TWO_WEEKS = "two_weeks", "Two-week plan"  # how to get there

    objects = ChecklistQuerySet.as_manager()

    stream = models.ForeignKey(
        "transports.Stream", on_delete=models.CASCADE, related_name="checklists"
    )
    domain = models.ForeignKey("domains.Domain", on_delete=models.CASCADE, related_name="+")
    plan = models.CharField(max_length=12, choices=Plan.choices)
    probed_at = models.DateTimeField(null=True)
    next_probe_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["stream", "domain", "plan"], name="checklist_once_a_plan"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_probe_at"], name="checklist_due")  # the tick
        ]

    @property
    def all_hold(self) -> bool:
        """Tell whether every item holds; needs `with_numbers`."""
        return bool(getattr(self, "total", 0)) and self.holding == self.total  # type: ignore[attr-defined]

    @property
    def is_current(self) -> bool:
        """Tell whether its stream still sends from its domain; else it is history."""
        return self.domain_id == self.stream.domain_id

    @property
    def asked(self) -> tuple[Item, ...]:
        return PRODUCTION if self.plan == self.Plan.PRODUCTION else TWO_WEEKS

    def __str__(self) -> str:
        return f"{self.get_plan_display()} of {self.stream}"


UNPROVEN = "Not proven yet."  # of an item that nobody has asked for
UNSIGNED = "Nobody has signed this yet."  # of one that people alone can tell


class ChecklistItem(models.Model):
    class State(models.TextChoices):
        MISSING = "missing", "Missing"  # nothing proves it yet
        FAILED = "failed", "Failed"  # the newest proof says no
        STALE = "stale", "Stale"  # the proof is too old, or of another version
        HOLDS = "holds", "Holds"

    checklist = models.ForeignKey(Checklist, on_delete=models.CASCADE, related_name="items")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.MISSING)
    sentence = models.TextField(blank=True)  # why it is in this state
    fix = models.TextField(blank=True)
    since_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["checklist", "number"], name="item_once_a_number")
        ]

    @property
    def asked(self) -> Item:
        return self.checklist.asked[self.number - 1]

    @property
    def title(self) -> str:
        return self.asked.title

    @property
    def holds(self) -> bool:
        return self.state == self.State.HOLDS

    @property
    def may_be_signed(self) -> bool:
        return self.asked.signed_for is not None

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


class Evidence(models.Model):
    """What a probe found or a person signed; the same finding again only moves `last_at` and the expiry."""

    item = models.ForeignKey(ChecklistItem, on_delete=models.CASCADE, related_name="evidence")
    at = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)  # null: as long as nothing changes
    is_ok = models.BooleanField()
    sentence = models.TextField()
    fix = models.TextField(blank=True)
    data = models.JSONField(default=dict)  # the technical part
    probe = models.CharField(max_length=30, blank=True)  # empty: signed by a person
    signed_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    signed_label = models.CharField(max_length=254, blank=True)  # kept when the user is gone
    versions = models.JSONField(default=list)  # ids of the template versions it speaks of
    # those of them it says no of; none: of whatever is sent
    failing = models.JSONField(default=list)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["item", "-last_at"], name="evidence_by_item")  # newest, history
        ]

    @property
    def is_signed(self) -> bool:
        return not self.probe

    @property
    def technical_text(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.data.items())

    def is_ok_for(self, versions: Iterable[int]) -> bool:
        """Tell whether it says yes of `versions`, whatever it says of others."""
        spared = set(self.versions) - set(self.failing)
        return self.is_ok or (bool(self.failing) and spared.issuperset(versions))

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class StateChange(models.Model):
    """How many items of a checklist held from this moment on: its status over time."""

    checklist = models.ForeignKey(Checklist, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(db_default=Now())
    holding = models.PositiveSmallIntegerField()
    total = models.PositiveSmallIntegerField()
    sentence = models.TextField(blank=True)  # which items changed, and how

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["checklist", "-at"], name="state_change_by_list")  # the chart
        ]


class Override(models.Model):
    """Somebody launched although items did not hold, and said why."""

    campaign = models.ForeignKey(
        "campaigns.Campaign", on_delete=models.CASCADE, related_name="overrides"
    )
    stream = models.ForeignKey(
        "transports.Stream", on_delete=models.CASCADE, related_name="overrides"
    )
    actor = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_label = models.CharField(max_length=254)
    reason = models.TextField()
    objections = models.JSONField(default=list)  # the sentences that were overridden
    keys = models.JSONField(default=list)  # of which kind they were: what may fail at a later start
    numbers = models.JSONField(default=dict)  # of how many people those were that are of a number
    is_in_force = models.BooleanField(default=True)  # until the campaign is launched again
    at = models.DateTimeField(db_default=Now())

    @property
    def technical_text(self) -> str:
        return "\n".join(self.objections)


class MailProbeQuerySet(models.QuerySet["MailProbe"]):
    def newest_of(self, stream: Stream) -> Self:
        """Keep the last probe through each transport that `stream` still uses."""
        used = self.filter(stream=stream, transport__routes__stream=stream)
        return used.order_by("transport", "-id").distinct("transport")


class MailProbe(models.Model):
    """A message sent through one transport of a stream to see what a receiver makes of it."""

    objects = MailProbeQuerySet.as_manager()

    class Result(models.TextChoices):
        WAITING = "waiting", "On its way"  # not captured yet
        PASS = "pass", "DMARC passes"
        FAIL = "fail", "DMARC fails"
        UNKNOWN = "unknown", "Not known"  # DNS could not be asked
        REFUSED = "refused", "Not sent"  # the transport refused it

    stream = models.ForeignKey(
        "transports.Stream", on_delete=models.CASCADE, related_name="mail_probes"
    )
    transport = models.ForeignKey(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )
    recipient = models.CharField(max_length=320)
    message_id = models.CharField(max_length=254)
    result = models.CharField(max_length=10, choices=Result.choices, default=Result.WAITING)
    sentence = models.TextField(blank=True)  # what the transport said
    captured = models.ForeignKey(
        "sandbox.CapturedMessage", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    verdict = models.JSONField(default=dict)  # domains.proving.Verdict
    sent_by = models.CharField(max_length=254)
    sent_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["stream", "-id"], name="mail_probe_newest")  # the stream's probes
        ]

    def __str__(self) -> str:
        return f"{self.stream} through {self.transport}"

    @property
    def is_waiting(self) -> bool:
        return self.result == self.Result.WAITING

    @property
    def was_refused(self) -> bool:
        return self.result == self.Result.REFUSED
