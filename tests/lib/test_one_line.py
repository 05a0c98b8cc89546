"""Words from outside on one line."""

import pytest

from mailops.lib.one_line import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\n b\u2029\x00c\u202e d", "a b c d"),
        ("a\u200fb\u061cc\u200ed", "a b c d"),
        ("half \ud800 a letter", "half a letter"),
        ("नमस्ते \U0001f469\u200d\U0001f4bb", "नमस्ते \U0001f469\u200d\U0001f4bb"),
        ("e\u200bv\u2060e\ufeff, so\u00adft N\u200dews N\ufe0fews", "eve, soft News News"),
        ("\u3164 \u2800\uffa0\u200b", ""),
        ("\u0645\u200c\u200c\u06cc x\U000e0067", "\u0645\u200c\u06cc x"),
        (404, "404"),
        ("x" * 31, f"{'x' * 29}…"),
    ],
)
def test_is_made_of_what_can_be_seen(text, line):
    assert one_line(text, 30) == line


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: I want
        "\u0915\u094d\u200c\u0937 \u0915\u094d\u200d",  # Hindi letters, bound and half
        "\u09b0\u200d\u09cd\u09af\u09be\u09ac",  # Bengali: RAB
        "\u182e\u180b\u1823",  # Mongolian
        "\u845b\U000e0100",  # a name as Japan writes it
        "\U0001f469\U0001f3fd\u200d\U0001f4bb \u2764\ufe0f\u200d\U0001f525",  # a coder, a heart on fire
        "1\ufe0f\u20e3 \U0001f642\u200d\u2194\ufe0f",  # a keycap, a head that is shaken
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # England's flag
    ],
)
def test_keeps_what_shapes_letters_and_pictures(text):
    assert one_line(text, 30) == text
