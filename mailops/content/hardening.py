"""Guards the values that stand in addresses and styles of a mail, where escaping for HTML is not enough.

A contact whose name is "a&admin=1" must not add a parameter to a link, nor one whose name is "red;display:none" a
declaration to a style. Each such value goes through a filter; whoever wrote one (url_encode) has it already. Nor may a
space in a value begin another attribute: a value of an attribute that has no quotes gets them.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from liquid.stringify import to_liquid_string

from mailops.content.closing import INSIDE
from mailops.content.masking import BLOCK, MASKED, mask, unmask
from mailops.content.variables import BUILT_IN

_START = re.compile(
    rf"<!--(?:\[if\b[^\]>]{{0,200}}\]>|-?>)?|<[a-zA-Z][\w:-]*+{INSIDE}>", re.IGNORECASE
)
_STYLE_OPENS = re.compile(r"<style\b", re.IGNORECASE)
_STYLE_CLOSES = re.compile("</style", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"(?<![\w:-])([\w:-]++)(\s*+=\s*+)(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")
# what stands in quotes; a value without; a tag of Liquid anywhere else
_IN_ELEMENT = re.compile(
    rf"\"[^\"]*\"|'[^']*'|(?P<equals>=\s*+)(?P<bare>[^\s\"'>{BLOCK}]++)(?P<behind>[^\s\"'>]*+)|(?P<tag>{MASKED.pattern})"
)
_BEGINNING = re.compile(rf"<(?:<!--)?({MASKED.pattern})")  # an element's name that is a value
_OPENS = re.compile(r"\{%-?\s*(?:if|unless|case|for|tablerow|ifchanged|capture)\b")
_NEXT_BRANCH = re.compile(r"\{%-?\s*(else|elsif|when|end)")
_ADDRESSES = frozenset({"href", "src", "background", "action", "poster", "cite", "srcset"})
_ENCODES = re.compile(
    r"\|\s*(?:url_encode|in_url|in_host|in_path|safe_url|in_style|base64_url_safe_encode)\b"
)
_SCHEMES = ("http:", "https:", "mailto:", "tel:", "sms:", "cid:")
_SCHEME = re.compile(r"[\x00-\x20]*([a-zA-Z0-9+.-]*:)")  # or its end, where it began before
_UNSEEN = re.compile(r"[\t\r\n]")  # a browser takes them out of an address (WHATWG URL, 4.4)
_TO_HOST = re.compile(r"(?:[a-zA-Z0-9+.-]*:)?//[^/?#]*")  # the scheme may be a value
_WHOLE_HOST = re.compile(r".*\w", re.DOTALL)  # what a value behind it would lengthen
_HOST_GOES_ON = re.compile(r"[\w.-]")
_BESIDE = 40  # characters behind a value in which a scheme may end
_WRITES = re.compile(
    r"\{%-?\s*(?:(echo)\b|liquid\b.*\b(?:echo|cycle)\b"
    r"|cycle\b(?:\"[^\"]*\"|'[^']*'|[^\"'])*?[,:\s](?:[^\W\d]|\[))",
    re.DOTALL,
)
_UNSTYLISH = re.compile(r"[;{}<>()\"'\\:@/]|[\x00-\x1f]")
_PLAIN = frozenset(name for name in BUILT_IN if "email" not in name and "name" not in name)


class Unguarded(ValueError):
    """A value that stands where it can't be guarded; `written` is what to look for in the source."""

    def __init__(self, written: str, why: str, fix: str) -> None:
        super().__init__(written)
        self.written = written
        self.sentence = f"“{' '.join(written.split())[:60]}” {why}. {fix}"


def harden(html: str) -> str:
    """Return a Liquid source of HTML whose values in addresses and styles are guarded; raise Unguarded."""
    masked, tags = mask(html)
    masked = _quoted(masked, tags)
    guarded = list(tags)
    for value, is_style in _guarded_places(masked):
        begins, is_behind, at, written = True, False, 0, ""
        # what stands before in any case, with the branch that ended last, and at each block that is open
        before, with_branch, opened = "", "", list[str]()
        joins = True  # no value stands between that and this one
        for match in MASKED.finditer(value):
            literal = value[at : match.start()].strip("\"' \t\n")
            joins = joins or bool(literal)
            written += literal
            before, with_branch = before + literal, with_branch + literal
            begins = not written
            at = match.end()
            tag = tags[int(match[1])]
            if _is_value(tag):
                is_whole = begins and not is_behind
                behind = MASKED.sub("", value[at : at + _BESIDE])
                guard = (
                    _of_beginning(behind)
                    if is_whole
                    else _of_part({before, with_branch}, behind, joins=joins)
                )
                guarded[int(match[1])] = _filtered(tag, "in_style" if is_style else guard)
                is_behind, joins = True, False
            elif branch := _NEXT_BRANCH.match(tag):
                is_behind, joins = False, joins or branch[1] != "end"
                with_branch, before = before, opened[-1] if opened else before
                del opened[-1 if branch[1] == "end" else len(opened) :]
            elif _OPENS.match(tag):
                opened.append(before)
    return unmask(masked, guarded)


def _quoted(masked: str, tags: list[str]) -> str:
    """Return `masked` with quotes around values that have none; raise Unguarded where a value is no attribute's."""
    for beginning in _BEGINNING.finditer(masked):
        if _writes(tags[int(beginning[2])]):
            raise Unguarded(
                f"<{tags[int(beginning[2])]}",
                "begins a tag with a value, which can become any element",
                "Write the element's name out, or “&lt;” for the character.",
            )
    parts, at = [], 0
    for element in _elements(masked):
        parts += [masked[at : element.start()], _with_quotes(element[0], tags)]
        at = element.end()
    return "".join([*parts, masked[at:]])


