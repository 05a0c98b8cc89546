"""The plan: which version, to whom, through which stream, when. It never sends."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect, last_done, mark_of
from mailops.accounts.models import User
from mailops.lib.storable import storable
from mailops.transports.models import KeepsHours, PauseCause, TellsPause, hours_are_whole

LATE_COUNTS = timedelta(minutes=1)  # after a campaign's end its last answers are counted by then


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def running(self) -> "CampaignQuerySet":
        return self.filter(state=Campaign.State.RUNNING)

    def not_over(self) -> "CampaignQuerySet":
        return self.exclude(state__in=Campaign.OVER)

    def restored(self) -> "CampaignQuerySet":
        """Keep those of which `Campaign.was_restored` holds."""
        return self.filter(state=Campaign.State.PAUSED, pause_cause=PauseCause.RESTORED)

    def sparing(self) -> "CampaignQuerySet":
        """Keep those whose messages must not expire: they wait for a person since a restore, or for their time anew."""
        return self.restored() | self.exclude(retime_from=None)

    def due_to_start(self, *, ahead: timedelta = timedelta()) -> "CampaignQuerySet":
        """Keep the scheduled ones whose time has come, or comes within `ahead`, by the database's clock."""
        due = self.filter(state=Campaign.State.SCHEDULED, scheduled_at__lte=Now() + ahead)
        return due.select_related("stream__domain", "identity__domain", "audience")

    def most_urgent_first(self) -> "CampaignQuerySet":
        """Order the stopped before the running, the planned and the done; within each the newest first."""
        order = ("paused", "running", "scheduled", "draft", "completed", "canceled")
        rank = models.Case(
            *(models.When(state=state, then=rank) for rank, state in enumerate(order)),
            output_field=models.SmallIntegerField(),
        )
        return self.order_by(rank, "-id")


