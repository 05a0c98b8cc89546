"""The gates that ask others: spam filters, and the pages that a mail links to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailops.content.checking import Look
from mailops.content.gates.finding import Problem
from mailops.content.gates.spam import ask_filters
from mailops.content.link_answers import Shown, findings, links_of
from mailops.content.models import MailTemplate


@dataclass(frozen=True)
class Outside:
    """What others say of a draft."""

    problems: list[Problem]
    links: list[Shown]


def ask_outside(
    template: MailTemplate, look: Look, others: Mapping[str, Look], *, is_final: bool = False
) -> Outside:
    """Return what the slow gates find in a draft; where this `is_final`, also what could not be found out."""
    links = links_of(template, [look, *others.values()])
    if not template.is_mail:
        return Outside([], links)
    problems = findings(links, template.draft_html, is_final=is_final)
    return Outside([*_spam({"": look, **others}), *problems], links)


def _spam(looks: Mapping[str, Look]) -> Iterator[Problem]:
    """Ask the filters about the words in each language; where one is away, it isn't asked for each of them."""
    for language, look in looks.items():
        found = ask_filters(look.rendered, language=language) if look.rendered else []
        yield from found
        if any(problem.rule == "spam.unasked" for problem in found):
            return
