"""What replies of one meaning have in common, and what keeps others apart."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol.classification import (
    MEANINGS,
    Fault,
    Kind,
    Reason,
    Stops,
    Taught,
    as_taught,
    classify,
    understand,
)
from mailops.protocol.reply import Reply, make_reply
from mailops.protocol.signature import PATTERN_LIMIT, mask, signature_of

SAME = [
    (
        "<ann@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
        "<bob@other.example>: Recipient address rejected: User unknown in virtual mailbox table",
    ),
    ("No such user ann.lee here", "No such user bob here"),
    (
        "Blocked. [AM0EUR02FT012.eop-EUR02.prod.protection.outlook.com 2026-11-21T10:00:00.000Z 08DE28F8B1C9A3D5]",
        "Blocked. [DB5EUR03FT031.eop-EUR03.prod.protection.outlook.com 2026-10-02T23:59:59.120Z 08DE0000B1C9A3D5]",
    ),
    (
        "See https://support.example.com/mail/?p=NoSuchUser a640c23a62f3a-aa5c8d1f2a3si123456a12.5 - gsmtp",
        "See https://support.example.com/mail/?p=NoSuchUser 5b1f17b1804b1-477ab52d1f4si4561238b3.7 - gsmtp",
    ),
    ("Greylisted, try again in 297 seconds", "Greylisted, try again in 3,600 seconds"),
    ("Quota of 1,024.5 MB used up", "Quota of 20 MB used up"),
    ("Refused [192.0.2.44]", "Refused [198.51.100.7]"),
    ("Refused (2001:db8::17)", "Refused (2001:db8:0:1::5)"),
    ("Expired on Sat, 21 Nov 2026 10:00:01 +0000", "Expired on Mon, 3 Aug 2026 1:00:59 +0200"),
    ("queued as 4bXyz12AbC refused", "queued as 9QQzz81LmN refused"),
    ("Mailbox   full\r\n", "mailbox FULL"),
    ("mailbox\u202e full\0", "mailbox full"),
]
APART = [
    ("User unknown", "Mailbox full"),
    ("blocked using zen.spamhaus.org", "blocked using bl.spamcop.net"),
    ("Deferred [TSS04]", "Deferred [TSS09]"),
    ("see https://a.example/spf", "see https://a.example/dkim"),
    ("メールボックスがいっぱいです", "そのようなユーザーはいません"),
]


class TestSignature:
    @pytest.mark.parametrize(("one", "other"), SAME)
    def test_is_the_same_for_replies_that_differ_in_details(self, one, other):
        first = signature_of(Reply(550, one, "5.1.1"), recipient="ann.lee@example.net")
        assert first == signature_of(Reply(550, other, "5.1.1"), recipient="bob@other.example")

    @pytest.mark.parametrize(("one", "other"), APART)
    def test_is_another_for_another_meaning(self, one, other):
        assert signature_of(Reply(550, one)).id != signature_of(Reply(550, other)).id

    def test_keeps_code_and_status_apart(self):
        replies = [Reply(550, "no", "5.1.1"), Reply(450, "no", "4.1.1"), Reply(550, "no", "5.7.1")]
        assert len({signature_of(reply).id for reply in replies}) == 3

    def test_leaves_out_the_status_of_each_line(self):
        reply = make_reply(550, ["5.1.1 No such user;", "5.1.1 look again"], "RCPT")
        assert str(signature_of(reply)) == "550 5.1.1 no such user; look again"

    def test_takes_no_common_word_for_a_name(self):
        assert mask("No such user", recipient="user@example.net") == "no such user"

    def test_says_what_was_masked(self):
        assert mask("<a@b.example> via mx1.b.example at 10:21: id=8f3a1b") == (
            "‹address› via ‹host› at ‹time›: ‹id›"
        )

    def test_has_an_id_that_a_bigint_holds_and_no_other_process_changes(self):
        assert signature_of(Reply(550, "No such user", "5.1.1")).id == 4393370118840110

    @pytest.mark.parametrize(
        "text",
        ["", "\0" * 5000, "a." * 60_000, "x" * 100_000, "<b>\u202e</b>", "\ud800", "‹›" * 900],
    )
    def test_stays_short_whatever_is_said(self, text):
        assert len(signature_of(Reply(550, text)).pattern) <= PATTERN_LIMIT

    @given(st.text(max_size=300), st.text(max_size=30))
    def test_can_always_be_stored(self, text, name):
        pattern = signature_of(Reply(550, text), recipient=f"{name}@example.net").pattern
        assert "\0" not in pattern
        pattern.encode()

    def test_of_a_thousand_recipients_is_one(self):
        dice = random.Random(1)
        said = {
            signature_of(
                Reply(550, f"5.1.1 <u{n}@x{n}.example> unknown ({dice.getrandbits(64):x})", "5.1.1")
            ).id
            for n in range(1000)
        }
        assert len(said) == 1


REFUSED = Reply(554, "5.0.0 Go away 17", "5.0.0")


class TestTaught:
    def taught(self, **given):
        return Taught(**{"reason": Reason.UNKNOWN_MAILBOX, "fault": Fault.RECIPIENT, **given})

    def test_outranks_the_table(self):
        taught = {signature_of(REFUSED).id: self.taught(sentence="They closed.", fix="Let go.")}
        reading = classify(Reply(554, "5.0.0 Go away 99", "5.0.0"), "rcpt")
        meant = understand(reading, REFUSED, "rcpt", taught=taught)
        assert (meant.reason, meant.suppress) == ("unknown_mailbox", True)
        assert (meant.sentence, meant.fix) == ("They closed.", "Let go.")

    def test_says_nothing_of_other_replies(self):
        other = Reply(554, "5.0.0 Come back", "5.0.0")
        reading = classify(other, "rcpt")
        taught = {signature_of(REFUSED).id: self.taught()}
        assert understand(reading, other, "rcpt", taught=taught) is reading

    def test_may_make_a_refusal_pass(self):
        meant = as_taught(classify(REFUSED, "rcpt"), self.taught(kind=Kind.TRANSIENT), "rcpt")
        assert (meant.kind, meant.suppress) == ("transient", False)

    def test_suppresses_nobody_for_a_fault_that_is_not_theirs(self):
        meant = as_taught(classify(REFUSED, "rcpt"), self.taught(fault=Fault.REPUTATION), "rcpt")
        assert not meant.suppress

    def test_stops_what_the_reason_stops_unless_the_fault_is_laid_elsewhere(self):
        reason = next(one for one, meaning in MEANINGS.items() if meaning.stops == Stops.TRANSPORT)
        usual, reading = MEANINGS[reason].fault, classify(REFUSED, "rcpt")
        stops = as_taught(reading, self.taught(reason=reason, fault=usual), "rcpt").stops
        assert stops == Stops.TRANSPORT
        spared = as_taught(reading, self.taught(reason=reason, fault=Fault.OUTAGE), "rcpt")
        assert spared.stops == Stops.NONE
