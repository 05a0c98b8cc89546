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

from mailops.content.closing import stretches
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
_UNITS = frozenset({"vw", "vh", "vmin", "vmax", "rem"})
_OURS = Path(__file__).with_name("client_support.json")
_STYLE_ATTRIBUTE = re.compile(r"(?<=style)\s{0,9}=\s{0,9}(?:\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_STYLE_ELEMENT = (
    re.compile(r"<(?:mj-)?style\b[^<>]*>", re.IGNORECASE),
    re.compile(r"</(?:mj-)?style\s*>", re.IGNORECASE),
)
_CONDITION = (re.compile(r"<!--\[if"), re.compile(r"<!\[endif\]-->"))


@dataclass(frozen=True)
class Feature:
    feature: str  # "display: flex", "gap", "calc()", "<svg>" or ".webp"
    breaks: tuple[str, ...]
    instead: str
    is_graceful: bool = False  # looks plainer there, and nothing is lost
    pattern: re.Pattern[str] = field(default=re.compile(""), compare=False)
    word: str = ""  # stands in whatever the pattern finds, and is looked for quicker

    @property
    def is_css(self) -> bool:
        return not self.feature.startswith(("<", "."))


def find(page: Page) -> Iterator[Problem]:
    html = _without_conditions(page.rendered.html).lower()
    css, source_css = _css_of(html), _css_of(page.source)
    for feature in features():
        used, source = (css, source_css) if feature.is_css else (html, page.source)
        if feature.word not in used or not feature.pattern.search(used):
            continue
        written = feature.pattern.search(source)
        line = line_at(source, written.start()) if written else None
        if page.is_mjml and not written:
            continue  # what MJML itself writes has its fallbacks
        names = [CLIENTS[client] for client in feature.breaks if client in CLIENTS]
        share = sum(settings.MAILOPS_CLIENT_SHARES.get(client, 0) for client in feature.breaks)
        yield found(
            "clients.tag" if feature.feature.startswith("<") else "clients.css",
            f"{feature.feature} does not work in {', '.join(names)}.",
            line=line,
            why=f"About {share} % of readers use {'it' if len(names) == 1 else 'these'}.",
            fix=feature.instead,
            is_note=feature.is_graceful,
        )


def _css_of(html: str) -> str:
    """Return `html` with nothing left of it but its styles, each at its place: elsewhere "gap: 3" is just words."""
    spans = [match.span() for match in _STYLE_ATTRIBUTE.finditer(html)]
    spans += [(one.end(), two.start()) for one, two in stretches(html, *_STYLE_ELEMENT)]
    parts: list[str] = []
    at = 0
    for start, end in sorted(spans):
        if start >= at:
            parts += [_blank(html[at:start]), html[start:end]]
            at = end
    return "".join([*parts, _blank(html[at:])])


def _without_conditions(html: str) -> str:
    """Leave out what only Outlook on Windows reads."""
    parts, at = [], 0
    for opening, closing in stretches(html, *_CONDITION):
        parts.append(html[at : opening.start()])
        at = closing.end()
    return "".join([*parts, html[at:]])


def _blank(text: str) -> str:
    return "\n".join(" " * len(line) for line in text.split("\n"))


def features() -> list[Feature]:
    """Return the table: the imported one where there is one."""
    imported = settings.MAILOPS_HOME / IMPORTED
    path = imported if imported.exists() else _OURS
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int) -> list[Feature]:
    return features_of(json.loads(path.read_text()))


def features_of(table: Any) -> list[Feature]:
    """Return the features of a table; raise KeyError, TypeError or AttributeError where it has another form."""
    return [
        Feature(
            row["feature"],
            tuple(row["breaks"]),
            row.get("instead", ""),
            row.get("is_graceful", False),
            _pattern(row["feature"]),
            _word(row["feature"]),
        )
        for row in table["features"]
    ]


def _word(feature: str) -> str:
    if feature == "#rrggbbaa":
        return "#"
    return (
        (feature if feature.startswith(":") else feature.partition(":")[0]).strip("<>() ").lower()
    )


