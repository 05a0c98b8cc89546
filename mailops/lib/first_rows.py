"""What a page shows one by one of rows that may be many, and how many it leaves to the list."""

from typing import TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def first_rows(rows: QuerySet[Row], most: int) -> tuple[list[Row], int]:
    """Return the first `most` of `rows`, and how many more there are, which are counted only where there are any."""
    found = list(rows[: most + 1])
    return found[:most], rows.count() - most if len(found) > most else 0
