"""Beside the list: the hours of a campaign end while it is sent; nobody gets mail outside them, and nobody is forgotten."""

import time
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from bench.crash.faults import Extent, fault
from bench.crash.scene import BULK, SESSIONS, Scene
from mailops.campaigns.drafting import change_hours
from mailops.campaigns.models import Campaign
from mailops.outbox.models import QueueEntry
from mailops.transports.models import KeepsHours

STILL_SECONDS = 8.0  # in which workers look again and again
ANY_TIME: dict[str, Any] = {
    **dict.fromkeys(KeepsHours.HOURS),
    "window_days": [],
    "time_zone": "",
}


@fault("the hours of a campaign end, and begin again", short=Extent(400), long=Extent(3_000, 3))
def hours_end(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    campaign = scene.launch()
    for turn in range(scene.times):
        scene.wait_taken(scene.size * (turn + 1) // (scene.times + 3))
        _end(scene, campaign)
        change_hours(campaign=campaign, hours=ANY_TIME, has_own_hours=True, actor=scene.person())
        scene.broke()
        scene.wait_resumed()


def _end(scene: Scene, campaign: Campaign) -> None:
    """Let the hours of all that waits be over now, until tomorrow; see that nothing leaves."""
    Campaign.objects.filter(pk=campaign.pk).update(
        window_days=[(timezone.now() + timedelta(days=1)).isoweekday()]
    )
    QueueEntry.objects.filter(campaign=campaign).update(closes_at=timezone.now())
    ended_at = time.time()
    left_behind = QueueEntry.objects.filter(campaign=campaign, due_at__lte=Now())
    scene.wait(lambda: not left_behind.exists(), "what was left behind to be moved")
    moved_in = time.time() - ended_at
    time.sleep(STILL_SECONDS)
    late = [at for at in scene.witness.times().values() if at > ended_at]
    in_flight = SESSIONS * len(BULK)
    scene.expect(f"{len(late)} mails left after their hours", holds=len(late) <= in_flight)
    after = max([0.0, *(at - ended_at for at in late)])
    scene.notes.append(
        f"{len(late)} bodies were on their way, the last {after:.1f} s after the end; "
        f"the others were moved in {moved_in:.1f} s"
    )
