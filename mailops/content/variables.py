"""Finds the names and filters a template uses, so that a misspelled one is seen before the send.

In a template a contact's attributes stand at the top level: `{{ first_name }}`. The names in `BUILT_IN`
are given by mailops itself and win over an attribute of the same name.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.expression import Expression

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


def names_without_fallback(*templates: BoundTemplate | None) -> set[str]:
    """Return the first parts of those names that leave a place empty where they are not given.

    A place has a fallback by `default`, or by a block around it that asks for the name.
    """
    return {name for template in filter(None, templates) for name in _bare_in(template)}


def _bare_in(template: BoundTemplate) -> Iterator[str]:
    given_outside = {
        use.span.index for uses in _analysis(template).globals.values() for use in uses
    }
    context = RenderContext(template)

    def visit(node: Node, asked: frozenset[str]) -> Iterator[Path]:
        paths = [path for each in node.expressions() for path in _bare_paths(each)]
        children = list(node.children(context, include_partials=False))
        if not children:
            yield from (path for path in paths if _first(path) not in asked)
        for child in children:
            yield from visit(child, asked | {_first(path) for path in paths})

    for node in template.nodes:
        for path in visit(node, frozenset()):
            if path.token.start_index in given_outside:
                yield _first(path)


def _bare_paths(expression: Expression) -> Iterator[Path]:
    """Yield the names in `expression` but the one that a `default` follows."""
    if isinstance(expression, Path):
        yield expression
    filters = getattr(expression, "filters", None) or ()
    has_default = isinstance(expression, FilteredExpression) and any(
        each.name == "default" for each in filters
    )
    children = list(expression.children())
    for child in children[1:] if has_default else children:
        yield from _bare_paths(child)


def _first(path: Path) -> str:
    return str(path.path[0])


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
