"""Compares two states of a template, line by line."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailops.content.checking import sample_data
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.rendering import RenderError, compile_sources

LONG_LINE = 400  # characters; HTML without line breaks is broken between elements


@dataclass(frozen=True)
class State:
    """A version, or the draft, as one side of a comparison."""

    label: str
    subject: str
    html: str
    text: str
    sample: dict[str, Any]

    @classmethod
    def of_version(cls, version: TemplateVersion) -> "State":
        return cls(
            f"v{version.number}", version.subject, version.html, version.text, version.sample
        )

    @classmethod
    def of_draft(cls, template: MailTemplate) -> "State":
        return cls(
            "draft",
            template.draft_subject,
            template.draft_html,
            template.draft_text,
            template.sample,
        )


@dataclass(frozen=True)
class Line:
    kind: str  # "del", "ins" or "span": the element it is shown as
    text: str


def compare(old: State, new: State) -> list[tuple[str, list[Line]]]:
    """Return the parts that differ, each with its lines; the text is compared as it is rendered."""
    pairs = [
        ("Subject", old.subject, new.subject),
        ("HTML", old.html, new.html),
        ("Text as it arrives", *(_rendered_text(side, new.sample) for side in (old, new))),
    ]
    return [(label, list(_lines(a, b))) for label, a, b in pairs if a != b]


def _rendered_text(state: State, sample: dict[str, Any]) -> str:
    """Render with the newer sample on both sides, so that only the words differ."""
    try:
        compiled = compile_sources(subject="", html=state.html, text=state.text)
        return compiled.render(sample_data(sample)).text
    except RenderError as error:
        return f"(can't be rendered: {error})"


def _lines(old: str, new: str) -> Iterator[Line]:
    kinds = {"-": "del", "+": "ins", " ": "span"}
    unified = difflib.unified_diff(_split(old), _split(new), lineterm="", n=3)
    for line in list(unified)[2:]:
        if line.startswith("@@"):
            yield Line("span", "⋯")
        else:
            yield Line(kinds[line[0]], line[1:] or " ")


def _split(source: str) -> list[str]:
    lines: list[str] = []
    for line in source.splitlines():
        lines += re.sub(r">(?=<)", ">\n", line).split("\n") if len(line) > LONG_LINE else [line]
    return lines
