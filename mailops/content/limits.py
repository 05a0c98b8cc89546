"""A Liquid environment for authors one does not trust: every loop, value and filter has a bound.

Bounds count work and size, never time, so a template that renders once renders on every worker, however busy it is.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import BlockNode
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.builtin.tags.tablerow_tag import TablerowNode, TablerowTag
from liquid.context import builtin
from liquid.exceptions import (
    FilterArgumentError,
    LiquidError,
    LocalNamespaceLimitError,
    ResourceLimitError,
)

from mailops.content.comparing import charge_comparisons
from mailops.content.hardening import GUARDS
from mailops.content.output import Buffer, Scope, ValueTag
from mailops.content.quick import MAX_NUMBER, Quick

MAX_SOURCE = 256 * 1024  # characters of one part's source
MAX_OUTPUT = 1024 * 1024  # bytes of one rendered part; Gmail cuts at 102 KB
MAX_VALUE = 100_000  # characters in one value
MAX_ITEMS = 10_000  # entries in one list or range
MAX_LOCALS = 1_000_000  # characters in all assigned and captured values
MAX_DATE = 100  # characters of a written date
MAX_WORK = 5_000_000  # characters of source run through in loops, and of values; under two seconds


class OutOfBounds(ResourceLimitError):
    """A value or the work of a template grew past its bound."""


class Context(RenderContext):
    """Keeps the account of one render."""

    __slots__ = ("locals_size", "most", "work")
    scope: Scope

    def __init__(self, template: BoundTemplate, **options: Any) -> None:
        super().__init__(template, **options)
        self.scope = Scope(self.locals, self.globals, builtin, self.counters)
        self.work, self.most = 0, MAX_WORK
        self.locals_size = 0

    def spend(self, work: int) -> None:
        self.work += work
        if self.work > self.most:
            raise OutOfBounds("endless or far too much work", token=None)

    def get(self, path: list[Any], *, token: Any, **options: Any) -> object:
        try:
            value = self.scope.find(path)
        except TypeError:  # a name that is no text, but a list
            value = None
        if value is None:
            value = super().get(path, token=token, **options)
        if isinstance(value, str):
            self.spend(len(value) >> 4)
        elif isinstance(value, list):  # an entry takes longer to write than a character to compare
            self.spend(len(value))
        return value

    def get_buffer(self, buf: Any = None) -> Buffer:  # type: ignore[override]
        return Buffer(buf.room if isinstance(buf, Buffer) else MAX_OUTPUT)

    def assign(self, key: str, val: Any) -> None:
        """Assign, accounting for sizes one by one: the library sums all locals anew each time."""
        self.locals_size += size(val) - size(self.locals.get(key))
        if self.locals_size > MAX_LOCALS:
            raise LocalNamespaceLimitError("local namespace limit reached", token=None)
        self.locals[key] = val

    def filter(self, name: str, token: Any) -> Callable[..., object]:
        return partial(_apply, self, name, super().filter(name, token))


def size(value: object) -> int:
    """Return about how many characters `value` takes when written out; an entry of a list costs one more."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):  # no other mapping: walking the library's forloop ends the loop
        return sum(len(str(key)) + size(entry) + 1 for key, entry in value.items())
    if isinstance(value, list | tuple):
        return sum(size(entry) + 1 for entry in value)
    return 8


def _bounded(value: Any) -> int:
    """Return the size of `value`; raise `OutOfBounds` where it may not go through a filter."""
    if isinstance(value, bool) or value is None:
        return 1
    if isinstance(value, int | float | Decimal):
        if not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise OutOfBounds("number too large", token=None)
        return 8
    if isinstance(value, list | tuple | range) and len(value) > MAX_ITEMS:
        raise OutOfBounds("list too long", token=None)
    chars = len(value) * 8 if isinstance(value, range) else size(value)
    if chars > MAX_VALUE:
        raise OutOfBounds("value too large", token=None)
    return chars


def _growth(name: str, left: Any, args: tuple[Any, ...]) -> int:
    """Return how long the result of a filter that multiplies gets, before it is made."""
    if name in {"replace", "replace_first", "replace_last"} and args:
        return str(left).count(str(args[0])) * len(str(args[-1]))
    if name == "join" and isinstance(left, list | tuple | range):
        return len(left) * len(str(args[0] if args else " "))
    return 0


