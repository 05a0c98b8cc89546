"""`manage.py verify_counts`: recount from events and messages; exits with 1 where the counts differ."""

from datetime import UTC, datetime, time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_date, parse_datetime

from mailops.lib.command_line import argument
from mailops.lib.env import whole
from mailops.reports.sealing import sealed_until
from mailops.reports.verifying import EVER, broken_seals, differences, rollup_differences
from mailops.reports.verifying_replies import reply_differences
from mailops.tracking.counting import look_differences


class Command(BaseCommand):
    help = (
        "Recount from events and messages, and compare with the counts that the charts read, those with their "
        "rollups and seals, and the counts of replies with the replies. Exits with 1 where something differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", help="a day or a moment, as 2026-11-01 or 2026-11-01T12:00Z")
        parser.add_argument("--until", help="the same; not in it")
        parser.add_argument(
            "--limit",
            type=argument(whole("number from 1 to 999999", least=1, most=999_999)),
            default=100,
            help="how many differences are told at most",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        given = {name: _moment(options[name], name) for name in ("since", "until")}
        if given["since"] and given["until"] and given["since"] >= given["until"]:
            raise CommandError(
                "There is nothing from --since on and before --until: give a later --until."
            )
        found = [
            *differences(options["limit"], **given),
            *rollup_differences(options["limit"], **given),
            *reply_differences(options["limit"], **given),
            *broken_seals(options["limit"], **given),
            *look_differences(options["limit"]),
        ]
        for difference in found:
            self.stderr.write(str(difference))
        if found:
            raise CommandError(f"{len(found)} counts or more differ from what happened.")
        sealed = sealed_until()
        note = (
            f" Before {sealed:%Y-%m-%d} they are sealed, and as they were."
            if sealed > EVER[0]
            else ""
        )
        self.stdout.write(f"The counts agree with the events and messages.{note}")


def _moment(given: str | None, name: str) -> datetime | None:
    if not given:
        return None
    try:
        moment = parse_datetime(given)
        day = parse_date(given) if moment is None else None
    except ValueError as error:
        raise CommandError(f"--{name} {given}: there is no such moment.") from error
    if day is not None:
        return datetime.combine(day, time(), UTC)
    if moment is None:
        raise CommandError(f"--{name} {given}: give a day or a moment, as 2026-11-01T12:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
