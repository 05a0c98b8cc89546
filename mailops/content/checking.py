"""Looks a draft over before it is sent: what stops it, and what a person should know."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mailops.content.rendering import (
    PART_LABELS,
    Compiled,
    Rendered,
    RenderError,
    compile_sources,
    parse,
)
from mailops.content.variables import merge_data, names_used, unknown_names

GMAIL_CUTS_AT = 102 * 1024  # octets of HTML; what follows is hidden behind a link
SAMPLE_EMAIL = "ada@example.com"
SAMPLE_UNSUBSCRIBE_URL = "https://example.com/unsubscribe/sample"


@dataclass(frozen=True)
class Problem:
    sentence: str
    is_error: bool = False  # an error blocks publishing
    part: str = ""
    line: int | None = None

    @property
    def place(self) -> str:
        label = PART_LABELS.get(self.part, "")
        return f"{label}, line {self.line}" if label and self.line else label


@dataclass(frozen=True)
class Look:
    """A draft as it would arrive, and what is wrong with it."""

    problems: list[Problem]
    variables: list[str]
    rendered: Rendered | None  # None where an error stops it

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.is_error]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.is_error]

    @property
    def html_size(self) -> int:
        return len(self.rendered.html.encode()) if self.rendered else 0

    @property
    def gmail_share(self) -> int:
        """How much of what Gmail shows is used, in percent."""
        return round(100 * self.html_size / GMAIL_CUTS_AT)


def sample_data(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a draft is previewed with: its sample under stand-ins for mailops's own names."""
    return merge_data(
        sample,
        email=str(sample.get("email") or SAMPLE_EMAIL),
        unsubscribe_url=SAMPLE_UNSUBSCRIBE_URL,
        campaign_name="A campaign",
        sender_name="Ada",
        sender_email="news@example.com",
    )


def look_over(*, subject: str, html: str, text: str, sample: Mapping[str, Any]) -> Look:
    """Compile and render a draft with its sample; every problem of every part is found at once."""
    problems = _syntax_errors(subject=subject, html=html, text=text)
    if problems:
        return Look(problems, [], None)
    try:
        compiled = compile_sources(subject=subject, html=html, text=text)
        rendered = compiled.render(sample_data(sample))
    except RenderError as error:
        return Look([_problem(error)], [], None)
    names = names_used(compiled.subject, compiled.html, compiled.text)
    problems = [*_unknown(compiled, sample), *_doubts(rendered, html, names)]
    return Look(problems, sorted(names), rendered)


def _problem(error: RenderError) -> Problem:
    return Problem(error.sentence, is_error=True, part=error.part, line=error.line)


def _syntax_errors(**sources: str) -> list[Problem]:
    problems = []
    for part, source in sources.items():
        try:
            parse(source, part)
        except RenderError as error:
            problems.append(_problem(error))
    if not (sources["html"].strip() or sources["text"].strip()):
        problems.append(Problem("There is nothing to send yet: write HTML or text.", is_error=True))
    return problems


def _unknown(compiled: Compiled, sample: Mapping[str, Any]) -> list[Problem]:
    problems = []
    parts = {"subject": compiled.subject, "html": compiled.html, "text": compiled.text}
    if compiled.is_text_derived:
        del parts["text"]
    for part, template in parts.items():
        lines = names_used(template)
        problems += [
            Problem(
                f"“{name}” is neither in the sample nor known to mailops; it would come out empty.",
                part=part,
                line=lines[name],
            )
            for name in unknown_names(lines, sample)
        ]
    return problems


def _doubts(rendered: Rendered, html: str, names: Mapping[str, int]) -> list[Problem]:
    doubts = []
    if not rendered.subject:
        doubts.append(Problem("The subject is empty.", part="subject"))
    if "unsubscribe_url" not in names:
        doubts.append(
            Problem("There is no link to {{ unsubscribe_url }}; mail to many people needs one.")
        )
    in_html = Problem("", part="html")
    if (size := len(rendered.html.encode())) > GMAIL_CUTS_AT:
        sentence = f"The HTML has {size // 1024} KB; Gmail hides what comes after 102 KB."
        doubts.append(replace(in_html, sentence=sentence))
    for pattern, sentence in _MARKUP_DOUBTS:
        if match := pattern.search(html):
            line = html.count("\n", 0, match.start()) + 1
            doubts.append(replace(in_html, sentence=sentence, line=line))
    return doubts


_MARKUP_DOUBTS = (
    (re.compile(r"<script\b", re.IGNORECASE), "Mail programs remove scripts."),
    (re.compile(r"<(?:form|iframe|video|audio)\b", re.IGNORECASE), "Most mail programs don't show forms, frames, video or sound."),
    (re.compile(r"<img\b(?![^>]*\balt\s*=)[^>]*>", re.IGNORECASE), "This image has no alt text for readers who don't see it."),
    (re.compile(r"<link\b[^>]*stylesheet", re.IGNORECASE), "Mail programs don't load stylesheets; write the styles inline."),
)  # fmt: skip
