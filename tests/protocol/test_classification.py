"""Every sentence a server may say has one meaning, and only the recipient's fault suppresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol.classification import (
    MEANINGS,
    Fault,
    Kind,
    Reason,
    Stops,
    classify,
    classify_report,
    reply_in_report,
)
from mailops.protocol.reply import Reply, make_reply
from tests.costs import costing_less_than

REPLIES = [
    # phase, code, text, reason
    ("rcpt", 550, "5.1.1 No such mailbox here", Reason.UNKNOWN_MAILBOX),
    ("rcpt", 452, "4.2.2 The mailbox is full", Reason.MAILBOX_FULL),
    ("rcpt", 550, "5.7.1 Refused by policy", Reason.POLICY),
    ("body", 451, "4.3.0 Try again later", Reason.SERVER_BUSY),
    ("rcpt", 550, "5.1.1 <spam@example.net>: Recipient address rejected: User unknown in virtual mailbox table", Reason.UNKNOWN_MAILBOX),
    ("rcpt", 550, "5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 double-checking the recipient's email address", Reason.UNKNOWN_MAILBOX),
    ("rcpt", 550, "5.2.1 The email account that you tried to reach is disabled.", Reason.MAILBOX_DISABLED),
    ("rcpt", 450, "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages", Reason.RECIPIENT_BUSY),
    ("rcpt", 452, "4.2.2 The email account that you tried to reach is over quota.", Reason.MAILBOX_FULL),
    ("rcpt", 552, "5.2.2 user over quota", Reason.MAILBOX_FULL),
    ("rcpt", 550, "5.4.1 Recipient address rejected: Access denied.", Reason.UNKNOWN_MAILBOX),
    ("rcpt", 554, "5.7.1 <a@b.example>: Recipient address rejected: Access denied", Reason.POLICY),
    ("rcpt", 550, "Requested action not taken: mailbox unavailable", Reason.UNKNOWN_MAILBOX),
    ("rcpt", 550, "5.7.1 Requested action not taken: mailbox unavailable", Reason.POLICY),
    ("rcpt", 550, "Requested action not taken: mailbox unavailable (e.g., mailbox not found, no access, or command rejected for policy reasons)", Reason.UNEXPLAINED),
    ("rcpt", 550, "No such user", Reason.UNKNOWN_MAILBOX),
    ("rcpt", 550, "sorry, no mailbox here by that name", Reason.UNKNOWN_MAILBOX),
    ("rcpt", 550, "no", Reason.UNEXPLAINED),
    ("rcpt", 556, "5.1.10 Domain does not accept mail (null MX)", Reason.NO_MAIL_DOMAIN),
    ("rcpt", 550, "5.7.1 Relaying denied", Reason.RELAYING_DENIED),
    ("rcpt", 554, "5.7.1 <a@b.example>: Relay access denied", Reason.RELAYING_DENIED),
    ("rcpt", 550, "relay not permitted", Reason.RELAYING_DENIED),
    ("rcpt", 530, "5.7.0 Authentication required", Reason.LOGIN_REQUIRED),
    ("mail", 530, "5.7.0", Reason.LOGIN_REQUIRED),
    ("body", 530, "5.7.0 Authentication required", Reason.LOGIN_REQUIRED),
    ("data", 530, "5.5.1 Authentication Required. Learn more at", Reason.LOGIN_REQUIRED),
    ("returned", 530, "5.7.1 Client was not authenticated", Reason.LOGIN_REQUIRED),
    ("body", 530, "5.7.0 Must issue a STARTTLS command first", Reason.TLS_REQUIRED),
    ("mail", 530, "Access denied - Invalid HELO name", Reason.NO_REVERSE_DNS),
    ("mail", 534, "5.7.14 Please log in via your web browser and then try again.", Reason.LOGIN_FAILED),
    ("body", 534, "5.7.9 Please log in with your web browser and then try again", Reason.LOGIN_FAILED),
    ("body", 535, "5.7.1 authentication failed", Reason.LOGIN_FAILED),
    ("rcpt", 535, "5.7.0", Reason.LOGIN_FAILED),
    ("rcpt", 525, "5.7.13 User account disabled", Reason.LOGIN_FAILED),
    ("body", 538, "5.7.0", Reason.TLS_REQUIRED),
    ("mail", 432, "4.7.12 A password transition is needed", Reason.LOGIN_FAILED),
    ("body", 432, "4.3.2 STOREDRV; mailbox server is offline", Reason.UNREACHABLE),
    ("rcpt", 553, "5.7.1 <a@x.example>: Sender address rejected: not logged in", Reason.LOGIN_REQUIRED),
    ("rcpt", 553, "5.7.1 Sender address rejected: not owned by user b@x.example", Reason.SENDER_REFUSED),
    ("mail", 503, "5.5.4 Bad sequence: AUTH first", Reason.LOGIN_REQUIRED),
    ("data", 550, "5.7.0 SMTP authentication is required", Reason.LOGIN_REQUIRED),
    ("returned", 550, "5.7.1 RESOLVER.RST.AuthRequired; authentication required", Reason.RECIPIENT_REFUSES),
    ("body", 550, "5.7.60 SMTP; Client does not have permissions to send as this sender", Reason.SENDER_REFUSED),
    ("mail", 530, "5.7.0 Must issue a STARTTLS command first", Reason.TLS_REQUIRED),
    ("auth", 535, "5.7.8 Username and Password not accepted", Reason.LOGIN_FAILED),
    ("auth", 535, "Authentication credentials invalid", Reason.LOGIN_FAILED),
    ("auth", 535, "5.7.139 Authentication unsuccessful, the user credentials were incorrect", Reason.LOGIN_FAILED),
    ("auth", 454, "4.7.0 Temporary authentication failure", Reason.LOGIN_FAILED),
    ("body", 550, "5.7.26 This mail has been blocked because the sender is unauthenticated.\n5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.", Reason.UNAUTHENTICATED),
    ("body", 550, "5.7.26 Unauthenticated email from d.example is not accepted due to domain's DMARC policy", Reason.DMARC_FAILED),
    ("body", 550, "5.7.515 Access denied, sending domain D.EXAMPLE doesn't meet the required authentication level.", Reason.UNAUTHENTICATED),
    ("body", 550, "5.7.23 The message was rejected because of Sender Policy Framework violation", Reason.SPF_FAILED),
    ("body", 421, "4.7.27 Your email has been rate limited because SPF didn't pass", Reason.SPF_FAILED),
    ("rcpt", 550, "5.7.25 The IP address sending this message does not have a PTR record setup", Reason.NO_REVERSE_DNS),
    ("rcpt", 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", Reason.BLOCKLISTED),
    ("mail", 550, "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is on our block list (S3140).", Reason.BLOCKLISTED),
    ("mail", 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", Reason.LOW_REPUTATION),
    ("body", 550, "5.7.1 Our system has detected that this message is likely unsolicited mail.", Reason.LOW_REPUTATION),
    ("body", 554, "5.7.1 Message rejected as spam", Reason.CONTENT_REFUSED),
    ("body", 554, "5.7.1 Message contains a virus", Reason.MALWARE),
    ("body", 552, "5.3.4 Message size exceeds fixed limit", Reason.TOO_BIG),
    ("mail", 552, "5.3.4 Message too big for system", Reason.TOO_BIG),
    ("body", 552, "Message exceeds fixed maximum message size", Reason.TOO_BIG),
    ("mail", 553, "5.1.8 Sender address rejected: Domain not found", Reason.SENDER_REFUSED),
    ("mail", 550, "5.1.0 Sender unknown", Reason.SENDER_REFUSED),
    ("body", 554, "Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: a@d.example", Reason.SENDER_REFUSED),
    ("mail", 550, "5.4.5 Daily user sending limit exceeded.", Reason.QUOTA_SPENT),
    ("mail", 454, "Throttling failure: Daily message quota exceeded.", Reason.QUOTA_SPENT),
    ("mail", 454, "Throttling failure: Maximum sending rate exceeded.", Reason.RATE_LIMITED),
    ("auth", 451, "Maximum credits exceeded", Reason.QUOTA_SPENT),
    ("body", 421, "4.7.28 Our system has detected an unusual rate of email from your IP address", Reason.RATE_LIMITED),
    ("rcpt", 451, "4.7.1 Greylisting in action, please come back later", Reason.GREYLISTED),
    ("rcpt", 450, "4.2.0 <a@b.example>: Recipient address rejected: Greylisted", Reason.GREYLISTED),
    ("connect", 421, "4.7.0 Too many connections from your address", Reason.RATE_LIMITED),
    ("banner", 554, "No SMTP service here", Reason.LOW_REPUTATION),
    ("banner", 421, "Service not available", Reason.SERVER_BUSY),
    ("rcpt", 451, "Temporary local problem", Reason.SERVER_BUSY),
    ("returned", 0, "5.4.7 Delivery time expired", Reason.GAVE_UP),
    ("returned", 0, "connect to mx.example.net[192.0.2.7]:25: Connection timed out", Reason.UNREACHABLE),
    ("returned", 0, "Host or domain name not found. Name service error for name=nowhere.example type=A: Host not found", Reason.UNKNOWN_DOMAIN),
    ("returned", 554, "5.4.6 Too many hops", Reason.LOOP),
    ("body", 555, "5.6.7 SMTPUTF8 is required but not offered", Reason.NEEDS_SMTPUTF8),
    ("mail", 501, "5.5.4 Syntax error", Reason.NOT_UNDERSTOOD),
    ("body", 554, "5.3.5 not allowed to send: there is no such address of the API", Reason.ACCOUNT_STOPPED),
    ("body", 550, "5.2.0 Sending quota exceeded", Reason.QUOTA_SPENT),
]  # fmt: skip


@pytest.mark.parametrize(("phase", "code", "text", "reason"), REPLIES)
def test_knows_what_a_reply_means(phase, code, text, reason):
    assert classify(make_reply(code, [text], "X"), phase).reason == reason


class TestSimulatorsReplies:
    def test_no_such_mailbox_suppresses(self):
        found = classify(Reply(550, "5.1.1 No such mailbox", "5.1.1"), "rcpt")
        assert (found.kind, found.fault, found.suppress, found.stops) == (
            Kind.PERMANENT, Fault.RECIPIENT, True, Stops.NONE,
        )  # fmt: skip

    def test_a_full_mailbox_is_tried_again(self):
        found = classify(Reply(452, "4.2.2 Mailbox full", "4.2.2"), "rcpt")
        assert (found.kind, found.fault, found.suppress) == (
            Kind.TRANSIENT, Fault.RECIPIENT, False,
        )  # fmt: skip

    def test_a_policy_refusal_suppresses_nobody_and_stops_nothing(self):
        found = classify(Reply(550, "5.7.1 Refused by policy", "5.7.1"), "rcpt")
        assert (found.kind, found.suppress, found.stops) == (Kind.PERMANENT, False, Stops.NONE)

    def test_a_busy_server_is_an_outage(self):
        found = classify(Reply(451, "4.3.0 Try again later", "4.3.0"), "rcpt")
        assert (found.kind, found.fault) == (Kind.TRANSIENT, Fault.OUTAGE)

    def test_a_server_that_refuses_for_good_is_not_said_to_be_tried_again(self):
        found = classify(Reply(500, "5.3.0 Error: command failed", "5.3.0"), "mail")
        assert (found.kind, found.reason) == (Kind.PERMANENT, Reason.SERVER_FAULT)
        assert "tried again" not in found.fix


class TestWhoseFault:
    @pytest.mark.parametrize("reason", Reason)
    def test_only_the_recipients_fault_suppresses(self, reason):
        meaning = MEANINGS[reason]
        assert not meaning.suppress or meaning.fault == Fault.RECIPIENT

    @pytest.mark.parametrize("reason", Reason)
    def test_the_recipients_fault_stops_nobody_else(self, reason):
        meaning = MEANINGS[reason]
        assert meaning.fault != Fault.RECIPIENT or meaning.stops == Stops.NONE

    @pytest.mark.parametrize("reason", Reason)
    def test_every_reason_has_a_sentence_and_a_fix_and_fits_its_column(self, reason):
        meaning = MEANINGS[reason]
        assert meaning.sentence.endswith(".")
        assert meaning.fix.endswith(".")
        assert len(reason) <= 40

    def test_relaying_denied_stops_the_transport_and_suppresses_nobody(self):
        found = classify(make_reply(550, ["5.7.1 Relaying denied"], "RCPT"), "rcpt")
        assert (found.fault, found.stops, found.suppress) == (
            Fault.SETUP, Stops.TRANSPORT, False,
        )  # fmt: skip

    def test_unauthenticated_mail_stops_the_campaign(self):
        found = classify(make_reply(550, ["5.7.26 sender is unauthenticated"], "BODY"), "body")
        assert (found.fault, found.stops, found.suppress) == (
            Fault.AUTHENTICATION, Stops.CAMPAIGN, False,
        )  # fmt: skip

    def test_a_spent_quota_stops_the_transport_even_when_transient(self):
        found = classify(make_reply(454, ["Daily message quota exceeded"], "MAIL"), "mail")
        assert (found.kind, found.stops) == (Kind.TRANSIENT, Stops.TRANSPORT)

    def test_a_transient_doubt_about_us_stops_nothing(self):
        found = classify(make_reply(421, ["4.7.0 low reputation"], "MAIL"), "rcpt")
        assert found.stops == Stops.NONE

    def test_nobody_is_suppressed_before_anyone_was_spoken_of(self):
        found = classify(make_reply(550, ["5.1.1 User unknown"], "MAIL"), "mail")
        assert not found.suppress

    def test_a_transient_reply_never_suppresses(self):
        found = classify(make_reply(450, ["4.1.1 User unknown"], "RCPT"), "rcpt")
        assert (found.reason, found.suppress) == (Reason.UNKNOWN_MAILBOX, False)


class TestReports:
    def test_the_diagnostic_outranks_the_status(self):
        found = classify_report("550 5.1.1 <a@b.example>: user unknown", "5.0.0")
        assert (found.reason, found.suppress) == (Reason.UNKNOWN_MAILBOX, True)

    def test_a_mute_diagnostic_leaves_it_to_the_status(self):
        assert classify_report("550 refused", "5.1.1").reason == Reason.UNKNOWN_MAILBOX

    def test_an_address_with_numbers_is_no_status(self):
        reply = reply_in_report("host 5.1.1.9 said: 550 no", "5.7.1")
        assert (reply.code, reply.enhanced_status) == (550, "5.7.1")

    def test_without_either_it_is_unexplained(self):
        found = classify_report("", "")
        assert (found.reason, found.fault) == (Reason.UNEXPLAINED, Fault.UNKNOWN)


@given(st.integers(), st.text(), st.text(max_size=12), st.sampled_from(["rcpt", "body", "", "x"]))
def test_never_raises(code, text, status, phase):
    assert classify(Reply(code, text, status), phase).sentence
    assert classify_report(text, status).sentence


@pytest.mark.parametrize("text", ["user " * 1000, "a" * 100_000, "<" * 5000, "message " * 900 + "exceeded", "spf " * 900])  # fmt: skip
def test_a_hostile_text_costs_no_time(text):
    with costing_less_than(0.2):
        classify(Reply(550, text), "rcpt")


@pytest.mark.parametrize(
    ("said", "suppresses"),
    [
        ("account temporarily disabled", False),
        ("Domain name not found: temporary", False),
        ("account disabled", True),
        ("user unknown: a permanent error, not a temporary one", True),
        ("550 account temporarily disabled", True),
    ],
)
def test_a_report_without_a_code_may_say_itself_that_it_passes(said, suppresses):
    assert classify_report(said, "").suppress == suppresses
