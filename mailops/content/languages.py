"""Which words a reader gets: those of their language, of its parent, of one that stands in for it, else the template's own."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}")
_WISH = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{1,8})*")
ATTRIBUTES = ("language", "locale", "lang")  # of a contact, the first that is a tag counts


def language_tags(written: str) -> list[str]:
    """Return the tags of a list such as "gl, ca"; what is none is left out."""
    tags = (part.strip().lower().replace("_", "-") for part in written.split(","))
    return [tag for tag in tags if _TAG.fullmatch(tag)]


def chain(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tags that a reader's words may have, the best first: pt-br, then pt."""
    tag = next(filter(None, (_wish(data.get(name)) for name in ATTRIBUTES)), "")
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]


def _wish(said: Any) -> str:
    """Return the tag that an attribute says, as a system's "de_DE.UTF-8" as well; empty for "German" and the like."""
    tag = re.split("[.@]", str(said or ""), maxsplit=1)[0].strip().lower().replace("_", "-")
    return tag if _WISH.fullmatch(tag) else ""
