"""Tells what mails say, one JSON line for each file; needs no database."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from mailops.protocol.feedback_mail import describe, read


class Command(BaseCommand):
    help = "Read bounces, complaints and other returned mail from files (- for standard input)."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="one JSON line for each file")

    def handle(self, *args: Any, **options: Any) -> None:
        has_failed = False
        for name in options["files"]:
            told = _told(name)
            has_failed = has_failed or "error" in told
            self.stdout.write(
                json.dumps(told, ensure_ascii=False) if options["json"] else _plain(told)
            )
        if has_failed:
            sys.exit(1)


def _told(name: str) -> dict[str, Any]:
    nothing = {"type": "other", "original_message_id": "", "recipients": []}
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        return {"file": name, **nothing, "error": str(error)}
    return {"file": name, **describe(read(data))}


def _plain(told: dict[str, Any]) -> str:
    head = f"{told['file']}: {told.get('error') or told['type']}"
    lines = [
        f"  {one['recipient']}: {one['action']} {one['reason']} ({one['diagnostic'] or one['enhanced_status']})"
        for one in told["recipients"]
    ]
    return "\n".join([head, *lines])
