"""A delivery status notification says what became of whom, whatever its bytes are."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol import dsn, report_writing, verp
from mailops.protocol.classification import Reason
from mailops.protocol.dsn import Action
from mailops.protocol.feedback_mail import FeedbackKind, describe, read
from tests.costs import costing_less_than

KEY = b"k" * 32
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SENDER = verp.make_envelope_sender(UUID(int=7), 2, "bounces.example", KEY)
ORIGINAL = (
    f"Return-Path: <{SENDER}>\r\nMessage-ID: <a@d.example>\r\nTo: bob@example.net\r\n\r\nHello\r\n"
).encode()


def written(**fields):
    return report_writing.write_dsn(
        **{
            "recipient": "bob@example.net",
            "envelope_sender": SENDER,
            "reporting_mta": "mx.example.net",
            "action": Action.FAILED,
            "status": "5.1.1",
            "diagnostic": "550 5.1.1 No such mailbox",
            "original": ORIGINAL,
            "now": NOW,
            **fields,
        }
    )


def by_hand(block, *, text="", returned="", kind="message/delivery-status", encoding="7bit"):
    return (
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain\n\n{text}\n"
        f"--b\nContent-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n{block}\n"
        f"--b\nContent-Type: message/rfc822\n\n{returned}\n--b--\n"
    ).encode()


class TestWritten:
    def test_comes_back_as_it_was_said(self):
        found = dsn.parse(written(envid="anything"))
        (recipient,) = found.recipients
        assert (recipient.recipient, recipient.action, recipient.status) == (
            "bob@example.net", Action.FAILED, "5.1.1",
        )  # fmt: skip
        assert recipient.classification.reason == Reason.UNKNOWN_MAILBOX
        assert (found.envid, found.original_message_id) == ("anything", "<a@d.example>")

    def test_carries_the_token_of_the_returned_message(self):
        token = dsn.parse(written()).token
        assert token.is_signed_by(KEY)
        assert (token.public_id, token.round) == (UUID(int=7), 2)

    def test_carries_the_token_of_the_envid(self):
        found = dsn.parse(
            written(original=b"Subject: x\r\n\r\n", envid=verp.make_token(UUID(int=9), 1, KEY))
        )
        assert found.token.public_id == UUID(int=9)

    @pytest.mark.parametrize(
        ("action", "kind"),
        [
            (Action.FAILED, FeedbackKind.BOUNCE),
            (Action.DELAYED, FeedbackKind.DELAY),
            (Action.DELIVERED, FeedbackKind.DELIVERED),
            (Action.RELAYED, FeedbackKind.DELIVERED),
        ],
    )
    def test_is_known_by_its_action(self, action, kind):
        assert read(written(action=action)).kind == kind

    @given(
        st.text(), st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), st.binary()
    )
    def test_never_loses_its_form(self, diagnostic, local_part, original):
        local_part = local_part.replace(";", "").replace("<", "").replace(">", "") or "x"
        found = dsn.parse(
            written(diagnostic=diagnostic, recipient=f"{local_part}@example.net", original=original)
        )
        assert found.recipients[0].status == "5.1.1"

    def test_of_an_address_outside_ascii(self):
        found = dsn.parse(written(recipient="bøb@example.net"))
        assert found.recipients[0].recipient == "bøb@example.net"


class TestByHand:
    def test_exims_mute_status_yields_to_the_diagnostic(self):
        found = dsn.parse(
            by_hand(
                "Reporting-MTA: dns; mx.example\n\nAction: failed\n"
                "Final-Recipient: rfc822;bob@example.net\nStatus: 5.0.0\n"
                "Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: User unknown"
            )
        )
        assert found.recipients[0].classification.reason == Reason.UNKNOWN_MAILBOX
        assert found.recipients[0].classification.suppress

    def test_exims_reason_in_the_text_is_found(self):
        found = dsn.parse(
            by_hand(
                "Reporting-MTA: dns; mx.example\n\nAction: failed\n"
                "Final-Recipient: rfc822;bob@example.net\nStatus: 5.0.0",
                text="This failed:\n\n  bob@example.net\n    Unrouteable address\n",
            )
        )
        assert found.recipients[0].classification.reason == Reason.UNKNOWN_DOMAIN

    def test_several_recipients_each_have_their_own(self):
        found = dsn.parse(
            by_hand(
                "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; a@x.example\nAction: failed\n"
                "Status: 5.1.1\n\nFinal-Recipient: rfc822; b@x.example\nAction: delayed\nStatus: 4.4.1"
            )
        )
        assert [(r.recipient, r.action) for r in found.recipients] == [
            ("a@x.example", Action.FAILED),
            ("b@x.example", Action.DELAYED),
        ]

    def test_the_address_we_wrote_to_outranks_where_it_was_forwarded(self):
        found = dsn.parse(
            by_hand(
                "Final-Recipient: rfc822; there@y.example\nOriginal-Recipient: rfc822; here@x.example\n"
                "Action: failed\nStatus: 5.1.1"
            )
        )
        assert found.recipients[0].recipient == "here@x.example"

    def test_without_an_action_the_status_says_it(self):
        found = dsn.parse(by_hand("Final-Recipient: rfc822; a@x.example\nStatus: 4.4.1 (late)"))
        assert (found.recipients[0].action, found.recipients[0].status) == (
            Action.DELAYED, "4.4.1",
        )  # fmt: skip

    def test_folded_fields_and_odd_cases_are_read(self):
        found = dsn.parse(
            by_hand(
                "FINAL-RECIPIENT: RFC822;\n <a@x.example>\nACTION: Failed (for good)\nStatus: 5.1.1\n"
                "Diagnostic-Code: smtp; 550\n 5.1.1 user\n unknown"
            )
        )
        assert found.recipients[0].recipient == "a@x.example"
        assert found.recipients[0].diagnostic == "550 5.1.1 user unknown"

    def test_base64_of_the_international_form_is_read(self):
        import base64

        block = base64.encodebytes(
            "Final-Recipient: utf-8; bøb@x.example\nAction: failed\nStatus: 5.1.1\n".encode()
        ).decode()
        found = dsn.parse(by_hand(block, kind="message/global-delivery-status", encoding="base64"))
        assert found.recipients[0].recipient == "bøb@x.example"

    def test_a_report_inside_the_returned_message_is_not_ours(self):
        inner = written().decode()
        data = (
            "Subject: fwd\nContent-Type: multipart/mixed; boundary=o\n\n"
            f"--o\nContent-Type: message/rfc822\n\n{inner}\n--o--\n"
        )
        assert dsn.parse(data.encode()) is None

    def test_no_more_than_a_hundred_recipients_are_read(self):
        block = "Final-Recipient: rfc822; a@x.example\nAction: failed\n\n" * 5000
        assert len(dsn.parse(by_hand(block)).recipients) == 100


class TestAnyBytes:
    @given(st.binary(max_size=5000))
    def test_never_raise(self, data):
        read(data)

    @given(st.lists(st.sampled_from([
        b"Content-Type: multipart/report; boundary=b\r\n", b"Content-Type: message/delivery-status\r\n",
        b"Content-Type: message/rfc822\r\n", b"\r\n", b"--b\r\n", b"--b--\r\n", b"Action: failed\r\n",
        b"Final-Recipient: rfc822; a@b.c\r\n", b"Content-Transfer-Encoding: base64\r\n", b"\xff\x00\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n", b"Content-Type: message/feedback-report\r\n",
        b"Content-Type: text/plain; charset=nonsense; boundary*0*=x''b\r\n", b"Feedback-Type: abuse\r\n",
    ])))  # fmt: skip
    def test_made_of_reports_never_raise(self, lines):
        read(b"".join(lines))

    def test_with_a_boundary_in_parts_that_do_not_count_are_read_without_it(self):
        data = b"Content-Type: multipart/report; boundary*1*=a; boundary*=b; boundary*0=c\n\nx"
        assert read(data).kind == "other"

    @pytest.mark.parametrize(
        "data",
        [
            b"\n" * 2_000_000,
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 400_000,
            b'Content-Type: multipart/mixed; x="' + b";" * 900_000 + b'"\n\n--b\n',
            b"".join(
                b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n)
                for n in range(5000)
            ),
            b"Content-Type: message/rfc822\n\n" * 30_000,
            b"X-A: b\n" * 200_000,
            b"a" * 10_000_000,
            b"Content-Type: message/delivery-status\n\nAction: failed" + b"\n " * 400_000,
            b"Content-Type: message/delivery-status\n\nAction: failed\n" + b" " * 900_000,
            b"Content-Transfer-Encoding: x-uuencode\n\nbegin 666 x\n" + b"M!!!!\n" * 200_000,
        ],
        ids=range(10),
    )
    def test_made_to_hurt_cost_no_time(self, data):
        with costing_less_than(1):
            read(data)


def described(data):
    found = describe(read(data))
    return found["type"], [
        (one["recipient"], one["action"], one["enhanced_status"], one["code"], one["reason"], one["suppress"])
        for one in found["recipients"]
    ]  # fmt: skip


GONE = ("a@x.example", "failed", "5.1.1", 550, "unknown_mailbox", True)


class TestMalformed:
    """What servers get wrong, and is understood all the same."""

    def test_fields_in_a_part_of_the_wrong_type(self):
        block = "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 gone"
        assert described(by_hand(block, kind="text/plain")) == ("bounce", [GONE])
        assert described(by_hand(block, kind="application/octet-stream")) == ("bounce", [GONE])

    def test_a_boundary_that_never_comes(self):
        data = (
            'From: mailer-daemon@mx\nContent-Type: multipart/report; boundary="nowhere"\n\n--b\n'
            "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; a@x.example\n"
            "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 gone\n"
        )
        assert described(data.encode()) == ("bounce", [GONE])

    def test_no_blank_line_between_recipients(self):
        block = (
            "Reporting-MTA: dns; mx\nFinal-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 gone\n"
            "Final-Recipient: rfc822; b@x.example\nAction: delayed\nStatus: 4.2.2"
        )
        assert described(by_hand(block)) == (
            "bounce",
            [GONE, ("b@x.example", "delayed", "4.2.2", None, "mailbox_full", False)],
        )

    def test_a_blank_line_within_a_recipient(self):
        block = "Final-Recipient: rfc822; a@x.example\n\nAction: failed\nStatus: 5.1.1\n\nDiagnostic-Code: smtp; 550 5.1.1 gone"
        assert described(by_hand(block)) == ("bounce", [GONE])

    def test_indented_fields(self):
        block = "    Final-Recipient: rfc822; a@x.example\n    Action: failed\n    Status: 5.1.1\n    Diagnostic-Code: smtp; 550 5.1.1\n         gone"
        assert described(by_hand(block)) == ("bounce", [GONE])

    def test_a_part_for_each_recipient(self):
        part = "--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; {}@x.example\nAction: failed\nStatus: 5.1.1\n"
        data = (
            'Content-Type: multipart/report; boundary="b"\n\n'
            + part.format("a")
            + part.format("b")
            + "--b--\n"
        )
        assert [one[0] for one in described(data.encode())[1]] == ["a@x.example", "b@x.example"]

    def test_no_address_but_in_the_returned_message(self):
        block = "Final-Recipient: rfc822; unknown\nAction: failed\nStatus: 5.2.2"
        found = described(
            by_hand(block, returned="Message-ID: <1@d.example>\nTo: A <a@x.example>\n\n")
        )
        assert found == (
            "bounce",
            [("a@x.example", "failed", "5.2.2", None, "mailbox_full", False)],
        )

    def test_an_address_as_it_stood_in_the_command(self):
        block = "Original-Recipient: rfc822;a+2Bb@x.example\nFinal-Recipient: rfc822;a+b@x.example\nAction: failed\nStatus: 5.1.1"
        assert described(by_hand(block))[1][0][0] == "a+b@x.example"

    def test_a_status_of_no_meaning_is_explained_by_the_words(self):
        block = "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 permanent failure for one or more recipients"
        text = "We could not deliver to:\n\n<a@x.example>: mailbox is full\n"
        assert described(by_hand(block, text=text))[1][0][4] == "mailbox_full"

    def test_a_failure_after_long_trying_is_not_the_recipients(self):
        block = "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 4.4.1\nDiagnostic-Code: X-Postfix; connect to mx.x.example[192.0.2.1]:25: Connection timed out"
        assert described(by_hand(block)) == (
            "bounce",
            [("a@x.example", "failed", "4.4.1", None, "unreachable", False)],
        )

    def test_a_diagnostic_in_another_charset(self):
        block = "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 收件人不存在"
        data = by_hand(block).decode().encode("gb18030")
        assert described(
            data.replace(b"message/delivery-status", b"message/delivery-status; charset=gb2312")
        )[1][0][4:] == ("unknown_mailbox", True)

    def test_a_read_receipt_proves_delivery(self):
        block = "Reporting-UA: x\nFinal-Recipient: rfc822;a@x.example\nOriginal-Message-ID: <1@d.example>\nDisposition: manual-action/MDN-sent-manually; displayed"
        found = describe(read(by_hand(block, kind="message/disposition-notification")))
        assert (found["type"], found["original_message_id"]) == ("delivered", "<1@d.example>")
