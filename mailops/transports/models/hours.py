"""When bulk mail may leave, by the recipient's own clock: a window, quiet hours, and the zone of those whose is unknown."""

from datetime import time
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from mailops.accounts.meanwhile import mark_of_fields
from mailops.lib.hours import EVERY_DAY, Hours

DAYS = {1: "Mon", 2: "Tue", 3: "Wed", 4: "Thu", 5: "Fri", 6: "Sat", 7: "Sun"}


class KeepsHours(models.Model):
    """Something whose mail leaves only at some hours."""

    HOURS = ("window_from", "window_to", "window_days", "quiet_from", "quiet_to", "time_zone")

    window_from = models.TimeField(null=True, blank=True)
    window_to = models.TimeField(null=True, blank=True)  # before `window_from`: over midnight
    # of the week, 1 is Monday, on which a window begins; none: every day
    window_days = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_to = models.TimeField(null=True, blank=True)
    # for recipients whose zone is unknown; empty: what lies above
    time_zone = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True

    @property
    def hours(self) -> Hours:
        return Hours(
            self.window_from,
            self.window_to,
            frozenset(self.window_days) or EVERY_DAY,
            self.quiet_from,
            self.quiet_to,
        )

    @property
    def zone_name(self) -> str:
        """The zone that counts where a recipient's is unknown."""
        return self.time_zone or settings.MAILOPS_TIME_ZONE

    @property
    def hours_in_words(self) -> str:
        """Say when mail may leave; "at any time" without limits."""
        days = _days_in_words(self.window_days)
        window = _span(self.window_from, self.window_to) if self.window_from else ""
        quiet = f"never {_span(self.quiet_from, self.quiet_to)}" if self.quiet_from else ""
        when = " ".join(part for part in (days, window) if part)
        return ", ".join(part for part in (when, quiet) if part) or "at any time"

    @property
    def hours_mark(self) -> str:
        """What tells them from others."""
        return mark_of_fields(self, self.HOURS)

    def hours_facts(self) -> dict[str, Any]:
        """Return what the audit trail tells of them."""
        return {"hours": self.hours_in_words, "time_zone": self.time_zone}


def hours_are_whole(name: str) -> list[models.BaseConstraint]:
    """Return the constraints that a span has both ends, for the model called `name`."""
    return [
        models.CheckConstraint(
            name=f"{name}_{span}_is_whole",
            condition=Q(**{f"{span}_from": None, f"{span}_to": None})
            | (
                Q(**{f"{span}_from__isnull": False, f"{span}_to__isnull": False})
                & ~Q(**{f"{span}_from": F(f"{span}_to")})
            ),
        )
        for span in ("window", "quiet")
    ]


def _span(begin: time | None, end: time | None) -> str:
    return f"{begin:%H:%M}–{end:%H:%M}" if begin and end else ""


def _days_in_words(days: list[int]) -> str:
    """Return the days of a week, three or more in a row as a span; nothing for every day."""
    chosen = sorted(set(days))
    if not chosen or len(chosen) == len(DAYS):
        return ""
    if len(chosen) > 2 and chosen == list(range(chosen[0], chosen[-1] + 1)):
        return f"{DAYS[chosen[0]]}–{DAYS[chosen[-1]]}"
    return ", ".join(DAYS[day] for day in chosen)
