"""12: a backup that is restored in mid-campaign: what left since then would leave again."""

import re
import subprocess
import time
from pathlib import Path

from django.db import connections

from bench.crash.faults import Extent, fault
from bench.crash.scene import BULK, SESSIONS, Scene
from bench.stage import HOME
from mailops.campaigns.models import Campaign
from mailops.lib.postgres import NAME
from mailops.transports.models import PauseCause

BACKUP = HOME / "backup"
STILL_SECONDS, SHORT_STILL_SECONDS = 30.0, 10.0


@fault("a backup restored in mid-campaign", short=Extent(500), long=Extent(3_000))
def backup_restored(scene: Scene) -> None:
    scene.start_receiver()
    scene.start_workers()
    campaign = scene.launch()
    scene.wait_taken(scene.size // 4)
    backed_up = scene.witness.count()
    _run(scene, "pg_dump", "--format=custom", f"--file={BACKUP}", NAME)
    scene.wait_taken(backed_up + scene.size // 4)
    for name in (*BULK, "housekeeping", "beat"):
        scene.kill(name)
    connections.close_all()
    _run(scene, "dropdb", "--force", NAME)
    _run(scene, "createdb", NAME)
    _run(scene, "pg_restore", f"--dbname={NAME}", str(BACKUP))
    since = scene.witness.count() - backed_up
    scene.broke()
    scene.start_workers()
    scene.ends_as = Campaign.State.PAUSED
    scene.bound = len(BULK) * SESSIONS  # what the backup has as on its way
    paused = Campaign.objects.filter(
        pk=campaign.pk, state=Campaign.State.PAUSED, pause_cause=PauseCause.RESTORED
    )
    scene.wait(paused.exists, "the restore to be seen")
    time.sleep(SHORT_STILL_SECONDS if scene.is_short else STILL_SECONDS)
    _expect_told(scene, paused.get().pause_sentence, since)
    more = scene.witness.count() - backed_up - since
    scene.expect(f"{more} mails left after the restore", holds=more == 0)


def _expect_told(scene: Scene, sentence: str, since: int) -> None:
    """Expect the pause to say how many may go twice: no fewer than went since the backup."""
    scene.notes.append(f"{since} mails had left since the backup; it says: {sentence}")
    told = re.search(r"[\d,]+(?= of)", sentence)
    number = int(told[0].replace(",", "")) if told else -1
    scene.expect(f"it tells of {number} that may go twice", holds=number >= since)


def _run(scene: Scene, program: str, *arguments: str) -> None:
    server = scene.stage.server
    command: list[str | Path] = [server.binaries / program, "-h", server.socket, "-U", NAME]
    subprocess.run([*command, *arguments], check=True, capture_output=True)
