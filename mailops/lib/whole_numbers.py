"""Whole numbers that come as text from outside."""

LARGEST_ID = 2**63 - 1  # a bigint of PostgreSQL, as ids are
_MOST_DIGITS = 18  # a bigint holds them all; int() refuses thousands of digits


def whole_number(text: str) -> int | None:
    """Return the number that `text` is, in 1 to 18 ASCII digits; None where it is anything else."""
    is_one = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if is_one else None
