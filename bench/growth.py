"""(c) and (d): launches of campaigns of growing size, rows and all, with what they cost and leave behind."""

import time
from dataclasses import dataclass

from bench import audience
from bench.contenders import Mailops, set_state
from bench.database import sizes
from bench.processes import Usage, spent, usage_of
from bench.stage import BenchError, wait_for
from mailops.campaigns.models import Campaign
from mailops.transports.models import RunState

# the others are the receiver, the peers and the bench
OURS = ("bulk1", "bulk2", "housekeeping", "beat", "postgres")
EXPANSION_SECONDS = 1800


@dataclass(frozen=True)
class Launch:
    """One campaign from its launch on; `seconds` is None where its end was not waited for."""

    recipients: int
    first_accepted: float
    rows_made: float
    accepted_meanwhile: int
    seconds: float | None
    processor_seconds: dict[str, float]
    usage: dict[str, Usage]
    megabytes: dict[str, tuple[float, float]]

    @property
    def wall_micros(self) -> float | None:
        return self.seconds * 1e6 / self.recipients if self.seconds else None

    @property
    def processor_micros(self) -> float | None:
        if not self.seconds:
            return None
        return sum(self.processor_seconds.get(name, 0) for name in OURS) * 1e6 / self.recipients

    @property
    def peaks(self) -> dict[str, int]:
        return {name: round(self.usage[name].peak_mb) for name in OURS}

    @property
    def row(self) -> list[str]:
        return [
            f"{self.recipients:,}",
            f"{self.first_accepted:.2f} s",
            f"{self.rows_made:.1f} s",
            f"{self.accepted_meanwhile:,}",
            f"{self.recipients / self.seconds:,.0f}" if self.seconds else "",
            f"{self.wall_micros:,.0f}" if self.wall_micros else "",
            f"{self.processor_micros:,.0f}" if self.processor_micros else "",
            ", ".join(f"{name} {peak}" for name, peak in self.peaks.items()),
        ]

    @property
    def figures(self) -> dict[str, object]:
        return {
            "recipients": self.recipients,
            "first_accepted_s": round(self.first_accepted, 3),
            "rows_made_s": round(self.rows_made, 2),
            "accepted_when_rows_were_made": self.accepted_meanwhile,
            "seconds": self.seconds and round(self.seconds, 2),
            "wall_us_a_message": self.wall_micros and round(self.wall_micros),
            "processor_us_a_message": self.processor_micros and round(self.processor_micros),
            "peak_mb": self.peaks,
            "tables_mb": {
                name: {"rows": round(table, 1), "indexes": round(index, 1)}
                for name, (table, index) in self.megabytes.items()
            },
        }


HEAD = ["recipients", "first accepted", "rows made", "accepted by then", "a second", "us a message", "us of processor", "peak MB"]  # fmt: skip


def launch(mailops: Mailops, recipients: int, *, to_the_end: bool = True) -> Launch:
    """Launch a campaign as a person does, and watch it; without `to_the_end` only until its rows are made."""
    stage, sink = mailops.stage, mailops.sink
    campaign = audience.make_campaign(
        mailops.stream, mailops.version, mailops.audience_of(recipients)
    )
    set_state(mailops.stream, RunState.RUNNING)
    accepted, used = sink.count(), usage_of(stage)
    with mailops.running():
        launched_at = time.monotonic()
        campaign.start(actor=None)
        wait_for(lambda: sink.count() > accepted, "the first mail", every=0.005)
        first_accepted = time.monotonic() - launched_at
        wait_for(lambda: _has_all_rows(campaign), "the last row", EXPANSION_SECONDS, every=0.1)
        rows_made, meanwhile = time.monotonic() - launched_at, sink.count() - accepted
        if to_the_end:
            sink.wait_for_count(accepted + recipients)
            wait_for(lambda: not audience.has_open(campaign), "the last result", every=0.01)
        seconds = time.monotonic() - launched_at
        if not to_the_end:
            campaign.pause("person")
    if to_the_end:
        audience.check_accepted(campaign, recipients)
        if sink.count() != accepted + recipients:
            raise BenchError(f"the receiver accepted {sink.count() - accepted:,} of {recipients:,}")
    after = usage_of(stage)
    return Launch(
        recipients,
        first_accepted,
        rows_made,
        meanwhile,
        seconds if to_the_end else None,
        spent(used, after),
        after,
        sizes(stage),
    )


def _has_all_rows(campaign: Campaign) -> bool:
    return Campaign.objects.filter(pk=campaign.pk, expanded_at__isnull=False).exists()
