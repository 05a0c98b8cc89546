"""Numbers as people read them, and the bar that shows how they share a whole."""

import re
from collections.abc import Iterable

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

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
    return f"{share:.{_digits(share)}f}{NBSP}%"


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


@register.simple_tag
def bar(shares: Iterable[tuple[str, int, str]], label: str) -> SafeString:
    """Return a bar for (word, number, tone) shares; drawn as SVG, since the CSP allows no style attribute."""
    known = list(shares)
    total = sum(n for _, n, _ in known)
    rects, x = [], 0.0
    for word, n, tone in known:
        width = 1000 * n / total if total else 0
        rects.append((f"{x:.2f}", f"{width:.2f}", tone, word, count(n)))
        x += width
    return format_html(
        '<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="{}: {}">{}</svg>',
        label,
        ", ".join(f"{word} {count(n)}" for word, n, _ in known if n),
        format_html_join(
            "",
            '<rect x="{}" y="0" width="{}" height="10" class="{}"><title>{} {}</title></rect>',
            rects,
        ),
    )
