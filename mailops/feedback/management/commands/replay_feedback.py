"""Reads archived feedback again, for when a parser was mended."""

from argparse import ArgumentParser
from collections import Counter
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from mailops.accounts.auditing import audit
from mailops.feedback.models import RawFeedback
from mailops.feedback.replaying import replay_all


class Command(BaseCommand):
    help = "Read archived feedback again; what was recorded of it already stays as it is."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        states = RawFeedback.State.values
        parser.add_argument("--state", choices=states, default=RawFeedback.State.QUARANTINED)
        parser.add_argument("--all", action="store_true", help="of every state")
        parser.add_argument("--kind", choices=RawFeedback.Kind.values)
        parser.add_argument(
            "--since", metavar="DATE", help="received at or after, 2026-11-21T03:00"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = RawFeedback.objects.all()
        if not options["all"]:
            rows = rows.filter(state=options["state"])
        if options["kind"]:
            rows = rows.filter(kind=options["kind"])
        if options["since"]:
            rows = rows.filter(received_at__gte=_moment(options["since"]))
        states = Counter(row.state for row in replay_all(rows))
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        audit(
            actor=None,
            verb="feedback.replay",
            after=dict(states),
            reason="manage.py replay_feedback",
        )
        self.stdout.write(f"read {states.total()} again: {told}")


def _moment(text: str) -> datetime:
    try:
        date = parse_date(text)
        moment = parse_datetime(f"{text}T00:00" if date else text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"--since: {text} is no date; write 2026-11-21 or 2026-11-21T03:00")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