def _pattern(feature: str) -> re.Pattern[str]:
    """Return what finds a feature in HTML, in a style attribute or a style element."""
    name = re.escape(feature.strip("<>()"))
    if feature.startswith("<"):
        expression = rf"<{name}\b"
    elif feature.startswith("@"):
        expression = rf"{name}\b(?=[^;{{}}\"'@]{{0,300}}\{{)"
    elif feature.startswith(":"):
        expression = rf"(?<=[\w\])*]){name}\b(?=[^;{{}}\"'<>]{{0,300}}\{{)"
    elif feature == "#rrggbbaa":
        expression = r":[^:;{}\"'<>]{0,200}#[0-9a-f]{8}\b"
    elif feature.startswith("."):
        expression = rf"\bsrc=[\"'][^\"'?#]{{0,2000}}{name}(?=[\"'?#])"
    elif feature.endswith("()"):
        expression = rf"(?<=[\s:,(]){name}a?\("
    elif feature in _UNITS:
        expression = rf":[^:;{{}}\"'<>]{{0,200}}\d{name}\b"
    elif ":" in feature:
        prop, _, value = feature.partition(":")
        expression = (
            rf"(?<=[\s;{{\"'])(?:{re.escape(prop)})(?:-\w+)?\s*:\s*{re.escape(value.strip())}"
        )
    else:
        expression = rf"(?<=[\s;{{\"']){name}\s*:\s*(?!none|normal|visible)"
    return re.compile(expression, re.IGNORECASE)


# family and platform of caniemail, and whom of ours they stand for; the new Outlook draws as the one on the web does
_FAMILIES = {
    ("apple-mail", "macos"): ("apple_mail",),
    ("apple-mail", "ios"): ("apple_mail",),
    ("gmail", "desktop-webmail"): ("gmail",),
    ("gmail", "ios"): ("gmail",),
    ("gmail", "android"): ("gmail",),
    ("outlook", "windows"): ("outlook_windows",),
    ("outlook", "macos"): ("outlook_mac",),
    ("outlook", "outlook-com"): ("outlook_web", "outlook_new"),
    ("yahoo", "desktop-webmail"): ("yahoo",),
    ("yahoo", "ios"): ("yahoo",),
    ("yahoo", "android"): ("yahoo",),
    ("samsung-email", "android"): ("samsung",),
}
_TITLE = re.compile(
    r"(?P<element><[a-z1-6]+>)|^(?P<picture>\.[a-z]{3,4})\b|^(?P<rule>@[a-z-]+)$|^(?P<state>:[a-z-]+)$"
    r"|^(?P<function>[a-z-]+\(\))|^(?P<pair>[a-z-]+\s?:\s?[a-z-]+)|^(?P<name>[a-z-]+)(?: property)?$"
)


def from_caniemail(read: dict[str, Any]) -> list[dict[str, Any]]:
    """Return our form of the table that caniemail publishes: what the newest version of a program doesn't do.

    What it does in part ("a #1") is left out: whether a mail uses that part can't be seen by a name.
    """
    rows = []
    for entry in read["data"]:
        breaks = {
            client
            for (family, platform), clients in _FAMILIES.items()
            if _newest(entry["stats"].get(family, {}).get(platform, {})).startswith("n")
            for client in clients
        }
        note = f"See {_whole(entry['url'])}." if entry.get("url") else ""
        rows += [
            {"feature": feature, "breaks": sorted(breaks), "instead": note}
            for feature in (_features_of(entry) if breaks else [])
        ]
    return rows


def _features_of(entry: dict[str, Any]) -> Iterator[str]:
    """Yield what a title names that can be found in a mail: "left, right, top" are three, "HTML5 doctype" is none."""
    if entry.get("category") not in {"css", "html", "image"}:
        return
    for part in str(entry["title"]).lower().replace("`", "").split(","):
        named = _TITLE.search(part.strip())
        if named and (entry["category"] == "css" or not named["name"]):
            yield named[0].removesuffix(" property")


def _whole(address: str) -> str:
    return address if address.startswith("https:") else f"https://www.caniemail.com{address}"


def _newest(versions: dict[str, str] | list[Any]) -> str:
    return str(list(versions.values())[-1]) if isinstance(versions, dict) and versions else ""
