"""The quick way through a template: texts, values, conditions and loops as functions of the data.

What is out of the ordinary is the library's: a tag or an expression within a template, or a whole mail whose data or
size is. So the quick way needs few bounds of its own, and no words for what goes wrong.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from liquid import BoundTemplate, RenderContext, escape
from liquid.ast import BlockNode, ConditionalBlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import BooleanExpression, FilteredExpression, LoopExpression, Path
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression
from liquid.stringify import to_liquid_string

from mailops.content.hardening import GUARDS

MAX_NODES = 5_000
MAX_WORK = 500_000  # characters of source run through in loops
MAX_CHARACTERS = 256 * 1024  # of what is written; as many as may be where each takes four octets
# characters of a value in an address: a guard reads all of them, and may leave none
MAX_GUARDED = 500
MAX_NUMBER = 10**18  # that a guard takes

# names that the library knows more of: in a path, and at its beginning
_MEANING_MORE = frozenset({"size", "first", "last"})
_OWN = frozenset({"now", "today", "partial"})
_PLAIN = (ContentNode, OutputNode)
# what a loop's block may be made of
_SIMPLE = (*_PLAIN, IfNode, UnlessNode, BlockNode, ConditionalBlockNode)
_SPECIAL = re.compile("[&<>'\"]")  # what is escaped for HTML

Data = Mapping[str, Any]
# Each is given the data, what the loop around it has in hand, and the library's context where the template needs one.
Read = Callable[[Data, Any], Any]
Test = Callable[[Data, Any, Any], bool]
Say = Callable[[Data, Any, Any], str]
Step = Callable[["Pieces", Data, Any, Any], None]


class Unusual(Exception):
    """What only the library knows how to render."""


class Pieces(list[str]):
    """What was written so far, and how much more may be, and may be worked through."""

    __slots__ = ("room", "work")

    def __init__(self) -> None:
        super().__init__()
        self.room, self.work = MAX_CHARACTERS, MAX_WORK

    def add(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            raise Unusual
        self.append(text)

    def spend(self, work: int) -> None:
        self.work -= work
        if self.work < 0:
            raise Unusual


class Quick:
    """A template's quick way, made once."""

    def __init__(self, template: BoundTemplate) -> None:
        self._template = template
        way = _Way(template)
        self._steps = way.steps(template.nodes) if way.is_short else [_give_up]
        self._needs_context = way.needs_context

    def render(self, data: Data) -> str:
        """Return what the library would write; raise anything where the library is to render it, or to say what is wrong."""
        context = self._make_context(data) if self._needs_context else None
        pieces = Pieces()
        _run(self._steps, pieces, data, None, context)
        return "".join(pieces)

    def _make_context(self, data: Data) -> RenderContext:
        context = self._template.context_class(self._template, globals=data)
        context.most = MAX_WORK  # type: ignore[attr-defined]  # beyond it the library counts all, from the beginning
        context.scope.push(self._template.make_partial_namespace(partial=False, render_args={}))
        return context


def _give_up(*_: Any) -> None:
    raise Unusual


def _run(steps: Iterable[Step], pieces: Pieces, data: Data, item: Any, context: Any) -> None:
    for step in steps:
        step(pieces, data, item, context)


