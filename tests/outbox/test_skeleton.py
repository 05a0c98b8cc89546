"""A message assembled from its skeleton is the one that the email package makes, octet for octet."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailops.content.rendering import compile_sources
from mailops.content.starters import STARTERS
from mailops.outbox import skeleton
from mailops.outbox.mime import Enclosure, Letter, UnfitContent, build_content
from mailops.outbox.skeleton import assemble
from mailops.protocol.unsubscribe import header_values
from mailops.rollouts.demo.writing import ADDED, LETTER, MAILS, ORDER

BENCH = Path(__file__).parents[2] / "bench/template"
URL = f"https://mailops.example/feedback/unsubscribe/{'a1' * 40}/"
ID = UUID("0b9c7f3e-55aa-4c1e-9d6f-0123456789ab")

PIECES = [
    *["word ", "a", "=", "==", "=?utf-8?q?x?=", "%s", "%(id)b", "From ", "\nFrom me", "\n.", "\n..\n", ".", "\t"],
    *["\n", "\r", "\r\n", "\n\r", "\r\r\n", " \n", "\t\n", "   ", "\x00", "\x0b", "\x0c", "\x1c", "\x7f", "\x85"],
    *["é", "ß ", "£4.90", "\xa0", "\xad", "Привет, ", "こんにちは", "שלום ", "مرحبا ", "\u202e", "👩‍👩‍👧", "🇩🇪 ", "\ufeff"],
    *["x" * 76, "x" * 77, "x" * 78, "x" * 79, "y " * 39, "=" * 30, "ü" * 27, "z" * 401, "q" * 999],
    *['<p style="color:red">', "{{", "--=_" + ID.hex, f"=_{ID.hex}_", "\u2028", "a" * 75 + "é"],
]  # fmt: skip
BODIES = st.lists(st.sampled_from(PIECES) | st.text(max_size=60), max_size=40).map("".join)
WORDS = st.sampled_from(["Hello ", "order ", "  ", "a" * 70, "é", "Grüße ", "Анна ", "こんにちは", "שלום", "👋", "=?utf-8?q?x?=", ",", '"', "(x)", "<b>", "@", ":", ";", "%d", "="])  # fmt: skip
LINES = st.lists(WORDS | st.text(max_size=20), max_size=14).map("".join)
LOCAL_PARTS = st.sampled_from(["ada", "a.b+c_d-e", "o'neil", "x" * 64, '"a b"', '"a\\"b"', '"x@y"', "a..b", ".a", "ü", "=?x?=", "a=b", "a/b", "", "a b"])  # fmt: skip
HOSTS = st.sampled_from(["example.com", "a-b.example", "xn--bcher-kva.example", "bücher.example", "l" * 60 + ".example", "s." * 40 + "example", "[127.0.0.1]", "localhost", "", "a b"])  # fmt: skip
ADDRESSES = st.builds("{}@{}".format, LOCAL_PARTS, HOSTS)
DATES = st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)) | st.datetimes(  # noqa: DTZ001
    datetime(1950, 1, 1),  # noqa: DTZ001
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
FURTHER = st.dictionaries(
    st.sampled_from(["Feedback-ID", "X-Campaign", "Precedence", "X-Percent", "list-unsubscribe"]), LINES, max_size=3
)  # fmt: skip
UNSUBSCRIBE = st.sampled_from(
    [{}, header_values(URL), header_values(URL, "u+x@bounces.example"), header_values(URL + "é=?")]
)

FILES = st.lists(
    st.builds(
        Enclosure,
        name=st.sampled_from(
            [
                "logo.png",
                "Grüße aus München.pdf",
                "100%.csv",
                "a b;c\"d'.txt",
                "x" * 90 + ".png",
                "雪" * 40,
                "=_r" + ID.hex,
                "%(id)b",
                "a\r\nBcc: eve@example.com",
            ]
        ),
        content_type=st.sampled_from(["image/png", "application/pdf", "text/csv"]),
        content=st.binary(min_size=1, max_size=200) | st.just(b"File 0 of the skeleton"),
        cid=st.sampled_from(["", "", "0123456789abcdef0123456789abcdef@mailops", "a@b"]),
    ),
    max_size=4,
).map(tuple)

LETTERS = st.builds(
    Letter,
    public_id=st.just(ID) | st.uuids(),
    header_from_name=LINES,
    header_from=ADDRESSES,
    reply_to=st.just("") | st.lists(ADDRESSES, min_size=1, max_size=6).map(", ".join),
    recipient=ADDRESSES,
    subject=LINES,
    text=BODIES,
    html=st.just("") | BODIES,
    message_id=st.builds("<{}@{}>".format, st.just(ID.hex) | st.text(max_size=5), HOSTS),
    date=DATES,
    headers=st.builds(lambda further, leaving: further | leaving, FURTHER, UNSUBSCRIBE),
    takes_8bit=st.booleans(),
    files=st.just(()) | FILES,
)


def letter(**changed):
    ordinary = {
        "public_id": ID,
        "header_from_name": "Acme",
        "header_from": "letter@acme.example",
        "reply_to": "",
        "recipient": "ada@example.com",
        "subject": "Your order",
        "text": "Hello",
        "html": "<p>Hello</p>",
        "message_id": f"<{ID.hex}@acme.example>",
        "date": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        "headers": {"Feedback-ID": "c1:v2:s3:acme.example"} | header_values(URL),
    }
    return Letter(**(ordinary | changed))


def made(make, parts):
    try:
        return make(parts)
    except UnfitContent:
        return None


def is_same(parts):
    """Assemble twice, so that the second comes from what the first left behind."""
    wanted = made(build_content, parts)
    assert made(assemble, parts) == wanted
    return made(assemble, parts) == wanted


@pytest.fixture
def quick(monkeypatch):
    """Fail where a whole message goes to the email package, once its skeleton is made."""
    assemble(letter())

    def refuse(parts):
        raise AssertionError(f"not assembled: {parts}")

    return lambda: monkeypatch.setattr(skeleton, "build_content", refuse)


class TestAssemble:
    @settings(max_examples=200)
    @given(LETTERS)
    def test_makes_what_the_email_package_makes(self, parts):
        assert is_same(parts)

    @settings(max_examples=200)
    @given(BODIES, BODIES)
    @example("", "")
    @example("\n", "\n\n")
    @example("x" * 78, "x" * 79)
    @example("x" * 998, "x" * 999)
    @example("é" * 499, "é" * 500)
    @example("x" * 900 + "\r" + "y" * 900, "x\0")
    @example("é", "é" * 999)
    @example("From here\n.\n..", "=\n=" * 20)
    def test_encodes_any_body_as_the_email_package_does(self, text, html):
        assert is_same(letter(text=text, html=html))
        assert is_same(letter(text=text, html=html, takes_8bit=True))

    @settings(max_examples=200)
    @given(LINES, ADDRESSES, DATES)
    @example("", "ada@example.com", datetime(2026, 1, 2, tzinfo=UTC))
    @example("a" * 69, "ada@" + "x" * 70, datetime(2026, 1, 2, tzinfo=UTC))
    @example("a" * 70, "ada@" + "x" * 71, datetime(2026, 1, 2, tzinfo=UTC))
    @example("a " * 400, "ada@" + "x" * 75, datetime(2026, 1, 2, tzinfo=UTC))
    @example("a" * 800, "ada@" + "x" * 200, datetime(2026, 1, 2, tzinfo=UTC))
    @example(" a ", '"a b"@example.com', datetime(2026, 1, 2, tzinfo=UTC))
    def test_folds_any_subject_and_recipient_as_the_email_package_does(
        self, subject, recipient, date
    ):
        assert is_same(letter(subject=subject, recipient=recipient, date=date))

    @settings(max_examples=30)
    @given(FILES, st.sampled_from(["Hello", "Grüße", f"--=_m{ID.hex}", "x" * 999]), st.booleans())
    def test_carries_files_as_the_email_package_does(self, files, text, takes_8bit):
        for html in ("", "<p>Hello</p>", f"<p>é</p>\n--=_r{ID.hex}"):
            assert is_same(letter(files=files, text=text, html=html, takes_8bit=takes_8bit))

    def test_has_a_quick_way_for_letters_with_files(self, quick):
        files = (
            Enclosure(name="logo.png", content_type="image/png", content=b"1", cid="1@mailops"),
            Enclosure(name="Größe.pdf", content_type="application/pdf", content=b"2" * 9_000),
        )
        letters = [
            letter(files=files, html=html, takes_8bit=takes_8bit)
            for html in ("", "<p>é</p>")
            for takes_8bit in (True, False)
        ]
        wanted = [build_content(each) for each in letters]
        assert [assemble(each) for each in letters] == wanted  # makes their skeletons
        quick()
        assert [assemble(each) for each in letters] == wanted

    @pytest.mark.parametrize("starter", STARTERS)
    def test_makes_the_starters(self, starter):
        sources = STARTERS[starter]
        compiled = compile_sources(
            subject=sources.subject or "Hello", html=sources.html or "<p>Hello</p>", text=""
        )
        given_all = {"email": "ada@example.com", "unsubscribe_url": URL} | sources.sample
        rendered = compiled.render(given_all)
        assert is_same(letter(subject=rendered.subject, text=rendered.text, html=rendered.html))

    @pytest.mark.parametrize("mail", [LETTER, ORDER], ids=["letter", "order"])
    @pytest.mark.parametrize(
        "first_name", ["Ada", "Zoë", "Анна", "雪", "שרה", "👩‍🚀", "x" * 900, "a=b " * 30]
    )
    def test_makes_the_demos_mails_whoever_reads_them(self, mail, first_name, quick):
        html = ADDED.sub(r"\1", (MAILS / mail.file).read_text())
        compiled = compile_sources(subject=mail.subjects[1], html=html, text="")
        rendered = compiled.render(mail.sample | {"first_name": first_name[:400]})
        parts = letter(subject=rendered.subject, text=rendered.text, html=rendered.html)
        wanted = build_content(parts)
        quick()
        assert assemble(parts) == wanted

    def test_makes_the_benchs_mail(self, quick):
        subject, html, text = (
            (BENCH / name).read_text() for name in ("subject.txt", "order.html", "order.txt")
        )
        compiled = compile_sources(subject=subject, html=html, text=text)
        rendered = compiled.render(json.loads((BENCH / "sample.json").read_text()))
        parts = letter(subject=rendered.subject, text=rendered.text, html=rendered.html)
        wanted = build_content(parts)
        quick()
        assert assemble(parts) == wanted

    @pytest.mark.parametrize(
        "recipient",
        ["ada@example.com", "a.b+c@a-b.example", '"a b"@example.com', f"{'x' * 64}@example.com"],
    )
    def test_has_a_quick_way_for_ordinary_recipients(self, recipient, quick):
        wanted = build_content(letter(recipient=recipient))
        quick()
        assert assemble(letter(recipient=recipient)) == wanted

    def test_takes_another_boundary_where_a_part_has_it(self):
        parts = letter(text=f"--=_{ID.hex}", html=f"<p>=_{ID.hex}_</p>")
        assert f'boundary="=_{ID.hex}__"'.encode() in assemble(parts)
        assert is_same(parts)

    def test_refuses_what_the_email_package_refuses(self):
        with pytest.raises(UnfitContent, match="line break"):
            assemble(letter(subject="Hello\nBcc: eve@example.com"))
        with pytest.raises(UnfitContent, match="control character"):
            assemble(letter(recipient="ada@example.com\r\nBcc: eve@example.com"))

    def test_takes_no_header_for_a_place_to_fill_in(self):
        marks = (
            f"%(to)b {skeleton._RECIPIENT} {skeleton._SUBJECT} {skeleton._TEXT} {skeleton._ID.hex}"
        )
        assert is_same(letter(header_from_name=marks, headers={"X-To": marks}))
        assert is_same(letter(text=marks, html=marks, subject=marks))
