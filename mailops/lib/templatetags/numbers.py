"""Numbers as people read them."""

import re

from django import template

register = template.Library()

NBSP = "\N{NO-BREAK SPACE}"
_UNIT = re.compile(r"(?<=\d) (?=(?:%|points?|min|ms|KB|MB|[dhs])(?!\w))")


@register.filter
def count(value: float | None) -> str:
    """Return 1234567 as "1,234,567"."""
    return "—" if value is None else f"{value:,}"


@register.filter
def percent(part: float | None, whole: float | None) -> str:
    """Return the share of `part` in `whole`, as exact as a threshold needs: "0.08 %", "1.2 %", "98 %"."""
    if not whole:
        return "—"
    share = 100 * (part or 0) / whole
    return f"{bounded(share, _digits(share))}{NBSP}%"


def bounded(share: float, digits: int) -> str:
    """Round a percentage; what is not nothing never reads as nothing, and what is not all never as all."""
    least, rounded = 10.0**-digits, round(share, digits)
    if share and not rounded:
        return f"<{least:.{digits}f}"
    if share < 100 <= rounded:
        return f">{100 - least:.{digits}f}"
    return f"{share:.{digits}f}"


def _digits(share: float) -> int:
    if share in {0, 100}:
        return 0
    if share < 1:
        return 2
    # 99.97 % must not read as 100 %: a few lost ones are what a person looks for
    return 2 if share > 99.9 else 1


@register.filter
def units(text: object) -> str:
    """Return a sentence whose numbers stay with their units at the end of a line."""
    return _UNIT.sub(NBSP, str(text))


@register.filter
def rate_of(part: float | None, whole: float | None) -> str:
    """Return rate and count together: "1.2 % · 143 of 11,902"."""
    if not whole:
        return "— · 0 of 0"
    return f"{percent(part, whole)} · {count(part or 0)} of {count(whole)}"
