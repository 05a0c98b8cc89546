"""`manage.py verify_counts`: recount from events and messages; exits with 1 where the counts differ."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.reports.verifying import differences


class Command(BaseCommand):
    help = "Recount from events and messages, and compare with the counts that the charts read."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        found = differences()
        for difference in found:
            self.stderr.write(str(difference))
        if found:
            raise CommandError(f"{len(found)} counts or more differ from what happened.")
        self.stdout.write("The counts agree with the events and messages.")
