"""Complaints, wishes to leave and machines' answers are told apart from bounces."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from mailops.protocol import arf, report_writing, unsubscribe, verp
from mailops.protocol.feedback_mail import FeedbackKind, describe, read

KEY = b"k" * 32
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SENDER = verp.make_envelope_sender(UUID(int=7), 2, "bounces.example", KEY)


def complaint(**fields):
    return report_writing.write_complaint(
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


def reported(fields, returned, *, kind="message/feedback-report", subject="complaint"):
    data = (
        f'From: fbl@isp.example\nSubject: {subject}\nContent-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain\n\nThis is a report.\n--b\nContent-Type: {kind}\n\n{fields}\n"
        f"--b\nContent-Type: message/rfc822\n\n{returned}\n--b--\n"
    )
    found = describe(read(data.encode()))
    return (
        found["type"],
        [(one["recipient"], one["suppress"]) for one in found["recipients"]],
        found["original_message_id"],
    )


SENT = "Message-ID: <a@d.example>\nFrom: news@d.example\nTo: Ann <ann@isp.example>\nSubject: Hello\n\nHello\n"


class TestComplaintsAsTheyCome:
    def test_without_the_recipient_it_is_the_returned_messages(self):
        fields = "Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1"
        assert reported(fields, SENT) == ("complaint", [("ann@isp.example", True)], "<a@d.example>")

    def test_a_hidden_recipient_is_looked_for_in_the_message(self):
        fields = "Feedback-Type: abuse\nOriginal-Rcpt-To: redacted@isp.example"
        assert reported(fields, SENT)[1] == [("ann@isp.example", True)]

    def test_of_the_wrong_type(self):
        fields = "Feedback-Type: abuse\nOriginal-Rcpt-To: <ann@isp.example>"
        assert reported(fields, SENT, kind="text/plain")[:2] == (
            "complaint",
            [("ann@isp.example", True)],
        )

    @pytest.mark.parametrize("feedback_type", ["fraud", "opt-out", "other", "x-grumble", "Abuse;"])
    def test_of_every_kind_of_unwanted(self, feedback_type):
        assert reported(f"Feedback-Type: {feedback_type}", SENT)[0] == "complaint"

    @pytest.mark.parametrize("feedback_type", ["not-spam", "auth-failure"])
    def test_of_no_complaint_suppress_nobody(self, feedback_type):
        fields = f"Feedback-Type: {feedback_type}\nOriginal-Rcpt-To: ann@isp.example"
        assert reported(fields, SENT)[:2] == ("other", [])

    def test_of_microsoft_is_no_arf(self):
        data = (
            "From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1\nContent-Type: multipart/mixed; boundary=b\n\n"
            f"--b\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: <ann@hotmail.com>\n{SENT}\n--b--\n"
        )
        found = describe(read(data.encode()))
        assert found["type"] == "complaint"
        assert found["recipients"][0]["recipient"] == "ann@hotmail.com"
        assert found["original_message_id"] == "<a@d.example>"


def test_an_answer_of_a_machine_tells_which_message():
    data = b"From: a@x.example\nAuto-Submitted: auto-replied\nIn-Reply-To: <a@d.example>\n\nI am away.\n"
    assert describe(read(data))["original_message_id"] == "<a@d.example>"


def as_mail(subject, text):
    return f"From: jo@x.example\nSubject: {subject}\n\n{text}\n".encode()


@pytest.mark.parametrize(
    "said",
    [
        "Unsubscribe", "UNSUBSCRIBE!!!", "please remove me", "Remove me, please.", "Please unsubscribe me from this list.",
        "unsubscribe jo@x.example", "Unsubscribe <jo@x.example>", "Opt-out", "Unsubscribe me from all your mailing lists, thanks",
        "Abmelden bitte", "Bitte austragen aus dem Verteiler", "Abmeldung vom Newsletter", "Désabonnement, s'il vous plaît",
        "désinscription de votre newsletter", "Baja de la lista, gracias", "Cancellami dalla lista", "Descadastrar por favor",
        "Uitschrijven van de nieuwsbrief aub", "Wypisz mnie z listy", "Отписаться от рассылки", "配信停止", "配信停止をお願いします",
        "退订，谢谢".replace("，", ", "), "수신거부 부탁드립니다",
    ],
)  # fmt: skip
def test_a_person_who_wants_no_more_mail_is_understood(said):
    assert read(as_mail("Re: Hello", said)).kind == FeedbackKind.UNSUBSCRIBE
    assert read(as_mail(said, "")).kind == FeedbackKind.UNSUBSCRIBE


@pytest.mark.parametrize(
    "said",
    [
        "Remove line 3 of the invoice please, then send it again.", "Remove the second guest from the booking.",
        "Unsubscribe button is broken, can you fix it?", "Unsubscribe Bob, but keep me", "Remove me and I will sue", "Removed",
        "Remove it please", "Opt-out rates for March", "Abmeldung von Herrn Müller zur Prüfung", "Baja de temperatura mañana",
        "Cancellazione dell'ordine 15", "Wypisz fakturę", "退会手続きについて質問があります", "Отписка по заявке 17",
    ],
)  # fmt: skip
def test_a_person_who_asks_for_something_else_stays(said):
    assert read(as_mail("Re: Your invoice", said)).kind == FeedbackKind.OTHER


def test_a_long_row_of_courtesies_costs_no_time():
    assert read(as_mail("Unsubscribe" + " a@b.me.me" * 180 + " x", "")).kind == FeedbackKind.OTHER


class TestOurOwnSubject:
    """What we wrote ourselves makes no bounce, delay or vacation notice a complaint."""

    OURS = "Message-ID: <a@d.example>\nFrom: news@d.example\nTo: ann@isp.example\nSubject: {}\n\nHello\n"

    def kind(self, subject, own, *fields, told="Hello.", status=""):
        notice = f"--b\nContent-Type: message/delivery-status\n\n{status}\n" if status else ""
        return read(
            "\n".join(
                [
                    "From: x@isp.example", f"Subject: {subject}", *fields, "Content-Type: multipart/mixed; boundary=b", "",
                    f"--b\nContent-Type: text/plain\n\n{told}\n{notice}--b\nContent-Type: message/rfc822\n\n{self.OURS.format(own)}\n--b--\n",
                ]
            ).encode()
        ).kind  # fmt: skip

    STATUS = "Reporting-MTA: dns; mx.isp.example\n\nFinal-Recipient: rfc822; ann@isp.example\nAction: {}\nStatus: {}\n"

    @pytest.mark.parametrize(
        ("action", "status", "kind"),
        [("failed", "5.1.1", FeedbackKind.BOUNCE), ("delayed", "4.2.2", FeedbackKind.DELAY)],
    )
    def test_a_notification_is_what_it_says(self, action, status, kind):
        subject = "Undeliverable - feedback report for March"
        notice = self.STATUS.format(action, status)
        assert self.kind(subject, "x", status=notice) == kind

    def test_a_bounce_in_words_stays_one(self):
        told = "Delivery failed: <ann@isp.example>: 550 5.1.1 no such user"
        own = "Your feedback report"
        kind = self.kind(own, own, "Sender: MAILER-DAEMON@isp.example", told=told)
        assert kind == FeedbackKind.BOUNCE

    @pytest.mark.parametrize(
        "subject",
        ["Automatic reply: Your spam report is ready", "Abwesend: Your spam report is ready"],
    )
    @pytest.mark.parametrize("own", ["Your spam report is ready", ""])
    def test_a_vacation_notice_stays_one(self, subject, own):
        kind = self.kind(subject, own, "Auto-Submitted: auto-replied", told="I am away.")
        assert kind == FeedbackKind.AUTO_REPLY

    @pytest.mark.parametrize("subject", ["Re: abuse report", "Your abuse report"])
    def test_a_persons_answer_complains_of_nothing(self, subject):
        assert self.kind(subject, "Your abuse report") == FeedbackKind.OTHER

    @pytest.mark.parametrize(
        "subject",
        ["complaint about message from 192.0.2.1", "Abuse report: Hello", "Spam complaint"],
    )
    def test_who_speaks_of_a_complaint_themselves_complains(self, subject):
        assert (
            self.kind(subject, "Hello", "Auto-Submitted: auto-generated") == FeedbackKind.COMPLAINT
        )
