"""The mail that every contender sends: one template, in the part of the language that Liquid and Django share."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "template"

SUBJECT = (FOLDER / "subject.txt").read_text().strip()
HTML = (FOLDER / "order.html").read_text()
TEXT = (FOLDER / "order.txt").read_text()
SAMPLE: dict[str, Any] = json.loads((FOLDER / "sample.json").read_text())
# each sender gives these by itself
GIVEN = ("email", "unsubscribe_url")
DATA = {name: value for name, value in SAMPLE.items() if name not in GIVEN}
PERSONAL = "first_name"  # differs from recipient to recipient

DOMAIN = "news.bench.example"
SENDER_NAME, SENDER = "Ada & Sons", "news"

RECIPIENT_DOMAINS = 10


def address(number: int) -> str:
    return f"r{number}@inbox{number % RECIPIENT_DOMAINS}.example"


def attributes(number: int) -> dict[str, Any]:
    """Return what the template is filled with for one recipient."""
    return {**DATA, PERSONAL: f"{DATA[PERSONAL]}{number}"}
