"""Looks a draft over before it is sent: what stops it, and what a person should know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mailops.content.closing import left_open
from mailops.content.composing import CONTENT, Composed, Uncomposable, compose, without_blocks
from mailops.content.files import File
from mailops.content.gates import first_of, problems_of
from mailops.content.gates.files import missing_files
from mailops.content.gates.finding import Problem, found, in_reading_order
from mailops.content.gates.mail import GMAIL_CUTS_AT, preheader_of
from mailops.content.gates.page import Page
from mailops.content.mjml import Mistake
from mailops.content.models import MailTemplate, Syntax, TemplateVersion
from mailops.content.remedies import remedy_of
from mailops.content.rendering import (
    Rendered,
    RenderError,
    compile_sources,
    faults_of,
    parse,
)
from mailops.content.variables import merge_data, names_used, unknown_names

SAMPLE_EMAIL = "ada@example.com"
SAMPLE_UNSUBSCRIBE_URL = "https://example.com/unsubscribe/sample"
_PLACEHOLDER = {
    Syntax.HTML: "<p>The mail's own words.</p>",
    Syntax.MJML: "<mj-section><mj-column><mj-text>The mail's own words.</mj-text></mj-column></mj-section>",
}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a draft or a version is made from, in one language."""

    subject: str = ""
    html: str = ""
    text: str = ""
    syntax: str = Syntax.HTML
    kind: str = MailTemplate.Kind.MAIL
    layout: MailTemplate | None = None
    files: Sequence[File] = ()

    @property
    def is_mail(self) -> bool:
        return self.kind == MailTemplate.Kind.MAIL

    @property
    def standing_alone(self) -> str:
        """The HTML source as something that can be compiled: a layout needs a content, a block a page."""
        if self.kind == MailTemplate.Kind.LAYOUT:
            return CONTENT.sub(lambda _: _PLACEHOLDER[Syntax(self.syntax)], self.html, count=1)
        if self.kind == MailTemplate.Kind.BLOCK and self.syntax == Syntax.MJML:
            return _around_block(self.html)
        return self.html


def _around_block(html: str) -> str:
    head = html.lstrip()[:40]
    if not head.startswith("<mj-"):
        html = f"<mj-text>{html}</mj-text>"
    if not head.startswith(("<mj-section", "<mj-wrapper", "<mj-hero")):
        inside = html if head.startswith("<mj-column") else f"<mj-column>{html}</mj-column>"
        html = f"<mj-section>{inside}</mj-section>"
    return f"<mjml><mj-body>{html}</mj-body></mjml>"


@dataclass(frozen=True)
class Look:
    """A draft as it would arrive, and what is wrong with it."""

    problems: list[Problem]
    variables: list[str]
    rendered: Rendered | None  # None where an error stops it
    compiled: str = ""  # the HTML that is rendered, Liquid left
    parts: list[list[int]] = field(default_factory=list)  # the versions of layout and blocks
    preheader: str = ""
    files: list[File] = field(default_factory=list)  # what goes with it
    shown: set[str] = field(default_factory=set)  # its own files that the source shows

    def in_language(self, language: str) -> "Look":
        """Return it with whose words its problems are about."""
        return replace(self, problems=[replace(one, language=language) for one in self.problems])

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.is_error]

    @property
    def warnings(self) -> list[Problem]:
        return [p for p in self.problems if not (p.is_error or p.is_note)]

    @property
    def notes(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.is_note]

    @property
    def html_size(self) -> int:
        return len(self.rendered.html.encode()) if self.rendered else 0

    @property
    def gmail_shows(self) -> int:
        """How much Gmail shows, in KB."""
        return GMAIL_CUTS_AT // 1024

    @property
    def gmail_share(self) -> int:
        """How much of what Gmail shows is used, in percent."""
        return round(100 * self.html_size / GMAIL_CUTS_AT)


def parts_of(*looks: Look) -> list[list[int]]:
    """Return the versions of layouts and blocks that the words of all languages are made with."""
    return [list(part) for part in sorted({tuple(part) for look in looks for part in look.parts})]


