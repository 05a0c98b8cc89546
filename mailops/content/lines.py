"""At which line of a source something stands: asked thousands of times of one source, so its line ends are kept."""

from bisect import bisect_left
from functools import lru_cache


def line_at(source: str, index: int) -> int:
    """Return the number of the line that `index` is in, from 1."""
    return bisect_left(_breaks(source), index) + 1


@lru_cache(maxsize=16)
def _breaks(source: str) -> list[int]:
    found = []
    at = source.find("\n")
    while at >= 0:
        found.append(at)
        at = source.find("\n", at + 1)
    return found
