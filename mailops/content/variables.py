"""Finds the names and filters a template uses, so that a misspelled one is seen before the send.

In a template a contact's attributes stand at the top level: `{{ first_name }}`. The names in `BUILT_IN`
are given by mailops itself and win over an attribute of the same name.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.logical import LogicalOrExpression
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


def names_without_fallback(*templates: BoundTemplate | None) -> set[frozenset[str]]:
    """Return for each place that may stay empty the first parts of its names: it does where none of them is given.

    A place has a fallback by `default`, or by a block around it that asks for the name.
    """
    return {names for template in filter(None, templates) for names in _bare_in(template)}


def _bare_in(template: BoundTemplate) -> Iterator[frozenset[str]]:
    given_outside = {
        use.span.index for uses in _analysis(template).globals.values() for use in uses
    }
    context = RenderContext(template)

    def visit(node: Node, asked: frozenset[frozenset[str]]) -> Iterator[frozenset[str]]:
        children = list(node.children(context, include_partials=False))
        if not children:
            for place in (place for each in node.expressions() for place in _places(each)):
                names = frozenset(map(_first, place))
                is_open = all(path.token.start_index in given_outside for path in place)
                if is_open and not any(some <= names for some in asked):
                    yield names
        inside = asked.union(names for each in node.expressions() for names in _asked(each))
        for child in children:
            yield from visit(child, inside)

    for node in template.nodes:
        yield from visit(node, frozenset())


def _places(expression: Expression) -> Iterator[tuple[Path, ...]]:
    """Yield the names in `expression`, each with those that stand in for it by `default`; none where a word does."""
    if isinstance(expression, Path):
        yield (expression,)
    inner = list(expression.children())
    if isinstance(expression, FilteredExpression):
        filters = expression.filters or []
        defaults = [
            one for each in filters if each.name == "default" for one in each.children()[:1]
        ]
        links = [expression.left, *defaults]
        names = tuple(one for one in links if isinstance(one, Path))
        if len(names) == len(links):
            yield names
        inner = [one for each in filters if each.name != "default" for one in each.children()]
        inner += [one for each in links for one in each.children()]
    for each in inner:
        yield from _places(each)


def _asked(condition: Expression) -> Iterator[frozenset[str]]:
    """Yield sets of names, of each of which one at least must be given for `condition` to hold."""
    if isinstance(condition, Path):
        yield frozenset({_first(condition)})
    sides = [list(_asked(each)) for each in condition.children()]
    if not isinstance(condition, LogicalOrExpression):
        yield from chain.from_iterable(sides)
    elif all(sides):
        yield frozenset().union(*chain.from_iterable(sides))


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
