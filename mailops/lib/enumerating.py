"""Names several things in a sentence."""

from collections.abc import Iterable


def enumerated(names: Iterable[str]) -> str:
    """Return "a", "a and b", or "a, b and c"; nothing of none."""
    *firsts, last = [*names] or [""]
    return f"{', '.join(firsts)} and {last}" if firsts else last
