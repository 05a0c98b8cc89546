"""Every provider that anymail can send through, with a credential from a row, against a double of its API."""

import base64
import dataclasses
import pkgutil
import socket
import threading
from unittest.mock import Mock

import anymail.backends
import pytest
from django.conf import settings as django_settings

from mailops.lib import egress
from mailops.lib.egress import EgressFault
from mailops.lib.http_connection import HttpConnection, NotSent
from mailops.lib.secrets import Secret
from mailops.lib.storable import storable
from mailops.protocol.classification import classify
from mailops.transports.kinds import open_session
from mailops.transports.kinds.apis import APIS, api_url
from mailops.transports.kinds.http_api import HttpApiSession
from mailops.transports.kinds.smtp_lines import objection_to
from mailops.transports.models import Transport
from mailops.transports.sessions import (
    Envelope,
    Login,
    Phase,
    SessionEnded,
    SessionFault,
    SessionLost,
)
from tests.outbox.test_mime import LOGO, TERMS, content_with
from tests.transports.api_doubles import LOGINS, OPTIONS, SECRET, USER, Answer, Double

TOKEN = "0123456789abcdef0123456789abcdef.1.abcdefghijklmnop"
ENVELOPE = Envelope("b+x@bounces.example.com", "ada@example.net", envid=TOKEN)
UNSUBSCRIBE = "<https://mailops.example.com/u/abc/>"
CONTENT = (
    "From: =?utf-8?q?N=C3=A4w=2C?= News <news@example.com>\r\nTo: ada@example.net\r\n"
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nReply-To: desk@example.com\r\n"
    "Message-ID: <0123@example.com>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
    f"List-Unsubscribe: {UNSUBSCRIBE}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="B"\r\n\r\n'
    "--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Schöne Grüße\r\n--B\r\nContent-Type: text/html; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\n<p>Schöne <b>Grüße</b></p>\r\n--B--\r\n"
).encode()

WITHOUT_INLINE = {"brevo", "postal", "scaleway"}
KINDS = [kind for kind in APIS if kind != Transport.Kind.SES]


@pytest.fixture
def session_of(double, settings):
    """Return a maker of open sessions that need no row."""
    settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", double.port)})
    opened = []

    def session_of(kind, **options):
        double.reset(kind)
        session = HttpApiSession(
            api=APIS[kind],
            options=OPTIONS.get(kind, {}) | {"endpoint_url": double.url} | options,
            login=Login(username=USER, reveal=lambda: Secret(SECRET)),
        )
        session.open()
        opened.append(session)
        return session

    yield session_of
    for session in opened:
        session.close()


@pytest.fixture(params=KINDS)
def session(request, session_of):
    return session_of(request.param)


@pytest.fixture(params=KINDS)
def row_session(request, api_transport):
    """Return an open session of a transport, with its credential, from the database."""
    session = open_session(api_transport(request.param))
    session.open()
    yield session
    session.close()


def send(session):
    assert session.offer(ENVELOPE).is_ready
    return session.body(CONTENT)


def everything(asked):
    """Return all that a call carried, as one text: providers name the same things differently."""
    is_form = "form" in asked.headers.get("content-type", "")
    return repr(asked.form if is_form else asked.json)


class TestTable:
    def test_has_a_row_for_every_backend_of_anymail_and_for_every_kind(self):
        modules = {module.name for module in pkgutil.iter_modules(anymail.backends.__path__)}
        ours = {"base", "base_requests", "console", "test", "sendinblue"}  # its old name of Brevo
        assert set(APIS) == modules - ours
        assert set(APIS) | {"smtp"} == set(Transport.Kind.values)

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "postal"])
    def test_knows_where_each_api_is(self, kind):
        url = api_url(APIS[kind], OPTIONS.get(kind, {}))
        assert url.startswith("https://")
        assert url.endswith("/")

    def test_nothing_of_a_provider_is_a_global_setting(self):
        leaks = ("ANYMAIL", *(f"{kind.upper()}_" for kind in APIS))
        assert not [name for name in dir(django_settings) if name.startswith(leaks)]


