"""What is asked of a mail before it may be published: each gate finds problems in one rendered mail."""

from collections.abc import Callable, Iterator

from mailops.content.gates import accessibility, clients, colors, links, mail
from mailops.content.gates.finding import Problem
from mailops.content.gates.page import Page

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
_FINDERS: list[Callable[[Page], Iterator[Problem]]] = [
    mail.find,
    links.find,
    clients.find,
    colors.find,
    accessibility.find,
]


def problems_of(page: Page) -> list[Problem]:
    """Return what all gates find in `page`, errors first, then by line."""
    return [problem for find in _FINDERS for problem in find(page)]
