"""Times as people read them: relative in the text, absolute and UTC on hover."""

import datetime as dt

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

UNITS = [("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3600)]


def absolute(value: dt.datetime) -> str:
    """Return the time in the viewer's zone, and in UTC where that differs."""
    local = timezone.localtime(value)
    utc = value.astimezone(dt.UTC)
    here = f"{date_format(local, 'j M Y, H:i:s')} ({timezone.get_current_timezone_name()})"
    return (
        here
        if local.utcoffset() == dt.timedelta()
        else f"{here} · {date_format(utc, 'j M, H:i:s')} UTC"
    )


def relative(value: dt.datetime, now: dt.datetime) -> str:
    """Return "3 minutes ago", "in 2 hours" or "just now"."""
    seconds = round((now - value).total_seconds())
    distance = abs(seconds)
    if distance < 45:
        return "just now" if seconds >= 0 else "in a moment"
    for unit, size in [*UNITS, ("minute", 60)]:
        if distance >= size or unit == "minute":
            break
    n = max(1, round(distance / size))
    words = f"{n} {unit}{'' if n == 1 else 's'}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def _time(value: dt.datetime, text: str, css_class: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        value.astimezone(dt.UTC).isoformat(timespec="seconds"),
        absolute(value),
        format_html(' class="{}"', css_class) if css_class else "",
        text,
    )


@register.filter
def ago(value: dt.datetime | None, never: str = "never") -> SafeString | str:
    """Return the time relative to now, kept fresh by app.js; `never` where there is none."""
    return _time(value, relative(value, timezone.now()), "relative") if value else never


def relative_due(value: dt.datetime, now: dt.datetime) -> str:
    """Return "in 2 hours", "due now" or "overdue by 3 minutes"."""
    words = relative(value, now)
    if words in {"just now", "in a moment"}:
        return "due now"
    return f"overdue by {words.removesuffix(' ago')}" if words.endswith(" ago") else words


@register.filter
def due(value: dt.datetime | None, never: str = "due now") -> SafeString | str:
    """Return when something is to happen, kept fresh by app.js: what should have happened is overdue, not past."""
    return _time(value, relative_due(value, timezone.now()), "relative due") if value else never


@register.filter
def at(value: dt.datetime | None, never: str = "—") -> SafeString | str:
    """Return the time as a date and time of day in the viewer's zone."""
    return (
        _time(value, date_format(timezone.localtime(value), "j M Y, H:i"), "") if value else never
    )


@register.filter
def duration(value: dt.timedelta | float | None) -> str:
    """Return a span in its two largest units: "4 min 10 s"."""
    if value is None:
        return "—"
    seconds = round(value.total_seconds() if isinstance(value, dt.timedelta) else value)
    parts = [
        (n, unit)
        for n, unit in (
            (seconds // 86_400, "d"),
            (seconds // 3600 % 24, "h"),
            (seconds // 60 % 60, "min"),
            (seconds % 60, "s"),
        )
        if n
    ]
    return " ".join(f"{n} {unit}" for n, unit in parts[:2]) or "0 s"
