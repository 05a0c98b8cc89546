"""Tells what mails say, one JSON line for each file; needs no database."""

import json
import logging
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from mailops.protocol.feedback_mail import describe, read
from mailops.protocol.report import MAX_SIZE

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Read bounces, complaints and other returned mail from files (- for standard input)."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="one JSON line for each file")

    def handle(self, *args: Any, **options: Any) -> None:
        has_failed = False
        for name in options["files"]:
            told = _told(name)
            has_failed = has_failed or "error" in told
            self.stdout.write(json.dumps(told) if options["json"] else _plain(told))
        if has_failed:
            sys.exit(1)


def _told(name: str) -> dict[str, Any]:
    nothing = {"type": "other", "original_message_id": "", "recipients": []}
    try:
        data = _content(name)
    except (OSError, ValueError) as error:
        return {"file": name, **nothing, "error": str(error)}
    try:
        return {"file": name, **describe(read(data), most=len(data))}
    except Exception as error:  # one file that mailops fails on must not cost the others their line
        logger.exception("%s could not be read", name)
        return {"file": name, **nothing, "error": f"mailops failed to read it: {error!r}"}


def _content(name: str) -> bytes:
    """Return as much of a file as is read of any mail, and the octet that tells of more."""
    if name == "-":
        return sys.stdin.buffer.read(MAX_SIZE + 1)
    with Path(name).open("rb") as file:
        return file.read(MAX_SIZE + 1)


def _plain(told: dict[str, Any]) -> str:
    file = told["file"].encode("utf-8", "backslashreplace").decode()  # whatever it is called
    head = f"{file}: {told.get('error') or told['type']}"
    lines = [
        f"  {one['recipient']}: {one['action']} {one['reason']} ({one['diagnostic'] or one['enhanced_status']})"
        for one in told["recipients"]
    ]
    if told.get("is_cut"):
        lines.append("  It is too long to be read to its end.")
    return "\n".join([head, *lines])
