"""What of an MJML source the visual editor can show, and how it is opened so that all the rest is left alone.

GrapesJS reads with the browser's parser. The head it never sees; a layout's {{ content }} and blocks stand there as boxes,
pictures of the draft by their address here. Where something would be moved or lost, the source isn't opened.
"""

import re
from dataclasses import dataclass, field
from html import escape
from urllib.parse import quote

from django.urls import reverse

from mailops.content.closing import stretches
from mailops.content.composing import CONTENT, MAX_PARTS, RENDER, open_in
from mailops.content.masking import mask
from mailops.content.mjml import element_at, find_mistakes
from mailops.content.models import MailTemplate

_HEAD = (re.compile(r"<mj-head\b"), re.compile(r"</mj-head\s*>"))
_SECTIONS = ("<mj-section", "<mj-wrapper", "<mj-hero", "{{", "{%")
_OPENING, _CLOSING = "<mjml><mj-body>", "</mj-body></mjml>"
# What GrapesJS reads with the browser's parser and would move or drop.
_BETWEEN = re.compile(
    r"(?:</?(?:mjml|mj-(?:head|body|wrapper|section|group|column|hero|social|navbar|accordion|carousel|table))\b[^>]*>|</mj-[a-z-]+\s*>|</t[rdh]\s*>|<t[rdh]\b[^>]*>)\s*<!--[\ue000\ue005]"
)
_UNSHOWN = [
    (
        re.compile("<mj-raw|<!--"),
        "The source has raw HTML or comments, which the visual editor would lose.",
    ),
    (
        re.compile(r"<mj-table\b[^>]*>\s*<t"),
        "The source has a table, whose rows the visual editor would lose.",
    ),
    (
        re.compile(r"<i?frame", re.IGNORECASE),
        "The source has a frame, which mail programs don't show, and a browser connects to its host.",
    ),
]
_NOTES = [
    (
        re.compile("<mj-attributes"),
        "The defaults in the head (mj-attributes) are left alone: they count in the mail, and the canvas doesn't show them.",
    ),
    (
        re.compile("<mj-style|<mj-font|<mj-html-attributes"),
        "The styles and fonts in the head are left alone: they count in the mail, and the canvas doesn't show them.",
    ),
]
# A box that may stand where Liquid stands, by what it stands in.
_SECTION = "<mj-section {}><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"
_BOXES = {
    "mj-body": _SECTION,
    "mj-wrapper": _SECTION,
    "mj-section": "<mj-column {}><mj-text>{}</mj-text></mj-column>",
    "mj-group": "<mj-column {}><mj-text>{}</mj-text></mj-column>",
    "mj-column": "<mj-text {}>{}</mj-text>",
    "mj-hero": "<mj-text {}>{}</mj-text>",
}


class Inexpressible(Exception):
    """The visual editor can't show the source without losing something; the text says what."""


@dataclass
class Opened:
    source: str  # as GrapesJS reads it
    is_fragment: bool  # it stands in a layout, so it has no <mjml> of its own
    parts: list[str] = field(default_factory=list)  # the Liquid that boxes stand for
    pictures: dict[str, str] = field(default_factory=dict)  # address → what the source says
    notes: list[str] = field(default_factory=list)  # what isn't shown and is left alone


def open_visually(template: MailTemplate, written: str) -> Opened:
    """Return what is written of the draft as GrapesJS takes it; raise Inexpressible."""
    if not template.is_mjml:
        raise Inexpressible("The visual editor opens what is written in MJML; this is not.")
    if "<mjml" not in written and written.strip() and not written.lstrip().startswith(_SECTIONS):
        raise Inexpressible(
            "The visual editor opens whole mails, layouts, and blocks that are made of sections."
        )
    if open_in(written) or len(RENDER.findall(written)) > MAX_PARTS:
        raise Inexpressible(
            "The source has errors, or more blocks than the visual editor can show."
        )
    source = written if "<mjml" in written else f"{_OPENING}{written}{_CLOSING}"
    opened = Opened(source, _is_fragment(template, written))
    _put_in_boxes(opened)
    _refuse(opened.source)
    start, end = _head(written)
    opened.notes = [note for what, note in _NOTES if what.search(written, start, end)]
    if template.layout:
        opened.notes.append(f"It stands in the layout “{template.layout}”, which isn't shown here.")
    if opened.parts:
        opened.notes.append("Boxes stand for what is written elsewhere; they can be moved.")
    _show_pictures(opened, template)
    return opened


def _is_fragment(template: MailTemplate, written: str) -> bool:
    """Tell whether it stands in something else; where nothing is written yet, whether it will."""
    if written.strip():
        return "<mjml" not in written
    return template.layout_id is not None or template.kind == MailTemplate.Kind.BLOCK


def _put_in_boxes(opened: Opened) -> None:
    """Put a box in the place of each block and of a layout's content, where a box may stand."""
    for what in (CONTENT, RENDER):
        source = opened.source

        def box(match: re.Match[str], source: str = source) -> str:
            shape = _BOXES.get(element_at(source, match.start()))
            if shape is None:
                return match[0]
            number = len(opened.parts)
            opened.parts.append(match[0])
            is_block = match.re is RENDER
            words = f"The block “{match[2]}”" if is_block else "The mail's own words go here."
            return shape.format(f'css-class="mailops-part-{number}"', escape(words, quote=False))

        opened.source = what.sub(box, source)


def _head(source: str) -> tuple[int, int]:
    """Return where the head begins and ends."""
    found = next(stretches(source, *_HEAD), None)
    return (found[0].start(), found[1].end()) if found else (0, 0)


def _refuse(source: str) -> None:
    if any(mistake.is_error for mistake in find_mistakes(source)):
        raise Inexpressible("The source has errors; mend them first.")
    start, end = _head(source)
    body = source[:start] + "\n" * source.count("\n", start, end) + source[end:]
    for what, reason in _UNSHOWN:
        if what.search(body):
            raise Inexpressible(reason)
    masked, _ = mask(body)
    if between := _BETWEEN.search(masked):
        line = masked.count("\n", 0, between.end()) + 1
        raise Inexpressible(
            f"In line {line} a Liquid tag stands between elements, where the visual editor would move it."
        )


def _show_pictures(opened: Opened, template: MailTemplate) -> None:
    for file in template.files.there().filter(is_inline=True).order_by("name"):
        address = reverse("content:file-picture", args=[file.content.sha256])
        for written in {quote(file.name), file.name}:
            source = opened.source.replace(f'"cid:{written}"', f'"{address}"')
            if source != opened.source or address not in opened.pictures:
                opened.pictures[address] = f"cid:{written}"
            opened.source = source