def _apply(
    context: Context,
    name: str,
    function: Callable[..., object],
    left: Any,
    *args: Any,
    **kwargs: Any,
) -> object:
    """Call a filter between two checks of size, and charge for it."""
    work = _bounded(left) + sum(map(_bounded, args)) + sum(map(_bounded, kwargs.values()))
    if _growth(name, left, args) > MAX_VALUE:
        raise OutOfBounds("value too large", token=None)
    if name == "date" and isinstance(left, str):
        if len(left) > MAX_DATE:
            return left  # as the library does with what is no date, after much searching
        work += 20 * len(left)  # reading one takes that much longer
    if name == "uniq":  # compares each entry with each
        work += (len(left) if isinstance(left, list | tuple | range) else 1) ** 2
    context.spend(work // 4 + 20)
    try:
        result = function(left, *args, **kwargs)
    except LiquidError:
        raise
    except (ValueError, ArithmeticError, OSError, LookupError) as error:
        # what the library lets through: an invalid date, a division by zero, bad UTF-8 in base64
        raise FilterArgumentError(f"{name}: {error}", token=None) from error
    context.spend(_bounded(result) // 4)
    return result


class MeteredBlock(BlockNode):
    """The body of a loop; each pass is charged by the length of its source."""

    __slots__ = ("weight",)

    def __init__(self, block: BlockNode) -> None:
        super().__init__(block.token, block.nodes)
        self.weight = 16 + len(str(block))

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        if isinstance(context, Context):
            context.spend(self.weight)
        return super().render(context, buffer)


class MeteredFor(ForNode):
    def __init__(self, token: Any, expression: Any, block: BlockNode, default: Any = None) -> None:
        # a plain string: the library's own compares in Python each time it is looked up
        expression.identifier = str(expression.identifier)
        super().__init__(token, expression, MeteredBlock(block), default)


class MeteredTablerow(TablerowNode):
    def __init__(self, token: Any, expression: Any, block: BlockNode) -> None:
        super().__init__(token, expression, MeteredBlock(block))


class BoundedFor(ForTag):
    node_class = MeteredFor


class BoundedTablerow(TablerowTag):
    node_class = MeteredTablerow


class Template(BoundTemplate):
    context_class = Context

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.quick = Quick(self)

    def render(self, *args: Any, **kwargs: Any) -> str:
        try:
            text = self.quick.render(self.make_globals(dict(*args, **kwargs)))
        except Exception:  # noqa: BLE001 - the library knows better, or says it better
            text = super().render(*args, **kwargs)
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text

    def make_globals(self, render_args: Mapping[str, object]) -> Mapping[str, object]:
        return {**self.globals, **self.matter, **render_args}

    def _get_buffer(self) -> Buffer:  # type: ignore[override]
        return Buffer(MAX_OUTPUT)


class BoundedEnvironment(Environment):
    template_class = Template
    output_stream_limit = MAX_OUTPUT
    loop_iteration_limit = 100_000  # entries of nested loops multiplied
    block_nesting_limit = 30
    context_depth_limit = 30

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.add_tag(ValueTag)
        self.add_tag(BoundedFor)
        self.add_tag(BoundedTablerow)
        self.filters |= GUARDS
        for name in ("include", "render"):  # there are no files to include
            del self.tags[name]

    def from_string(self, source: str, *args: Any, **options: Any) -> BoundTemplate:
        source.encode()  # raises where a half of a letter is in it, which no mail can carry
        return super().from_string(source, *args, **options)

    def error(self, exc: Any, msg: str | None = None, token: Any = None) -> None:
        """Raise `exc`, placed at `token` where its own place is the end of an expression."""
        if isinstance(exc, LiquidError) and exc.token is not None and exc.token.start_index < 0:
            exc.token = token
        super().error(exc, msg, token)


def _evaluate_range(expression: RangeLiteral, context: RenderContext) -> range:
    """Evaluate `(1..n)`; a long one is refused before a loop, filter or `contains` walks it."""
    made: range = expression._make_range(  # noqa: SLF001 - the library offers no other place
        expression.start.evaluate(context), expression.stop.evaluate(context)
    )
    if made.stop - made.start > MAX_ITEMS:
        raise OutOfBounds("list too long", token=expression.token)
    if isinstance(context, Context):  # the library's own analysis brings a context of its own
        context.spend(len(made))
    return made


# The parser makes RangeLiteral by name, so the bound can't be added by a subclass.
RangeLiteral.evaluate = _evaluate_range  # type: ignore[method-assign, assignment]
charge_comparisons()

HTML = BoundedEnvironment(autoescape=True)
PLAIN = BoundedEnvironment()
