"""What every mail needs, whatever it says: subject, preheader, text, an unsubscribe link, sound pictures."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailops.content.gates.finding import Problem, found
from mailops.content.gates.page import MAX_DEPTH, UNSEEN, Element, Page, shown_words
from mailops.content.mjml import TOKEN
from mailops.content.plain_text import HIDDEN
from mailops.content.rendering import Rendered

GMAIL_CUTS_AT = 102 * 1024  # octets of HTML; what follows is hidden behind a link
SUBJECT_SHOWN = 70  # characters
FEW_WORDS = 20
MAX_DATA_IMAGES = 20_000  # characters of base64
LONGEST_LINE = 998  # octets (RFC 5322, 2.1.1)
_FORMS = ("form", "iframe", "frame", "video", "audio", "object", "embed", "input", "select")
_STARTS_POORLY = re.compile(r"(?:view|read|open)\b.{0,30}\b(?:browser|online)", re.IGNORECASE)
_FONT = re.compile(r"@font-face|@import[^;]{0,80}font|fonts\.googleapis", re.IGNORECASE)
_FOREIGN = re.compile(
    r"\*\|[A-Z_0-9:]{1,40}\|\*|%%\w{1,40}%%|\{[a-z]+(?:_[a-z]+)+\}|\[\[[\w ]{1,40}\]\]"
)
# elements that HTML leaves open until they are closed
_CLOSED = frozenset({"a", "b", "strong", "i", "em", "u", "font", "span", "div", "center", "table"})
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)


def find(page: Page) -> Iterator[Problem]:
    if page.is_whole:
        yield from _subject(page)
        yield from _preheader(page)
        yield from _text(page)
        yield from _unsubscribe(page)
        yield from _foreign(page)
        yield from _unclosed(page)
    yield from _size(page)
    yield from _pictures(page)
    yield from _active(page)
    yield from _encoding(page)


def _unsubscribe(page: Page) -> Iterator[Problem]:
    if "unsubscribe_url" not in page.names:
        yield found("mail.unsubscribe", "There is no link to {{ unsubscribe_url }}.", part="")
    elif page.rendered.html and not any(
        page.unsubscribe_url in unquote(link.get("href")) for link in page.tagged("a", "area")
    ):
        sentence = (
            "{{ unsubscribe_url }} is named, and no link of the HTML leads there with this sample."
        )
        line = page.line_of("unsubscribe_url")
        yield found("mail.unsubscribe", sentence, line=line)


def _subject(page: Page) -> Iterator[Problem]:
    subject = page.rendered.subject
    if not subject:
        yield found("mail.subject", "The subject is empty.", part="subject")
    elif len(subject) > SUBJECT_SHOWN:
        sentence = f"The subject has {len(subject)} characters; inboxes cut it at {SUBJECT_SHOWN}."
        yield found("mail.subject_cut", sentence, part="subject")


def preheader_of(rendered: Rendered) -> str:
    """Return what an inbox shows beside the subject: the hidden line the mail begins with, else its first words."""
    return _hidden_line(rendered.html) or " ".join(rendered.text.split())


def _hidden_line(html: str) -> str:
    """Return the hidden words that the mail begins with; empty where others stand before them."""
    root = LexborHTMLParser(html).root if html.strip() else None
    for node in root.traverse(include_text=True) if root else ():
        if node.tag != "-text" or not shown_words(node.text_content or ""):
            continue
        above = list(islice(_above(node), MAX_DEPTH))
        if any(element.tag in UNSEEN for element in above):
            continue
        hidden = [each for each in above if HIDDEN.search(each.attributes.get("style") or "")]
        return shown_words(hidden[-1].text(deep=True) or "") if hidden else ""
    return ""


def _above(node: LexborNode) -> Iterator[LexborNode]:
    while node.parent is not None:
        node = node.parent
        yield node


def _foreign(page: Page) -> Iterator[Problem]:
    """Find what other systems fill in; of the text what the HTML doesn't say, from which it may be derived."""
    subject, html, text = (
        {match[0] for match in _FOREIGN.finditer(words)}
        for words in (page.rendered.subject, page.rendered.html, page.rendered.text)
    )
    for part, those in (("subject", subject), ("html", html), ("text", text - html)):
        for written in sorted(those):
            line = page.line_of(written) if part == "html" else None
            sentence = f"“{written}” is filled in by other systems, not here."
            yield found("liquid.foreign", sentence, part=part, line=line)


def _unclosed(page: Page) -> Iterator[Problem]:
    opened: list[tuple[str, str]] = []  # elements, each with its tag as it is written
    left: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    for tag in TOKEN.finditer(page.rendered.html):
        name = (tag[3] or "").lower()
        if name not in _CLOSED or tag[0].endswith("/>"):
            continue
        if not tag[2]:
            opened.append((name, tag[0]))
            counts[name] += 1
        elif counts[name]:
            while opened[-1][0] != name:
                left.append(opened.pop())
                counts[left[-1][0]] -= 1
            opened.pop()
            counts[name] -= 1
    for name, written in dict.fromkeys(left + opened):
        line = page.line_of(written) or page.line_matching(rf"<{name}\b")
        yield found("mail.unclosed", f"<{name}> is not closed where it should be.", line=line)


