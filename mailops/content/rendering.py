"""Compiles the three sources of a mail and renders them for one recipient."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any

from liquid import BoundTemplate, Environment
from liquid.exceptions import (
    BlockNestingError,
    LiquidError,
    LiquidSyntaxError,
    OutputStreamLimitError,
    ResourceLimitError,
)

from mailops.content import limits
from mailops.content.languages import chain
from mailops.content.lines import line_at
from mailops.content.link_marks import Marks, mark_links
from mailops.content.models import TemplateVersion
from mailops.content.plain_text import derive_text, tidy_text
from mailops.content.variables import names_without_fallback, unknown_filter

MAX_SUBJECT = 500
MAX_TAG = 8_000  # characters between {% and %}; with long gaps refused too, keeps the lexer's backtracking short
CACHED_VERSIONS = 64
MAX_VALUES, MAX_FAULTS = 200, 20  # looked at one by one in a source that has a fault; told of it

# What filters and tags let through on values they weren't made for.
FAULTS = (
    LiquidError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
)


class RenderError(Exception):
    """A part that can't be compiled or rendered: one sentence, and the line of its source where known."""

    def __init__(self, sentence: str, line: int | None = None, part: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.line = line
        self.part = part  # "subject", "html" or "text"

    def __str__(self) -> str:
        place = " ".join(
            filter(None, [PART_LABELS.get(self.part, ""), f"line {self.line}" if self.line else ""])
        )
        return f"{place}: {self.sentence}" if place else self.sentence


PART_LABELS = {"subject": "Subject", "html": "HTML", "text": "Text", "sample": "Sample data"}


@dataclass(frozen=True)
class Rendered:
    subject: str
    html: str
    text: str
    marks: Marks | None = None  # of the links in `html`, where it was asked for them


@dataclass(frozen=True)
class Compiled:
    subject: BoundTemplate
    html: BoundTemplate | None  # None: a mail of text alone
    text: BoundTemplate | None  # None: derived from each rendered HTML
    is_text_derived: bool
    languages: Mapping[str, "Compiled"] = field(default_factory=dict)  # the words in others
    marks: Marks | None = None  # of the links in `html`

    @property
    def wanting(self) -> set[frozenset[str]]:
        """The names that leave a place empty in one of the languages where a contact lacks all of a set."""
        return names_without_fallback(self.subject, self.html, self.text).union(
            *(each.wanting for each in self.languages.values())
        )

    def render(self, data: Mapping[str, Any]) -> Rendered:
        """Render all parts for `data` (see `mailops.content.variables`); raises `RenderError`."""
        if self.languages:
            for tag in chain(data):
                if tag in self.languages:
                    return self.languages[tag].render(data)
        subject = _single_line(_run(self.subject, data, "subject"))
        html = _run(self.html, data, "html") if self.html else ""
        if self.text:
            text = _run(self.text, data, "text")
        else:
            text = derive_text(self.marks.strip(html) if self.marks else html)
        text = tidy_text(text) if self.is_text_derived else text
        return Rendered(subject, html, text, self.marks)


def compile_version(version: TemplateVersion) -> Compiled:
    """Return the compiled form of `version`, kept in this process; raises `RenderError`."""
    if version.variants:
        return _compile_all(_Key(version))
    return _compile(version.pk, version.content_hash, version.subject, version.html, version.text)


class _Key:
    """Stands for a version in the cache; its words are not compared."""

    def __init__(self, version: TemplateVersion) -> None:
        self.version = version
        self.parts = (version.pk, version.content_hash)

    def __hash__(self) -> int:
        return hash(self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.parts == other.parts


@lru_cache(maxsize=CACHED_VERSIONS)
def _compile_all(key: _Key) -> Compiled:
    version = key.version
    own = compile_sources(subject=version.subject, html=version.html, text=version.text)
    compiled = {
        tag: compile_sources(subject=each["subject"], html=each["html"], text=each["text"])
        for tag, each in version.written_variants.items()
    }
    aliases = {
        tag: compiled[each["same_as"]]
        for tag, each in version.variants.items()
        if "same_as" in each
    }
    return replace(own, languages={**aliases, **compiled})


def compile_marked(version: TemplateVersion) -> Compiled:
    """Return the compiled form of `version` with its links marked; where that is too much of it, without marks."""
    return _compile_marked(_Key(version))


@lru_cache(maxsize=CACHED_VERSIONS)
def _compile_marked(key: _Key) -> Compiled:
    version, own = key.version, compile_version(key.version)
    sources = {tag: version.variants[_wordy(version, tag)]["html"] for tag in own.languages}
    languages = {tag: _marked(each, sources[tag]) for tag, each in own.languages.items()}
    return replace(_marked(own, version.html), languages=languages)


def links_of(version: TemplateVersion) -> list[str]:
    """Return the links of `version` that can be followed through us, as its template writes them in any language."""
    compiled = compile_marked(version)
    every = [compiled, *compiled.languages.values()]
    return [link.written for one in every if one.marks for link in one.marks.links]


def _wordy(version: TemplateVersion, tag: str) -> str:
    """Return the language whose words `tag` has: its own, or those it is the same as."""
    return str(version.variants[tag].get("same_as", tag))


def _marked(compiled: Compiled, html: str) -> Compiled:
    if compiled.html is None:
        return compiled
    marks = mark_links(html)
    try:
        return replace(compiled, html=parse(marks.source, "html"), marks=marks)
    except RenderError:
        return compiled


@lru_cache(maxsize=CACHED_VERSIONS)
def _compile(
    _version_id: int | None, _content_hash: str, subject: str, html: str, text: str
) -> Compiled:
    return compile_sources(subject=subject, html=html, text=text)


def compile_sources(*, subject: str, html: str, text: str) -> Compiled:
    """Compile sources that need not be published; without `text` it is derived from `html`."""
    return Compiled(
        subject=parse(subject, "subject"),
        html=parse(html, "html") if html.strip() else None,
        text=parse(text, "text") if text.strip() else _derived(html),
        is_text_derived=not text.strip(),
    )


def _derived(html: str) -> BoundTemplate | None:
    """Return the derived text's template, or None where tags straddle HTML elements so that it doesn't parse."""
    try:
        return parse(derive_text(html), "text")
    except RenderError:
        return None


@lru_cache(maxsize=16)  # a preview asks several times for each of its parts
def parse(source: str, part: str) -> BoundTemplate:
    """Parse one part's source; raises `RenderError` with the line."""
    if len(source) > limits.MAX_SOURCE:
        raise RenderError(f"The source is longer than {limits.MAX_SOURCE // 1024} KB.", None, part)
    _check_closed(source, part)
    environment = limits.HTML if part == "html" else limits.PLAIN
    try:
        template = environment.from_string(source)
        unknown = unknown_filter(template)
    except FAULTS as error:
        raise _unclosed(environment, source, part) or _explained(error, source, part) from error
    if unknown:
        raise RenderError(f"There is no filter “{unknown[0]}”.", unknown[1], part)
    return template


_VALUE = re.compile(
    r"\{\{[^{}]{0,500}\}\}"
)  # looks no further than that for an end, which may be missing


def faults_of(source: str, part: str) -> list[RenderError]:
    """Return why `source` doesn't compile: the parser's first fault, then those of values that stand alone."""
    try:
        parse(source, part)
    except RenderError as error:
        first = error
    else:
        return []
    faults = {(first.sentence, first.line): first}
    for tag in islice(_VALUE.finditer(source), MAX_VALUES):
        try:
            parse(tag[0], part)
        except RenderError as error:
            line = line_at(source, tag.start()) + (error.line or 1) - 1
            faults.setdefault((error.sentence, line), RenderError(error.sentence, line, part))
    return list(faults.values())[:MAX_FAULTS]


def _unclosed(environment: Environment, source: str, part: str) -> RenderError | None:
    """Return an error at a block tag that has no end; the parser only notices at the end of the file."""
    try:
        unclosed = environment.analyze_tags_from_string(source).unclosed_tags
    except FAULTS:
        return None
    for name, spans in unclosed.items():
        sentence = f"“{name}” is opened here and has no “end{name}”."
        return RenderError(sentence, line_at(source, spans[0].index), part)
    return None


_OPENING = re.compile(r"\{\{|\{%(?:-?\s{0,100}(raw|doc)\s{0,100}-?%\})?")
_CLOSING = {
    name: re.compile(rf"\{{%-?\s{{0,100}}end{name}\s{{0,100}}-?%\}}") for name in ("raw", "doc")
}
_LONG_SPACE = re.compile(r"\s{200}")


def _check_closed(source: str, part: str) -> None:
    """Refuse what is never closed before the library's lexer sees it: it searches such a source in quadratic time."""
    at = 0
    while opening := _OPENING.search(source, at):
        if name := opening[1]:
            closing = _CLOSING[name].search(source, opening.end())
            end = closing.end() if closing else -1
        else:
            closer = "}}" if opening[0] == "{{" else "%}"
            name = opening[0]
            end = source.find(closer, opening.end())
            if end - opening.end() > MAX_TAG or _LONG_SPACE.search(source, opening.end(), end):
                sentence = (
                    f"“{name}” is closed more than {MAX_TAG:,} characters on, or after a long gap."
                )
                raise RenderError(sentence, line_at(source, opening.start()), part)
        if end < 0:
            raise RenderError(
                f"“{name}” is opened here and not closed.", line_at(source, opening.start()), part
            )
        at = end


def _run(template: BoundTemplate, data: Mapping[str, Any], part: str) -> str:
    try:
        return template.render(data).replace("\0", "")
    except FAULTS as error:
        raise _explained(error, "", part) from error


# Controls, line ends, halves, and what turns other words around; joiners stay, letters and emoji are made with them.
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff]"
)


