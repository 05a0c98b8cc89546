"""Streams rows as CSV that a spreadsheet opens without running anything in it."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse

# a spreadsheet takes a cell beginning with one of these for a formula (CSV injection)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """Hands a written line straight back, so that no file grows in memory."""

    def write(self, line: str) -> str:
        return line


def escape(cell: Any) -> Any:
    """Return the cell; a text that a spreadsheet would run gets a leading apostrophe, a number stays a number."""
    if cell is None or isinstance(cell, int | float | Decimal):
        return cell
    text = str(cell)  # of a row too, which may be named by a person
    return f"'{text}" if _wants_apostrophe(text) else text


def unescape(cell: str) -> str:
    """Return what `escape` made `cell` of: whatever text is escaped and read again is the same text."""
    return cell[1:] if cell.startswith("'") and _wants_apostrophe(cell) else cell


def _wants_apostrophe(text: str) -> bool:
    # one that has apostrophes already gets one more, which makes the way back exact
    return text.lstrip("'").startswith(FORMULA_STARTS)


def _lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    # the byte order mark makes Excel read UTF-8
    yield "\ufeff" + writer.writerow([escape(cell) for cell in header])
    for row in rows:
        yield writer.writerow([escape(cell) for cell in row])


def stream_csv(
    filename: str, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """Return a download named `filename`; `rows` is read while it is sent, so give a server-side iterator."""
    response = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def wrong_filter() -> HttpResponse:
    """Return the answer to a filter that can't be read: an export of everything would be the wrong one."""
    return HttpResponse("The filter is not valid.", status=422, content_type="text/plain")
