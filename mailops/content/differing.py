"""Compares two states of a template: source, text, links and variables."""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mailops.content.checking import Look, look_over, sample_data
from mailops.content.files import File, files_of_draft, files_of_version
from mailops.content.gates.links import addresses_in
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.rendering import Rendered, RenderError, compile_sources, parse
from mailops.content.variables import names_used

LONG_LINE = 400  # characters; HTML without line breaks is broken between elements
_NOTHING = Rendered("", "", "")


@dataclass(frozen=True)
class State:
    """A version, or the draft, as one side of a comparison."""

    label: str
    subject: str
    html: str  # as written
    text: str
    sample: dict[str, Any]
    compiled: str = ""  # what is rendered; empty: the HTML itself
    files: Sequence[File] = ()

    @classmethod
    def empty(cls) -> "State":
        return cls("nothing", "", "", "", {})

    @classmethod
    def of_version(cls, version: TemplateVersion) -> "State":
        return cls(
            f"v{version.number}",
            version.subject,
            version.source or version.html,
            version.text,
            version.sample,
            version.html,
            files_of_version(version),
        )

    @classmethod
    def of_draft(cls, template: MailTemplate) -> "State":
        look = _look(template)
        return cls(
            "draft",
            template.draft_subject,
            template.draft_html,
            template.draft_text,
            template.sample,
            look.compiled,
            look.files or files_of_draft(template),
        )

    def rendered(self, sample: dict[str, Any]) -> Rendered:
        compiled = compile_sources(
            subject=self.subject, html=self.compiled or self.html, text=self.text
        )
        return compiled.render(sample_data(sample))

    def variables(self) -> list[str]:
        sources = {"subject": self.subject, "html": self.compiled or self.html, "text": self.text}
        try:
            return sorted(names_used(*(parse(each, part) for part, each in sources.items())))
        except RenderError:
            return []


def _look(template: MailTemplate) -> Look:
    return look_over(
        subject=template.draft_subject,
        html=template.draft_html,
        text=template.draft_text,
        sample=template.sample,
        syntax=template.syntax,
        kind=template.kind,
        layout=template.layout,
        files=files_of_draft(template),
    )


@dataclass(frozen=True)
class Line:
    kind: str  # "del", "ins" or "span": the element it is shown as
    text: str


def compare(old: State, new: State) -> list[tuple[str, list[Line]]]:
    """Return the parts that differ, each with its lines."""
    written = [("Subject", old.subject, new.subject), ("Source", old.html, new.html)]
    differing = [(label, list(_lines(a, b))) for label, a, b in written if a != b]
    return [*differing, *compare_rendered(old, new)]


def compare_rendered(old: State, new: State) -> list[tuple[str, list[Line]]]:
    """Return what differs in what arrives: both sides are rendered with the newer sample, so that only words differ."""
    before, after = (_rendered(side, new.sample) for side in (old, new))
    pairs = [
        ("Text as it arrives", before.text, after.text),
        ("Files", _files(old), _files(new)),
        ("Links", _links(before), _links(after)),
        ("Variables", "\n".join(old.variables()), "\n".join(new.variables())),
    ]
    if old.html == new.html:  # the same words in another layout, or around another block
        pairs.append(("HTML as it is sent", old.compiled, new.compiled))
    return [(label, list(_lines(a, b))) for label, a, b in pairs if a != b]


def _rendered(state: State, sample: dict[str, Any]) -> Rendered:
    try:
        return state.rendered(sample)
    except RenderError as error:
        return Rendered("", "", f"(can't be rendered: {error})") if state.html else _NOTHING


def _links(rendered: Rendered) -> str:
    return "\n".join(addresses_in(rendered))


def _files(state: State) -> str:
    return "\n".join(sorted(file.line for file in state.files))


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
