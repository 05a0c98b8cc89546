"""The content of a message as octets."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP
from uuid import uuid4

import pytest

from mailops.outbox.mime import Enclosure, Letter, UnfitContent, build_content
from mailops.protocol.unsubscribe import header_values

URL = f"https://mailops.example/feedback/unsubscribe/{'a1' * 40}/"


class TestBuildContent:
    def test_keeps_the_urls_of_list_unsubscribe_whole(self):
        content = build_content(
            Letter(
                header_from_name="Acme",
                header_from="letter@acme.example",
                reply_to="",
                recipient="ada@example.com",
                subject="Grüße",
                text="Hello",
                html="",
                message_id="<1@acme.example>",
                public_id=uuid4(),
                date=datetime(2026, 1, 2, tzinfo=UTC),
                headers=header_values(URL, "u@bounces.acme.example"),
            )
        )
        wanted = f"List-Unsubscribe: <mailto:u@bounces.acme.example?subject=unsubscribe>,\r\n <{URL}>\r\n"
        assert wanted.encode() in content
        assert b"Subject: =?utf-8?" in content


LOGO = Enclosure(
    name="logo.png", content_type="image/png", content=b"\x89PNG\0", cid="1a2b@mailops"
)
TERMS = Enclosure(name="Geschäft.pdf", content_type="application/pdf", content=b"%PDF-1.7")
DATES = Enclosure(name="dates.csv", content_type="text/csv", content="ä,b\n".encode())


def content_with(*files, **changed):
    ordinary = {
        "header_from_name": "Acme",
        "header_from": "letter@acme.example",
        "reply_to": "",
        "recipient": "ada@example.com",
        "subject": "Hello",
        "text": "Grüße",
        "html": "<p>Grüße</p>",
        "message_id": "<1@acme.example>",
        "public_id": uuid4(),
        "date": datetime(2026, 1, 2, tzinfo=UTC),
        "takes_8bit": True,
        "files": files,
    }
    return build_content(Letter(**ordinary | changed))


def shape_of(part):
    if not part.is_multipart():
        return part.get_content_type()
    return part.get_content_subtype(), *map(shape_of, part.iter_parts())


class TestFiles:
    @pytest.mark.parametrize(
        ("files", "html", "shape"),
        [
            ([], "<p>é", ("alternative", "text/plain", "text/html")),
            ([LOGO], "<p>é", ("alternative", "text/plain", ("related", "text/html", "image/png"))),
            ([TERMS], "", ("mixed", "text/plain", "application/pdf")),
            (
                [TERMS, LOGO, DATES],
                "<p>é",
                (
                    "mixed",
                    ("alternative", "text/plain", ("related", "text/html", "image/png")),
                    "application/pdf",
                    "text/csv",
                ),
            ),
        ],
    )
    def test_stand_where_mail_programs_look_for_them(self, files, html, shape):
        message = message_from_bytes(content_with(*files, html=html), policy=SMTP)
        assert shape_of(message) == shape
        assert not [part.defects for part in message.walk() if part.defects]

    def test_come_back_as_they_were(self):
        content = content_with(TERMS, LOGO, DATES)
        message = message_from_bytes(content, policy=SMTP)
        terms, dates = message.iter_attachments()
        assert (terms.get_filename(), terms.get_content()) == (TERMS.name, TERMS.content)
        assert (dates.get_content(), dates["Content-Disposition"].content_disposition) == (
            "ä,b\n",
            "attachment",
        )
        related = message.get_body(("related",))
        assert related["Content-Type"].params["type"] == "text/html"
        (logo,) = (part for part in related.walk() if part.get_content_type() == "image/png")
        assert (logo["Content-ID"], logo.get_content()) == ("<1a2b@mailops>", LOGO.content)
        assert logo["Content-Disposition"].content_disposition == "inline"
        assert b"filename*=utf-8''Gesch%C3%A4ft.pdf" in content  # RFC 2231

    def test_containers_of_8_bit_parts_say_so(self):
        message = message_from_bytes(content_with(TERMS, LOGO, text="Hello"), policy=SMTP)
        encodings = {
            part.get_content_subtype(): part["Content-Transfer-Encoding"] for part in message.walk()
        }
        assert encodings == {
            "mixed": "8bit",
            "alternative": "8bit",
            "plain": "7bit",
            "related": "8bit",
            "html": "8bit",
            "png": "base64",
            "pdf": "base64",
        }

    @pytest.mark.parametrize("name", ["a\r\nBcc: eve@example.com", "a\nb.png", "a\0.png", "\x7f"])
    def test_no_name_adds_a_header(self, name):
        file = Enclosure(name=name, content_type="image/png", content=b"x")
        with pytest.raises(UnfitContent, match="name"):
            content_with(file)
