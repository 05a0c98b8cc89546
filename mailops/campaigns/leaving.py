"""Says how many mails of a planned campaign leave when it starts, and how many wait for the hours of their recipients."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from mailops.campaigns.models import Campaign, Preflight
from mailops.lib.hours import opening
from mailops.lib.time_zones import zone

WAVES_SHOWN = 6


@dataclass(frozen=True)
class Wave:
    """Mails that may leave from the same moment on, in zones of which one is named."""

    at: datetime
    mails: int
    zone_name: str
    zones: int

    @property
    def others(self) -> str:
        more = self.zones - 1
        return f"{more} other zone{'' if more == 1 else 's'}"

    @property
    def clock(self) -> str:
        """What clocks show there then."""
        return f"{self.at.astimezone(zone(self.zone_name)):%a %H:%M}"


@dataclass(frozen=True)
class Leaving:
    """What happens at `at`: how many leave at once, and the waves that follow."""

    at: datetime
    at_once: int
    waves: tuple[Wave, ...]
    unknown: int  # people whose time zone is not known
    zone_if_unknown: str

    @property
    def waiting(self) -> int:
        return sum(wave.mails for wave in self.waves)

    @property
    def all_mails(self) -> int:
        return self.at_once + self.waiting

    @property
    def shown(self) -> tuple[Wave, ...]:
        """The waves that a page names; those behind them are told as one."""
        return self.waves[:WAVES_SHOWN]

    @property
    def later(self) -> int:
        return sum(wave.mails for wave in self.waves[WAVES_SHOWN:])

    @property
    def last_at(self) -> datetime:
        """When the last ones may leave: at the start where none waits."""
        return self.waves[-1].at if self.waves else self.at


def leaving(campaign: Campaign, preflight: Preflight, *, now: datetime | None = None) -> Leaving:
    """Return what the hours make of a rehearsed campaign that starts at its time, or now."""
    now = now or timezone.now()
    at = max(campaign.scheduled_at or now, now)
    hours, unknown_is = campaign.keeps.hours, campaign.zone_if_unknown
    known = {name: mails for name, mails in preflight.zones.items() if name}
    unknown = preflight.sendable - sum(known.values())
    counts = dict(known)
    if unknown:
        counts[unknown_is] = counts.get(unknown_is, 0) + unknown
    opens = {name: opening(hours, name, at).opens_at for name in counts}
    return Leaving(
        at,
        sum(counts[name] for name in counts if opens[name] <= at),
        tuple(_waves(counts, {name: moment for name, moment in opens.items() if moment > at})),
        unknown,
        unknown_is,
    )


def _waves(counts: dict[str, int], opens: dict[str, datetime]) -> Iterable[Wave]:
    for moment in sorted(set(opens.values())):
        names = sorted((name for name in opens if opens[name] == moment), key=lambda n: -counts[n])
        yield Wave(moment, sum(counts[name] for name in names), names[0], len(names))
