"""A Message-ID comes back as its message."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol.message_id import make_message_id, parse_message_id


def test_a_message_id_comes_back():
    public_id = uuid4()
    made = make_message_id(public_id, "news.example.com")
    assert parse_message_id(f" {made.upper()} ") == (public_id, "news.example.com")


@given(st.text())
def test_a_foreign_message_id_is_none_or_ours(text):
    found = parse_message_id(text)
    assert found is None or found[0]
