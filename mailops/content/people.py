"""What real people look like in a template. Audiences lie above the templates, so they register themselves here."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mailops.content.checking import Sources
from mailops.content.gates.finding import Problem, found
from mailops.content.lines import line_at
from mailops.content.masking import LIQUID
from mailops.content.variables import BUILT_IN


@dataclass(frozen=True)
class Person:
    address: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Lack:
    """An attribute that some members of an audience have and others don't."""

    audience: str
    members: int
    without: int


class People(Protocol):
    def attributes(self) -> list[str]:
        """Return the names that contacts have, the commonest first."""

    def person(self, address: str) -> Person | None:
        """Return the contact of `address`."""

    def emptiest(self, names: Iterable[str]) -> Person | None:
        """Return a contact who has the fewest of `names`."""

    def lacks(self, names: Iterable[str]) -> dict[str, Lack]:
        """Return for each of `names` the audience that lacks it most, where some have it and others don't."""


_sources: list[People] = []
_NAME = re.compile(r"\{\{-?\s*+(\w++)[\w.]*+\s*+(\|[^}]*)?-?\}\}")
_WORD = re.compile(r"\w+")
_ASKED = re.compile(r"\{%-?\s*(?:if|elsif|unless|case|for)\b[^%]*?%\}")


def register_people(source: People) -> None:
    _sources[:] = [source]


def the_people() -> People | None:
    return _sources[0] if _sources else None


def lacking(sources: Sources) -> Iterator[Problem]:
    """Yield a problem for each value that would be missing in some mails, where the author gives no fallback."""
    people = the_people()
    bare = dict(bare_names(sources))
    if people is None or not bare:
        return
    for name, lack in people.lacks(bare).items():
        part, line = bare[name]
        sentence = (
            f"“{name}” has no fallback and is missing for {lack.without:,} of {lack.members:,} "
            f"contacts of “{lack.audience}”."
        )
        fix = f"Give a fallback: {{{{ {name} | default: '…' }}}}."
        yield found("liquid.no_fallback", sentence, part=part, line=line, fix=fix)


def bare_names(sources: Sources) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield the names that are written without a default and never asked for before, each with part and line."""
    given = {name.split(".")[0] for name in BUILT_IN}
    for part in ("text", "html", "subject"):
        source = getattr(sources, part)
        asked = {word for match in _ASKED.finditer(source) for word in _WORD.findall(match[0])}
        for tag in LIQUID.finditer(source):
            match = _NAME.fullmatch(tag[0])
            if not match or "default" in (match[2] or "") or match[1] in given:
                continue
            if match[1] not in asked:
                yield match[1], (part, line_at(source, tag.start()))
