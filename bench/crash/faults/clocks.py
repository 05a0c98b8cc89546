"""5: the clock that hands out hints dies, or there are several; a scheduled campaign starts once all the same."""

from datetime import timedelta

from django.utils import timezone

from bench.crash.faults import Extent, fault
from bench.crash.scene import Scene
from bench.stage import HOME, wait_for
from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.rollouts.launching import launch

AHEAD = timedelta(seconds=10)
MOST_LATE = timedelta(seconds=60)


@fault(
    "beat killed again and again, before and while a campaign is due",
    short=Extent(300, 2),
    long=Extent(1_500, 5),
)
def beat_killed(scene: Scene) -> None:
    campaign = _schedule(scene)
    for _ in range(scene.times):
        wait_for(_has_begun, "beat to keep its schedule")
        scene.kill("beat")
        scene.broke()
        scene.stage.start_beat()
    scene.wait_taken(scene.size // 4)
    scene.kill("beat")
    scene.broke()
    scene.stage.start_beat()
    _expect_one_start(scene, campaign)


@fault("three beats at once", short=Extent(300), long=Extent(1_500))
def three_beats(scene: Scene) -> None:
    campaign = _schedule(scene)
    for name in ("beat2", "beat3"):
        scene.stage.start_beat(name)
    scene.broke()
    scene.wait_taken(scene.size)
    _expect_one_start(scene, campaign)


def _schedule(scene: Scene) -> Campaign:
    scene.start_receiver()
    scene.start_workers()
    campaign = scene.make_campaign()
    scene.rehearse(campaign)
    at = timezone.now() + AHEAD
    return launch(campaign, actor=scene.person(), override_reason="a crash test", at=at)


def _has_begun() -> bool:
    return any(HOME.glob("beat*"))


def _expect_one_start(scene: Scene, campaign: Campaign) -> None:
    started = AuditEntry.objects.filter(verb="campaign.start", subject_id=str(campaign.pk))
    scene.expect(f"it was started {started.count()} times", holds=started.count() == 1)
    campaign.refresh_from_db()
    assert campaign.scheduled_at is not None
    if campaign.started_at is None:
        scene.findings.append(f"it never started: {campaign.state} {campaign.pause_sentence}")
        return
    late = campaign.started_at - campaign.scheduled_at
    scene.notes.append(f"started {late.total_seconds():.1f} s late")
    scene.expect(f"it started {late} late", holds=timedelta() <= late <= MOST_LATE)
