"""Tokens of pictures and links lead where they were signed to lead, and nowhere else."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailops.protocol import looks

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
ID, OTHER_ID = UUID(int=7), UUID(int=8)
TARGET = "https://example.com/a?b=1&c=ä#d"


def click(target=TARGET, *, key=KEY, link=5, public_id=ID):
    octets = target.encode()
    return looks.Signer(public_id, "k1", key).click(link, octets, looks.encode(octets))


class TestToken:
    def test_says_what_was_signed(self):
        token = looks.parse_token(click())
        assert (token.key_id, token.public_id, token.link, token.target) == ("k1", ID, 5, TARGET)
        assert token.is_signed_by(KEY)
        assert not token.is_signed_by(OTHER_KEY)

    def test_of_a_picture_has_no_target(self):
        token = looks.parse_token(looks.Signer(ID, "k1", KEY).open())
        assert (token.public_id, token.link, token.target) == (ID, 0, "")
        assert token.is_signed_by(KEY)
        assert not token.is_signed_by(OTHER_KEY)

    def test_of_one_link_is_none_of_another_nor_of_another_message(self):
        key_id, about, target = click().split(".")
        others = [click("https://evil.example/"), click(link=6), click(public_id=OTHER_ID)]
        for _, other_about, other_target in (other.split(".") for other in others):
            for parts in ((about, other_target), (other_about, target)):
                token = looks.parse_token(".".join([key_id, *parts]))
                whole = ".".join([key_id, *parts]) in {click(), *others}
                assert token.is_signed_by(KEY) == whole

    @pytest.mark.parametrize(
        "token", ["", ".", "k1", "k1.", "k1..", "k1.AAAA.AAAA", "../x", "k1." + "A" * 43, "k1." + "A" * 38 + ".AAAA", "k1." + "ä" * 43, "A" * 5000]
    )  # fmt: skip
    def test_of_another_form_is_none(self, token):
        assert looks.parse_token(token) is None

    def test_cut_off_or_changed_anywhere_it_proves_nothing(self):
        whole = click()
        for at in range(len(whole)):
            changed = whole[:at] + ("B" if whole[at] != "B" else "C") + whole[at + 1 :]
            for text in (whole[:at], changed, whole[:at] + whole[at + 1 :]):
                token = looks.parse_token(text)
                # another key's name would be looked up, and its key proves nothing
                assert token is None or token.key_id != "k1" or not token.is_signed_by(KEY)

    def test_stands_in_html_and_in_urls_as_it_is(self):
        token = click("https://e/?" + "".join(map(chr, range(33, 92))) + "ÿ~")
        assert set(token) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789~_."
        )

    @settings(max_examples=50)
    @given(st.text(max_size=80))
    def test_whatever_is_called(self, text):
        looks.parse_token(text)
        looks.parse_token(f"k1.{text}")


class TestPage:
    @pytest.mark.parametrize("page", ["http://a", "https://a/", "HTTPS://A.example:8443/ü?x=1&y[]=2#z", "https://[::1]/", TARGET])  # fmt: skip
    def test_of_the_web(self, page):
        assert looks.is_page(page)

    @pytest.mark.parametrize(
        "page",
        [
            "", "//evil.example", "\\\\evil.example", "/\\evil", "javascript:alert(1)", "data:text/html,x", "https:evil.example",
            "https:/evil.example", "https:\\\\evil", "https:///evil", "http://\\evil", "https://@evil", "https://a\\@evil", "https://?x",
            "https://a/\r\nSet-Cookie: a=b", "https://a/\n", "https://a b/", " https://a/", "ftp://a/", "mailto:a@b", "vbscript:x",
            "https://a/\x00", "https://" + "a" * 1400, "http:", "https://#",
        ],
    )  # fmt: skip
    def test_nothing_else_is_one(self, page):
        assert not looks.is_page(page)
        octets = page.encode()
        if octets:  # even signed
            assert looks.parse_token(looks.Signer(ID, "k1", KEY).click(1, octets, looks.encode(octets))) is None  # fmt: skip
