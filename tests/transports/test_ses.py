import socket
import threading
from datetime import UTC, datetime
from uuid import UUID

import boto3
import pytest
from moto import mock_aws

from mailops.lib import egress, http_connection
from mailops.lib.secrets import Secret
from mailops.lib.storable import storable
from mailops.outbox.mime import Letter
from mailops.outbox.skeleton import assemble
from mailops.protocol.classification import classify
from mailops.transports.kinds import open_session
from mailops.transports.kinds.aws_http import EgressHttpSession
from mailops.transports.kinds.ses import SesSession, reply_of
from mailops.transports.sessions import (
    Envelope,
    Login,
    Phase,
    SessionEnded,
    SessionFault,
    SessionLost,
)
from tests.factories import make_transport
from tests.outbox.test_mime import LOGO, TERMS, content_with
from tests.transports.aws_double import AmazonDouble

ENVELOPE = Envelope("b+x@bounces.example.com", "ada@example.net", envid="b+1.1.abc")
CONTENT = (
    "From: News <news@example.com>\r\nTo: ada@example.net\r\nSubject: Hello\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
).encode()
LOGIN = Login(username="AKIAEXAMPLE", reveal=lambda: Secret("canary-secret"))


@pytest.fixture
def moto():
    with mock_aws():
        yield


@pytest.fixture
def trust(settings):
    def trust(url):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", int(url.rsplit(":", 1)[1]))})
        return url

    return trust


@pytest.fixture
def amazon(moto, trust):
    with AmazonDouble() as amazon:
        trust(amazon.url)
        yield amazon


@pytest.fixture
def session(amazon):
    session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=amazon.url)
    session.open()
    yield session
    session.close()


