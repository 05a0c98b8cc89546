"""A token names its message only when our key signed it."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol import unsubscribe, verp

KEY, OTHER = b"k" * 32, b"o" * 32


class TestVerp:
    @given(st.uuids(), st.integers(0, verp.MAX_ROUND))
    def test_comes_back_from_any_case(self, public_id, number):
        sender = verp.make_envelope_sender(public_id, number, "bounces.example", KEY)
        token = verp.parse_envelope_sender(sender.upper())
        assert (token.public_id, token.round) == (public_id, number)
        assert token.is_signed_by(KEY)

    @given(st.uuids(), st.integers(0, verp.MAX_ROUND))
    def test_fits_a_local_part(self, public_id, number):
        sender = verp.make_envelope_sender(public_id, number, "bounces.example", KEY)
        assert len(sender.split("@")[0]) <= 64

    def test_of_another_key_is_not_signed(self):
        token = verp.parse_token(verp.make_token(uuid4(), 1, OTHER))
        assert not token.is_signed_by(KEY)

    def test_of_another_round_is_not_signed(self):
        made = verp.make_token(UUID(int=1), 1, KEY)
        assert not verp.parse_token(made.replace(".1.", ".2.")).is_signed_by(KEY)

    def test_of_an_unsubscribe_link_is_not_signed(self):
        signature = unsubscribe.make_token(UUID(int=1), KEY).split(".")[1]
        forged = verp.parse_token(f"{UUID(int=1).hex}.0.{signature}")
        assert not forged.is_signed_by(KEY)

    @pytest.mark.parametrize(
        "address", ["", "bob@example.com", "b+@x", "b+zz.1.aa@x", "b+" + "0" * 32 + ".99999." + "a" * 20 + "@x"]
    )  # fmt: skip
    def test_of_another_form_is_none(self, address):
        assert verp.parse_envelope_sender(address) is None

    @given(st.text())
    def test_never_raises(self, text):
        verp.parse_envelope_sender(text)
        verp.parse_token(text)


class TestUnsubscribe:
    @given(st.uuids())
    def test_comes_back(self, public_id):
        token = unsubscribe.parse_token(unsubscribe.make_token(public_id, KEY))
        assert token.public_id == public_id
        assert token.is_signed_by(KEY)
        assert not token.is_signed_by(OTHER)

    @given(st.uuids())
    def test_comes_back_from_a_mail_address_that_fits(self, public_id):
        address = unsubscribe.make_mail_address(public_id, "bounces.example", KEY)
        assert unsubscribe.parse_mail_address(address.upper()).is_signed_by(KEY)
        assert len(address.split("@")[0]) <= 64

    def test_header_values_are_those_of_the_rfc(self):
        assert unsubscribe.header_values("https://m.example/u/t/") == {
            "List-Unsubscribe": "<https://m.example/u/t/>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }

    def test_one_click_is_the_field_of_the_rfc(self):
        assert unsubscribe.is_one_click({"List-Unsubscribe": "One-Click"})
        assert not unsubscribe.is_one_click({"scope": "all"})

    @given(st.text())
    def test_never_raises(self, text):
        unsubscribe.parse_token(text)
        unsubscribe.parse_mail_address(text)
