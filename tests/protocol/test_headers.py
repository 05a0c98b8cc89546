"""A header a person adds can't smuggle another, and a Message-ID comes back as its message."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol.headers import UnsafeHeader, check_header
from mailops.protocol.message_id import make_message_id, parse_message_id


def test_an_ordinary_header_passes():
    check_header("X-Campaign", "Frühling")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A: 1\r\nBcc", "eve@example.com"),
        ("X A", "1"),
        ("", "1"),
        ("X" * 77, "1"),
        ("Über", "1"),
        ("X-A\n", "1"),
        ("bcc", "eve@example.com"),
        ("Content-Type", "text/html"),
        ("ARC-Seal", "x"),
        ("X-A", "1\r\nBcc: eve@example.com"),
        ("X-A", "1\x00"),
        ("X-A", "1\x0b"),
        ("X-A", "\ud800"),
        ("X-A", "a" * 20_000),
    ],
)
def test_a_dangerous_one_is_refused_with_a_sentence(name, value):
    with pytest.raises(UnsafeHeader) as refused:
        check_header(name, value)
    assert refused.value.sentence.endswith(".")


@given(st.text(), st.text())
def test_what_passes_has_no_line_break(name, value):
    try:
        check_header(name, value)
    except UnsafeHeader:
        return
    assert not set("\r\n\0") & set(name + value)


def test_a_message_id_comes_back():
    public_id = uuid4()
    made = make_message_id(public_id, "news.example.com")
    assert parse_message_id(f" {made.upper()} ") == (public_id, "news.example.com")


@given(st.text())
def test_a_foreign_message_id_is_none_or_ours(text):
    found = parse_message_id(text)
    assert found is None or found[0]
