"""Fills the demo, once."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailops.rollouts.demo.filling import fill_demo


class Command(BaseCommand):
    help = "Fill demo data, once; only on the embedded database or with MAILOPS_DEMO=1."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.MAILOPS_DEMO:
            raise CommandError(
                "This is no demo: set MAILOPS_DEMO=1 if demo data may be written into this database."
            )
        filled = fill_demo(home=settings.MAILOPS_HOME)
        self.stdout.write("The demo is filled." if filled else "The demo was filled before.")
