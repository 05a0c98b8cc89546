"""Quick forms of what a render does most: write text, look a name up, write a value; each writes what the library's does."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from liquid import RenderContext, escape
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode, Literal
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError, OutputStreamLimitError
from liquid.stringify import to_liquid_string
from liquid.utils import ReadOnlyChainMap

from mailops.content.hardening import GUARDS

_NOTHING = object()
_SPECIAL = re.compile("[&<>'\"]")  # what is escaped for HTML


class Buffer:
    """Collects output; raises where there is more than `limit` bytes of UTF-8."""

    __slots__ = ("_parts", "room")

    def __init__(self, limit: int) -> None:
        self.room = limit
        self._parts: list[str] = []

    def write(self, text: str) -> int:
        self.take(octets_of(text))
        self._parts.append(text)
        return len(text)

    def take(self, octets: int) -> None:
        """Make sure that so much fits in."""
        self.room -= octets
        if self.room < 0:
            raise OutputStreamLimitError("output stream limit reached", token=None)

    def extend(self, parts: list[str]) -> None:
        """Add parts for which room was taken."""
        self._parts += parts

    def getvalue(self) -> str:
        return "".join(self._parts)


def octets_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


class Scope(ReadOnlyChainMap):
    """Passes a mapping by without a KeyError: most names are in the third or fourth."""

    def __getitem__(self, key: str) -> object:
        for mapping in self._maps:
            value = mapping.get(key, _NOTHING)
            if value is not _NOTHING:
                return value
        raise KeyError(key)

    def find(self, path: Sequence[Any]) -> object:
        """Return what is simply there, one mapping in another; None where it isn't."""
        value: Any = _NOTHING
        for mapping in self._maps:
            value = mapping.get(path[0], _NOTHING)
            if value is not _NOTHING:
                break
        if len(path) > 1:
            for name in path[1:]:
                if type(value) is not dict:
                    return None
                value = value.get(name)
        return None if value is _NOTHING else value


class TextNode(ContentNode):
    """Text between tags; it is no tag, so it can't be a disabled one."""

    __slots__ = ()

    def render(self, _: RenderContext, buffer: Any) -> int:
        written: int = buffer.write(self.text)
        return written


class ValueNode(OutputNode):
    """`{{ … }}`; a name without filters, or with nothing but a guard, is looked up at once."""

    __slots__ = ("filter", "guard", "name", "names")

    def __init__(self, token: Any, expression: Any) -> None:
        super().__init__(token, expression)
        self.names: list[object] | None = None
        self.filter: Any = None
        self.guard: Callable[[str], str] | None = None
        if type(expression) is FilteredExpression and _is_quick(expression.filters):
            self.name = expression.left
            if type(self.name) is Path and all(type(name) is str for name in self.name.path):
                self.names = list(self.name.path)
                if expression.filters:
                    (self.filter,) = expression.filters
                    self.guard = GUARDS[self.filter.name]

    def render(self, context: RenderContext, buffer: Any) -> int:
        written: int = buffer.write(self.text(context))
        return written

    def text(self, context: Any) -> str:
        """Return what is to be written."""
        if self.names is None:
            value = self.expression.evaluate(context)
        else:
            value = context.get(self.names, token=self.name.token)
            if self.guard is not None:
                value = self._guarded(value, context)
        if type(value) is int:
            return str(value)
        if type(value) is not str:
            return to_liquid_string(value, context.autoescape)
        return escape(value) if context.autoescape and _SPECIAL.search(value) else value

    def _guarded(self, value: object, context: Any) -> object:
        if type(value) is str:
            return context.charged(self.guard, value)
        return self.filter.evaluate(value, context)


def _is_quick(filters: Any) -> bool:
    """Tell whether there are no filters, or one that guards a value and takes nothing else."""
    return not filters or (len(filters) == 1 and filters[0].name in GUARDS and not filters[0].args)


class Passage(Node):
    """Texts and values that follow one another, written in one go."""

    __slots__ = ("_octets", "_parts", "_values", "nodes")

    def __init__(self, nodes: list[Node]) -> None:
        super().__init__(nodes[0].token)
        self.nodes = nodes
        self.blank = False
        self._parts = [node.text if isinstance(node, TextNode) else "" for node in nodes]
        self._octets = sum(map(octets_of, self._parts))
        self._values = [(at, node) for at, node in enumerate(nodes) if isinstance(node, ValueNode)]

    def __str__(self) -> str:
        return "".join(map(str, self.nodes))

    def children(self, *_: Any, **__: Any) -> Iterable[Node]:
        return self.nodes

    def render(self, context: RenderContext, buffer: Any) -> int:
        parts = self._parts.copy()
        node: Node = self
        try:
            buffer.take(self._octets)
            for at, node in self._values:
                text = parts[at] = node.text(context)
                buffer.take(octets_of(text))
        except LiquidError as error:
            context.env.error(error, token=node.token)
        buffer.extend(parts)
        return len(parts)

    render_to_output = render


def fuse(nodes: list[Node], context: RenderContext) -> list[Node]:
    """Return `nodes` with passages in the place of values and what stands around them, in all blocks below, too."""
    fused: list[Node] = []
    for is_plain, alike in groupby(nodes, key=lambda node: isinstance(node, TextNode | ValueNode)):
        run = list(alike)
        has_value = any(isinstance(node, ValueNode) for node in run)
        fused += [Passage(run)] if is_plain and has_value else run
    for node in fused:
        if not isinstance(node, Passage):
            _fuse_below(node, context)
    return fused


def _fuse_below(node: Node, context: RenderContext) -> None:
    for child in node.children(context):
        if isinstance(child, BlockNode):
            child.nodes = fuse(child.nodes, context)
        else:
            _fuse_below(child, context)


class TextTag(Literal):
    node_class = TextNode


class ValueTag(Output):
    node_class = ValueNode
