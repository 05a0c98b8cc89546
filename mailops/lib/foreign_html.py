"""Foreign HTML as a page may show it in a sandboxed frame: it runs nothing, loads nothing, and reaches nothing of ours."""

import re
from collections.abc import Mapping

POLICY = "default-src 'none'; img-src data:{}; style-src 'unsafe-inline'; font-src data:; sandbox"
# characters of data: URLs in one page, more than all pictures of the largest mail have
MOST_OF_PICTURES = 40_000_000
# what goes with it: links say nothing of the page, and names in them are not looked up before somebody follows them
HEADERS = {"Referrer-Policy": "no-referrer", "X-DNS-Prefetch-Control": "off"}
_FRAME = re.compile(r"<(?=i?frame)", re.IGNORECASE)
_LINK = re.compile(r"<link(?=[\s/>])", re.IGNORECASE)


def without_connections(html: str) -> str:
    """Return `html` without what makes a browser connect to a host before its policy is asked: frames, and links to resources.

    Frames become elements that nobody knows. A link becomes a meta, which may stand where it stood, and needs no end.
    """
    return _LINK.sub("<meta", _FRAME.sub("<x-", html))


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
