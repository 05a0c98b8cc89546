import base64
import hmac

import pytest

from mailops.lib.secrets import Unsealable
from mailops.transports.causes import QUOTED
from mailops.transports.sessions import Envelope, Login, Phase, SessionFault
from tests.smtp_server import DROP, EXTENSIONS, STALL, SmtpServer
from tests.transports.conftest import CANARY

STARTTLS = (*EXTENSIONS, "STARTTLS")


class Transcript:
    def __init__(self):
        self.lines = []

    def entered(self, phase):
        self.lines.append(phase.value)

    def sent(self, text):
        self.lines.append(text)

    def received(self, reply):
        self.lines.append(str(reply))


def fault_of(dial, server, **fields):
    session = dial(server, opens=False, **fields)
    with pytest.raises(SessionFault) as fault:
        session.open()
    assert not session.is_open
    return fault.value


class TestOpen:
    @pytest.mark.parametrize(
        ("verb", "answer", "phase", "cause"),
        [
            ("banner", DROP, Phase.BANNER, "dropped"),
            ("banner", STALL, Phase.BANNER, "timeout"),
            ("banner", "HTTP/1.1 400 Bad Request", Phase.BANNER, "protocol"),
            ("banner", "421 4.3.2 too busy", Phase.BANNER, "unavailable"),
            ("banner", "554 5.7.1 blocked", Phase.BANNER, "rejected"),
            ("EHLO", DROP, Phase.EHLO, "dropped"),
            ("EHLO", STALL, Phase.EHLO, "timeout"),
            ("EHLO", "421 4.3.2 too busy", Phase.EHLO, "unavailable"),
        ],
    )
    def test_names_phase_and_cause_of_a_fault(self, dial, verb, answer, phase, cause):
        with SmtpServer(script={verb: answer}) as server:
            fault = fault_of(dial, server, timeout=0.2 if answer == STALL else 10)
        assert (fault.phase, fault.cause) == (phase, cause)
        assert fault.sentence

    def test_quotes_in_one_short_line_what_the_server_said(self, dial):
        lines = f"421-4.3.2 too busy,\r\n421 4.3.2 \x1b[1mtry{' later' * 50}"
        with SmtpServer(script={"banner": lines}) as server:
            sentence = fault_of(dial, server).sentence
        quoted = sentence.partition(" It said: “")[2]
        assert quoted.startswith("421 4.3.2 too busy, 4.3.2 [1mtry later later")
        assert quoted.endswith("…”.")
        assert len(quoted) == QUOTED + len("”.")

    def test_falls_back_to_helo_for_a_server_that_does_not_know_ehlo(self, dial):
        with SmtpServer(script={"EHLO": "502 5.5.1 what"}) as server:
            session = dial(server)
            assert session.offer(Envelope("s@example.com", "r@example.net")).is_ready
            assert server.verbs[:2] == ["EHLO", "HELO"]
            assert not session.can_pipeline

    def test_a_closed_port_is_refused(self, dial):
        with SmtpServer() as server:
            pass
        fault = fault_of(dial, server)
        assert (fault.phase, fault.cause) == (Phase.CONNECT, "refused")

    def test_a_private_address_is_not_spoken_to_unless_it_is_trusted(self, dial):
        with SmtpServer() as server:
            fault = fault_of(dial, server, host="localhost", security="starttls")
            assert server.connections == 0
        assert (fault.phase, fault.cause) == (Phase.RESOLVE, "not_allowed")
        assert "127.0.0.1" not in fault.sentence + fault.detail

    def test_clear_text_is_spoken_to_trusted_relays_only(self, dial):
        with SmtpServer() as server:
            fault = fault_of(dial, server, host="192.0.2.1")
        assert fault.cause == "not_allowed"


