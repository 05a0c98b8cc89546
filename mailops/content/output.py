"""Quick forms of what a render does most: write text, look a name up, write a value; each writes what the library's does."""

from collections.abc import Callable
from typing import Any

from liquid import RenderContext, escape
from liquid.builtin.content import ContentNode, Literal
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import OutputStreamLimitError
from liquid.stringify import to_liquid_string
from liquid.utils import ReadOnlyChainMap

from mailops.content.hardening import GUARDS

_NOTHING = object()


class Buffer:
    """Collects output; raises where there is more than `limit` bytes of UTF-8."""

    __slots__ = ("_parts", "room")

    def __init__(self, limit: int) -> None:
        self.room = limit
        self._parts: list[str] = []

    def write(self, text: str) -> int:
        self.room -= len(text) if text.isascii() else len(text.encode())
        if self.room < 0:
            raise OutputStreamLimitError("output stream limit reached", token=None)
        self._parts.append(text)
        return len(text)

    def getvalue(self) -> str:
        text = "".join(self._parts)
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


class Scope(ReadOnlyChainMap):
    """Passes a mapping by without a KeyError: most names are in the third or fourth."""

    def __getitem__(self, key: str) -> object:
        for mapping in self._maps:
            value = mapping.get(key, _NOTHING)
            if value is not _NOTHING:
                return value
        raise KeyError(key)


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
        if self.names is None:
            value = self.expression.evaluate(context)
        else:
            value = context.get(self.names, token=self.name.token)
            if self.guard is not None:
                value = self._guarded(value, context)
        if type(value) is not str:
            value = to_liquid_string(value, context.autoescape)
        elif context.autoescape:
            value = escape(value)
        written: int = buffer.write(value)
        return written

    def _guarded(self, value: object, context: Any) -> object:
        if type(value) is str:
            return context.charged(self.guard, value)
        return self.filter.evaluate(value, context)


def _is_quick(filters: Any) -> bool:
    """Tell whether there are no filters, or one that guards a value and takes nothing else."""
    return not filters or (len(filters) == 1 and filters[0].name in GUARDS and not filters[0].args)


class TextTag(Literal):
    node_class = TextNode


class ValueTag(Output):
    node_class = ValueNode
