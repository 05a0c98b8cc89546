"""Serves a mail's HTML for a sandboxed frame, as a mail program in one color scheme would show it."""

import re

from django.http import HttpResponse

from mailops.content.closing import INSIDE
from mailops.content.embedding import embedded
from mailops.content.forms import LookForm
from mailops.lib.foreign_html import HEADERS, POLICY, without_connections

_PICTURE = re.compile(rf"<img\b{INSIDE}", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([^\s\"'=<>/]+)(\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")
_ASKED_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", re.IGNORECASE)
_OFFERED_SCHEMES = re.compile(
    r"(color-scheme[\"']?\s*(?:content\s*=\s*[\"']?|:)\s*)(?:(?:light|dark|only)\s*)+",
    re.IGNORECASE,
)


def framed(html: str, look: LookForm) -> HttpResponse:
    """Return `html` under its own content security policy, in the scheme `look` asks for, pictures of the net only if it asks.

    Only what the mail itself says about schemes is decided, so a mail without a dark side stays as it is.
    """
    asked = look.chosen
    html = without_connections(html)
    html = embedded(in_scheme(html, asked["scheme"]))
    return HttpResponse(
        html if asked["images"] else _without_far_pictures(html),
        headers={
            **HEADERS,
            "Content-Security-Policy": POLICY.format(" https:" if asked["images"] else ""),
            "Cache-Control": "no-store",
        },
    )


def _without_far_pictures(html: str) -> str:
    """Return `html` without the addresses that the policy keeps from being asked: the browser would complain of each."""
    return _PICTURE.sub(lambda picture: _ATTRIBUTE.sub(_near, picture[0]), html)


def _near(attribute: re.Match[str]) -> str:
    name, equals, value = attribute.groups()
    is_near = value.strip("\"' \t\n").lower().startswith("data:")
    if name.lower() not in {"src", "srcset"} or is_near:
        return attribute[0]
    return f'{name}{equals}"data:,"'


def in_scheme(html: str, scheme: str) -> str:
    """Return `html` as a program in one color scheme takes it, whatever the browser's own is."""
    html = _ASKED_SCHEME.sub(
        lambda match: "(min-width: 0)" if match[1].lower() == scheme else "(max-width: 0)", html
    )
    return _OFFERED_SCHEMES.sub(rf"\g<1>{scheme}", html)