class TestTls:
    def test_goes_over_to_tls_and_greets_again(self, dial, authority):
        with SmtpServer(extensions=STARTTLS, tls=authority.server_context()) as server:
            session = dial(server, security="starttls", ca_file=str(authority.file))
            assert session.offer(Envelope("s@example.com", "r@example.net")).is_ready
            assert session.body(b"x" * 500_000).reply.code == 250
            assert server.verbs[:3] == ["EHLO", "STARTTLS", "EHLO"]

    def test_speaks_tls_from_the_first_octet_on_465(self, dial, authority):
        context = authority.server_context()
        with SmtpServer(tls=context, is_tls_implicit=True) as server:
            session = dial(server, security="tls", ca_file=str(authority.file))
            assert session.wire.tls.version() == "TLSv1.3"
            session.close()

    def test_a_missing_starttls_is_a_fault_and_nothing_is_said_in_clear_text(self, dial, login):
        with SmtpServer() as server:
            fault = fault_of(dial, server, security="starttls", login=login)
            assert server.verbs == ["EHLO", "STARTTLS"]
        assert (fault.phase, fault.cause) == (Phase.TLS, "no_tls_trusted")
        assert "TLS “None”" in fault.sentence

    def test_clear_text_is_advised_for_trusted_relays_only(self, dial, monkeypatch):
        with SmtpServer() as server:
            session = dial(server, opens=False, security="starttls")
            session._connect()
            monkeypatch.setattr("mailops.lib.egress.is_trusted", lambda *_: False)
            session._greet()
            with pytest.raises(SessionFault) as fault:
                session._secure_and_log_in()
            session.abandon()
        assert fault.value.cause == "no_tls"
        assert "None" not in fault.value.sentence

    @pytest.mark.parametrize("offers", [(), ("XXXXXXXA",)])
    def test_a_stripped_starttls_is_a_fault_of_its_own(self, dial, login, authority, offers):
        """A server that takes it though it isn't offered, or an offer that was crossed out."""
        context = None if offers else authority.server_context()
        with SmtpServer(extensions=offers, tls=context) as server:
            fault = fault_of(dial, server, security="starttls", login=login)
            assert not {"AUTH", "MAIL"} & set(server.verbs)
        assert (fault.phase, fault.cause) == (Phase.TLS, "tls_stripped")

    def test_a_refused_starttls_is_a_fault(self, dial, login):
        with SmtpServer(extensions=STARTTLS, script={"STARTTLS": "454 4.7.0 later"}) as server:
            fault = fault_of(dial, server, security="starttls", login=login)
        assert fault.cause == "no_tls"

    def test_clear_text_smuggled_in_behind_starttls_is_a_fault(self, dial, authority):
        script = {"STARTTLS": "220 go\r\n250 AUTH PLAIN"}
        context = authority.server_context()
        with SmtpServer(extensions=STARTTLS, script=script, tls=context) as server:
            fault = fault_of(dial, server, security="starttls", ca_file=str(authority.file))
        assert fault.cause == "protocol"

    @pytest.mark.parametrize(
        "case",
        [
            ("other.example", 90, True, "tls_name"),
            ("127.0.0.1", -1, True, "tls_expired"),
            ("127.0.0.1", 90, False, "tls_issuer"),
        ],
    )
    def test_a_certificate_of_another_name_or_time_or_maker_is_a_fault(self, dial, authority, case):
        name, days, is_known, cause = case
        context = authority.server_context(name, days=days)
        with SmtpServer(extensions=STARTTLS, tls=context) as server:
            fault = fault_of(
                dial,
                server,
                security="starttls",
                ca_file=str(authority.file) if is_known else "",
            )
            assert "AUTH" not in server.verbs
        assert (fault.phase, fault.cause) == (Phase.TLS, cause)

    def test_tls_spoken_to_a_starttls_port_is_a_fault(self, dial):
        with SmtpServer() as server:
            fault = fault_of(dial, server, security="tls", timeout=1)
        assert (fault.phase, fault.cause) == (Phase.TLS, "needs_starttls")


