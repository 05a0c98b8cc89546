"""6: launch, resume and retry pressed twenty times at once: one run."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connections

from bench.crash.faults import Extent, fault
from bench.crash.scene import Scene
from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.outbox.models import Message, Status
from mailops.outbox.retrying import NothingToRetry, retry_campaign
from mailops.rollouts.launching import NotLaunched, launch

PRESSES = 20


@fault("launch, resume and retry, each pressed 20 times at once", short=Extent(400), long=Extent(1_500), quick=True)  # fmt: skip
def pressed_often(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    refused = scene.drawing("body-554", scene.size // 100)  # so few that no guardrail stops them
    campaign = scene.make_campaign([*refused, *scene.good(scene.size - len(refused))])
    scene.rehearse(campaign)
    person = scene.person()
    _expect_one(scene, "launch", _press(lambda: _launches(campaign)))
    _expect_audited(scene, campaign, "campaign.start")
    scene.wait_taken(scene.size // 3)
    campaign.pause("person", actor=person)
    _expect_one(scene, "resume", _press(lambda: _again(campaign).resume(actor=person)))
    _expect_audited(scene, campaign, "campaign.resume")
    scene.settle()
    bounced = Message.objects.filter(campaign=campaign, status=Status.BOUNCED)
    failed = Message.objects.filter(campaign=campaign, status=Status.FAILED)
    wanted = bounced.count() + failed.count()
    scene.expect(f"{wanted} of {len(refused)} were refused", holds=wanted == len(refused))
    scene.broke()
    queued = _press(lambda: _retries(campaign))
    scene.expect(f"{queued} were queued again, of {wanted}", holds=queued == wanted)


def _press(act: Callable[[], int]) -> int:
    """Act in twenty threads at the same moment; return the sum of what they did."""
    together = Barrier(PRESSES)

    def press() -> int:
        together.wait(30)
        try:
            return int(act())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(PRESSES) as pool:
        return sum(one.result() for one in [pool.submit(press) for _ in range(PRESSES)])


def _again(campaign: Campaign) -> Campaign:
    return Campaign.objects.get(pk=campaign.pk)


def _launches(campaign: Campaign) -> int:
    try:
        launch(_again(campaign), actor=Scene.person(), override_reason="a crash test")
    except NotLaunched:
        return 0
    return 1


def _retries(campaign: Campaign) -> int:
    everything = Message.objects.filter(campaign=campaign)
    try:
        return retry_campaign(campaign=_again(campaign), messages=everything, actor=Scene.person())
    except NothingToRetry:
        return 0


def _expect_one(scene: Scene, act: str, times: int) -> None:
    scene.expect(f"{act} pressed {PRESSES} times was done {times} times", holds=times == 1)


def _expect_audited(scene: Scene, campaign: Campaign, verb: str) -> None:
    kept = AuditEntry.objects.filter(verb=verb, subject_id=str(campaign.pk)).count()
    scene.expect(f"{verb} stands {kept} times in the audit trail", holds=kept == 1)