class TestSend:
    def test_carries_the_message_with_the_credential_of_the_row(self, row_session, double):
        result = send(row_session)
        (asked,) = double.asked
        header, value = LOGINS[double.kind]
        said = everything(asked)
        assert (asked.headers.get(header) if header else asked.json["key"]) == value
        assert result.reply.code == 250
        assert result.transport_message_id
        for wanted in ("ada@example.net", "news@example.com", "Grüße", "<b>Grüße</b>"):
            assert wanted in said
        for wanted in (UNSUBSCRIBE, "List-Unsubscribe=One-Click", "desk@example.com", TOKEN):
            assert wanted in said
        assert ("<0123@example.com>" in said) is APIS[double.kind].keeps_message_id
        assert "8bit" not in said

    def test_carries_files_or_says_what_the_provider_does_not_take(self, session, double):
        session.offer(ENVELOPE)
        assert session.body(content_with(TERMS)).reply.code == 250
        attached = double.asked[-1].body
        assert base64.b64encode(TERMS.content) in attached or TERMS.content in attached
        assert b"Gesch" in attached
        session.offer(ENVELOPE)
        reply = session.body(content_with(TERMS, LOGO)).reply
        if double.kind in WITHOUT_INLINE:
            assert reply.code == 554
            assert "inline attachments" in reply.text
        else:
            assert reply.code == 250
            shown = double.asked[-1].body
            assert base64.b64encode(LOGO.content) in shown or LOGO.content in shown
            assert LOGO.cid.encode() in shown

    def test_keeps_one_connection_and_one_account(self, session, double):
        assert [send(session).reply.code for _ in range(3)] == [250, 250, 250]
        assert len(double.connections) == 1
        assert {asked.headers["accept-encoding"] for asked in double.asked} == {"identity"}

    def test_finds_a_host_however_it_is_written(self, session_of, double, settings):
        settings.MAILOPS_TRUSTED_RELAYS |= {("localhost", double.port)}
        session = session_of("postal", endpoint_url=f"http://LocalHost:{double.port}/api")
        assert send(session).reply.code == 250

    def test_gives_own_fields_to_the_provider(self, session_of, double):
        send(session_of("mailgun"))
        assert double.asked[0].path == "/api/mg.example.com/messages"
        send(session_of("postmark"))
        assert double.asked[0].json["MessageStream"] == "broadcasts"
        assert {"Name": "X-PM-KeepID", "Value": "true"} in double.asked[0].json["Headers"]
        send(session_of("sparkpost"))
        assert double.asked[0].headers["x-msys-subaccount"] == "7"
        send(session_of("mailtrap", sandbox_id="42"))
        assert double.asked[0].path == "/api/send/42"
        send(session_of("unisender_go"))
        assert double.asked[0].json["message"]["skip_unsubscribe"] == 1


class TestTls:
    @pytest.fixture
    def secure(self, authority, settings):
        """Return a maker of sessions of a provider that speaks TLS, and the provider."""
        doubles = []

        def secure(*, ca_file, **certificate):
            double = Double(authority.server_context(**certificate))
            double.reset("resend")
            doubles.append(double)
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", double.port)})
            session = HttpApiSession(
                api=APIS["resend"],
                options={"endpoint_url": double.url},
                login=Login(username="", reveal=lambda: Secret(SECRET)),
                ca_file=ca_file,
            )
            return session, double

        yield secure
        for double in doubles:
            double.close()

    def test_is_verified_and_its_connection_kept(self, secure, authority):
        session, double = secure(ca_file=str(authority.file))
        session.open()
        assert [send(session).reply.code for _ in range(3)] == [250, 250, 250]
        assert len(double.connections) == 1
        assert session.connection.tls.version() == "TLSv1.3"
        session.close()

    @pytest.mark.parametrize(
        ("certificate", "is_known", "cause"),
        [
            ({}, False, "tls_issuer"),
            ({"days": -1}, True, "tls_expired"),
            ({"name": "other.example"}, True, "tls_name"),
        ],
    )
    def test_a_key_goes_to_nobody_who_is_not_who_it_claims(
        self, secure, authority, certificate, is_known, cause
    ):
        session, double = secure(ca_file=str(authority.file) if is_known else "", **certificate)
        with pytest.raises(SessionFault) as fault:
            session.open()
        assert (fault.value.phase, fault.value.cause) == (Phase.TLS, cause)
        assert double.asked == []


