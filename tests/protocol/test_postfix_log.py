"""What is read of a Postfix log: real lines, both sorts of times, and lines made to deceive."""

import smtplib
import socket
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailops.protocol.postfix_log import MAX_LINE, Clock, LogLine, Saying, Status, parse_line
from tests.costs import costing_less_than
from tests.postfix import Postfix
from tests.smtp_server import SmtpServer

LATEST = datetime(2026, 11, 21, 12, tzinfo=UTC)
HEAD = "Nov 21 08:59:33 relay postfix/"
SENT = (
    HEAD + "smtp[28736]: 2826F16E02D: to=<ann@example.net>, relay=mx.example.net[192.0.2.1]:25, "
    "delay=0.09, delays=0.02/0.01/0/0.06, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4Zx)"
)


def parse(text, zone=UTC, latest=LATEST):
    return parse_line(text, Clock(zone=zone, latest=latest))


class TestTimes:
    @pytest.mark.parametrize(
        ("stamp", "at"),
        [
            ("Nov 21 08:59:33", datetime(2026, 11, 21, 8, 59, 33, tzinfo=UTC)),
            ("Nov  1 00:00:00", datetime(2026, 11, 1, tzinfo=UTC)),
            ("Dec 31 23:59:59", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
            ("Feb 29 10:00:00", datetime(2024, 2, 29, 10, tzinfo=UTC)),
            (
                "2026-11-21T08:59:33.123456+01:00",
                datetime(2026, 11, 21, 7, 59, 33, 123456, tzinfo=UTC),
            ),
            ("2026-11-21T08:59:33Z", datetime(2026, 11, 21, 8, 59, 33, tzinfo=UTC)),
            ("2026-11-21T08:59:33+0000", datetime(2026, 11, 21, 8, 59, 33, tzinfo=UTC)),
        ],
    )
    def test_are_read_in_both_forms(self, stamp, at):
        line = parse(SENT.replace("Nov 21 08:59:33", stamp))
        assert (line.at, line.saying) == (at, Saying.TOLD)

    def test_without_a_zone_are_the_relays(self):
        line = parse(SENT, zone=ZoneInfo("America/New_York"))
        assert line.at == datetime(2026, 11, 21, 13, 59, 33, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("stamp", "hours"),
        [
            ("Oct 25 01:59:59", (23,)),
            ("Oct 25 02:30:00", (0, 1)),  # shown twice
            ("2026-10-25T02:30:00", (0, 1)),
            ("2026-10-25T02:30:00+01:00", (1,)),
            ("Oct 25 03:00:00", (2,)),
            ("Mar 29 02:30:00", (0, 1)),  # never shown
        ],
    )
    def test_that_can_be_two_are_both(self, stamp, hours):
        line = parse(SENT.replace("Nov 21 08:59:33", stamp), zone=ZoneInfo("Europe/Berlin"))
        assert (line.at.hour, line.latest_at.hour) == (hours[0], hours[-1])
        assert (line.or_at is None) == (len(hours) == 1)

    @pytest.mark.parametrize(
        "stamp", ["Nov 31 08:59:33", "Foo 21 08:59:33", "2026-13-01T00:00:00Z", "Nov 21 25:00:00"]
    )
    def test_that_are_none_are_not_understood(self, stamp):
        assert parse(SENT.replace("Nov 21 08:59:33", stamp)) is None


class TestLines:
    def test_a_delivery(self):
        assert parse(SENT) == LogLine(
            datetime(2026, 11, 21, 8, 59, 33, tzinfo=UTC), Saying.TOLD, "2826F16E02D",
            recipients=("ann@example.net",), status=Status.SENT, enhanced_status="2.0.0",
            relay="mx.example.net[192.0.2.1]:25", text="250 2.0.0 Ok: queued as 4Zx",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "saying"),
        [
            ("cleanup[1]: 4B2HlS1wqCz9tNV: message-id=<a@b>", Saying.BEGUN),
            ("qmgr[1]: 2826F16E02D: from=<a@b>, size=1, nrcpt=1 (queue active)", Saying.TAKEN),
            (
                "qmgr[1]: 2826F16E02D: from=<a@b>, status=expired, returned to sender",
                Saying.EXPIRED,
            ),
            (
                "qmgr[1]: 2826F16E02D: from=<a@b>, status=force-expired, returned to sender",
                Saying.EXPIRED,
            ),
            ("qmgr[1]: 2826F16E02D: removed", Saying.REMOVED),
            ("postsuper[1]: 2826F16E02D: removed", Saying.DELETED),
            ("smtpd[1]: connect from localhost[127.0.0.1]", Saying.NOTHING),
            ("smtpd[1]: NOQUEUE: reject: RCPT from x[1.2.3.4]: 554 5.7.1 no", Saying.NOTHING),
            ("smtpd[1]: warning: hostname x does not resolve", Saying.NOTHING),
            ("smtp[1]: 2826F16E02D: host x[1.2.3.4] said: 450 later", Saying.NOTHING),
            (
                "verify[1]: 2826F16E02D: to=<a@b>, relay=x, dsn=2.1.5, status=deliverable (ok)",
                Saying.NOTHING,
            ),
        ],
    )
    def test_of_other_sorts(self, text, saying):
        assert parse(HEAD + text).saying == saying

    def test_of_another_instance_and_service(self):
        assert parse(SENT.replace("postfix/smtp", "postfix-out/relay/smtp")).status == Status.SENT

    def test_of_another_program(self):
        assert parse("Nov 21 08:59:33 relay sshd[1]: Accepted").saying == Saying.FOREIGN
        assert parse("Nov 21 08:59:33 relay dovecot: lmtp(1): x").saying == Saying.FOREIGN

    def test_a_milter_that_refuses_for_the_moment(self):
        line = parse(
            HEAD + "cleanup[1]: 2826F16E02D: milter-reject: END-OF-MESSAGE from x[1.2.3.4]: "
            "4.7.1 Service unavailable; from=<a@b> to=<c@d> proto=ESMTP helo=<x>"
        )
        assert (line.saying, line.is_permanent, line.text) == (
            Saying.REFUSED, False, "Service unavailable",
        )  # fmt: skip

    def test_an_alias_keeps_the_address_it_was_given_for(self):
        line = parse(SENT.replace("to=<ann@", "to=<bob@x>, orig_to=<ann@"))
        assert line.recipients == ("bob@x", "ann@example.net")

    def test_a_remote_reply_stands_alone(self):
        said = "host mx[192.0.2.1] said: 550 5.1.1 No such user (in reply to RCPT TO command)"
        line = parse(
            SENT.replace("status=sent (250 2.0.0 Ok: queued as 4Zx)", f"status=bounced ({said})")
        )
        assert line.reply == "550 5.1.1 No such user"