def sample_data(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a draft is previewed with: its sample under stand-ins for mailops's own names."""
    return merge_data(
        sample,
        email=str(sample.get("email") or SAMPLE_EMAIL),
        unsubscribe_url=SAMPLE_UNSUBSCRIBE_URL,
        campaign_name="A campaign",
        sender_name="Example News",
        sender_email="news@example.com",
    )


def look_over(
    *,
    sample: Mapping[str, Any],
    filled_with: Mapping[str, Any] | None = None,
    replaced: TemplateVersion | None = None,
    **sources: Any,
) -> Look:
    """Compile and render a draft (the fields of `Sources`); every problem of every part is found at once.

    It is rendered with its sample, or with what `filled_with` holds, a contact's attributes.
    """
    draft = Sources(**sources)
    problems = _syntax_errors(draft)
    if problems:
        return Look(problems, [], None)
    try:
        composed = compose(
            draft.standing_alone,
            syntax=draft.syntax,
            layout=draft.layout,
            replaced=replaced,
            files=draft.files,
        )
    except Uncomposable as error:
        mistakes = [_of_mistake(mistake) for mistake in error.mistakes]
        return Look(list(first_of(mistakes)), [], None)
    try:
        compiled = compile_sources(subject=draft.subject, html=composed.html, text=draft.text)
        rendered = compiled.render(sample_data(sample if filled_with is None else filled_with))
    except RenderError as error:
        return Look([_problem(error)], [], None, composed.html, composed.parts)
    if opened := left_open(rendered.html):
        sentence = f"Rendered, “{opened[0]}” is opened and not closed."
        problem = Problem(sentence, is_error=True, part="html")
        return Look([problem], [], None, composed.html, composed.parts)
    names = names_used(compiled.subject, compiled.html, compiled.text)
    return Look(
        _problems(draft, composed, rendered, names, sample),
        sorted(names),
        rendered,
        composed.html,
        composed.parts,
        preheader_of(rendered),
        composed.files,
        composed.shown,
    )


def _problems(
    draft: Sources,
    composed: Composed,
    rendered: Rendered,
    names: Mapping[str, int],
    sample: Mapping[str, Any],
) -> list[Problem]:
    """Return what is wrong with a draft that can be rendered, the worst first."""
    page = Page(
        rendered=rendered,
        source=composed.source,
        compiled=composed.html,
        names=names,
        is_mjml=draft.syntax == Syntax.MJML,
        is_whole=draft.is_mail,
        unsubscribe_url=SAMPLE_UNSUBSCRIBE_URL,
    )
    problems = [*_unknown(draft, composed, sample), *map(_of_mistake, composed.doubts)]
    problems = [*first_of([*problems, *missing_files(composed.missing)]), *problems_of(page)]
    return in_reading_order(problems)


def _problem(error: RenderError) -> Problem:
    fix = remedy_of(error.sentence)
    return Problem(error.sentence, is_error=True, part=error.part, line=error.line, fix=fix)


def _of_mistake(mistake: Mistake) -> Problem:
    fix = remedy_of(mistake.sentence)
    return found(
        mistake.rule, mistake.sentence, line=mistake.line, is_error=mistake.is_error, fix=fix
    )


def _syntax_errors(draft: Sources) -> list[Problem]:
    problems: list[Problem] = []
    own = {"subject": draft.subject, "html": without_blocks(draft.html), "text": draft.text}
    for part, source in own.items():
        problems += map(_problem, faults_of(source, part))
    if not (draft.html.strip() or draft.text.strip()):
        problems.append(Problem("There is nothing to send yet: write HTML or text.", is_error=True))
    if draft.kind == MailTemplate.Kind.LAYOUT and not CONTENT.search(draft.html):
        sentence = "A layout needs {{ content }}, once, where each mail's own words go."
        problems.append(Problem(sentence, is_error=True, part="html"))
    return problems


def _unknown(draft: Sources, composed: Composed, sample: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each name that is not known, at its line in the author's own source where it has one."""
    own = _own_names(draft)
    compiled = parse(composed.html, "html") if composed.html else None
    problems = []
    for part, lines in own.items():
        problems += [
            _unknown_name(name, part, lines[name]) for name in unknown_names(lines, sample)
        ]
    told = {name for lines in own.values() for name in lines}
    inherited = set(unknown_names(names_used(compiled), sample)) - told - {"content"}
    return problems + [_unknown_name(name, "html", None) for name in sorted(inherited)]


def _unknown_name(name: str, part: str, line: int | None) -> Problem:
    sentence = f"“{name}” is neither in the sample nor known to mailops."
    return found("liquid.unknown_name", sentence, part=part, line=line)


def _own_names(draft: Sources) -> dict[str, dict[str, int]]:
    """Return the names that each part of the author's own source uses, with their lines."""
    parts = {"subject": draft.subject, "html": without_blocks(draft.html), "text": draft.text}
    names = {part: names_used(parse(source, part)) for part, source in parts.items() if source}
    if draft.kind == MailTemplate.Kind.LAYOUT:
        names.get("html", {}).pop("content", None)
    return names