def _preheader(page: Page) -> Iterator[Problem]:
    if not page.rendered.html:
        return
    if not _hidden_line(page.rendered.html):
        shown = preheader_of(page.rendered)
        if not shown or _STARTS_POORLY.match(shown) or shown == page.rendered.subject:
            sentence = "There is no preheader, and the first words say nothing of the mail."
        else:
            sentence = f"There is no preheader; inboxes show “{shown[:60]}…”."
        yield found("mail.preheader", sentence, line=page.line_matching("<body|<mj-body"))


def _text(page: Page) -> Iterator[Problem]:
    if not page.rendered.text.strip():
        yield found("mail.text", "The text part is empty.", part="text")


def _size(page: Page) -> Iterator[Problem]:
    size = len(page.rendered.html.encode())
    if size > GMAIL_CUTS_AT:
        sentence = f"The HTML has {size // 1024} KB; Gmail hides what comes after {GMAIL_CUTS_AT // 1024} KB."
        yield found("mail.size", sentence)
    images = [element for element in page.tagged("img") if not element.is_hidden]
    words = len(page.rendered.text.split())
    if page.is_whole and images and words < FEW_WORDS:
        pictures = f"{len(images)} picture{'' if len(images) == 1 else 's'}"
        sentence = f"The mail is {pictures} and {words} word{'' if words == 1 else 's'}."
        yield found("mail.images_only", sentence)


def _pictures(page: Page) -> Iterator[Problem]:
    embedded = 0
    for image in page.tagged("img"):
        source = image.get("src")
        line = _line_of_image(page, image)
        if "alt" not in image.attributes:
            yield found("mail.alt", "This picture has no alt text.", line=line)
        if not (image.get("width") or "width" in image.declarations):
            yield found("mail.image_size", "This picture has no width.", line=line)
        if source.startswith("data:"):
            embedded += len(source)
            yield found("mail.data_image", "This picture stands in the source.", line=line)
    if embedded > MAX_DATA_IMAGES:
        yield found("mail.weight", f"Pictures in the source weigh {embedded // 1024} KB.")


def _line_of_image(page: Page, image: Element) -> int | None:
    # A whole quoted address: "…/a.png" must not find "…/a.png?x"; what Liquid wrote is found by its element.
    source = image.get("src")[:200]
    needles = [f'"{source}"', f"'{source}'", source] if source else []
    return page.line_of(*needles) or page.line_matching(r"<(?:img|mj-image)\b")


def _active(page: Page) -> Iterator[Problem]:
    for element in page.elements:
        tag = element.tag
        if (tag == "script" and not _is_data(element)) or (
            tag == "meta" and element.get("http-equiv").lower() == "refresh"
        ):
            line = page.line_matching(rf"<{tag}\b")
            yield found("mail.script", f"<{tag}> runs something.", line=line, is_error=True)
        elif tag in _FORMS:
            line = page.line_matching(rf"<{tag}\b")
            yield found("mail.form", f"Most mail programs don't show <{tag}>.", line=line)
        elif tag == "link" and "stylesheet" in element.get("rel").lower():
            rule = "mail.font" if "font" in element.get("href") else "mail.stylesheet"
            if not page.is_mjml:
                yield found(
                    rule, "A stylesheet is loaded from the net.", line=page.line_matching("<link")
                )
        for name in element.attributes:
            if name.startswith("on") and len(name) > 4:
                line = page.line_of(f"{name}=")
                yield found("mail.script", f"{name} runs a script.", line=line, is_error=True)
    if _FONT.search(page.source):
        line = page.line_matching(_FONT.pattern)
        yield found("mail.font", "A font is loaded from the net.", line=line)


def _is_data(script: Element) -> bool:
    """Tell whether it runs nothing: Gmail reads what a mail is about from JSON-LD."""
    return script.get("type").strip().lower() == "application/ld+json"


def _encoding(page: Page) -> Iterator[Problem]:
    for meta in page.tagged("meta"):
        content = _CHARSET.search(meta.get("content"))
        charset = meta.get("charset").strip() or (content[1] if content else "")
        if charset and charset.lower() not in {"utf-8", "utf8"}:
            line = page.line_of(charset)
            yield found("mail.charset", f"The mail says it is {charset}.", line=line, is_error=True)
    for number, line_text in enumerate([] if page.is_mjml else page.source.split("\n"), 1):
        if len(line_text) > LONGEST_LINE:
            yield found("mail.long_line", f"The line has {len(line_text)} characters.", line=number)
