"""What mends a fault that a parser names in its own words."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from mailops.content.limits import HTML

_CLOSED = [name for name, tag in HTML.tags.items() if tag.block]
_TAGS = sorted(
    {*HTML.tags, "else", "elsif", "when", *(f"end{name}" for name in _CLOSED)}
    - {"content", "output", "illegal", "#"}
)
_REMEDIES: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), fix)
    for pattern, fix in [
        (r"tag '(?:else|elsif)'", "It stands between {% if … %} and {% endif %}; check that both are there."),
        (r"tag 'when'", "It stands between {% case … %} and {% endcase %}; check that both are there."),
        (rf"tag 'end({'|'.join(_CLOSED)})'", "Nothing is open that it could close: check that {{% {0} … %}} stands before it."),
        (r"tag '(?:render|include)'", "Name the block in quotes: {% render 'Footer' %}."),
        (r"Expected in\b", "Write it so: {% for item in list %}."),
        (r"found '='", "Compare with two signs: {% if a == b %}."),
        (r"'&'|'\|'", "Write “and” and “or”; one | stands before each filter."),
        (r"'[“”‘’„«»]'", "Write straight quotes, \" or ', around a text."),
        (r"'[#/^{}]'", "Other systems write so. Here it is {% if name %}…{% endif %}, {% for x in list %}…{% endfor %} and {{ name }}."),
        (r"found '\('", "What a filter takes stands behind a colon: {{ name | default: 'there' }}."),
        (r"found (?:word|string|integer|float)", "A name has no blanks in it, and what a filter takes stands behind a colon: {{ first_name | default: 'there' }}."),
        (r"found (?:or|and)\b", "“or” and “and” stand in {% if … %} alone; for a fallback write {{ name | default: 'there' }}."),
        (r"Expected '='", "Write it so: {% assign name = 'value' %}."),
        (r"primitive expression|Missing expression", "Write a name, a number, or a text in quotes there."),
        (r"expected an integer", "Give it a number without quotes: {{ text | truncate: 20 }}."),
        (r"divided_by", "Ask first: {% if number != 0 %}…{% endif %}."),
        (r"“<!--” is opened", "End it with -->."),
        (r"“<(style|script|title|textarea)” is opened", "End it with </{0}>."),
        (r"“<\S*” is opened here and not closed\.", "Write the quotation mark and the > that end it."),
        (r"“\{\{” is opened", "End it with }}."),
        (r"“\{%” is opened", "End it with %}."),
        (r"has no “(end\w+)”", "Write {{% {0} %}} where it ends, within the same element."),
    ]
]  # fmt: skip
_NAMED = re.compile(r"Unexpected tag '(\w+)'|There is no filter “(\w+)”")


def remedy_of(sentence: str) -> str:
    """Return what mends the fault that `sentence` tells of; empty where that is not known."""
    for pattern, fix in _REMEDIES:
        if match := pattern.search(sentence):
            return fix.format(*match.groups()) if match.groups() else fix
    named = _NAMED.search(sentence)
    return _nearest(named[1] or named[2], _TAGS if named[1] else HTML.filters) if named else ""


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"Is it “{near[0]}”?" if near else "Check the spelling."