@pytest.fixture
def ses(moto):
    client = boto3.client(
        "sesv2",
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    yield client
    client.close()


def answering(raw):
    """Return the port of a server that gives one HTTP answer, or none at all, to each of two requests."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(raw)
        listener.close()

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class TestBody:
    def test_is_accepted_with_the_providers_id(self, session, ses):
        ses.create_email_identity(EmailIdentity="news@example.com")
        for _ in range(2):
            assert session.offer(ENVELOPE).is_ready
            result = session.body(CONTENT)
            assert result.reply.code == 250
            assert result.transport_message_id

    def test_a_refusal_comes_back_in_the_providers_words(self, session):
        session.offer(ENVELOPE)
        result = session.body(CONTENT.replace(b"news@example.com", b"x@unverified.example"))
        assert result.reply.is_permanent
        assert "x@unverified.example" in result.reply.text
        assert session.is_open

    def test_an_answer_that_is_lost_is_lost_in_the_body(self, trust):
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=trust(answering(b"")))
        session.open()
        session.offer(ENVELOPE)
        with pytest.raises(SessionLost) as lost:
            session.body(CONTENT)
        assert lost.value.phase == Phase.BODY
        assert not session.is_open

    def test_one_connection_carries_all_of_a_session(self, session, amazon, ses):
        ses.create_email_identity(EmailIdentity="news@example.com")
        for _ in range(5):
            session.offer(ENVELOPE)
            assert session.body(CONTENT).reply.code == 250
        assert amazon.connections == 1
        assert amazon.asked == ["/v2/email/outbound-emails"] * 5

    def test_one_that_its_peer_closed_or_that_idled_is_opened_anew(
        self, session, amazon, ses, monkeypatch
    ):
        ses.create_email_identity(EmailIdentity="news@example.com")
        for close in (
            lambda: session.connection._socket.shutdown(socket.SHUT_RDWR),
            lambda: monkeypatch.setattr(http_connection, "IDLE_SECONDS", -1),
        ):
            close()
            assert session.is_open
            session.offer(ENVELOPE)
            assert session.body(CONTENT).reply.code == 250
        assert amazon.connections == 3

    def test_a_provider_that_is_gone_meanwhile_took_nothing(self, trust):
        server = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=trust(url))
        session.open()
        server.close()  # with it goes the connection that nobody took yet
        session.offer(ENVELOPE)
        with pytest.raises(SessionEnded) as lost:
            session.body(CONTENT)
        assert lost.value.phase == Phase.DATA
        assert session.farewell

    def test_throttling_is_transient_and_asked_only_once(self, trust):
        raw = (
            b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 31\r\n"
            b"x-amzn-ErrorType: TooManyRequestsException\r\n\r\n"
            b'{"message":"Too many requests"}'
        )
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=trust(answering(raw)))
        session.open()
        session.offer(ENVELOPE)
        result = session.body(CONTENT)
        assert result.reply.is_transient
        assert result.retry_after == 7
        assert result.data["http_status"] == "429"
        assert session.may_have_left
        session.close()

    def test_waits_a_day_at_most_whatever_it_says(self, trust):
        raw = (
            b"HTTP/1.1 429 Too Many\r\nRetry-After: 99999999999\r\nContent-Length: 2\r\n"
            b"x-amzn-ErrorType: TooManyRequestsException\r\n\r\n{}"
        )
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=trust(answering(raw)))
        session.open()
        session.offer(ENVELOPE)
        assert session.body(CONTENT).retry_after == 86_400
        session.close()

    def test_what_it_says_can_be_kept_whatever_characters_it_is_of(self, trust):
        said = rb'{"__type":"Odd\u0000Exception","message":"no\u0000\ud800"}'
        raw = b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=trust(answering(raw)))
        session.open()
        session.offer(ENVELOPE)
        result = session.body(CONTENT)
        session.close()
        for text in (result.reply.text, *result.data.values()):
            assert text == storable(text)
        assert result.data["error"] == storable("Odd\0Exception")

    @pytest.mark.parametrize("status", [b"500 Broken", b"502 Bad Gateway", b"504 Too Late"])
    def test_a_server_that_broke_may_have_taken_it(self, trust, status):
        raw = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n{}" % status
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=trust(answering(raw)))
        session.open()
        session.offer(ENVELOPE)
        with pytest.raises(SessionLost) as lost:
            session.body(CONTENT)
        assert lost.value.phase == Phase.BODY
        assert status[:3].decode() in lost.value.detail

    def test_a_server_that_is_too_busy_took_nothing(self, trust):
        raw = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 2\r\n\r\n{}"
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=trust(answering(raw)))
        session.open()
        session.offer(ENVELOPE)
        assert session.body(CONTENT).reply.is_transient
        session.close()

    def test_does_not_wait_longer_than_its_patience(self, trust):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = trust(f"http://127.0.0.1:{silent.getsockname()[1]}")
            session = SesSession(
                region="eu-west-1", login=LOGIN, endpoint_url=url, patience=0.2 / 60
            )
            session.open()
            session.offer(ENVELOPE)
            with pytest.raises(SessionLost) as lost:
                session.body(CONTENT)
        assert lost.value.phase == Phase.BODY


class TestRawMail:
    def test_goes_out_with_parts_whose_text_is_beyond_ascii(self, session, ses):
        ses.create_email_identity(EmailIdentity="news@example.com")
        letter = Letter(
            public_id=UUID(int=1),
            header_from_name="News",
            header_from="news@example.com",
            reply_to="",
            recipient="ada@example.net",
            subject="Grüße",
            text="Grüße, schöne",
            html="<p>Grüße, schöne</p>",
            message_id="<1@example.com>",
            date=datetime(2026, 1, 1, tzinfo=UTC),
            headers={},
            takes_8bit=session.can_8bit,
        )
        content = assemble(letter)
        assert not content.isascii()
        session.offer(ENVELOPE)
        assert session.body(content).reply.code == 250

    def test_goes_out_with_files(self, session, ses):
        ses.create_email_identity(EmailIdentity="news@example.com")
        session.offer(ENVELOPE)
        content = content_with(TERMS, LOGO, header_from="news@example.com")
        assert session.body(content).reply.code == 250

    def test_carries_the_mime_as_it_is_but_for_8bit_parts_and_adds_the_token(
        self, session, monkeypatch
    ):
        sent = {}
        backend = session._backend
        monkeypatch.setattr(
            backend.client, "send_email", lambda **params: sent.update(params) or {"MessageId": "1"}
        )
        session.offer(ENVELOPE)
        session.body(CONTENT)
        raw = sent["Content"]["Raw"]["Data"]
        assert b"Subject: Hello" in raw
        assert b"Gr=C3=BC=C3=9Fe" in raw
        assert b'X-Metadata: {"mailops": "b+1.1.abc"}' in raw
        assert sent["EmailTags"] == [{"Name": "mailops", "Value": "b_1_1_abc"}]
        assert sent["Destination"] == {"ToAddresses": ["ada@example.net"]}


class TestReplyOf:
    @pytest.mark.parametrize(
        ("name", "http_status", "words", "code"),
        [
            ("TooManyRequestsException", 429, "Too many", 450),
            ("LimitExceededException", 400, "Daily message quota exceeded", 452),
            ("SendingPausedException", 400, "Paused", 554),
            ("MessageRejected", 400, "Email address is not verified", 553),
            ("MessageRejected", 400, "Virus", 554),
            ("InvalidClientTokenId", 403, "The security token is invalid", 535),
            ("SignatureDoesNotMatch", 403, "The signature does not match", 535),
            ("InternalFailure", 500, "Oops", 451),
            ("NewThing", 418, "Teapot", 554),
        ],
    )
    def test_says_the_same_in_smtp(self, name, http_status, words, code):
        answer = {
            "Error": {"Code": name, "Message": words},
            "ResponseMetadata": {"HTTPStatusCode": http_status},
        }
        reply = reply_of(answer)
        assert reply.code == code
        assert name in reply.text
        assert words in reply.text

    @pytest.mark.parametrize(
        ("name", "http_status", "words", "stops"),
        [
            ("SendingPausedException", 400, "Paused", "transport"),
            ("AccountSuspendedException", 400, "No", "transport"),
            ("NotFoundException", 404, "Configuration set <x> does not exist", "transport"),
            ("InvalidClientTokenId", 403, "The security token is invalid", "transport"),
            ("LimitExceededException", 400, "Daily message quota exceeded", "transport"),
            ("MessageRejected", 400, "Email address is not verified", "campaign"),
            ("TooManyRequestsException", 429, "Too many", "none"),
            ("MessageRejected", 400, "Illegal content", "none"),
        ],
    )
    def test_what_would_refuse_all_mail_stops_what_it_must(self, name, http_status, words, stops):
        answer = {
            "Error": {"Code": name, "Message": words},
            "ResponseMetadata": {"HTTPStatusCode": http_status},
        }
        assert classify(reply_of(answer), Phase.BODY).stops == stops


class TestOpen:
    def test_connects_by_egress_alone_whatever_the_machine_is_set_to(self, moto, monkeypatch):
        for name in ("AWS_ENDPOINT_URL", "HTTPS_PROXY", "AWS_ENDPOINT_URL_SESV2"):
            monkeypatch.setenv(name, "http://203.0.113.9:9")
        asked = []

        def resolve(host, port):
            asked.append((host, port))
            raise egress.EgressFault("not_found", host)

        monkeypatch.setattr(egress, "resolve", resolve)
        session = SesSession(region="eu-west-1", login=LOGIN)
        with pytest.raises(SessionFault) as fault:
            session.open()
        assert asked == [("email.eu-west-1.amazonaws.com", 443)]
        assert fault.value.cause == "not_found"
        assert not session.is_open

    def test_boto_speaks_over_that_connection(self, session):
        assert isinstance(session._backend.client._endpoint.http_session, EgressHttpSession)
        assert session.peer.startswith("127.0.0.1 [127.0.0.1]:")

    def test_a_provider_that_can_not_be_reached_costs_no_message_anything(self, trust):
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url=trust(url))
        with pytest.raises(SessionFault) as fault:
            session.open()
        assert (fault.value.phase, fault.value.cause) == (Phase.CONNECT, "refused")
        assert not session.is_open

    def test_a_key_goes_to_no_endpoint_that_is_not_trusted(self):
        session = SesSession(region="eu-west-1", login=LOGIN, endpoint_url="http://127.0.0.1:9")
        with pytest.raises(SessionFault) as fault:
            session.open()
        assert fault.value.cause == "not_trusted"

    def test_without_a_credential_it_does_not_look_for_one_on_the_machine(self):
        with pytest.raises(SessionFault) as fault:
            SesSession(region="eu-west-1", login=None).open()
        assert fault.value.cause == "auth_required"

    @pytest.mark.django_db
    def test_a_transport_of_this_kind_gives_such_a_session(self):
        transport = make_transport(kind="amazon_ses", options={"region": "us-east-2"})
        session = open_session(transport)
        assert isinstance(session, SesSession)
        assert session.region == "us-east-2"