class Campaign(KeepsHours, TellsPause):
    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        SCHEDULED = "scheduled", "Scheduled"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        COMPLETED = "completed", "Completed"
        CANCELED = "canceled", "Canceled"

    OVER: ClassVar = frozenset({State.COMPLETED, State.CANCELED})

    name = models.CharField(max_length=150)
    stream = models.ForeignKey(
        "transports.Stream", on_delete=models.PROTECT, related_name="campaigns"
    )
    identity = models.ForeignKey("domains.Identity", on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(
        "content.TemplateVersion", on_delete=models.PROTECT, related_name="campaigns"
    )
    audience = models.ForeignKey(
        "audiences.Audience", on_delete=models.PROTECT, related_name="campaigns"
    )
    # the messages behind this id are yet to be moved into changed hours; null: none
    rehours_from = models.BigIntegerField(null=True)
    # those behind this one are yet to be given their stream's whole time; null: none
    retime_from = models.BigIntegerField(null=True)
    has_own_hours = models.BooleanField(default=False)  # else the stream's, until it starts
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # expansion: the audience is read once, by membership id, up to the last one there at launch
    expansion_cursor = models.BigIntegerField(default=0)
    expansion_end = models.BigIntegerField(null=True)  # null: not started
    expansion_failures = models.PositiveSmallIntegerField(default=0)  # chunks broken off in a row
    expanded_at = models.DateTimeField(null=True)
    planned = models.PositiveIntegerField(null=True)  # rows made; frozen with the last chunk
    duplicates = models.PositiveIntegerField(default=0)
    invalid = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager["Campaign"]] = CampaignQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = hours_are_whole("campaign")
        indexes: ClassVar = [
            # the tick's due and running ones
            models.Index(fields=["state", "scheduled_at"], name="campaign_by_state")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def revision(self) -> str:
        """What tells its present plan from others."""
        return mark_of(
            self.name, self.audience_id, self.version_id, self.stream_id, self.identity_id
        )

    @property
    def is_draft(self) -> bool:
        return self.state == self.State.DRAFT

    @property
    def is_scheduled(self) -> bool:
        return self.state == self.State.SCHEDULED

    @property
    def is_running(self) -> bool:
        return self.state == self.State.RUNNING

    @property
    def was_restored(self) -> bool:
        """Tell whether it waits because the database was restored: what it owes may have been sent."""
        return self.is_paused and self.pause_cause == PauseCause.RESTORED

    @property
    def is_canceled(self) -> bool:
        return self.state == self.State.CANCELED

    @property
    def stage(self) -> str:
        """How far it got, as text; as long as that stays, so does all that a page shows of the campaign but its figures."""
        planned = "" if self.planned is None else self.planned
        return f"{self.state}-{planned}-{self.pause_mark}"

    @property
    def is_followed(self) -> bool:
        """Tell whether a page that shows it looks again: it isn't over, or the last answers may not be counted yet."""
        if self.finished_at is not None:
            return timezone.now() - self.finished_at < LATE_COUNTS
        return self.is_running or self.is_paused

    @property
    def has_messages(self) -> bool:
        """Tell whether it got as far as owing messages."""
        return self.started_at is not None

    @property
    def leaves_unread(self) -> bool:
        """Tell whether it was canceled before its audience was read to the end."""
        if self.expansion_end is None:
            return self.is_canceled and self.has_messages
        is_closed = self.is_canceled or self.expanded_at is not None
        return is_closed and self.expansion_cursor < self.expansion_end

    @property
    def keeps(self) -> KeepsHours:
        """What says at which hours its mail may leave: itself, or its stream."""
        return self if self.has_own_hours or self.has_messages else self.stream

    @property
    def hours_revision(self) -> str:
        """What tells hours of its own from others; "" while it keeps its stream's, or those that it started with."""
        if not self.has_own_hours:
            return ""
        return mark_of(self.hours_in_words, self.zone_if_unknown)

    @property
    def zone_if_unknown(self) -> str:
        """The zone that counts for recipients whose own is unknown."""
        return self.time_zone or self.stream.zone_name

    @property
    def may_be_launched(self) -> bool:
        """Tell whether a person may let it go: a draft, or one that was stopped at its very start."""
        return self.is_draft or (self.is_paused and not self.has_messages)

    @property
    def is_planned(self) -> bool:
        """Tell whether it is yet to start."""
        return self.may_be_launched or self.is_scheduled

    @property
    def may_be_canceled(self) -> bool:
        return self.state not in self.OVER

    def schedule(self, at: datetime, *, actor: User | None) -> bool:
        """Let it start at `at`; return False where it is scheduled or started already. Whoever calls this asked the gates."""
        return self._change(
            "schedule",
            self._YET_TO_START - {self.State.SCHEDULED},
            {"state": self.State.SCHEDULED, "scheduled_at": at, **self._UNPAUSED},
            actor=actor,
        )

    @property
    def schedule_mark(self) -> str:
        """What tells the time at which it starts from others; "" while it waits for none."""
        at = self.scheduled_at
        return mark_of(at.timestamp()) if self.is_scheduled and at else ""

    def reschedule(self, at: datetime, *, actor: User | None, seen: str | None = None) -> bool:
        """Move the time at which it starts; return False where it doesn't wait for one any more.

        Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
        """
        with transaction.atomic():
            locked = Campaign.objects.select_for_update().get(pk=self.pk)
            if locked.is_scheduled and not expect(
                seen, was=locked.schedule_mark, wanted=mark_of(at.timestamp())
            ):
                return True
            return self._change(
                "schedule", {self.State.SCHEDULED}, {"scheduled_at": at}, actor=actor
            )

    def unschedule(self, *, actor: User | None) -> bool:
        """Make a campaign that was to start a draft again; return False where it wasn't, or has."""
        return self._change(
            "unschedule",
            self._YET_TO_START - {self.State.DRAFT},
            {"state": self.State.DRAFT, "scheduled_at": None, **self._UNPAUSED},
            actor=actor,
        )

    def start(self, *, actor: User | None) -> bool:
        """Let it run now; return False where it started already. Whoever calls this has asked the gates."""
        return self._change(
            "start",
            self._YET_TO_START,
            {
                "state": self.State.RUNNING,
                "started_at": timezone.now(),
                **self._hours_at_start(),
                **self._UNPAUSED,
            },
            actor=actor,
        )

    def pause(
        self, cause: str, sentence: str = "", detail: str = "", *, actor: User | None = None
    ) -> bool:
        """Stop it, for a reason a person can act on; return False where it doesn't run.

        Only a stale schedule or a gate stops a campaign that has not started; a restore outdoes any other pause.
        """
        before = {self.State.RUNNING}
        if cause in {PauseCause.STALE, PauseCause.GATE}:
            before = {self.State.SCHEDULED}
        elif cause == PauseCause.RESTORED:
            before = {self.State.RUNNING, self.State.PAUSED}
        return self._change(
            "pause",
            before,
            {
                "state": self.State.PAUSED,
                "pause_cause": PauseCause(cause),
                "pause_sentence": storable(sentence),
                "pause_detail": storable(detail),
                "paused_at": timezone.now(),
            },
            has_started=cause == PauseCause.RESTORED,
            actor=actor,
            reason=storable(sentence),
        )

    def was_paused_by(self, user: User) -> bool:
        """Tell whether `user` is who paused it last."""
        last = last_done("campaign.pause", self)
        return last is not None and last.actor_id == user.pk

    def resume(self, *, actor: User | None = None, reason: str = "") -> bool:
        """Let it run again; return False where it isn't paused, or has not started: that one is launched."""
        return self._change(
            "resume",
            {self.State.PAUSED},
            {"state": self.State.RUNNING, "expansion_failures": 0, **self._UNPAUSED},
            has_started=True,
            actor=actor,
            reason=reason,
        )

    def _hours_at_start(self) -> dict[str, Any]:
        """Return the hours it keeps from its start on, whatever becomes of its stream's."""
        hours = {name: getattr(self.keeps, name) for name in self.HOURS}
        return {**hours, "time_zone": self.zone_if_unknown}

    _YET_TO_START = frozenset({State.DRAFT, State.SCHEDULED, State.PAUSED})
    _UNPAUSED: ClassVar = {
        "pause_cause": "",
        "pause_sentence": "",
        "pause_detail": "",
        "paused_at": None,
    }

    def _change(
        self,
        act: str,
        allowed: Iterable[str],
        values: dict[str, Any],
        *,
        has_started: bool = False,
        actor: User | None,
        reason: str = "",
    ) -> bool:
        """Set `values` under the row's lock if its state is one of `allowed`; of two processes one changes it.

        A paused one may be of two kinds, told apart by `has_started`.
        """
        with transaction.atomic():
            locked = Campaign.objects.select_for_update().get(pk=self.pk)
            if locked.state not in allowed:
                return False
            if locked.is_paused and locked.has_messages is not has_started:
                return False
            before = {"state": locked.state, "cause": locked.pause_cause}
            for name, value in values.items():
                setattr(locked, name, value)
            locked.save(update_fields=list(values))
            audit(
                actor=actor,
                verb=f"campaign.{act}",
                subject=locked,
                before=before,
                after={
                    "state": locked.state,
                    "cause": locked.pause_cause,
                    **({"at": locked.scheduled_at.isoformat()} if locked.scheduled_at else {}),
                },
                reason=reason,
            )
        self.refresh_from_db()
        return True
