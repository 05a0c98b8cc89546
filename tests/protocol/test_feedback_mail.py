"""Complaints, wishes to leave and machines' answers are told apart from bounces."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from mailops.protocol import arf, unsubscribe, verp
from mailops.protocol.feedback_mail import FeedbackKind, read

KEY = b"k" * 32
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SENDER = verp.make_envelope_sender(UUID(int=7), 2, "bounces.example", KEY)


def complaint(**fields):
    return arf.write(
        **{
            "recipient": "bob@example.net",
            "envelope_sender": SENDER,
            "reporting_mta": "mx.example.net",
            "original": b"Message-ID: <a@d.example>\r\nList-Unsubscribe: <https://m.example/>\r\n\r\n",
            "now": NOW,
            **fields,
        }
    )


class TestComplaint:
    def test_names_the_message_and_who_complained(self):
        found = arf.parse(complaint())
        assert found.is_complaint
        assert found.original_recipients == ("bob@example.net",)
        assert found.original_message_id == "<a@d.example>"
        assert found.list_unsubscribe == "<https://m.example/>"
        assert found.token.is_signed_by(KEY)

    def test_is_known_as_one(self):
        assert read(complaint()).kind == FeedbackKind.COMPLAINT

    @pytest.mark.parametrize("feedback_type", ["not-spam", "auth-failure", "virus"])
    def test_of_another_kind_is_none(self, feedback_type):
        assert read(complaint(feedback_type=feedback_type)).kind == FeedbackKind.OTHER

    def test_of_an_unknown_type_counts(self):
        assert arf.parse(complaint(feedback_type="grumble")).is_complaint


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated (vacation); x=y",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        "Subject: Automatic reply: Hello",
        "Subject: Out of office: Hello",
        "Subject: Abwesenheitsnotiz",
    ],
)
def test_a_machines_answer_is_an_auto_reply(header):
    assert read(f"{header}\r\n\r\nI am away.\r\n".encode()).kind == FeedbackKind.AUTO_REPLY


@pytest.mark.parametrize("header", ["Auto-Submitted: no", "Subject: Re: Autobahn: closed", "X: y"])
def test_a_persons_answer_is_not(header):
    assert read(f"{header}\r\n\r\nThanks!\r\n".encode()).kind == FeedbackKind.OTHER


def test_mail_to_an_unsubscribe_address_is_a_wish_to_leave():
    address = unsubscribe.make_mail_address(UUID(int=7), "bounces.example", KEY)
    found = read(b"Subject: unsubscribe\r\n\r\n", envelope_recipients=(address,))
    assert found.kind == FeedbackKind.UNSUBSCRIBE


def test_a_machine_that_writes_to_it_asks_to_leave_too():
    address = unsubscribe.make_mail_address(UUID(int=7), "bounces.example", KEY)
    found = read(b"Auto-Submitted: auto-generated\r\n\r\n", envelope_recipients=(address,))
    assert found.kind == FeedbackKind.UNSUBSCRIBE
