"""One normalised key stands for every way to write an address; what can't be written to is told in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol.address import (
    InvalidAddress,
    NeedsSmtputf8,
    address_key,
    domain_of,
    parse_address,
    search_forms,
)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("Bob@Example.COM", "bob@example.com"),
        ("  bob@example.com.\n", "bob@example.com"),
        ("bob@bücher.example", "bob@xn--bcher-kva.example"),
        ("bob@BÜCHER.example", "bob@xn--bcher-kva.example"),
        ("bob@xn--bcher-kva.example", "bob@xn--bcher-kva.example"),
        ('"bob"@example.com', "bob@example.com"),
        ('"Bob Roe"@example.com', '"bob roe"@example.com'),
        ('"a@b"@example.com', '"a@b"@example.com'),
        ("o'neil+tag@mail.example.com", "o'neil+tag@mail.example.com"),
        ("bob@localhost", "bob@localhost"),
    ],
)
def test_knows_one_mailbox_by_every_spelling(address, key):
    assert address_key(address) == key


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("", "empty"),
        ("bob", "no_at"),
        ("bob@a@example.com", "many_at"),
        ("bob roe@example.com", "space"),
        ("bob@exa mple.com", "space"),
        ("Bob <bob@example.com>", "not_bare"),
        ("bob\x00@example.com", "control"),
        ("bob\r\nRCPT TO:<x@example.com>", "control"),
        ("b\u200bob@example.com", "control"),
        ("b\u2066ob@example.com", "control"),
        ("b\u061cob@example.com", "control"),
        ("b\U000e0041ob@example.com", "control"),
        ("b" * 65 + "@example.com", "too_long"),
        ("bob@" + "a." * 130 + "com", "too_long"),
        ('"' + "\\b" * 64 + '"@' + "a." * 93 + "com.", "too_long"),
        ("bob@" + "a" * 64 + ".com", "bad_domain"),
        ("bob@example." + "c" * 64, "bad_domain"),
        ("bob@-a.com", "bad_domain"),
        ("bob@a_b.com", "bad_domain"),
        ("bob@example", "bad_domain"),
        ("bob@", "bad_domain"),
        ("bob@192.0.2.1", "bad_domain"),
        ("bob@[192.0.2.1]", "bad_domain"),
        ("bob@example..com", "bad_domain"),
        ("@example.com", "bad_local_part"),
        (".bob@example.com", "bad_local_part"),
        ("bob..roe@example.com", "bad_local_part"),
        ("bob,roe@example.com", "bad_local_part"),
        ('"bob@example.com', "bad_local_part"),
    ],
)
def test_refuses_with_a_sentence(address, code):
    with pytest.raises(InvalidAddress) as refused:
        address_key(address)
    assert refused.value.code == code
    assert refused.value.sentence[-1] in ".:,"


class TestLettersOutsideAscii:
    def test_before_the_at_are_flagged_apart(self):
        with pytest.raises(NeedsSmtputf8):
            address_key("jösé@example.com")

    def test_may_be_allowed(self):
        assert address_key("JÖSÉ@example.com", allow_utf8=True) == "jösé@example.com"
        assert parse_address("jösé@example.com", allow_utf8=True).local_part == "jösé"

    def test_of_two_compositions_are_one_mailbox(self):
        assert address_key("jo\u0308@a.example", allow_utf8=True) == address_key(
            "j\u00f6@a.example", allow_utf8=True
        )

    def test_a_kelvin_sign_is_no_ascii_k(self):
        with pytest.raises(NeedsSmtputf8):
            address_key("\u212a@example.com")


def test_domain_of_a_key_with_a_quoted_at():
    assert domain_of('"a@b"@example.com') == "example.com"


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        (" Bob@Münche", "bob@münche"),
        ("Bob@München.de", "bob@xn--mnchen-3ya.de"),
        ("@MÜNCHEN.", "@xn--mnchen-3ya."),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("bob", "bob"),
        ("", ""),
        ("a_b@c..d", "a_b@c..d"),
        ("ü" * 300, "ü" * 300),
        ("\ud800@x", "\ud800@x"),
    ],
)
def test_is_sought_as_it_may_stand_in_a_key(typed, form):
    assert form in search_forms(typed)


def test_parts_keep_the_local_part_as_given():
    parts = parse_address("Bob@Example.COM")
    assert (parts.local_part, parts.domain, parts.addr_spec) == (
        "Bob", "example.com", "Bob@example.com",
    )  # fmt: skip


@given(st.one_of(st.text(), st.from_regex(r"[\w.\"\\ ]{0,20}@[\w.-]{0,20}")))
def test_a_key_is_its_own_key_or_refused(text):
    try:
        key = address_key(text, allow_utf8=True)
    except InvalidAddress as refused:
        assert refused.sentence  # noqa: PT017 - either way is right
    else:
        assert address_key(key, allow_utf8=True) == key
        assert len(key.encode()) <= 254
