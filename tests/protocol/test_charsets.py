"""Headers are read as their senders mean them, encoded words beside others."""

import pytest

from mailops.protocol.charsets import decode_words


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?latin1?q?_an_=E9?=", "Grüße an é"),
        ("“Grüße” =?utf-8?q?an?= Łódź", "“Grüße” an Łódź"),
        ("C:\\users\\ü =?utf-8?q?x?=", "C:\\users\\ü x"),
        ("“no word", "“no word"),
    ],
)
def test_words_are_decoded_and_all_else_stays(written, read):
    assert decode_words(written) == read


def test_a_backslash_makes_no_half_character():
    assert "\ud800" not in decode_words("\\ud800 =?utf-8?q?x?=")
