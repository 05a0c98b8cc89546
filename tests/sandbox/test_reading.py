from email.message import EmailMessage

import pytest

from mailops.lib.foreign_html import MOST_OF_PICTURES
from mailops.sandbox.reading import read


def whole():
    message = EmailMessage()
    message["Subject"] = "Grüße"
    message.set_content("Hello Ada\n")
    message.add_alternative('<p>Hello Ada <img src="cid:logo"></p>', subtype="html")
    message.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<logo>")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="b/ill ü.pdf")
    return message.as_bytes()


class TestRead:
    def test_finds_text_html_and_attachments(self):
        found = read(whole())
        assert found.text == "Hello Ada\n"
        assert "<p>Hello Ada" in found.html
        assert [(one.name, one.content_type) for one in found.attachments][-1] == (
            "b_ill ü.pdf",
            "application/pdf",
        )
        assert ("Subject", "Grüße") in found.headers

    def test_shows_an_image_that_the_html_names_by_content_id(self):
        assert 'src="data:image/png;base64,iVBORw=="' in read(whole()).html

    def test_shows_an_image_no_more_often_than_a_page_can_bear(self):
        message = EmailMessage()
        message.set_content('<img src="cid:logo">' * 1000, subtype="html")
        message.add_related(bytes(1_500_000), "image", "png", cid="<logo>")
        found = read(message.as_bytes())
        assert len(found.html) < MOST_OF_PICTURES + 30_000
        assert found.html.startswith('<img src="data:image/png;base64,')
        assert found.html.rstrip().endswith('<img src="cid:logo">')

    def test_leaves_an_unknown_content_id_as_it_is(self):
        html = b'Content-Type: text/html\r\n\r\n<img src="cid:none">'
        assert read(html).html == '<img src="cid:none">'

    def test_takes_an_html_file_for_an_attachment(self):
        message = EmailMessage()
        message.set_content("see file")
        message.add_attachment("<b>file</b>", subtype="html", filename="page.html")
        found = read(message.as_bytes())
        assert found.html == ""
        assert found.attachments[0].name == "page.html"

    def test_keeps_a_forwarded_message_as_an_attachment(self):
        inner, outer = EmailMessage(), EmailMessage()
        inner["Subject"] = "inner"
        inner.set_content("x")
        outer.set_content("see below")
        outer.add_attachment(inner)
        found = read(outer.as_bytes())
        assert found.text == "see below\n"
        assert b"Subject: inner" in found.attachments[0].content

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\0\xff\xfe",
            b"Content-Type: text/plain; charset=no-such\r\n\r\n\xff",
            b"Content-Type: text/plain; charset=\xff\r\n\r\nx",
            b"Content-Type: multipart/mixed\r\n\r\nno boundary",
            b"Content-Transfer-Encoding: base64\r\n\r\n!!!=",
            b"Subject: =?utf-8?q?=FF?= =?x?b?_?=\r\n\r\n",
            b'Content-Type: text/plain; name="=?bad?="\r\n\r\nx',
            b"Content-Type: text/plain; name*=bad'x'%FF\r\n\r\nx",
            b"Subject: =?unicode_escape?q?=5Cud800?=\r\n\r\nx",
            b"Content-Type: text/plain; charset=unicode_escape\r\n\r\n\\ud800",
            b"Content-Type: text/html; charset=utf-7\r\n\r\n+2AA-",
            b"Content-Type: text/html; charset=idna\r\n\r\n\xff",
            b"Content-Type: text/html; charset=undefined\r\n\r\n\xff",
            b'Content-Type: text/html; charset="a\0b"\r\n\r\n\xff',
            b"Content-Type: a/b; name*=unicode_escape''%5Cud800\r\n\r\nx",
            b"Content-Type: a/b; name*=hex''x; name=y\r\n\r\nx",
            b"Content-Type: multipart/mixed; boundary*0*=b''x; boundary*x=y; boundary*=z\r\n\r\nx",
            b"Content-Type: message/rfc822\r\n\r\nContent-Type: text/plain; charset=x\r\n\r\n\xff",
        ],
    )
    def test_whatever_comes_is_text_that_can_be_shown(self, content):
        found = read(content)
        texts = [found.html, found.text, *(text for header in found.headers for text in header)]
        for text in [*texts, *(one.name for one in found.attachments)]:
            text.encode()

    def test_keeps_octets_of_a_forwarded_message_that_are_no_ascii(self):
        content = "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nGrüße".encode()
        assert "Grüße".encode() in read(content).attachments[0].content

    def test_says_so_where_parts_nest_too_deeply(self):
        content = b""
        for n in range(2000):
            content += b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
        assert "too deeply" in read(content).problem

    @pytest.mark.parametrize(
        "content",
        [
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 100_000,
            b"Subject: lines\n\n" + b"\n" * 600_000,
            b"A: b\n" * 600_000,
            b"".join(
                b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(60)
            ),
        ],
        ids=["parts", "lines", "headers", "boundaries"],
    )
    def test_says_so_where_there_is_more_than_a_page_can_show(self, content):
        found = read(content)
        assert "more lines or parts than can be shown" in found.problem
        assert (found.headers, found.attachments) == ([], [])

    def test_decodes_no_text_by_what_is_no_charset(self):
        """By punycode a large one would take hours."""
        words = b"abc-" + b"bcde" * 10_000
        found = read(b"Content-Type: text/plain; charset=punycode\r\n\r\n" + words)
        assert found.text == words.decode()

    def test_takes_no_field_apart_of_which_that_takes_minutes(self):
        words, parameters = "=?utf-8?q?a?= " * 100_000, "; a*0=b" * 100_000
        mail = f"Subject: {words}\nContent-Type: a/b{parameters}; name=x\n\ny"
        found = read(mail.encode())
        assert found.headers[0] == ("Subject", words)
        assert found.attachments[0].name == "part-1"