class _Way:
    """Turns a template's nodes into steps."""

    def __init__(self, template: BoundTemplate) -> None:
        self._static_context = RenderContext(template)
        self._autoescape = template.env.autoescape
        nodes = list(self._below(template.nodes))
        self.is_short = len(nodes) <= MAX_NODES
        self._unknown = _OWN.union(str(name) for node in nodes for name in node.template_scope())
        # “offset: continue” asks where a loop before it ended
        self._goes_on_from_loops = any(
            isinstance(each, LoopExpression) and each.offset
            for node in nodes
            for each in node.expressions()
        )
        self.needs_context = False

    def steps(self, nodes: Iterable[Node], item: str | None = None) -> list[Step]:
        """Return what writes `nodes`, in a loop over `item`."""
        steps: list[Step] = []
        for is_plain, alike in groupby(nodes, key=lambda node: isinstance(node, _PLAIN)):
            run = list(alike)
            steps += (
                [self._passage(run, item)] if is_plain else [self._tag(node, item) for node in run]
            )
        return steps

    def _block(self, block: BlockNode | None, item: str | None = None) -> list[Step]:
        if block is None:
            return []
        # of one without any words the library writes nothing, not its spaces either
        return [self._by_library(block)] if block.blank else self.steps(block.nodes, item)

    def _tag(self, node: Node, item: str | None) -> Step:
        if isinstance(node, IfNode | UnlessNode) and not node.blank:
            return self._choice(node, item)
        if isinstance(node, ForNode) and item is None and self._is_simple(node):
            return self._loop(node)
        return self._by_library(node)

    def _by_library(self, node: Node) -> Step:
        self.needs_context = True

        def write(pieces: Pieces, _data: Data, _item: Any, context: Any) -> None:
            buffer = context.get_buffer()
            node.render(context, buffer)
            pieces.add(buffer.getvalue())

        return write

    def _passage(self, nodes: list[Node], item: str | None) -> Step:
        """Return what writes texts and values that follow one another, in one go."""
        texts = [node.text if isinstance(node, ContentNode) else "" for node in nodes]
        values = [
            (at, self._say(node.expression, item))
            for at, node in enumerate(nodes)
            if isinstance(node, OutputNode)
        ]

        length = sum(map(len, texts))

        def write(pieces: Pieces, data: Data, item: Any, context: Any) -> None:
            parts, room = texts.copy(), pieces.room - length
            for at, say in values:
                text = parts[at] = say(data, item, context)
                room -= len(text)
                if room < 0:
                    break
                if not text.isascii():
                    text.encode()  # raises where it has half of a letter, which no mail can carry
            if room < 0:
                raise Unusual
            pieces.room = room
            pieces += parts

        return write

    def _say(self, expression: Expression, item: str | None) -> Say:
        """Return what tells a value as text."""
        read, autoescape = self._read(expression, item), self._autoescape
        if read is None:
            self.needs_context = True
            return lambda _data, _item, context: to_liquid_string(
                expression.evaluate(context), autoescape
            )

        def say(data: Data, item: Any, _context: Any) -> str:
            value = read(data, item)
            kind = type(value)
            if kind is str:
                return escape(value) if autoescape and _SPECIAL.search(value) else value
            if kind is list:  # may be long, and nothing when written
                raise Unusual
            return str(value) if kind is int else to_liquid_string(value, autoescape)

        return say

    def _read(self, expression: Expression, item: str | None) -> Read | None:
        """Return what looks a name up, perhaps with a guard; None for any other expression."""
        if type(expression) is FilteredExpression:
            read, filters = self._read(expression.left, item), expression.filters or []
            if read is None or not filters:
                return read
            guard = GUARDS.get(filters[0].name)
            is_alone = len(filters) == 1 and not filters[0].args
            return _guarded(read, guard) if guard and is_alone else None
        if not isinstance(expression, Path):
            return None
        path = [name for name in expression.path if isinstance(name, str)]
        is_usual = path == expression.path and _MEANING_MORE.isdisjoint(path[1:])
        is_known = is_usual and (path[0] == item or path[0] not in self._unknown)
        return _reading(path, item) if is_known else None

    def _choice(self, node: IfNode | UnlessNode, item: str | None) -> Step:
        """Return what writes the first branch whose condition holds."""
        first, wanted = self._test(node.condition, item), isinstance(node, IfNode)
        consequence = self._block(node.consequence, item)
        others = [
            (self._test(each.expression, item), self._block(each.block, item))
            for each in node.alternatives
        ]
        default = self._block(node.default, item)

        def choose(data: Data, item: Any, context: Any) -> list[Step]:
            if first(data, item, context) is wanted:
                return consequence
            return next((steps for test, steps in others if test(data, item, context)), default)

        def write(pieces: Pieces, data: Data, item: Any, context: Any) -> None:
            _run(choose(data, item, context), pieces, data, item, context)

        return write

    def _test(self, condition: Expression, item: str | None) -> Test:
        read = None
        if isinstance(condition, BooleanExpression):
            read = self._read(condition.expression, item)
        if read is None:
            self.needs_context = True
            return lambda _data, _item, context: bool(condition.evaluate(context))

        def test(data: Data, item: Any, _context: Any) -> bool:
            value = read(data, item)
            return value is not None and value is not False

        return test

    def _is_simple(self, node: ForNode) -> bool:
        """Tell whether a loop takes a list as it is, and its block needs no more of it than the item."""
        loop = node.expression
        if loop.limit or loop.offset or loop.reversed or node.blank or self._goes_on_from_loops:
            return False
        inner = list(self._below([node.block]))
        expressions = [each for one in inner for each in one.expressions()]
        names = [path.path[0] for each in expressions for path in _paths_in(each)]
        return (
            self._read(loop.iterable, None) is not None
            and all(isinstance(one, _SIMPLE) for one in inner)
            and all(isinstance(name, str) and name != "forloop" for name in names)
        )

    def _loop(self, node: ForNode) -> Step:
        name, read = str(node.expression.identifier), self._read(node.expression.iterable, None)
        assert read is not None
        steps, default = self._block(node.block, name), self._block(node.default)
        weight = len(str(node.block)) + 16

        def write(pieces: Pieces, data: Data, _item: Any, context: Any) -> None:
            items = _listed(read(data, None))
            pieces.spend(weight * len(items))
            if not items:
                _run(default, pieces, data, None, context)
            elif context is None:
                for item in items:
                    _run(steps, pieces, data, item, None)
            else:
                in_hand: dict[str, Any] = {}
                with context.extend(in_hand):
                    for item in items:
                        in_hand[name] = item
                        _run(steps, pieces, data, item, context)

        return write

    def _below(self, nodes: Iterable[Node]) -> Iterator[Node]:
        """Yield nodes and all that is in them."""
        for node in nodes:
            yield node
            yield from self._below(node.children(self._static_context))


def _paths_in(expression: Expression) -> Iterator[Path]:
    if isinstance(expression, Path):
        yield expression
    for child in expression.children():
        yield from _paths_in(child)


def _reading(path: Sequence[str], item: str | None) -> Read:
    """Return what reads an entry of the data, or of what a loop has in hand; None where there is none."""
    root, names = path[0], path[1:]
    if root == item:
        return _entry(names) if names else lambda _data, item: item
    if not names:
        return lambda data, _item: data.get(root)
    entry = _entry(names)
    return lambda data, _item: entry(data, data.get(root))


def _entry(names: Sequence[str]) -> Read:
    def read(_data: Data, value: Any) -> Any:
        for name in names:
            if type(value) is dict:
                value = value.get(name)
            elif value is not None:
                raise Unusual
        return value

    return read


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if type(value) is not list:
        raise Unusual
    return value


def _guarded(read: Read, guard: Callable[[Any], str]) -> Read:
    def guarded(data: Data, item: Any) -> str:
        value = read(data, item)
        if not _is_small(value):
            raise Unusual
        return guard(value)

    return guarded


def _is_small(value: Any) -> bool:
    if type(value) is str:
        return len(value) <= MAX_GUARDED
    return value is None or (type(value) is int and abs(value) <= MAX_NUMBER)
