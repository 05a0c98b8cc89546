"""Contrast of text on its ground: as it is written, in dark mode as the mail asks for it, and after the usual inversion."""

import colorsys
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from mailops.content.child import CompileFault
from mailops.content.gates.finding import Problem, found
from mailops.content.gates.page import UNSEEN, Element, Page, shown_words
from mailops.content.inlining import closing_brace, inline_styles
from mailops.content.rendering import Rendered

Color = tuple[float, float, float]
WHITE: Color = (1.0, 1.0, 1.0)
BLACK: Color = (0.0, 0.0, 0.0)
NIGHT: Color = (0.12, 0.12, 0.12)  # about what programs put behind a mail in dark mode
ENOUGH, ENOUGH_IF_LARGE, LEGIBLE = 4.5, 3.0, 2.5
MAX_FOUND = 8  # of one kind; the rest is more of the same
_NAMED = {
    "white": WHITE,
    "black": BLACK,
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 0.5, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "gray": (0.5, 0.5, 0.5),
    "grey": (0.5, 0.5, 0.5),
    "silver": (0.75, 0.75, 0.75),
    "navy": (0.0, 0.0, 0.5),
    "yellow": (1.0, 1.0, 0.0),
    "orange": (1.0, 0.65, 0.0),
    "purple": (0.5, 0.0, 0.5),
    "teal": (0.0, 0.5, 0.5),
    "maroon": (0.5, 0.0, 0.0),
}
_HEX = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})\b", re.IGNORECASE)
_RGB = re.compile(r"rgba?\(\s*(\d{1,9})[\s,]+(\d{1,9})[\s,]+(\d{1,9})")
_ASKS_DARK = re.compile(
    r"@media[^{}@]{0,300}prefers-color-scheme\s{0,9}:\s{0,9}dark[^{}@]{0,300}\{", re.IGNORECASE
)
_SUPPORTS_DARK = re.compile(
    r"color-scheme[\"']?\s{0,9}(?:content=[\"']?|:)[^;\"'}>]{0,60}dark", re.IGNORECASE
)
# what gives its words a ground, a color or a size without a style
_COLORED = frozenset({"a", "font", "h1", "h2", "table", "td", "th", "tr", "body"})


@dataclass(frozen=True)
class _Ground:
    """What an element stands on."""

    text: Color
    back: Color
    is_large: bool = False
    is_told: bool = True  # the colors are the mail's own, not the program's
    has_picture: bool = False  # behind it; its color can't be known
    is_plain_link: bool = False  # in the program's own color, which suits its dark mode


def find(page: Page) -> Iterator[Problem]:
    if not page.rendered.html:
        return
    light = _Ground(BLACK, WHITE)
    yield from _poor(page, page, light, "accessibility.contrast")
    dark = _dark_side(page)
    if dark is not None:
        yield from _poor(page, dark, _Ground(WHITE, NIGHT, is_told=False), "dark.contrast")
    else:
        yield from _poor(page, page, light, "dark.contrast", is_inverted=True)
    yield from _logos(page, dark)


@lru_cache(maxsize=1024)
def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of two colors (WCAG 2, 1.4.3): 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@lru_cache(maxsize=1024)
def color_of(value: str) -> Color | None:
    """Return the color that a CSS value or an attribute names; None where it names none that is known."""
    value = value.strip().lower()
    if match := _HEX.search(value):
        digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
        red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
        return red, green, blue
    if match := _RGB.search(value):
        red, green, blue = (min(int(part), 255) / 255 for part in match.groups())
        return red, green, blue
    return next((_NAMED[word] for word in re.findall(r"[a-z]+", value) if word in _NAMED), None)


@lru_cache(maxsize=1024)
def inverted(color: Color, *, is_back: bool) -> Color:
    """Return what programs make of a color that asks for no dark mode: light grounds get dark, dark text light."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*color)
    if (lightness > 0.5) == is_back:
        lightness = 1 - lightness
    return colorsys.hls_to_rgb(hue, max(lightness, NIGHT[0]) if is_back else lightness, saturation)


def _dark_side(page: Page) -> Page | None:
    """Return the mail as it is in dark mode, with those rules inlined; None where it doesn't ask for one."""
    html = page.rendered.html
    if not (_ASKS_DARK.search(html) or _SUPPORTS_DARK.search(html)):
        return None
    rules = "\n".join(_blocks(html))
    try:
        dark = inline_styles(html, css=rules, only_given=True)
    except CompileFault:
        return None
    return replace(page, rendered=Rendered(page.rendered.subject, dark, page.rendered.text))


