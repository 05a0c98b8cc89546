"""Which words a reader gets: those of their language, of its parent, of one that stands in for it, else the template's own."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}")
ATTRIBUTES = ("language", "locale", "lang")  # of a contact, the first that is given counts


def language_tags(written: str) -> list[str]:
    """Return the tags of a list such as "gl, ca"; what is none is left out."""
    tags = (part.strip().lower().replace("_", "-") for part in written.split(","))
    return [tag for tag in tags if _TAG.fullmatch(tag)]


def chain(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tags that a reader's words may have, the best first: pt-br, then pt."""
    wanted = next((str(data[name]) for name in ATTRIBUTES if data.get(name)), "")
    tag = wanted.strip().lower().replace("_", "-")
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]
