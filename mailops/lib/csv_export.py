"""Streams rows as CSV that a spreadsheet opens without running anything in it."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.utils.cache import add_never_cache_headers

# A spreadsheet takes a cell that begins with one of these for a formula (CSV injection). Where its language parts cells by
# semicolons, a cell begins behind each of ours, too, and a line behind each end of one. Where people write with them, so do
# the full-width forms of these signs.
_FORMULA = r"(?=[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])"
_BARE = re.compile(rf"(^|[;\t\r\n])('*){_FORMULA}")
_ESCAPED = re.compile(rf"(^|[;\t\r\n])'('*){_FORMULA}")


STEP = 2000  # rows that one statement reads
Row = TypeVar("Row", bound=Model)


class _Echo:
    """Hands a written line straight back, so that no file grows in memory."""

    def write(self, line: str) -> str:
        return line


def escape(cell: Any) -> Any:
    """Return the cell; where a spreadsheet would run a text, that gets an apostrophe; a number stays a number.

    What has apostrophes already gets one more, which makes the way back exact.
    """
    if cell is None or isinstance(cell, int | float | Decimal):
        return cell
    return _BARE.sub(r"\1'\2", str(cell))  # of a row too, which may be named by a person


def unescape(cell: str) -> str:
    """Return what `escape` made `cell` of: whatever text is escaped and read again is the same text."""
    return _ESCAPED.sub(r"\1\2", cell)


def _lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    # the byte order mark makes Excel read UTF-8
    yield "\ufeff" + writer.writerow([escape(cell) for cell in header])
    for row in rows:
        yield writer.writerow([escape(cell) for cell in row])


def stream_csv(
    filename: str, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """Return a download named `filename`; `rows` is read while it is sent, so give what reads a large table `by_steps`."""
    response = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["X-Content-Type-Options"] = "nosniff"
    add_never_cache_headers(response)
    return response


def by_steps(rows: QuerySet[Row], *, by: str = "pk", newest_first: bool = False) -> Iterator[Row]:
    """Yield rows in the order of their ids, or of another number that no two of them share, read a step at a time.

    Nobody waits for all of them, and nothing holds them: for a cursor that outlives its transaction, which is what
    `iterator()` opens, the server writes the whole answer down before it hands out the first row.
    """
    ordered = rows.order_by(f"-{by}" if newest_first else by)
    step = list(ordered[:STEP])
    while step:
        yield from step
        beyond = {f"{by}__lt" if newest_first else f"{by}__gt": getattr(step[-1], by)}
        step = list(ordered.filter(**beyond)[:STEP]) if len(step) == STEP else []


def wrong_filter() -> HttpResponse:
    """Return the answer to a filter that can't be read: an export of everything would be the wrong one."""
    return HttpResponse("The filter is not valid.", status=422, content_type="text/plain")