def _blocks(html: str) -> Iterator[str]:
    at = 0
    while match := _ASKS_DARK.search(html, at):
        end = closing_brace(html, match.end())
        if end < 0:
            return
        yield html[match.end() : end]
        at = end


def _poor(
    page: Page, shown: Page, ground: _Ground, rule: str, *, is_inverted: bool = False
) -> Iterator[Problem]:
    """Yield a problem for each text that can hardly be read on its ground."""
    told: set[str] = set()
    for element, now in _on_grounds(shown, ground):
        words = _own_words(element)
        if not words or now.has_picture or len(told) >= MAX_FOUND:
            continue
        if is_inverted and now.is_plain_link:
            continue
        text, back = now.text, now.back
        if is_inverted:
            text, back = inverted(text, is_back=False), inverted(back, is_back=True)
        least = LEGIBLE if rule.startswith("dark") else ENOUGH_IF_LARGE if now.is_large else ENOUGH
        ratio = contrast(text, back)
        key = f"{_written(text)} {_written(back)}"
        if ratio < least and key not in told:
            told.add(key)
            line = page.line_of(words[:30], words.split(" ")[0] if len(words) > 12 else "")
            sentence = (
                f"“{words[:40]}” is {_written(text)} on {_written(back)}: contrast {ratio:.1f}."
            )
            yield found(rule, sentence, line=line)


def _on_grounds(page: Page, ground: _Ground) -> Iterator[tuple[Element, _Ground]]:
    """Yield the elements that are seen, each with what it stands on; the page stands on `ground`."""
    stack: list[tuple[int, _Ground]] = [(-1, ground)]
    hidden_below: int | None = None
    for element in page.elements:
        if hidden_below is not None and element.depth > hidden_below:
            continue
        hidden_below = None
        if element.tag in UNSEEN or element.is_hidden:
            hidden_below = element.depth
            continue
        while stack[-1][0] >= element.depth:
            stack.pop()
        now = _ground_of(element, stack[-1][1])
        stack.append((element.depth, now))
        yield element, now


def _ground_of(element: Element, above: _Ground) -> _Ground:
    style = element.declarations
    if not style and element.tag not in _COLORED:
        return above
    back = color_of(style.get("background-color") or style.get("background") or "")
    back = back or color_of(element.get("bgcolor"))
    text = color_of(style.get("color") or (element.get("color") if element.tag == "font" else ""))
    has_picture = above.has_picture and back is None
    if "url(" in (style.get("background", "") + style.get("background-image", "")):
        has_picture = True
    size = re.match(r"\d{1,9}", style.get("font-size", ""))
    is_large = int(size[0]) >= 24 if size else above.is_large or element.tag in {"h1", "h2"}
    is_plain_link = above.is_plain_link and text is None
    if element.tag == "a" and text is None and "href" in element.attributes:
        is_plain_link = True
        text = above.text if not above.is_told or above.back != WHITE else (0.0, 0.0, 0.93)
    return _Ground(
        text or above.text, back or above.back, is_large, above.is_told, has_picture, is_plain_link
    )


def _own_words(element: Element) -> str:
    words = shown_words(element.node.text(deep=False) or "")
    return words if any(letter.isalnum() for letter in words) else ""


@lru_cache(maxsize=1024)
def _written(color: Color) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in color)


def _logos(page: Page, dark: Page | None) -> Iterator[Problem]:
    """Yield the pictures that may be dark on nothing, where the mail gives them no ground of their own."""
    if dark is None:
        return
    for image in page.tagged("img"):
        named = f"{image.get('src')} {image.get('alt')} {image.get('class')}".lower()
        may_be_clear = re.search(r"\.(?:png|svg|gif|webp)(?:[?#]|\b)", image.get("src").lower())
        if "logo" not in named or not may_be_clear:
            continue
        if color_of(
            image.declarations.get("background-color", "")
            or image.declarations.get("background", "")
        ):
            continue
        source = image.get("src")
        line = page.line_of(f'"{source}"', source) or page.line_matching("<(?:img|mj-image)")
        yield found("dark.logo", "This logo may vanish on a dark page.", line=line)