def _with_quotes(element: str, tags: list[str]) -> str:
    def with_quotes(part: re.Match[str]) -> str:
        if not any(_writes(tags[int(match[1])]) for match in MASKED.finditer(part[0])):
            return part[0]
        if part["bare"] and not _writes_in(part["behind"], tags):
            return f'{part["equals"]}"{part["bare"]}"{part["behind"]}'
        if part["bare"] or part["tag"]:
            raise Unguarded(
                unmask(element[_word_start(element, part.start()) : part.end()], tags),
                "stands in a tag without quotes, where a value can become further attributes",
                'Put the whole value in quotes: name="{{ … }}".',
            )
        return part[0]

    return _IN_ELEMENT.sub(with_quotes, element)


def _word_start(text: str, at: int) -> int:
    """Return where the blank stands before the word that reaches to `at`."""
    return max(0, *(text.rfind(blank, 0, at) for blank in " \t\n"))


def _writes_in(masked: str, tags: list[str]) -> bool:
    """Tell whether anything but tags that write nothing stands in `masked`."""
    return bool(MASKED.sub("", masked)) or any(
        _writes(tags[int(match[1])]) for match in MASKED.finditer(masked)
    )


def _writes(tag: str) -> bool:
    return tag.startswith("{{") or _WRITES.match(tag) is not None


def _is_value(tag: str) -> bool:
    """Tell whether `tag` writes one value; raise Unguarded where it writes values in a way that takes no filter."""
    writes = _WRITES.match(tag)
    if writes and not writes[1]:
        raise Unguarded(
            tag,
            "writes a value into an address or a style, where it can't be guarded",
            "Write {{ … }} in its place.",
        )
    return _writes(tag)


def _of_beginning(behind: str) -> str:
    """Return the guard of a value that an address begins with, and that `behind` may end the scheme of."""
    scheme = _SCHEME.match(behind)
    return f"safe_url: '{scheme[1]}'" if scheme else "safe_url"


def _of_part(befores: set[str], behind: str, *, joins: bool) -> str:
    """Return the guard of a value between `befores`, one of which it may join, and `behind`: they may be of a host's name."""
    hosts = [each for each in befores if _TO_HOST.fullmatch(each)]
    if hosts and _HOST_GOES_ON.match(behind):
        return "in_host"
    return "in_path" if joins and any(map(_WHOLE_HOST.fullmatch, hosts)) else "in_url"


def _elements(masked: str) -> Iterator[re.Match[str]]:
    """Yield the elements' tags; what stands in comments or between those of a style is none."""
    at, has_ends = 0, True
    while start := _START.search(masked, at):
        at = start.end()
        if start[0] == "<!--" and has_ends:
            end = masked.find("-->", at)
            has_ends = end >= 0  # where this one has none, no later one has
            at = end + 3 if has_ends else at
        elif not start[0].startswith("<!--"):
            yield start
            at = _end_of_style(masked, start) or at


def _end_of_style(masked: str, element: re.Match[str]) -> int | None:
    """Return where the style ends that `element` begins; None where it begins none."""
    if not _STYLE_OPENS.match(element[0]):
        return None
    ends = _STYLE_CLOSES.search(masked, element.end())
    return ends.start() if ends else len(masked)


def _guarded_places(masked: str) -> Iterator[tuple[str, bool]]:
    """Yield what is an address or a style, and whether it is a style."""
    for element in _elements(masked):
        for attribute in _ATTRIBUTE.finditer(element[0]):
            name = attribute[1].lower()
            if name == "style" or name.rpartition(":")[2] in _ADDRESSES:  # Outlook's o:href, too
                yield attribute[3], name == "style"
        if end := _end_of_style(masked, element):
            yield masked[element.end() : end], True


def _filtered(tag: str, name: str) -> str:
    inner = tag[2:-2].strip("-").strip()
    if inner in _PLAIN or _ENCODES.search(inner):
        return tag
    end = tag[-3:] if tag[-3] == "-" else tag[-2:]
    return f"{tag[: -len(end)].rstrip()} | {name} {end}"


def in_url(value: Any) -> str:
    """Return `value` as a part of an address: nothing in it begins a parameter, a fragment or a host."""
    return quote(_text(value), safe="/,%~!*")


def in_host(value: Any) -> str:
    """Return `value` as a part of a host's name that goes on behind it: nothing in it ends that name."""
    return quote(_text(value), safe="~")


def in_path(value: Any) -> str:
    """Return `value` as what stands behind a host: it begins a path, so nothing in it lengthens the host's name."""
    part = in_url(value)
    return part if part[:1] in {"", "/"} else f"/{part}"


def safe_url(value: Any, behind: str = "") -> str:
    """Return `value` as a whole address, or all that stands before `behind`.

    It is "#" where it would run a script or open something of the reader's.
    """
    text = _UNSEEN.sub("", _text(value)).strip()
    scheme = _SCHEME.match(f"{text}{behind}")
    return "#" if scheme and scheme[1].lower() not in _SCHEMES else text


def in_style(value: Any) -> str:
    """Return `value` as a part of one declaration: nothing in it ends that, or fetches anything."""
    return _UNSTYLISH.sub("", _text(value))


def _text(value: Any) -> str:
    return str(to_liquid_string(value, autoescape=False))


GUARDS = {
    "in_url": in_url,
    "in_host": in_host,
    "in_path": in_path,
    "safe_url": safe_url,
    "in_style": in_style,
}