class TestOutcome:
    @pytest.mark.parametrize(
        ("status", "code", "stops"),
        [
            (400, 554, "none"),
            (401, 535, "transport"),
            (403, 535, "transport"),
            (404, 554, "transport"),
        ],
    )
    def test_a_refusal_is_definite_and_stops_what_it_must(
        self, session, double, status, code, stops
    ):
        double.answer = Answer(status, {"message": "account not found, mailbox unknown"})
        result = send(session)
        meaning = classify(result.reply, Phase.BODY)
        assert (result.reply.code, meaning.stops) == (code, stops)
        assert not meaning.suppress
        assert session.is_open

    def test_a_wish_to_be_asked_less_waits_as_long_as_it_says(self, session, double):
        double.answer = Answer(429, {"message": "Too many"}, {"Retry-After": "17"})
        result = send(session)
        assert result.reply.is_transient
        assert result.retry_after == 17
        assert classify(result.reply, Phase.BODY).reason == "rate_limited"

    def test_a_busy_provider_took_nothing(self, session, double):
        double.answer = Answer(503, "busy")
        assert send(session).reply.is_transient

    def test_a_provider_that_is_down_for_maintenance_took_nothing(self, session_of, double):
        session = session_of("mandrill")
        double.answer = Answer(
            500,
            {"status": "error", "name": "ServiceUnavailable", "message": "Down for maintenance"},
        )
        assert send(session).reply.is_transient

    def test_a_breakdown_that_is_told_with_200_is_uncertain(self, session_of, double):
        session = session_of("postal")
        double.answer = Answer(200, {"status": "error", "data": {"code": "InternalServerError"}})
        with pytest.raises(SessionLost) as lost:
            send(session)
        assert lost.value.phase == Phase.BODY

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(500, "oops"),
            Answer(502, "<html>Bad gateway</html>"),
            Answer(504, ""),
            Answer(524, "a timeout occurred"),
            Answer(500, {"status": "error", "name": "GeneralError", "message": "An error"}),
            Answer(502, {"success": False, "errors": ["Bad gateway"]}),
            Answer(503, "upstream connect error or disconnect/reset before headers"),
            Answer(503, "<title>503 first byte timeout</title>"),
            Answer(is_silent=True),
        ],
        ids=[
            "500",
            "502",
            "504",
            "524",
            "broke-down",
            "unsuccessful",
            "lost-by-a-proxy",
            "timed-out-at-a-proxy",
            "no-answer",
        ],
    )
    def test_what_may_have_been_taken_is_uncertain(self, session, double, answer):
        double.answer = answer
        with pytest.raises(SessionLost) as lost:
            send(session)
        assert lost.value.phase == Phase.BODY
        assert SECRET not in lost.value.detail
        assert not session.is_open

    def test_what_it_says_can_be_kept_whatever_octets_it_is_of(self, session_of, double):
        session = session_of("postmark")
        double.answer = Answer(422, "no\0way")
        result = send(session)
        assert result.data["answer"] == "no\ufffdway"
        assert "\0" not in result.reply.text
        double.answer = Answer(500, "oops\0")
        with pytest.raises(SessionLost) as lost:
            send(session)
        assert lost.value.detail.endswith("oops\ufffd")

    def test_an_id_that_it_gives_can_be_kept(self, session_of, double):
        session = session_of("resend")
        double.answer = Answer(200, {"id": "id\0\ud800"})
        assert send(session).transport_message_id == storable("id\0\ud800")

    def test_an_answer_that_does_not_come_in_time_is_uncertain(self, session, double):
        send(session)  # so that it is connected
        double.hold = threading.Event()
        session.connection._answer_seconds = 1.0
        with pytest.raises(SessionLost) as lost:
            send(session)
        double.hold.set()
        assert lost.value.phase == Phase.BODY

    def test_knows_whether_anything_left_before_an_error_of_ours(self, session_of, double):
        session = session_of("postmark")
        send(session)
        assert session.may_have_left
        session._mail_of = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            send(session)
        assert not session.may_have_left
        assert len(double.asked) == 1

    def test_a_call_that_can_not_be_made_left_nothing_uncertain(self, session_of, double):
        session = session_of("postmark")
        session._backend.session.headers["X-Of-Ours"] = "two\nlines"
        with pytest.raises(SessionLost) as lost:
            send(session)
        assert lost.value.phase == Phase.DATA
        assert double.asked == []

    def test_a_value_that_can_not_be_made_ready_is_refused(self, session_of):
        session = session_of("postmark")
        session._backend.build_message_payload = lambda *_: int("x")
        assert send(session).reply.code == 554

    def test_a_value_of_the_answer_that_can_not_be_read_is_uncertain(self, session_of):
        session = session_of("postmark")
        session._backend.parse_recipient_status = lambda *_: int("x")
        with pytest.raises(SessionLost) as lost:
            send(session)
        assert lost.value.phase == Phase.BODY
        assert not session.is_open

    @pytest.mark.parametrize(
        "told",
        ["[" * 100_000, '{"a":' * 100_000, "null", "5", "[null]", '{"emails": 5, "Messages": [5]}'],
        ids=["lists", "objects", "null", "number", "list", "other"],
    )
    def test_an_answer_of_another_shape_is_uncertain(self, session, double, told):
        double.answer = Answer(200, told)
        with pytest.raises(SessionLost) as lost:
            send(session)
        assert lost.value.phase == Phase.BODY

    @pytest.mark.parametrize(
        ("kind", "told"),
        [
            ("scaleway", {"emails": [{"id": {}, "mail_rcpt": "ada@example.net"}]}),
            ("mandrill", [{"email": [], "status": {}, "_id": "id-1"}]),
            ("mailjet", {"Messages": [{"Status": "success", "To": None}]}),
            ("resend", {"id": [1]}),
        ],
    )
    def test_a_value_of_another_shape_is_uncertain(self, session_of, double, kind, told):
        session = session_of(kind)
        double.answer = Answer(200, told)
        with pytest.raises(SessionLost) as lost:
            send(session)
        assert lost.value.phase == Phase.BODY

    def test_a_key_shows_not_even_in_what_is_no_answer(self, settings):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})
            session = HttpApiSession(
                api=APIS["postmark"],
                options={"endpoint_url": f"http://127.0.0.1:{port}/"},
                login=Login(username=USER, reveal=lambda: Secret(SECRET)),
            )

            def echo():
                peer, _ = listener.accept()
                with peer:
                    peer.recv(1)
                    peer.sendall(f"{SECRET} is what you said\r\n\r\n".encode())
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(65536):  # to close over unread octets would reset
                        pass

            echoing = threading.Thread(target=echo)
            echoing.start()
            session.open()
            with pytest.raises(SessionLost) as lost:
                send(session)
            echoing.join()
        assert "**** is what you said" in lost.value.detail

    def test_a_redirect_is_not_followed(self, session, double):
        double.answer = Answer(307, "", {"Location": f"{double.url}elsewhere"})
        assert send(session).reply.code == 554
        assert len(double.asked) == 1


