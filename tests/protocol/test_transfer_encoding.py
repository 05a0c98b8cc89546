"""Which text may travel as it is; how the other is encoded, tests/outbox/test_skeleton.py holds against Python's own."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailops.protocol.transfer_encoding import plain_encoding

LENGTHS = st.sampled_from([0, 1, 500, 996, 997, 998, 999, 1500])


@given(st.lists(LENGTHS, min_size=1, max_size=8), st.sampled_from("xé"), st.sampled_from("\n\r"))
@example([998], "x", "\n")
@example([999], "x", "\n")
@example([0, 998, 999], "x", "\n")
@example([998, 998], "x", "\r")
def test_text_travels_as_it_is_while_no_line_has_more_than_998_octets(lengths, letter, line_end):
    lines = [letter * (length // len(letter.encode())) for length in lengths]
    fits = all(len(line.encode()) <= 998 for line in lines)
    told = plain_encoding(line_end.join(lines), takes_8bit=True)
    assert (told is not None) is fits


@pytest.mark.parametrize(
    ("text", "takes_8bit", "encoding"),
    [
        ("", False, "7bit"),
        ("Hello\n", False, "7bit"),
        ("Grüße\n", False, None),
        ("Grüße\n", True, "8bit"),
        ("a\0b", True, None),
    ],
)
def test_names_the_encoding(text, takes_8bit, encoding):
    assert plain_encoding(text, takes_8bit=takes_8bit) == encoding
