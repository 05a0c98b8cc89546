"""What may be paused, by whom and why."""

from typing import Any

from django.db import models, transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import ChangedMeanwhile, expect
from mailops.accounts.models import User
from mailops.lib.storable import storable


class RunState(models.TextChoices):
    RUNNING = "running", "Running"  # mail may leave
    PAUSED = "paused", "Paused"  # a person or a fault stopped it; cause and sentence say why


class PauseCause(models.TextChoices):
    PERSON = "person", "A person"  # somebody pressed pause
    GUARDRAIL = "guardrail", "A guardrail"  # a threshold was crossed
    FAULT = "fault", "A fault"  # our authentication, policy or quota
    RESTORED = "restored", "A restore"  # the database was restored from a backup
    STALE = "stale_schedule", "A stale schedule"  # its time is long past
    DOMAIN = "domain", "A broken domain"  # it has not authenticated for longer than its grace
    GATE = "gate", "A gate"  # what held at the launch holds no more at the start


FIXES: dict[str, str] = {
    PauseCause.PERSON: "Resume it when its mail may leave again.",
    PauseCause.GUARDRAIL: "Look at its incident first; resume when the cause is gone.",
    PauseCause.FAULT: "Mend what it says, then resume. What is not mended stops it again.",
}

PAUSING = ("state", "pause_cause", "pause_sentence", "pause_detail", "paused_at")


class PausedAnew(Exception):
    """It is paused for something else by now than a person saw; the text says so."""


class TellsPause(models.Model):
    """Something of which is told why it is paused, and since when."""

    state: "models.Field[Any, Any]"
    pause_cause = models.CharField(max_length=20, choices=PauseCause.choices, blank=True)
    pause_sentence = models.TextField(blank=True)
    pause_detail = models.TextField(blank=True)  # the technical text
    paused_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    @property
    def is_paused(self) -> bool:
        return bool(self.state == RunState.PAUSED)

    @property
    def is_stopped_by_fault(self) -> bool:
        """Whether something of ours must be mended before it is resumed."""
        return self.is_paused and self.pause_cause == PauseCause.FAULT

    @property
    def is_stopped_by_domain(self) -> bool:
        """Whether its domain must be mended before it is resumed."""
        return self.is_paused and self.pause_cause == PauseCause.DOMAIN

    @property
    def pause_mark(self) -> str:
        """What tells its present pause from others; "" while it isn't paused."""
        return str(self.paused_at.timestamp()) if self.is_paused and self.paused_at else ""

    def expect_pause(self, seen: str | None) -> None:
        """Raise PausedAnew where its present pause has another mark than the one `seen`, as `expect` has it."""
        try:
            expect(seen, was=self.pause_mark, wanted="")
        except ChangedMeanwhile as changed:
            raise PausedAnew(
                f"{self} was not resumed: it was paused anew since you looked. Its page says why; resume it if it may go on."
            ) from changed


class Pausable(TellsPause):
    """Something mail passes through that a person, a guardrail or a fault can stop."""

    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.RUNNING)

    class Meta:
        abstract = True

    @property
    def pause_title(self) -> str:
        return f"Paused by {self.get_pause_cause_display().lower() or 'somebody'}"

    @property
    def pause_fix(self) -> str:
        """What to do; "" where the sentence says it."""
        return FIXES.get(self.pause_cause, "")

    def pause(
        self, cause: str, sentence: str = "", detail: str = "", *, actor: User | None = None
    ) -> bool:
        """Stop mail here; return False if it was stopped already (the first cause stays)."""
        return self._change(
            "pause",
            RunState.RUNNING,
            {
                "state": RunState.PAUSED,
                "pause_cause": PauseCause(cause),
                "pause_sentence": storable(sentence),
                "pause_detail": storable(detail),
                "paused_at": Now(),
            },
            actor=actor,
            reason=storable(sentence),
        )

    @transaction.atomic
    def resume(
        self, *, actor: User | None = None, reason: str = "", seen: str | None = None
    ) -> bool:
        """Let mail pass again; return False if it did.

        Whoever presses on a page gives the mark of the pause as `seen` there: raise PausedAnew where it is another by now.
        """
        if seen is not None:
            rows = type(self)._default_manager  # noqa: SLF001 - Django's documented name
            rows.select_for_update(no_key=True).get(pk=self.pk).expect_pause(seen)
        return self._change(
            "resume",
            RunState.PAUSED,
            {
                "state": RunState.RUNNING,
                "pause_cause": "",
                "pause_sentence": "",
                "pause_detail": "",
                "paused_at": None,
                **self._on_resume(),
            },
            actor=actor,
            reason=reason,
        )

    def _on_resume(self) -> dict[str, Any]:
        """Return what else is set when mail may pass again."""
        return {}

    @transaction.atomic
    def _change(
        self, act: str, state: RunState, values: dict[str, Any], *, actor: User | None, reason: str
    ) -> bool:
        """Set `values` if the state is still `state`: of two processes only one changes it and writes the trail."""
        before = {"state": state, "cause": self.pause_cause}
        rows = type(self)._default_manager  # noqa: SLF001 - Django's documented name
        same = rows.filter(pk=self.pk, state=state)
        if not same.update(**values):
            return False
        self.refresh_from_db()
        after = {"state": self.state, "cause": self.pause_cause}
        verb = f"{self._meta.model_name}.{act}"
        audit(actor=actor, verb=verb, subject=self, before=before, after=after, reason=reason)
        return True