class TestEarlyAnswer:
    """A server that says no when it has seen the head of a large request, and hangs up."""

    @pytest.fixture
    def connection_to(self, settings):
        threads = []

        def connection_to(answer):
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})

            def serve():
                peer, _ = listener.accept()
                with listener, peer:
                    peer.recv(1000)
                    peer.sendall(answer)

            threads.append(threading.Thread(target=serve))
            threads[-1].start()
            url = f"http://127.0.0.1:{port}/"
            return HttpConnection(url, connect_seconds=10, answer_seconds=30)

        yield connection_to
        for thread in threads:
            thread.join(10)

    def ask(self, connection):
        connection.hide([SECRET])
        return connection.ask("POST", "/", {}, b"x" * 50_000_000)

    def test_is_heard(self, connection_to):
        head = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 29\r\n\r\n"
        connection = connection_to(f"{head}too big {SECRET}".encode())
        answer = self.ask(connection)
        assert (answer.status, answer.body[:7]) == (413, b"too big")
        assert SECRET not in answer.body.decode()
        assert not connection.is_open

    @pytest.mark.parametrize("said", ["200 OK", "400 Bad Request", "500 Oops", "?"])
    def test_that_may_be_to_half_of_it_is_none(self, connection_to, said):
        connection = connection_to(f"HTTP/1.1 {said}\r\nContent-Length: 0\r\n\r\n".encode())
        with pytest.raises(NotSent):
            self.ask(connection)
        assert not connection.is_open


