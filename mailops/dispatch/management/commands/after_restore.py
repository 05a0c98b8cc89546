"""Deals with a database that was restored from a backup, where mailops can't see that by itself."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.dispatch.restoring import Restored, look
from mailops.outbox.models import ChunkedWork, QueueEntry, Resending, Settlement


class Command(BaseCommand):
    help = (
        "Pause what may have been sent already, after the database was restored from a backup. mailops does so by "
        "itself where its epoch file tells; run this where that file is gone, or on a machine that never had it."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--yes", action="store_true", help="do it; else only say what it would do"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["yes"]:
            self._say_what_it_would_do()
            return
        done = look(force=True)
        assert done is not None
        self._tell(done)

    def _say_what_it_would_do(self) -> None:
        running = Campaign.objects.running().count()
        due = Campaign.objects.due_to_start().count()
        single = QueueEntry.objects.filter(campaign=None, is_held=False).count()
        acts = sum(
            runs.filter(state=ChunkedWork.State.RUNNING).count()
            for runs in (Settlement.objects, Resending.objects)
        )
        self.stdout.write(
            f"{running:,} running campaigns would be paused, paused ones would warn of what they owe, "
            f"{due:,} whose time has come would wait for a person, "
            f"{acts:,} acts on many messages that go on would be stopped, and {single:,} single messages that are "
            "queued would become uncertain (or go again, where their stream guarantees that). "
            f"It is {timezone.now():%Y-%m-%d %H:%M} UTC. Run it again with --yes."
        )

    def _tell(self, done: Restored) -> None:
        for name, twice in done.paused.items():
            self.stdout.write(f"paused: {name}; up to {twice:,} messages may be sent twice")
        for name in done.stale:
            self.stdout.write(f"not started: {name}; its time had come")
        for name in done.stopped:
            self.stdout.write(f"stopped: {name}; look at what was sent since before you go on")
        self.stdout.write(f"{done.doubted:,} single messages are in doubt")
        self.stdout.write(
            "Unsubscribes and bounces since the backup are lost: see to them before you resume."
        )
