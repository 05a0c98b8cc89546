"""Compares two states of a template: source, text, links and variables."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailops.content.checking import Look, sample_data
from mailops.content.files import File, files_of_draft, files_of_version
from mailops.content.gates.links import addresses_in
from mailops.content.looking import look_at_draft
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.rendering import Rendered, RenderError, compile_sources, parse
from mailops.content.variables import names_used

MAX_PAIRS = 16_000_000  # of lines that may have to be held against each other: about a second
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
    languages: Mapping[str, "State"] = field(default_factory=dict)  # its words in others
    also_for: str = ""  # languages without words of their own that get these
    parts: Sequence[Sequence[int]] = ()  # the versions of layout and blocks: [[template, number]]

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
            {tag: _language(tag, words) for tag, words in sorted(version.written_variants.items())},
            parts=version.parts,
        )

    @classmethod
    def of_draft(
        cls, template: MailTemplate, looks: tuple[Look, dict[str, Look]] | None = None
    ) -> "State":
        """Return the draft's side; `looks` are those of `look_at_draft`, where somebody looked already."""
        look, others = looks or look_at_draft(template)
        variants = {each.language: each for each in template.variants.order_by("language")}
        return cls(
            "draft",
            template.draft_subject,
            template.draft_html,
            template.draft_text,
            template.sample,
            look.compiled,
            look.files or files_of_draft(template),
            {
                tag: cls(
                    tag,
                    words.draft_subject,
                    words.draft_html,
                    words.draft_text,
                    {},
                    others[tag].compiled,
                    also_for=words.also_for,
                )
                for tag, words in variants.items()
            },
            parts=look.parts,
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


def _language(tag: str, words: Mapping[str, str]) -> State:
    source = words["source"] or words["html"]
    also_for = words.get("also_for", "")
    return State(tag, words["subject"], source, words["text"], {}, words["html"], also_for=also_for)


@dataclass(frozen=True)
class Line:
    kind: str  # "del", "ins" or "span": the element it is shown as
    text: str


Parts = list[tuple[str, list[Line]]]


def compare(old: State, new: State) -> Parts:
    """Return the parts that differ, each with its lines; those of further languages say so."""
    differing = _compare_words(old, new, new.sample)
    differing += _differing([("Sample data", _sample(old), _sample(new))])
    nothing = State.empty()
    for tag in sorted({*old.languages, *new.languages}):
        sides = (old.languages.get(tag, nothing), new.languages.get(tag, nothing))
        found = _compare_words(*sides, new.sample)
        found += _differing([("Also for", sides[0].also_for, sides[1].also_for)])
        differing += [(f"{label} in {tag}", lines) for label, lines in found]
    return differing


def _compare_words(old: State, new: State, sample: dict[str, Any]) -> Parts:
    written = [
        ("Subject", old.subject, new.subject),
        ("Source", old.html, new.html),
        ("Text, written by hand", old.text, new.text),
    ]
    return [*_differing(written), *_compare_rendered(old, new, sample)]


def compare_rendered(old: State, new: State) -> Parts:
    """Return what differs in what arrives: both sides are rendered with the newer sample, so that only words differ."""
    return _compare_rendered(old, new, new.sample)


def _compare_rendered(old: State, new: State, sample: dict[str, Any]) -> Parts:
    before, after = (_rendered(side, sample) for side in (old, new))
    pairs = [
        ("Text as it arrives", before.text, after.text),
        ("Files", _files(old), _files(new)),
        ("Links", _links(before), _links(after)),
        ("Variables", "\n".join(old.variables()), "\n".join(new.variables())),
    ]
    if old.html == new.html or list(old.parts) != list(new.parts):  # another layout or block
        pairs.append(("HTML as it is sent", old.compiled, new.compiled))
    return _differing(pairs)


def _differing(pairs: Sequence[tuple[str, str, str]]) -> Parts:
    return [(label, list(_lines(a, b))) for label, a, b in pairs if a != b]


def _sample(state: State) -> str:
    return json.dumps(state.sample, indent=2, ensure_ascii=False) if state.sample else ""


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
    before, after = _split(old), _split(new)
    if _differing_pairs(before, after) > MAX_PAIRS:
        yield from (Line("del", line or " ") for line in before)
        yield from (Line("ins", line or " ") for line in after)
        return
    unified = difflib.unified_diff(before, after, lineterm="", n=3)
    for line in list(unified)[2:]:
        if re.match(r"@@ -[01]\b", line):
            continue  # nothing is left out before it
        if line.startswith("@@"):
            yield Line("span", "⋯")
        else:
            yield Line(kinds[line[0]], line[1:] or " ")


def _differing_pairs(old: list[str], new: list[str]) -> int:
    """Return how many pairs of lines there are between what both begin with and what both end with."""
    same = min(len(old), len(new))
    first = next((at for at in range(same) if old[at] != new[at]), same)
    last = next((at for at in range(same - first) if old[-1 - at] != new[-1 - at]), same - first)
    return (len(old) - first - last) * (len(new) - first - last)


def _split(source: str) -> list[str]:
    lines: list[str] = []
    for line in source.splitlines():
        lines += re.sub(r">(?=<)", ">\n", line).split("\n") if len(line) > LONG_LINE else [line]
    return lines
