"""The mail that every contender sends: one template, in the part of the language that Liquid and Django share."""

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
FOLDER = _HERE / "template" if (_HERE / "template").exists() else _HERE / "placeholder"

SUBJECT = (FOLDER / "subject.txt").read_text().strip()
HTML = (FOLDER / "mail.html").read_text()
TEXT = (FOLDER / "mail.txt").read_text()
DATA: dict[str, Any] = json.loads((FOLDER / "data.json").read_text())

DOMAIN = "news.bench.example"
SENDER_NAME, SENDER = "Ada & Sons", "news"
PERSONAL = "first_name"  # differs from recipient to recipient


def address(number: int) -> str:
    return f"r{number}@inbox.example"


def attributes(number: int) -> dict[str, Any]:
    """Return what the template is filled with for one recipient."""
    return {**DATA, PERSONAL: f"{DATA[PERSONAL]}{number}"}