class TestHostileLines:
    def test_a_quoted_address_deceives_nobody(self):
        line = parse(
            SENT.replace("ann@", '"x>, relay=a, delay=1, dsn=5.1.1, status=bounced (550 "@')
        )
        assert (line.status, line.text) == (Status.SENT, "250 2.0.0 Ok: queued as 4Zx")

    def test_a_servers_words_deceive_nobody(self):
        words = "x) to=<bob@example.net>, relay=y, dsn=5.1.1, status=bounced (no"
        line = parse(SENT.replace("250 2.0.0 Ok: queued as 4Zx", words))
        assert (line.status, line.recipients) == (Status.SENT, ("ann@example.net",))

    @pytest.mark.parametrize(
        "text",
        ["", "\0" * 100, "x" * (MAX_LINE + 1), HEAD, HEAD + "smtp[1]: 2826F16E02D: to=<a", "{}"],
    )
    def test_nonsense_is_not_understood(self, text):
        assert parse(text) is None

    @pytest.mark.parametrize(
        "text",
        [
            'smtp[1]: 2826F16E02D: to=<"' + '"\\' * 4000,
            "smtp[1]: 2826F16E02D: to=<a>, relay=b, " + "a=b, " * 1500 + "x",
            "smtp[1]: 2826F16E02D: to=<" + '"a"' * 2600,
            "smtp[1]: 2826F16E02D: to=<a>, relay=b, status=sent (" + ")" * 8000 + "x",
            "cleanup[1]: 2826F16E02D: reject: " + ": 5.1.1 " * 900,
            "cleanup[1]: " + "z" * 8000,
        ],
        ids=range(6),
    )
    def test_no_line_takes_long(self, text):
        with costing_less_than(0.25):
            parse((HEAD + text)[:MAX_LINE])


@pytest.mark.needs("postfix")
class TestRealPostfix:
    def test_every_line_is_understood_and_each_mail_has_its_end(self):
        refusals = ["450 4.2.1 later", "250 ok", "550 5.1.1 No such user"]
        script = {"RCPT": ["250 ok", *refusals, "250 ok"]}
        with (
            SmtpServer(script=script) as next_hop,
            Postfix(
                next_hop.port, header_checks="regexp:{ {/^X-Bad:/ REJECT bad header} }"
            ) as relay,
        ):
            for number in range(3):
                send(relay, number)
                relay.log_with(b": removed", number + 1)
            with pytest.raises(smtplib.SMTPDataError):
                send(relay, 3, "X-Bad: 1\r\n")
            break_off(relay, 4)
            log = relay.log_with(b": removed", 4).decode()
        lines = [parse(text, latest=datetime.now(UTC)) for text in log.splitlines()]
        assert None not in lines
        names = {line.message_id: line.queue_id for line in lines if line.saying == Saying.BEGUN}
        told = {
            number: [
                line.status or line.saying
                for line in lines
                if line.queue_id == names[f"<{number}@news.example>"]
                and line.saying not in {Saying.BEGUN, Saying.NOTHING}
            ]
            for number in range(5)
        }
        assert told[0] == [Saying.TAKEN, Status.SENT, Saying.REMOVED]
        assert told[1] == [
            Saying.TAKEN, Status.DEFERRED, Saying.TAKEN, Status.SENT, Saying.REMOVED,
        ]  # fmt: skip
        assert told[2] == [Saying.TAKEN, Status.BOUNCED, Saying.REMOVED]
        assert told[3] == [Saying.REFUSED]
        assert told[4] == []  # begun, and not taken


def send(relay, number, header=""):
    with smtplib.SMTP("127.0.0.1", relay.port) as session:
        session.sendmail(
            f"b+{number}@bounces.example",
            [f"r{number}@example.net"],
            f"Message-ID: <{number}@news.example>\r\n{header}\r\nHello\r\n",
        )


def break_off(relay, number):
    """Begin to send a mail, and be gone before its end."""
    with socket.create_connection(("127.0.0.1", relay.port)) as peer, peer.makefile("rb") as said:
        said.readline()
        for command in (
            "HELO x",
            "MAIL FROM:<b@bounces.example>",
            "RCPT TO:<r@example.net>",
            "DATA",
        ):
            peer.sendall(f"{command}\r\n".encode())
            said.readline()
        peer.sendall(f"Message-ID: <{number}@news.example>\r\n\r\nHel".encode())
    relay.log_with(f"<{number}@news.example>".encode())
