"""Which mail programs break over what a mail uses, and how many of its readers that is.

The table is ours, from what the programs' makers and users publish; `manage.py import_client_support` puts another one
in its place. Shares of readers are a setting, MAILOPS_CLIENT_SHARES.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from mailops.content.gates.finding import Problem, found
from mailops.content.gates.page import Page
from mailops.content.lines import line_at

CLIENTS = {
    "apple_mail": "Apple Mail",
    "gmail": "Gmail",
    "outlook_windows": "Outlook on Windows",
    "outlook_mac": "Outlook on a Mac",
    "outlook_web": "Outlook on the web",
    "outlook_new": "the new Outlook",
    "yahoo": "Yahoo",
    "samsung": "Samsung Mail",
}
IMPORTED = "client_support.json"  # in MAILOPS_HOME
_OURS = Path(__file__).with_name("client_support.json")
_MSO = re.compile(r"<!--\[if.*?<!\[endif\]-->", re.DOTALL)


@dataclass(frozen=True)
class Feature:
    feature: str  # "display: flex", "gap", "calc()", "<svg>" or ".webp"
    breaks: tuple[str, ...]
    instead: str
    is_graceful: bool = False  # looks plainer there, and nothing is lost
    pattern: re.Pattern[str] = field(default=re.compile(""), compare=False)
    word: str = ""  # stands in whatever the pattern finds, and is looked for quicker


def find(page: Page) -> Iterator[Problem]:
    html = _MSO.sub("", page.rendered.html).lower()
    source = page.source
    for feature in features():
        if feature.word not in html or not feature.pattern.search(html):
            continue
        written = feature.pattern.search(source)
        line = line_at(source, written.start()) if written else None
        if page.is_mjml and not written:
            continue  # what MJML itself writes has its fallbacks
        names = ", ".join(CLIENTS[client] for client in feature.breaks if client in CLIENTS)
        share = sum(settings.MAILOPS_CLIENT_SHARES.get(client, 0) for client in feature.breaks)
        yield found(
            "clients.tag" if feature.feature.startswith("<") else "clients.css",
            f"{feature.feature} does not work in {names}.",
            line=line,
            why=f"About {share} % of readers use these.",
            fix=feature.instead,
            is_note=feature.is_graceful,
        )


def features() -> list[Feature]:
    """Return the table: the imported one where there is one."""
    imported = settings.MAILOPS_HOME / IMPORTED
    path = imported if imported.exists() else _OURS
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int) -> list[Feature]:
    table = json.loads(path.read_text())
    return [
        Feature(
            row["feature"],
            tuple(row["breaks"]),
            row.get("instead", ""),
            row.get("is_graceful", False),
            _pattern(row["feature"]),
            row["feature"].partition(":")[0].strip("<>() ").lower(),
        )
        for row in table["features"]
    ]


def _pattern(feature: str) -> re.Pattern[str]:
    """Return what finds a feature in HTML, in a style attribute or a style element."""
    name = re.escape(feature.strip("<>()"))
    if feature.startswith("<"):
        expression = rf"<{name}\b"
    elif feature.startswith("."):
        expression = rf"\bsrc=[\"'][^\"'?#]*{name}(?=[\"'?#])"
    elif feature.endswith("()"):
        expression = rf"(?<=[\s:,(]){name}a?\("
    elif feature in {"vw", "vh"}:
        expression = rf":[^;{{}}\"'<>]*\d{name}\b"
    elif ":" in feature:
        prop, _, value = feature.partition(":")
        expression = (
            rf"(?<=[\s;{{\"'])(?:{re.escape(prop)})(?:-\w+)?\s*:\s*{re.escape(value.strip())}"
        )
    else:
        expression = rf"(?<=[\s;{{\"']){name}\s*:\s*(?!none|normal|visible)"
    return re.compile(expression, re.IGNORECASE)


_FAMILIES = {
    ("apple-mail", "macos"): "apple_mail",
    ("apple-mail", "ios"): "apple_mail",
    ("gmail", "desktop-webmail"): "gmail",
    ("gmail", "ios"): "gmail",
    ("gmail", "android"): "gmail",
    ("outlook", "windows"): "outlook_windows",
    ("outlook", "windows-mail"): "outlook_windows",
    ("outlook", "macos"): "outlook_mac",
    ("outlook", "outlook-com"): "outlook_web",
    ("yahoo", "desktop-webmail"): "yahoo",
    ("yahoo", "ios"): "yahoo",
    ("yahoo", "android"): "yahoo",
    ("samsung-email", "android"): "samsung",
}
_TITLES = re.compile(
    r"(?P<element><[a-z]+>|\.[a-z]{3,4}\b)|(?P<pair>[a-z-]+\s?:\s?[a-z-]+)|(?P<function>[a-z-]+\(\))|^(?P<name>[a-z-]+)"
)


def from_caniemail(read: dict[str, Any]) -> list[dict[str, Any]]:
    """Return our form of the table that caniemail publishes: what the newest version of a program doesn't do."""
    rows = []
    for entry in read["data"]:
        if entry.get("category") not in {"css", "html", "image"}:
            continue
        named = _TITLES.search(str(entry["title"]).lower())
        if not named:
            continue
        breaks = {
            client
            for (family, platform), client in _FAMILIES.items()
            if _newest(entry["stats"].get(family, {}).get(platform, {})).startswith("n")
        }
        if breaks:
            note = f"See {entry['url']}." if entry.get("url") else ""
            rows.append({"feature": named[0], "breaks": sorted(breaks), "instead": note})
    return rows


def _newest(versions: dict[str, str] | list[Any]) -> str:
    return str(list(versions.values())[-1]) if isinstance(versions, dict) and versions else ""