class TestAuth:
    def open_with(self, dial, authority, login, mechanisms, script=None, **fields):
        extensions = ("STARTTLS", f"AUTH {mechanisms}") if mechanisms else ("STARTTLS",)
        server = SmtpServer(
            extensions=extensions, tls=authority.server_context(), script=script or {}
        )
        with server:
            dial(
                server, security="starttls", login=login, ca_file=str(authority.file), **fields
            ).close()
        return server.commands[3:-1]

    def fault_with(self, *args, **fields):
        with pytest.raises(SessionFault) as fault:
            self.open_with(*args, **fields)
        return fault.value

    def test_plain_is_said_in_one_line(self, dial, authority, login):
        (said,) = self.open_with(dial, authority, login, "LOGIN PLAIN CRAM-MD5")
        verb, mechanism, response = said.split(" ")
        assert (verb, mechanism) == ("AUTH", "PLAIN")
        assert base64.b64decode(response) == f"\0user@example.com\0{CANARY}".encode()

    def test_login_is_said_step_by_step(self, dial, authority, login):
        script = {"AUTH": "334 VXNlcm5hbWU6", "response": ["334 UGFzc3dvcmQ6", "235 ok"]}
        said = self.open_with(dial, authority, login, "LOGIN", script)
        assert said[0] == "AUTH LOGIN"
        assert [base64.b64decode(line).decode() for line in said[1:]] == [
            "user@example.com",
            CANARY,
        ]

    def test_cram_md5_answers_the_challenge(self, dial, authority, login):
        challenge = b"<1896.697170952@postoffice.example>"
        script = {"AUTH": f"334 {base64.b64encode(challenge).decode()}"}
        said = self.open_with(dial, authority, login, "CRAM-MD5", script)
        digest = hmac.new(CANARY.encode(), challenge, "md5").hexdigest()
        assert base64.b64decode(said[1]).decode() == f"user@example.com {digest}"

    def test_cancels_when_the_server_asks_without_end(self, dial, authority, login):
        script = {"AUTH": "334 more", "response": ["334 more", "501 5.7.0 canceled"]}
        fault = self.fault_with(dial, authority, login, "PLAIN", script)
        assert fault.cause == "auth_failed"

    @pytest.mark.parametrize(
        ("answer", "cause"),
        [
            ("535 5.7.8 authentication failed", "auth_failed"),
            ("454 4.7.0 temporary", "auth_busy"),
            (DROP, "dropped"),
            (STALL, "timeout"),
        ],
    )
    def test_a_refused_log_in_is_named(self, dial, authority, login, answer, cause):
        fault = self.fault_with(dial, authority, login, "PLAIN", {"AUTH": answer}, timeout=0.5)
        assert (fault.phase, fault.cause) == (Phase.AUTH, cause)

    @pytest.mark.parametrize(
        ("mechanisms", "cause"),
        [
            ("", "auth_not_offered"),
            ("GSSAPI", "auth_not_offered"),
            ("XOAUTH2 GSSAPI", "needs_oauth"),
        ],
    )
    def test_no_log_in_that_we_know_is_a_fault(self, dial, authority, login, mechanisms, cause):
        assert self.fault_with(dial, authority, login, mechanisms).cause == cause

    def test_a_log_in_is_never_said_in_clear_text(self, dial, login):
        with SmtpServer() as server:
            fault = fault_of(dial, server, login=login)
            assert server.verbs == ["EHLO"]
        assert fault.cause == "clear_text_auth"

    def test_a_secret_that_does_not_open_is_a_fault(self, dial, authority):
        def fail():
            raise Unsealable("the key is gone")

        login = Login(username="u", reveal=fail)
        assert self.fault_with(dial, authority, login, "PLAIN").cause == "credential"

    @pytest.mark.parametrize("line", ["AUTH PLAIN {plain}", "{filler}{plain}", "hm, {canary}?"])
    def test_it_shows_not_even_in_what_is_no_reply(self, dial, authority, login, line):
        plain = base64.b64encode(f"\0user@example.com\0{CANARY}".encode()).decode()
        said = line.format(plain=plain, canary=CANARY, filler="x" * (200 - len(plain) // 2))
        fault = self.fault_with(dial, authority, login, "PLAIN", {"AUTH": said})
        assert fault.cause == "protocol"
        assert "****" in fault.detail or plain[:8] not in fault.detail
        assert CANARY not in fault.detail
        assert plain[:-4] not in fault.detail

    def test_the_secret_shows_nowhere_even_if_the_server_echoes_it(self, dial, authority, login):
        plain = base64.b64encode(f"\0user@example.com\0{CANARY}".encode()).decode()
        script = {"AUTH": f"535 5.7.8 wrong: {plain} {CANARY}"}
        seen = Transcript()
        fault = self.fault_with(dial, authority, login, "PLAIN", script, observer=seen)
        shown = "\n".join(
            [*seen.lines, fault.detail, fault.sentence, repr(fault.reply), repr(login)]
        )
        assert CANARY not in shown
        assert plain not in shown
        assert "AUTH PLAIN ****" in seen.lines
