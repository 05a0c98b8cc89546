"""Foreign HTML as a page may show it in a sandboxed frame: it runs nothing, loads nothing, and reaches nothing of ours."""

import re
from collections.abc import Mapping

POLICY = "default-src 'none'; img-src data:{}; style-src 'unsafe-inline'; font-src data:; sandbox"
# characters of data: URLs in one page, more than all pictures of the largest mail have
MOST_OF_PICTURES = 40_000_000
_FRAME = re.compile(r"<(?=i?frame)", re.IGNORECASE)


def without_frames(html: str) -> str:
    """Return `html` whose frames are elements that nobody knows: a browser connects to a frame's host before its policy is asked."""
    return _FRAME.sub("<x-", html)


def with_pictures(html: str, named: re.Pattern[str], urls: Mapping[str, str]) -> str:
    """Return `html` with data: URLs in the place of what `named` finds, by the names in its first group.

    A mail may show one picture any number of times: what would make more than MOST_OF_PICTURES stays as it is.
    """
    left = MOST_OF_PICTURES

    def url_of(found: re.Match[str]) -> str:
        nonlocal left
        url = urls.get(found[1], "")
        if not url or len(url) > left:
            return found[0]
        left -= len(url)
        return url

    return named.sub(url_of, html)
