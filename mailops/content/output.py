"""What the library writes into, where it looks names up, and how it writes a value."""

from collections.abc import Sequence
from typing import Any

from liquid import RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError, OutputStreamLimitError
from liquid.utils import ReadOnlyChainMap

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
        return "".join(self._parts)


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


class ValueNode(OutputNode):
    """`{{ … }}`; what goes wrong has its place, where the library's own has that of the outermost tag."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: Any) -> int:
        try:
            return super().render_to_output(context, buffer)
        except LiquidError as error:
            context.env.error(error, token=self.token)
            raise


class ValueTag(Output):
    node_class = ValueNode