def sparkpost_of(*, accepted, rejected, **more):
    """Return SparkPost's answer of success, which counts whom it took."""
    counts = {"total_accepted_recipients": accepted, "total_rejected_recipients": rejected}
    return Answer(200, {"results": {**counts, "id": "id-1", **more}})


class TestParticulars:
    @pytest.mark.parametrize(
        ("kind", "answer", "reason"),
        [
            (
                "postal",
                Answer(200, {"status": "error", "data": {"code": "InvalidServerAPIKey"}}),
                "login_failed",
            ),
            (
                "mandrill",
                Answer(
                    500, {"status": "error", "name": "Invalid_Key", "message": "Invalid API key"}
                ),
                "login_failed",
            ),
            (
                "mandrill",
                Answer(
                    200,
                    [
                        {
                            "email": "ada@example.net",
                            "status": "rejected",
                            "reject_reason": "hard-bounce",
                        }
                    ],
                ),
                "recipient_refuses",
            ),
            (
                "mailgun",
                Answer(404, {"message": "Domain not found: mg.example.com"}),
                "account_stopped",
            ),
            ("mailgun", Answer(200, "Mailgun Magnificent API"), "account_stopped"),
            (
                "postmark",
                Answer(
                    422,
                    {
                        "ErrorCode": 406,
                        "Message": "You tried to send to a recipient that has been marked as inactive.\nFound inactive addresses: ada@example.net.\nInactive recipients are ones that have generated a hard bounce.",
                    },
                ),
                "recipient_refuses",
            ),
            (
                "postmark",
                Answer(
                    422,
                    {
                        "ErrorCode": 400,
                        "Message": "The 'From' address you supplied is not a Sender Signature on your account.",
                    },
                ),
                "sender_refused",
            ),
            (
                "resend",
                Answer(
                    403,
                    {
                        "name": "validation_error",
                        "message": "The example.com domain is not verified.",
                    },
                ),
                "sender_refused",
            ),
            (
                "resend",
                Answer(
                    429,
                    {
                        "name": "daily_quota_exceeded",
                        "message": "You have reached your daily email quota.",
                    },
                ),
                "quota_spent",
            ),
            (
                "brevo",
                Answer(402, {"code": "not_enough_credits", "message": "no credits"}),
                "quota_spent",
            ),
            (
                "sendgrid",
                Answer(
                    403,
                    {
                        "errors": [
                            {
                                "message": "The from address does not match a verified Sender Identity."
                            }
                        ]
                    },
                ),
                "sender_refused",
            ),
            (
                "mailersend",
                Answer(
                    202,
                    {
                        "warnings": [
                            {
                                "type": "ALL_SUPPRESSED",
                                "recipients": [
                                    {"email": "ada@example.net", "reason": ["hard_bounced"]}
                                ],
                            }
                        ]
                    },
                ),
                "recipient_refuses",
            ),
            (
                "sparkpost",
                Answer(
                    422,
                    {
                        "errors": [
                            {
                                "message": "Invalid domain",
                                "description": "Unconfigured Sending Domain <example.com>",
                            }
                        ]
                    },
                ),
                "sender_refused",
            ),
            (
                "sparkpost",
                Answer(
                    400,
                    {
                        "errors": [
                            {
                                "message": "Message generation rejected",
                                "description": "recipient address suppressed due to customer policy",
                                "code": "1902",
                            }
                        ]
                    },
                ),
                "recipient_refuses",
            ),
            ("sparkpost", sparkpost_of(accepted=0, rejected=1), "unexplained"),
            (
                "sparkpost",
                sparkpost_of(
                    accepted=0,
                    rejected=1,
                    rcpt_to_errors=[{"message": "recipient address suppressed", "code": "1902"}],
                ),
                "recipient_refuses",
            ),
            (
                "unisender_go",
                Answer(
                    200,
                    {
                        "status": "success",
                        "emails": [],
                        "failed_emails": {"ada@example.net": "temporary_unavailable"},
                    },
                ),
                "server_busy",
            ),
        ],
    )
    def test_are_told_apart(self, session_of, double, kind, answer, reason):
        session = session_of(kind)
        double.answer = answer
        assert classify(send(session).reply, Phase.BODY).reason == reason

    @pytest.mark.parametrize(
        ("kind", "told", "reason"),
        [
            ("mailersend", (403, "Your account is inactive."), "account_stopped"),
            ("sparkpost", (400, "Subaccount is inactive"), "account_stopped"),
            ("brevo", (403, "No recipient: your account is inactive."), "account_stopped"),
            ("postmark", (422, "The stream: broadcast is archived/inactive."), "account_stopped"),
            ("mailjet", (403, "Your API key is inactive"), "login_failed"),
            ("mailjet", (403, "Inactive"), "login_failed"),
            ("mailgun", (400, "domain is inactive"), "sender_refused"),
            ("brevo", (400, "sender is inactive"), "sender_refused"),
            ("mailjet", (400, "The suppression list could not be loaded"), "bad_message"),
        ],
    )
    def test_what_is_inactive_of_ours_is_laid_on_no_recipient(
        self, session_of, double, kind, told, reason
    ):
        session = session_of(kind)
        status, words = told
        double.answer = Answer(status, {"message": words})
        meaning = classify(send(session).reply, Phase.BODY)
        assert (meaning.reason, meaning.suppress) == (reason, False)

    @pytest.mark.parametrize("told", ["unsigned", "invalid-sender"])
    def test_a_sender_that_mandrill_rejects_is_laid_on_no_recipient(self, session_of, double, told):
        session = session_of("mandrill")
        rejected = {"email": "ada@example.net", "status": "rejected", "reject_reason": told}
        double.answer = Answer(200, [rejected])
        assert classify(send(session).reply, Phase.BODY).reason == "sender_refused"

    @pytest.mark.parametrize(
        ("kind", "answer"),
        [
            (
                "mandrill",
                Answer(200, [{"email": "ada@example.net", "status": "scheduled", "_id": "id-1"}]),
            ),
            (
                "scaleway",
                Answer(
                    200,
                    {"emails": [{"id": "id-1", "mail_rcpt": "ada@example.net", "status": "?"}]},
                ),
            ),
        ],
    )
    def test_a_state_without_a_word_of_ours_is_one_of_a_mail_that_was_taken(
        self, session_of, double, kind, answer
    ):
        session = session_of(kind)
        double.answer = answer
        assert send(session).reply.code == 250

    @pytest.mark.parametrize(
        ("kind", "answer"),
        [
            ("scaleway", Answer(200, {"emails": []})),
            ("mailersend", Answer(200, "<html>Back soon</html>", {"Content-Type": "text/html"})),
            ("mailersend", Answer(202, {})),
            ("mailjet", Answer(200, {"Messages": []})),
            ("sendgrid", Answer(200, "<html>Back soon</html>")),
            ("sendgrid", Answer(204)),
            ("brevo", Answer(200, "")),
            ("sparkpost", sparkpost_of(accepted=0, rejected=0)),
            ("sparkpost", sparkpost_of(accepted=1, rejected=1)),
            ("resend", Answer(200, {"id": None})),
            ("mailgun", Answer(200, {"id": "", "message": "Queued. Thank you."})),
            ("postmark", Answer(200, {"ErrorCode": 0, "Message": "OK", "MessageID": "id-1"})),
            ("mailtrap", Answer(200, {"success": True, "message_ids": []})),
            ("mandrill", Answer(200, [])),
            ("postal", Answer(200, {"status": "success", "data": {"messages": {}}})),
            ("unisender_go", Answer(200, {"status": "success", "job_id": "id-1", "emails": []})),
            (
                "unisender_go",
                Answer(
                    200,
                    {
                        "status": "success",
                        "job_id": "id-1",
                        "emails": ["ada@example.net"],
                        "failed_emails": {"ada@EXAMPLE.net": "unsubscribed"},
                    },
                ),
            ),
        ],
    )
    def test_an_answer_that_names_nobody_is_uncertain(self, session_of, double, kind, answer):
        session = session_of(kind)
        double.answer = answer
        with pytest.raises(SessionLost) as lost:
            send(session)
        assert lost.value.phase == Phase.BODY


