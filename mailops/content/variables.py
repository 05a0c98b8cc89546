"""Finds the names and filters a template uses, so that a misspelled one is seen before the send.

In a template a contact's attributes stand at the top level: `{{ first_name }}`. The names in `BUILT_IN`
are given by mailops itself and win over an attribute of the same name.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate

from mailops.content.lines import line_at

BUILT_IN = {
    "email": "the recipient's address",
    "unsubscribe_url": "the recipient's own unsubscribe page",
    "campaign.name": "the campaign's name; empty for single messages",
    "sender.name": "the name in the From header",
    "sender.email": "the address in the From header",
}
CLOCK = frozenset({"now", "today"})  # the library's own, for {{ now | date: "%Y" }}


def merge_data(
    attributes: Mapping[str, Any],
    *,
    email: str,
    unsubscribe_url: str,
    campaign_name: str = "",
    sender_name: str = "",
    sender_email: str = "",
) -> dict[str, Any]:
    """Return what a template is rendered with: a contact's attributes under mailops's own names."""
    return {
        **attributes,
        "email": email,
        "unsubscribe_url": unsubscribe_url,
        "campaign": {"name": campaign_name},
        "sender": {"name": sender_name, "email": sender_email},
    }


def names_used(*templates: BoundTemplate | None) -> dict[str, int]:
    """Return each name that must be given from outside, dotted, with the first line that uses it."""
    names: dict[str, int] = {}
    for template in filter(None, templates):
        for uses in _analysis(template).globals.values():
            for use in uses:
                line = _line_of(template, use.span.index)
                names.setdefault(".".join(map(str, use.segments)), line)
    return names


def unknown_names(names: Iterable[str], given: Iterable[str]) -> list[str]:
    """Return those of `names` whose first part is neither built in nor among `given`."""
    known = {*given, *CLOCK, *(name.split(".")[0] for name in BUILT_IN)}
    built_in_fields = {name for name in BUILT_IN if "." in name}
    owners = {name.split(".")[0] for name in built_in_fields}
    return sorted(
        name
        for name in names
        if name.split(".")[0] not in known
        or (name.split(".")[0] in owners and "." in name and name not in built_in_fields)
    )


@lru_cache(maxsize=16)
def _analysis(template: BoundTemplate) -> Any:
    return template.analyze(include_partials=False)


def unknown_filter(template: BoundTemplate) -> tuple[str, int] | None:
    """Return the first filter that doesn't exist, with its line."""
    for name, spans in _analysis(template).filters.items():
        if name not in template.env.filters:
            return name, _line_of(template, spans[0].index)
    return None


def _line_of(template: BoundTemplate, index: int) -> int:
    if not template.nodes:
        return 1
    return line_at(template.nodes[0].token.source, max(index, 0))
