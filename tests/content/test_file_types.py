"""What a file is: by its name, and by its octets."""

import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.content.file_types import MAX_NAME, MAX_PARTS, WrongFile, clean_name, measure
from tests.content.some_files import ENDINGS, GIF, JPEG, PDF, WEBP, packed, png


def look(name, content):
    return measure(name, content, allowed=ENDINGS)


class TestCleanName:
    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            ("logo.png", "logo.png"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\windows\\system.ini", "system.ini"),
            ("/etc/", ""),
            ("a\r\nBcc: eve@example.com.png", "a Bcc_ eve@example.com.png"),
            ('a"; filename="b.html', "a_; filename=_b.html"),
            ("\u202egnp.exe", "gnp.exe"),
            ("a\0b\x7f.png", "ab.png"),
            ("  .hidden.png. ", "hidden.png"),
            ("con.png", "_con.png"),
            ("Gru\u0308ße  aus\u2028München.pdf", "Grüße ausMünchen.pdf"),
            ("..", ""),
            ("x" * 300 + ".png", "x" * 96 + ".png"),
        ],
    )
    def test_is_no_path_and_hides_nothing(self, written, kept):
        assert clean_name(written) == kept

    @given(st.text(max_size=300))
    def test_fits_any_header_and_stays_as_it_is(self, written):
        name = clean_name(written)
        assert name == "" or name.isprintable()
        assert len(name) <= MAX_NAME
        assert not set(name) & set('/\\:"')
        assert clean_name(name) == name


class TestMeasure:
    @pytest.mark.parametrize(
        ("name", "content", "content_type", "size"),
        [
            ("a.png", png(2, 3), "image/png", (2, 3)),
            ("a.PNG", png(600, 80), "image/png", (600, 80)),
            ("a.gif", GIF, "image/gif", (2, 3)),
            ("a.jpeg", JPEG, "image/jpeg", (2, 3)),
            ("a.webp", WEBP, "image/webp", (2, 3)),
            ("a.pdf", PDF, "application/pdf", (None, None)),
            ("a.csv", "ä;b\r\n".encode(), "text/csv", (None, None)),
            ("a.txt", b"\xef\xbb\xbfHello", "text/plain", (None, None)),
            ("a.ics", b"BEGIN:VCALENDAR\r\n", "text/calendar", (None, None)),
            ("a.zip", packed("b.txt"), "application/zip", (None, None)),
        ],
    )
    def test_takes_what_is_what_it_says(self, name, content, content_type, size):
        measured = look(name, content)
        assert measured.content_type == content_type
        assert (measured.width, measured.height) == size

    def test_takes_office_documents(self):
        docx = packed("[Content_Types].xml", "word/document.xml")
        assert look("a.docx", docx).content_type.endswith("wordprocessingml.document")

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("a.png", b"", "empty"),
            ("a.png", b"<!doctype html><script>alert(1)</script>", r"something else \(HTML"),
            ("a.png", GIF, r"something else \(.gif\)"),
            ("a.png", b"MZ\x90\0", "a Windows program"),
            ("a.txt", b"\x7fELF\x02", "a Linux program"),
            ("a.txt", b"#!/bin/sh\n", "a script"),
            ("a.txt", b"<html><script>", "something else"),
            ("a.csv", b"\x00\x01", "something else"),
            ("a.txt", "ü".encode("latin-1"), "something else"),
            ("a.svg", b"<svg onload='alert(1)'>", "SVG"),
            ("invoice.pdf.exe", PDF, "runs where it is opened"),
            ("a.html", b"<p>", "are not taken; these are: png"),
            ("a", PDF, "Files whose name has no ending are not taken"),
            ("a.png", png(60_000, 60_000), "60,000 × 60,000 points"),
            ("a.png", png()[:20], "broken"),
            ("a.png", png(0, 5), "no width"),
            ("a.jpg", JPEG[:20], "broken"),
            ("a.jpg", JPEG[:21] + b"\xff", "broken"),
            ("a.webp", WEBP[:14], "broken"),
            ("a.docx", packed("evil.txt"), "something else"),
            ("a.docx", packed("[Content_Types].xml", "word/vbaProject.bin"), "macros"),
            ("a.zip", packed("run.js"), "a program in it"),
            ("a.zip", b"PK\x03\x04" + b"\0" * 40, "broken"),
            ("a.ics", b"BEGIN:VCARD", r"something else \(.vcf\)"),
        ],
    )
    def test_refuses_what_is_not_or_what_would_harm(self, name, content, words):
        with pytest.raises(WrongFile, match=words):
            look(name, content)

    @pytest.mark.parametrize("name", ["a.zip", "a.docx", "a.png"])
    def test_reads_no_directory_of_thousands(self, name, monkeypatch):
        thousands = packed(*map(str, range(MAX_PARTS + 1)))
        monkeypatch.setattr(zipfile, "ZipFile", None)
        with pytest.raises(WrongFile, match=r"thousands|something else"):
            look(name, thousands)

    def test_refuses_what_a_team_does_not_take(self):
        with pytest.raises(WrongFile, match="these are: png"):
            measure("a.pdf", PDF, allowed=["png"])

    @given(st.sampled_from([png(), GIF, JPEG, WEBP]), st.data())
    def test_says_something_of_any_octets(self, content, data):
        cut = data.draw(st.integers(0, len(content)))
        more = data.draw(st.binary(max_size=40))
        for ending in ("png", "gif", "jpg", "webp"):
            with suppress(WrongFile):
                assert look(f"a.{ending}", content[:cut] + more).is_picture