class TestOpen:
    def test_a_provider_that_can_not_be_reached_costs_no_message_anything(
        self, session_of, settings
    ):
        settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", 9)}
        with pytest.raises(SessionFault) as fault:
            session_of("brevo", endpoint_url="http://127.0.0.1:9/")
        assert fault.value.cause == "refused"

    @pytest.mark.parametrize("kind", ["mailgun", "postmark"])
    @pytest.mark.parametrize("wrong", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}–"])
    def test_a_key_that_was_copied_wrongly_costs_no_message_anything(
        self, api_transport, double, kind, wrong
    ):
        transport = api_transport(kind)
        transport.active_credential.set_secret(Secret(wrong))
        with pytest.raises(SessionFault) as fault:
            open_session(transport).open()
        assert fault.value.cause == "credential"
        assert "copied wrongly" in fault.value.detail
        assert SECRET not in fault.value.detail
        assert double.asked == []

    def test_a_user_name_that_no_header_can_carry_is_told(self, api_transport):
        transport = api_transport("mailjet")
        transport.credentials.update(username="schlüssel–")
        with pytest.raises(SessionFault, match="secret of the credential"):
            open_session(transport).open()

    @pytest.mark.parametrize("value", [f"Bearer {SECRET}\n", f"Bearer {SECRET}–"])
    def test_what_can_not_be_written_is_quoted_nowhere(self, session_of, value):
        connection = session_of("resend").connection
        with pytest.raises(NotSent) as raised:
            connection.ask("POST", "/", {"Authorization": value}, b"")
        assert SECRET not in f"{raised.value} {raised.value.__cause__}"

    @pytest.mark.parametrize(
        ("url", "cause"),
        [("http://127.0.0.1:9/", "not_trusted"), ("https://127.0.0.1:9/", "not_allowed")],
    )
    def test_a_key_goes_to_no_address_that_is_not_trusted(self, session_of, url, cause):
        with pytest.raises(SessionFault) as fault:
            session_of("postal", endpoint_url=url)
        assert fault.value.cause == cause

    def test_a_connection_that_its_peer_closed_is_opened_anew_before_anything_is_sent(
        self, session_of, double
    ):
        session = session_of("resend")
        double.answer = Answer(200, {"id": "1"}, {"Connection": "close"})
        assert [send(session).reply.code for _ in range(2)] == [250, 250]

    def test_a_provider_that_is_gone_meanwhile_heard_of_nobody(
        self, session_of, double, monkeypatch
    ):
        session = session_of("resend")
        session.connection.close()
        fault = EgressFault("refused", "connection refused")
        monkeypatch.setattr(egress, "connect", Mock(side_effect=fault))
        with pytest.raises(SessionEnded):
            send(session)
        assert session.farewell == "connection refused"
        assert (session.is_open, session.may_have_left) == (False, False)


class TestFacts:
    def test_what_is_not_confirmed_is_named_and_nothing_else(self):
        for api in APIS.values():
            assert api.unconfirmed <= {field.name for field in dataclasses.fields(api)}
            for name in api.unconfirmed:
                assert getattr(api, name), (api.kind, name)

    def test_no_mail_is_refused_by_a_limit_that_is_not_confirmed(self):
        assert APIS["postmark"].size_limit == 10_000_000
        assert APIS["mandrill"].size_limit is None
        large = Envelope("a@x.example", "b@y.example", size=300_000_000)
        for api in APIS.values():
            extensions = {"8BITMIME": "", "SMTPUTF8": "", "SIZE": str(api.size_limit or "")}
            assert (objection_to(large, extensions) is None) == (api.size_limit is None)

    @pytest.mark.django_db
    def test_pages_say_so(self, admin, logged_in):
        def page(preset):
            return logged_in(admin).get("/transports/add/", {"preset": preset}).content.decode()

        assert "Compare it with what MailerSend shows" in page("mailersend_api")
        assert "could not confirm" not in page("postmark_api")
        assert "could not compare these settings" in page("getmailer")
