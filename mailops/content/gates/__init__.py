"""What is asked of a mail before it may be published: each gate finds problems in one rendered mail."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from mailops.content.gates import accessibility, clients, colors, links, mail
from mailops.content.gates.finding import Problem
from mailops.content.gates.page import Page

MAX_OF_ONE_RULE = 20

GATES: dict[str, str] = {
    "liquid": "Liquid and MJML",
    "files": "Files",
    "mail": "Mail",
    "links": "Links",
    "reach": "Links reachable",
    "clients": "Mail programs",
    "dark": "Dark mode",
    "accessibility": "Accessibility",
    "spam": "Spam filter",
}
ASKS: dict[str, str] = {
    "liquid": "Can the mail be made: do its Liquid and MJML read, and are its variables there?",
    "files": "Are its files there, looked at for viruses, used, and not too large?",
    "mail": "Is it a whole mail: subject, text part, way to unsubscribe, pictures with words, size?",
    "links": "Does each link lead somewhere, and where its words say?",
    "reach": "Do the pages that it links to answer?",
    "clients": "Does it work in the mail programs that your readers use?",
    "dark": "Can it be read in dark mode, logos too?",
    "accessibility": "Can it be read by people who see little or have it read to them?",
    "spam": "Do SpamAssassin and rspamd let it pass?",
}
_FINDERS: list[Callable[[Page], Iterator[Problem]]] = [
    mail.find,
    links.find,
    clients.find,
    colors.find,
    accessibility.find,
]


def problems_of(page: Page) -> list[Problem]:
    """Return what all gates find in `page`; of what is found again and again, the first ones and how many there are."""
    return list(first_of([problem for find in _FINDERS for problem in find(page)]))


def first_of(problems: list[Problem]) -> Iterator[Problem]:
    """Yield the first problems of each rule, the last of them with how many more there are."""
    counts = Counter(problem.rule for problem in problems)
    told: Counter[str] = Counter()
    for problem in problems:
        told[problem.rule] += 1
        left = counts[problem.rule] - MAX_OF_ONE_RULE
        if told[problem.rule] < MAX_OF_ONE_RULE or left <= 0:
            yield problem
        elif told[problem.rule] == MAX_OF_ONE_RULE:
            sentence = f"{problem.sentence} This is found {left:,} times more."
            yield replace(problem, sentence=sentence)
