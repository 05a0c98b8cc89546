"""The content of a message as octets."""

from datetime import UTC, datetime
from uuid import uuid4

from mailops.outbox.mime import Letter, build_content
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
