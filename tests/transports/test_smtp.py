import select
import socket
import ssl
import threading
from contextlib import suppress

import pytest

from mailops.transports.kinds import smtp
from mailops.transports.sessions import Envelope, Phase, SessionEnded, SessionLost
from mailops.transports.wire import Wire
from tests.smtp_server import DROP, EXTENSIONS, RESET, STALL, SmtpServer

ENVELOPE = Envelope("sender@example.com", "ada@example.net", size=20)
CONTENT = b"Subject: Hello\r\n\r\nHello\r\n"
NO_PIPELINING = tuple(name for name in EXTENSIONS if name != "PIPELINING")


def say(server, session, words):
    """Have the server say what nobody asked for, and wait until it is there."""
    (connection,) = server._open
    connection.sendall(words)
    await_word(session)


def hang_up(server, session):
    (connection,) = server._open
    connection.shutdown(socket.SHUT_WR)
    await_word(session)


def await_word(session):
    assert select.select([session.wire._socket], [], [], 30)[0]


class TestOffer:
    def test_writes_mail_rcpt_and_data_at_once_where_pipelining_is_offered(self, dial):
        with SmtpServer(holds_replies=True) as server:
            offer = dial(server).offer(ENVELOPE)
        assert offer.is_ready
        assert offer.reply.code == 354

    def test_waits_for_each_reply_without_pipelining(self, dial):
        with SmtpServer(extensions=NO_PIPELINING, script={"RCPT": "550 5.1.1 no"}) as server:
            session = dial(server)
            offer = session.offer(ENVELOPE)
            assert (offer.is_ready, offer.phase, offer.reply.code) == (False, Phase.RCPT, 550)
            assert server.verbs == ["EHLO", "MAIL", "RCPT"]

    @pytest.mark.parametrize("extensions", [EXTENSIONS, NO_PIPELINING])
    def test_begins_anew_after_a_refused_recipient(self, dial, extensions):
        script = {
            "RCPT": ["550 5.1.1 no", "250 ok"],
            "DATA": ["554 5.5.1 no valid recipients", "354 go on"],
        }
        if extensions is NO_PIPELINING:
            script["DATA"] = "354 go on"
        with SmtpServer(script=script, extensions=extensions) as server:
            session = dial(server)
            assert session.offer(ENVELOPE).reply.enhanced_status == "5.1.1"
            assert session.is_open
            assert session.offer(ENVELOPE).is_ready
            assert session.body(CONTENT).reply.code == 250
            assert server.verbs.count("RSET") == 1

    def test_sends_a_lone_dot_when_data_is_let_in_though_every_recipient_was_refused(self, dial):
        with SmtpServer(script={"RCPT": ["550 5.1.1 no", "250 ok"]}) as server:
            session = dial(server)
            offer = session.offer(ENVELOPE)
            assert (offer.is_ready, offer.phase) == (False, Phase.RCPT)
            assert server.messages == [b""]
            assert session.offer(ENVELOPE).is_ready

    def test_sends_no_dot_when_the_sender_was_refused_but_the_recipient_was_not(self, dial):
        with SmtpServer(script={"MAIL": "550 5.7.1 no"}) as server:
            session = dial(server)
            offer = session.offer(ENVELOPE)
            assert (offer.is_ready, offer.phase) == (False, Phase.MAIL)
            assert not session.is_open
        assert server.messages == []

    @pytest.mark.parametrize(
        ("verb", "phase"), [("MAIL", Phase.MAIL), ("RCPT", Phase.RCPT), ("DATA", Phase.DATA)]
    )
    @pytest.mark.parametrize("extensions", [EXTENSIONS, NO_PIPELINING])
    def test_takes_a_421_for_the_refusal_and_closes(self, dial, verb, phase, extensions):
        with SmtpServer(script={verb: "421 4.3.2 going down"}, extensions=extensions) as server:
            session = dial(server)
            offer = session.offer(ENVELOPE)
            assert (offer.is_ready, offer.phase, offer.reply.code) == (False, phase, 421)
            assert not session.is_open

    @pytest.mark.parametrize(
        ("verb", "phase"), [("MAIL", Phase.MAIL), ("RCPT", Phase.RCPT), ("DATA", Phase.DATA)]
    )
    @pytest.mark.parametrize(
        "fault", [DROP, RESET, STALL, "not a reply", "250-never ends\r\n" * 600, "199 what"]
    )
    @pytest.mark.parametrize("extensions", [EXTENSIONS, NO_PIPELINING])
    def test_names_the_phase_in_which_the_connection_was_lost(
        self, dial, verb, phase, fault, extensions
    ):
        with SmtpServer(script={verb: fault}, extensions=extensions) as server:
            session = dial(server, timeout=0.2)
            with pytest.raises(SessionLost) as lost:
                session.offer(ENVELOPE)
            # A reset may overtake replies that were on their way.
            assert lost.value.phase == phase or fault == RESET
            assert lost.value.phase != Phase.BODY
            assert not session.is_open

    def test_keeps_a_refusal_that_was_read_before_the_connection_was_lost(self, dial):
        with SmtpServer(script={"RCPT": "550 5.1.1 no", "DATA": DROP}) as server:
            session = dial(server)
            offer = session.offer(ENVELOPE)
            assert (offer.is_ready, offer.reply.code) == (False, 550)
            assert not session.is_open

    def test_closes_when_the_server_says_more_than_it_was_asked(self, dial):
        with SmtpServer(script={"DATA": "354 go on\r\n250 what else"}) as server:
            session = dial(server)
            with pytest.raises(SessionLost):
                session.offer(ENVELOPE)
            assert not session.is_open
        assert server.messages == []

    def test_is_not_open_once_the_server_has_hung_up_between_messages(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            assert session.is_open
        assert not session.is_open
        with pytest.raises(SessionLost) as lost:
            session.offer(ENVELOPE)
        assert lost.value.phase == Phase.MAIL

    def test_keeps_what_the_server_said_as_it_ended_the_session(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            say(server, session, b"421 4.7.0 Too many connections\r\n")
            assert not session.is_open
        assert session.farewell == "421 4.7.0 Too many connections"

    @pytest.mark.parametrize("extensions", [EXTENSIONS, NO_PIPELINING])
    @pytest.mark.parametrize(
        "answer", ["421 4.7.0 Too many errors", "502 no", DROP, RESET, "nonsense"]
    )
    def test_a_refused_rset_is_nobodys_fault_who_comes_next(self, dial, extensions, answer):
        script = {"RCPT": ["550 5.1.1 unknown", "250 ok"], "DATA": "554 nobody", "RSET": answer}
        with SmtpServer(script=script, extensions=extensions) as server:
            session = dial(server)
            assert not session.offer(ENVELOPE).is_ready
            with pytest.raises(SessionEnded):
                session.offer(ENVELOPE)
            assert not session.is_open

    def test_cuts_an_endless_text_and_escapes_what_a_database_cannot_store(self, dial):
        text = "550-5.1.1 nul \0 here\r\n" + "550-" + "x" * 100_000 + "\r\n550 \udcff end"
        with SmtpServer(script={"RCPT": text}) as server:
            reply = dial(server).offer(ENVELOPE).reply
        assert reply.code == 550
        assert "\0" not in reply.text
        assert len(reply.text) <= 4200
        reply.text.encode()


class TestParameters:
    def mail_and_rcpt(self, dial, envelope, extensions):
        with SmtpServer(extensions=extensions) as server:
            dial(server).offer(envelope)
            return server.commands[1:3]

    def test_names_nothing_that_was_not_offered(self, dial):
        envelope = Envelope("s@example.com", "r@example.net", envid="x", size=9, is_8bit=False)
        assert self.mail_and_rcpt(dial, envelope, ()) == [
            "MAIL FROM:<s@example.com>",
            "RCPT TO:<r@example.net>",
        ]

    def test_asks_for_dsn_size_and_8bit_where_offered(self, dial):
        envelope = Envelope("s@example.com", "a+b@example.net", envid="m1.2", size=9, is_8bit=True)
        assert self.mail_and_rcpt(dial, envelope, ("DSN", "SIZE 100", "8BITMIME")) == [
            "MAIL FROM:<s@example.com> SIZE=9 BODY=8BITMIME RET=HDRS ENVID=m1.2",
            "RCPT TO:<a+b@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@example.net",
        ]

    def test_says_smtputf8_only_where_offered(self, dial):
        envelope = Envelope("s@example.com", "jörg@example.net")
        assert self.mail_and_rcpt(dial, envelope, ("SMTPUTF8",))[0].endswith(" SMTPUTF8")

    @pytest.mark.parametrize(
        ("envelope", "status"),
        [
            (Envelope("s@example.com", "jörg@example.net"), "5.6.7"),
            (Envelope("s@example.com", "r@example.net\r\nDATA"), "5.1.3"),
            (Envelope("s@example.com> SIZE=1", "r@example.net"), "5.1.3"),
            (Envelope("s@example.com", "r@example.net", size=101), "5.3.4"),
            (Envelope("s@example.com", "r@example.net", is_8bit=True), "5.6.3"),
        ],
    )
    def test_never_says_what_the_server_can_not_take(self, dial, envelope, status):
        with SmtpServer(extensions=("SIZE 100",)) as server:
            session = dial(server)
            offer = session.offer(envelope)
            assert not offer.is_ready
            assert offer.reply.enhanced_status == status
            assert server.verbs == ["EHLO"]
            assert session.is_open


class TestBody:
    def test_returns_the_final_reply_and_the_id_it_names(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            session.offer(ENVELOPE)
            result = session.body(CONTENT)
            assert result.reply.text == "2.0.0 ok: queued as SCRIPT1"
            assert result.transport_message_id == "SCRIPT1"
            assert server.messages == [CONTENT]

    def test_lets_the_next_envelope_ride_behind_the_body_in_one_write(self, dial):
        with SmtpServer(holds_replies=True) as server:
            session = dial(server)
            session.offer(ENVELOPE)
            result = session.body(CONTENT, then=ENVELOPE)
            assert result.reply.code == 250
            assert result.next_offer.is_ready
            server.holds_replies = False
            assert session.body(b"second\r\n").reply.code == 250
            assert server.messages == [CONTENT, b"second\r\n"]

    def test_lets_nothing_ride_without_pipelining(self, dial):
        with SmtpServer(extensions=NO_PIPELINING) as server:
            session = dial(server)
            session.offer(ENVELOPE)
            assert session.body(CONTENT, then=ENVELOPE).next_offer is None
            assert session.is_open

    def test_doubles_dots_and_mends_bare_line_ends_so_that_no_content_ends_itself(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            session.offer(ENVELOPE)
            session.body(b".a\r\n.\r\nb\n.\nc\r.\rd")
            assert server.messages == [b"..a\r\n..\r\nb\r\n..\r\nc\r\n..\r\nd\r\n"]

    @pytest.mark.parametrize(
        "fault",
        [DROP, RESET, STALL, "nonsense", "354 what", "350 more, please", "221 bye", "220 mx ESMTP"],
    )
    @pytest.mark.parametrize("rider", [None, ENVELOPE])
    def test_a_body_without_a_final_reply_is_lost_in_the_body(self, dial, fault, rider):
        with SmtpServer(script={".": fault}) as server:
            session = dial(server, timeout=0.2)
            session.offer(ENVELOPE)
            with pytest.raises(SessionLost) as lost:
                session.body(CONTENT, then=rider)
            assert lost.value.phase == Phase.BODY
            assert not session.is_open

    @pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("fault", [DROP, RESET, STALL, "nonsense"])
    def test_the_final_reply_stands_when_the_rider_is_lost(self, dial, verb, fault):
        with SmtpServer(script={verb: [{"DATA": "354 go"}.get(verb, "250 ok"), fault]}) as server:
            session = dial(server, timeout=0.2)
            session.offer(ENVELOPE)
            result = session.body(CONTENT, then=ENVELOPE)
            assert result.reply.code == 250
            assert result.next_offer is None
            assert not session.is_open

    @pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
    def test_a_greeting_in_the_midst_of_a_session_is_no_yes(self, dial, verb):
        with SmtpServer(extensions=NO_PIPELINING, script={verb: "220 mx ESMTP"}) as server:
            session = dial(server)
            with pytest.raises(SessionLost, match="was answered 220"):
                session.offer(ENVELOPE)
        assert server.messages == []

    @pytest.mark.parametrize("reply", ["250-queued\r\n550 5.1.1 no", "550-5.1.1 no\r\n250 ok"])
    def test_a_reply_that_says_yes_and_no_says_nothing(self, dial, reply):
        with SmtpServer(script={".": reply}) as server:
            session = dial(server)
            session.offer(ENVELOPE)
            with pytest.raises(SessionLost) as lost:
                session.body(CONTENT)
        assert lost.value.phase == Phase.BODY

    def test_a_yes_before_the_content_is_none(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            session.offer(ENVELOPE)
            say(server, session, b"250 2.0.0 ok: queued as NOBODY\r\n")
            with pytest.raises(SessionLost) as lost:
                session.body(CONTENT)
        assert (lost.value.phase, session.may_have_left) == (Phase.DATA, False)
        assert server.messages == []

    def test_a_no_before_the_content_counts(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            session.offer(ENVELOPE)
            say(server, session, b"421 4.4.2 you took too long\r\n")
            assert session.body(CONTENT).reply.code == 421
        assert (session.may_have_left, session.is_open) == (False, False)

    def test_a_server_that_hung_up_before_the_content_has_certainly_not_taken_it(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            session.offer(ENVELOPE)
            hang_up(server, session)
            with pytest.raises(SessionLost) as lost:
                session.body(CONTENT)
        assert (lost.value.phase, session.may_have_left) == (Phase.DATA, False)

    def test_a_421_for_the_dot_is_this_messages_reply_and_ends_the_session(self, dial):
        with SmtpServer(script={".": "421 4.7.0 too much"}) as server:
            session = dial(server)
            session.offer(ENVELOPE)
            result = session.body(CONTENT, then=ENVELOPE)
            assert (result.reply.code, result.next_offer) == (421, None)
            assert not session.is_open

    def test_a_surplus_reply_leaves_the_result_and_ends_the_session(self, dial):
        with SmtpServer(script={".": "250 ok\r\n250 ok again"}) as server:
            session = dial(server)
            session.offer(ENVELOPE)
            result = session.body(CONTENT, then=ENVELOPE)
            assert (result.reply.code, result.next_offer) == (250, None)
            assert not session.is_open

    def test_knows_whether_anything_left_before_an_error_of_ours(self, dial, monkeypatch):
        with SmtpServer() as server:
            session = dial(server)
            for is_broken in (False, True):
                session.offer(ENVELOPE)
                if is_broken:
                    monkeypatch.setattr(smtp, "stuff_dots", lambda _: 1 / 0)
                with suppress(ZeroDivisionError):
                    session.body(CONTENT)
                assert session.may_have_left != is_broken
            session.abandon()
        assert len(server.messages) == 1

    def test_refuses_8bit_content_where_the_server_takes_none(self, dial):
        with SmtpServer(extensions=("PIPELINING",)) as server:
            session = dial(server)
            session.offer(ENVELOPE)
            assert session.body("Grüße\r\n".encode()).reply.enhanced_status == "5.6.3"
            assert not session.is_open
        assert server.messages == []

    def test_a_rider_that_can_not_be_said_is_refused_without_the_server(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            session.offer(ENVELOPE)
            result = session.body(CONTENT, then=Envelope("s@example.com", "jörg@example.net"))
            assert result.reply.code == 250
            assert result.next_offer.reply.enhanced_status == "5.6.7"
            assert session.is_open


@pytest.fixture(params=["none", "tls"])
def large(request, dial, authority):
    """Return a function that gives a scripted server, in clear text and over TLS, and one that opens a session with it."""

    def make(**script):
        if request.param == "none":
            return SmtpServer(**script), dial
        server = SmtpServer(tls=authority.server_context(), is_tls_implicit=True, **script)
        return server, lambda server: dial(
            server, security="tls", ca_file=str(authority.file), timeout=60
        )

    return make


class TestLargeBody:
    """One that the socket does not take at once."""

    CONTENT = (b"x" * 990 + b"\r\n") * 2000

    @pytest.mark.parametrize("rider", [None, ENVELOPE])
    def test_waits_for_a_server_that_reads_slowly(self, large, rider, monkeypatch):
        is_full = threading.Event()
        server, dial = large(reads_after=is_full)
        with server:
            session = dial(server)
            session.wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 40_000)
            session.offer(ENVELOPE)
            await_ = Wire._await
            monkeypatch.setattr(Wire, "_await", lambda *asked: is_full.set() or await_(*asked))
            result = session.body(self.CONTENT, then=rider)
            assert result.reply.code == 250
            assert result.next_offer is None if rider is None else result.next_offer.is_ready
            assert server.messages == [self.CONTENT]

    def test_a_refusal_in_the_middle_is_heard(self, large):
        server, dial = large(script={".": "552 5.3.4 that is too much"}, speaks_after=300_000)
        with server:
            session = dial(server)
            session.offer(ENVELOPE)
            result = session.body(self.CONTENT * 10)
            assert result.reply.code == 552
            assert not session.is_open
        assert server.messages == []

    def test_a_loss_before_the_dot_was_written_is_not_one_of_the_body(self, large):
        server, dial = large(script={".": RESET}, speaks_after=300_000)
        with server:
            session = dial(server)
            session.offer(ENVELOPE)
            with pytest.raises(SessionLost) as lost:
                session.body(self.CONTENT * 10)
            assert lost.value.phase == Phase.DATA

    def test_a_server_that_says_yes_to_a_part_of_it_may_have_taken_it(self, large):
        server, dial = large(script={".": "250 2.0.0 taken"}, speaks_after=300_000)
        with server:
            session = dial(server)
            session.offer(ENVELOPE)
            with pytest.raises(SessionLost) as lost:
                session.body(self.CONTENT * 10)
            assert lost.value.phase == Phase.BODY
            assert "250 2.0.0 taken" in lost.value.detail
            assert not session.is_open

    def test_the_reply_counts_where_the_dot_is_out_and_the_rider_is_not(self, dial, authority):
        content = b"x" * (4 * 16_384 - len(b"\r\n.\r\n")) + b"\r\n"
        server = SmtpServer(tls=authority.server_context(), is_tls_implicit=True)
        with server:
            session = dial(server, security="tls", ca_file=str(authority.file), timeout=60)
            session.offer(ENVELOPE)
            session.wire.tls._sslobj = FullBefore(session.wire.tls._sslobj, b"MAIL")
            result = session.body(content, then=ENVELOPE)
            assert session.wire.tls._sslobj.refusals == 0
            assert result.reply.code == 250
            assert result.next_offer.is_ready
            assert server.messages == [content]


class FullBefore:
    """The TLS of a socket that does not take `start` at once."""

    def __init__(self, tls, start):
        self._tls, self._start, self.refusals = tls, start, 2

    def __getattr__(self, name):
        return getattr(self._tls, name)

    def write(self, data):
        if self.refusals and bytes(data[: len(self._start)]) == self._start:
            self.refusals -= 1
            raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "is full")
        return self._tls.write(data)


class TestEnd:
    def test_abandoning_sends_no_dot_and_nothing_is_taken(self, dial):
        with SmtpServer() as server:
            session = dial(server)
            session.offer(ENVELOPE)
            session.abandon()
            assert not session.is_open
        assert server.messages == []
        assert "QUIT" not in server.verbs

    @pytest.mark.parametrize("fault", ["221 bye", DROP, STALL, "nonsense"])
    def test_closing_never_raises(self, dial, fault):
        with SmtpServer(script={"QUIT": fault}) as server:
            session = dial(server, timeout=0.2)
            session.close()
            session.close()
            assert not session.is_open
            assert server.verbs == ["EHLO", "QUIT"]
