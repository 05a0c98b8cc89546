"""The MTA-STS policy, fetched from a real HTTPS server on loopback through egress."""

import http.server
import threading

import pytest
from django.utils import timezone

from mailops.domains.checks import transport_security
from mailops.domains.checks.transport_security import check_mta_sts, fetch_policy
from mailops.domains.models import Finding
from tests.factories import make_domain
from tests.smtp_server import CertificateAuthority

HOST = "mta-sts.a.test"
PATH = "/.well-known/mta-sts.txt"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmax_age: 604800\r\n"


class PolicyServer:
    """Serves one policy by TLS; a test sets how."""

    def __init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.headers["Host"], self.path))
                self.send_response(outer.status)
                self.send_header("Content-Type", outer.kind)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.end_headers()
                if outer.stalls:
                    outer.released.wait(30)
                else:
                    self.wfile.write(outer.body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def get_request(self):
                connection, address = self.socket.accept()
                return outer.context.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                ), address

            def handle_error(self, *_):
                pass  # clients hang up on certificates

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.released = threading.Event()
        self.context = None
        self.reset()

    def reset(self):
        self.body, self.status, self.kind, self.location = POLICY.encode(), 200, "text/plain", ""
        self.stalls, self.asked = False, []

    def __enter__(self):
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def contexts(authority):
    return {
        "good": authority.server_context(HOST),
        "expired": authority.server_context(HOST, days=-1),
        "other name": authority.server_context("www.a.test"),
    }


@pytest.fixture(scope="module")
def server_of_module():
    with PolicyServer() as server:
        yield server


@pytest.fixture
def server(server_of_module, authority, contexts, settings, monkeypatch):
    server_of_module.reset()
    server_of_module.context = contexts["good"]
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setattr(transport_security, "POLICY_SECONDS", 30)  # on a loaded machine
    settings.MAILOPS_TRUSTED_RELAYS = frozenset({(HOST, server_of_module.port)})
    return server_of_module


@pytest.fixture
def check(server, dns, asks):
    dns.zones.update(
        {
            "a.test": {"MX": ["10 mx.a.test"]},
            "_mta-sts.a.test": {"TXT": ["v=STSv1; id=20260101"]},
            HOST: {"CNAME": ["policies.host.test"]},
            "policies.host.test": {"A": ["127.0.0.1"]},
        }
    )

    def fetches(url, asks):
        return fetch_policy(url.replace(HOST, f"{HOST}:{server.port}"), asks)

    return lambda: check_mta_sts("a.test", asks, fetches)[0]


def test_is_fetched_where_dns_says_and_held_against_the_mx(check, server):
    verdict = check()
    assert verdict.status == "ok", verdict
    assert "The policy is enforce and names every MX" in verdict.sentence
    assert server.asked == [(f"{HOST}:{server.port}", PATH)]


@pytest.mark.parametrize(
    ("certificate", "words"),
    [("expired", "certificate has expired"), ("other name", "certificate is for another name")],
)
def test_a_certificate_that_does_not_hold_is_named(check, server, contexts, certificate, words):
    server.context = contexts[certificate]
    verdict = check()
    assert verdict.status == "warning"
    assert words in verdict.sentence
    assert "valid certificate" in verdict.fix
    assert server.asked == []


def test_an_authority_that_is_not_trusted_is_named(check, server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    verdict = check()
    assert verdict.status == "warning"
    assert "an authority that is not trusted" in verdict.sentence


def test_a_redirect_is_not_followed(check, server):
    server.status, server.location = 301, f"https://{HOST}:{server.port}/elsewhere"
    verdict = check()
    assert verdict.status == "warning"
    assert "a redirect, which senders don't follow" in verdict.sentence
    assert [path for _, path in server.asked] == [PATH]


def test_another_content_type_warns(check, server):
    server.kind = "text/html; charset=utf-8"
    assert "served as “text/html”" in check().sentence


@pytest.mark.django_db
def test_what_no_database_holds_is_told_all_the_same(check, server):
    server.body = POLICY.replace("enforce", "en\0force").encode()
    server.kind = "text/\0html"
    verdict = check()
    finding = Finding.objects.create(
        domain=make_domain(name="a.test"),
        check_name=verdict.check,
        sentence=verdict.sentence,
        evidence=list(verdict.evidence),
        since_at=timezone.now(),
        checked_at=timezone.now(),
    )
    finding.refresh_from_db()
    assert "its mode “en\ufffdforce”" in finding.sentence
    assert "served as “text/\ufffdhtml”" in finding.sentence
    assert "mode: en\ufffdforce" in finding.evidence


def test_a_policy_that_is_too_large_is_not_read(check, server):
    server.body = POLICY.encode() + b"x" * transport_security.POLICY_OCTETS
    verdict = check()
    assert verdict.status == "warning"
    assert "longer than 65536 octets" in verdict.sentence


def test_a_server_that_is_slow_is_given_up_and_says_nothing(check, server, monkeypatch):
    monkeypatch.setattr(transport_security, "POLICY_SECONDS", 0.5)
    server.stalls = True
    verdict = check()
    assert verdict.status == "unknown"
    assert "could not be fetched from here" in verdict.sentence


def test_a_private_address_is_not_gone_to(check, server, settings):
    settings.MAILOPS_TRUSTED_RELAYS = frozenset()
    verdict = check()
    assert verdict.status == "warning"
    assert "an address that is not public" in verdict.sentence
    assert server.asked == []