def _single_line(subject: str) -> str:
    """Make a rendered subject one line without control characters, so that no data can add a header."""
    if not subject.isprintable():
        subject = _UNFIT.sub(" ", subject)
    line = " ".join(subject.split())
    if len(line) > MAX_SUBJECT:
        raise RenderError(f"The subject is longer than {MAX_SUBJECT} characters.", 1, "subject")
    return line


def _explained(error: Exception, source: str, part: str) -> RenderError:
    """Return the `RenderError` that tells a person what `error` is about."""
    token = getattr(error, "token", None)
    line = None
    if token is not None and token.start_index >= 0:
        line = line_at(source or token.source, token.start_index)
    return RenderError(_sentence(error), line, part)


def _sentence(error: Exception) -> str:
    message = str(error.message if isinstance(error, LiquidError) else error).strip()
    if isinstance(error, BlockNestingError):
        return "Tags are nested more than 30 deep."
    if isinstance(error, OutputStreamLimitError):
        return f"The mail gets larger than {limits.MAX_OUTPUT // 1024**2} MB."
    if isinstance(error, ResourceLimitError):
        return f"The template does not end or makes values without bound ({message})."
    if isinstance(error, RecursionError):
        return "The template is nested too deeply."
    if isinstance(error, LiquidSyntaxError):
        return f"{message[:1].upper()}{message[1:200]}."
    return f"Rendering failed: {message[:200]}."
