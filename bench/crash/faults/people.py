"""11: one recipient that breaks every session, people who unsubscribe meanwhile, people who pause and cancel."""

import time

from bench.crash.faults import Extent, fault
from bench.crash.scene import BULK, PACE, SESSIONS, Scene
from mailops.campaigns.models import Campaign
from mailops.outbox.canceling import cancel_campaign
from mailops.outbox.models import Message, QueueEntry, Status
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress

PATIENCE_SECONDS = 60
STILL_SECONDS = 2.0
POISON = ("rcpt-421-always", "rcpt-drop-always", "mail-drop-always")
SUPPRESSED_AT_ONCE = 50
BEGINS_WITHIN, SHORT_BEGINS_WITHIN = 1.0, 5.0  # the short run shares its machine with a test run


@fault("recipients whose RCPT draws a 421 or a drop every time", short=Extent(1_000), long=Extent(10_000))  # fmt: skip
def poisoned_recipients(scene: Scene) -> None:
    scene.start_receiver(pace=PACE / 5)
    scene.start_workers()
    poison = [one for behavior in POISON for one in scene.drawing(behavior, 1)]
    stream = scene.make_stream()
    stream.expiry_seconds = PATIENCE_SECONDS
    stream.save()
    middle, good = scene.size // 2, scene.good(scene.size - len(poison))
    campaign = scene.make_campaign([*good[:middle], *poison, *good[middle:]], stream=stream)
    campaign.start(actor=None)
    scene.broke()
    scene.settle(PATIENCE_SECONDS + 60)
    told = dict(Message.objects.filter(campaign=campaign).values_list("recipient", "status"))
    fallen = [one for one in good if told.get(one) != Status.ACCEPTED]
    scene.expect(f"{len(fallen)} others were not accepted", holds=not fallen)
    kept = [one for one in poison if told.get(one) != Status.EXPIRED]
    scene.expect(f"of the poisoned {kept} did not expire", holds=not kept)


@fault("people suppressed in mid-run", short=Extent(500), long=Extent(3_000))
def suppressed_meanwhile(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    campaign = scene.launch()
    scene.wait_taken(scene.size // 4)
    # of all ten providers: one that an earlier play made slow has a queue of its own
    leaving = scene.recipients[:: scene.size // SUPPRESSED_AT_ONCE - 1][:SUPPRESSED_AT_ONCE]
    done_at = {}
    for address in leaving:
        suppress(address=address, stream=None, reason=Suppression.Reason.UNSUBSCRIBE)
        done_at[address] = time.time()
    scene.broke()
    scene.settle()
    times = scene.witness.times()
    after = {
        address: times[address] - done for address, done in done_at.items() if address in times
    }
    latest = max([0.0, *after.values()]) - PACE / 2
    within = SHORT_BEGINS_WITHIN if scene.is_short else BEGINS_WITHIN
    scene.expect(f"an attempt began {latest:.1f} s after the suppression", holds=latest < within)
    messages = Message.objects.filter(campaign=campaign, status=Status.SUPPRESSED)
    scene.notes.append(f"{messages.count()} of {len(leaving)} were suppressed before they left")
    scene.expect("nobody was suppressed", holds=messages.exists())


@fault("pause and resume in mid-run", short=Extent(500, 2), long=Extent(3_000, 5))
def paused_meanwhile(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    campaign = scene.launch()
    for pause in range(1, scene.times + 1):
        scene.wait_taken(pause * scene.size // (scene.times + 1))
        campaign.pause("person")
        _expect_stop(scene)
        campaign.resume()
        scene.broke()
        scene.wait_resumed()


@fault("cancel in mid-run", short=Extent(500), long=Extent(3_000))
def canceled_meanwhile(scene: Scene) -> None:
    scene.ends_as = Campaign.State.CANCELED
    scene.start_receiver()
    scene.start_workers()
    campaign = scene.launch()
    scene.wait_taken(scene.size // 3)
    cancel_campaign(campaign=campaign, actor=None)
    scene.broke()
    _expect_stop(scene)
    left = Message.objects.filter(campaign=campaign, status=Status.CANCELED).count()
    scene.notes.append(f"{left} were canceled")
    scene.expect("nothing was left to cancel", holds=left > 0)


def _expect_stop(scene: Scene) -> None:
    """Expect of each session one more mail at most: the body on its way, or one whose mark was being committed."""
    seen = scene.witness.count()
    marked = QueueEntry.objects.filter(campaign__in=scene.campaigns, marked_at__isnull=False)
    scene.wait(lambda: not marked.exists(), "the bodies on their way to be answered")
    more, most = scene.witness.count() - seen, len(BULK) * SESSIONS
    scene.notes.append(f"{more} more were taken after the stop")
    scene.expect(f"{more} more were sent after the stop, {most} may be", holds=more <= most)
    rest = scene.witness.count()
    time.sleep(STILL_SECONDS)
    scene.expect("it did not stop", holds=scene.witness.count() == rest)
