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
        (404, "404"),
        ("x" * 31, f"{'x' * 29}…"),
    ],
)
def test_is_made_of_what_can_be_seen(text, line):
    assert one_line(text, 30) == line
