"""Logging in at real servers, Postfix and Dovecot: what goes well, and a cause of its own for all that goes wrong.

Everything passes a tap: whatever happens, no secret crosses the wire in clear text, in no spelling.
"""

import datetime as dt
import socket
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailops.lib.secrets import Secret, spellings
from mailops.transports import oauth
from mailops.transports.causes import CAUSES
from mailops.transports.credentials import add_credential, add_grant
from mailops.transports.diagnosis import diagnose
from mailops.transports.kinds import open_session
from mailops.transports.sessions import Envelope
from tests.factories import make_transport
from tests.oauth_server import OAuthServer
from tests.postfix import Postfix
from tests.sasl import Passwords
from tests.smtp_server import CertificateAuthority, SmtpServer
from tests.tap import Tap

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.needs("postfix"),
    pytest.mark.needs("dovecot"),
    pytest.mark.needs("submission-login"),
]
USER, PASSWORD = "sender@example.com", "canary-5d81c2f0-pass"


def pair_of(authority, name="127.0.0.1", days=90):
    authority.server_context(name, days=days)
    return authority.folder / f"{name}-{days}.pem"


def self_signed(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    octets = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "self-signed.pem"
    path.write_bytes(octets + certificate.public_bytes(pem))
    return path


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """One Dovecot and one Postfix for all of it; each port of Postfix is wrong in its own way."""
    authority = CertificateAuthority(tmp_path_factory.mktemp("trusted"))
    stranger = CertificateAuthority(tmp_path_factory.mktemp("stranger"))
    good, who = pair_of(authority), "permit_sasl_authenticated,reject_unauth_destination"
    chain = "smtpd_tls_chain_files"
    services = {
        "starttls": {},
        "tls": {"smtpd_tls_wrappermode": "yes"},
        "only-login": {"smtpd_sasl_mechanism_filter": "login"},
        "only-cram-md5": {"smtpd_sasl_mechanism_filter": "cram-md5"},
        "only-xoauth2": {"smtpd_sasl_mechanism_filter": "xoauth2"},
        "no-login": {"smtpd_sasl_auth_enable": "no"},
        "expired": {chain: str(pair_of(authority, days=-1))},
        "self-signed": {chain: str(self_signed(authority.folder))},
        "stranger": {chain: str(pair_of(stranger))},
        "wrong-name": {chain: str(pair_of(authority, "mail.other.example"))},
        "no-tls": {"smtpd_tls_security_level": "none"},
        "tls-1.0": {
            "smtpd_tls_protocols": "TLSv1",
            "smtpd_tls_ciphers": "low",
            "tls_low_cipherlist": "ALL:@SECLEVEL=0",
        },
    }
    with (
        OAuthServer() as tokens,
        SmtpServer() as next_hop,
        Passwords(
            {USER: PASSWORD},
            mechanisms="plain login cram-md5 xoauth2",
            token_info=tokens.info_url,
            submission=(good, next_hop.port),
        ) as dovecot,
        Postfix(
            next_hop.port,
            services=services,
            smtpd_sasl_auth_enable="yes",
            smtpd_sasl_type="dovecot",
            smtpd_sasl_path=str(dovecot.socket),
            smtpd_sasl_security_options="noanonymous",
            smtpd_tls_security_level="may",
            smtpd_tls_auth_only="no",  # it offers a log-in in clear text: we don't take it
            smtpd_tls_chain_files=str(good),
            smtpd_relay_restrictions=who,
            smtpd_recipient_restrictions=who,
            smtpd_error_sleep_time="0",
            smtpd_hard_error_limit="100",
            smtpd_client_connection_rate_limit="0",
        ) as postfix,
    ):
        ports = {f"dovecot-{name}": port for name, port in dovecot.ports.items()}
        yield SimpleNamespace(
            ports=postfix.ports | ports, authority=authority, tokens=tokens, next_hop=next_hop
        )


@pytest.fixture
def tapped(servers, settings):
    """Return a function that makes the transport of a port, behind a tap; at the end no secret has crossed."""
    taps, secrets = [], [PASSWORD]

    def make(name, *, security="starttls", password=PASSWORD, token=False, **options):
        tap = Tap(servers.ports.get(name, name), **options).__enter__()
        taps.append(tap)
        pairs = {("127.0.0.1", tap.port), ("127.0.0.1", servers.tokens.port)}
        settings.MAILOPS_TRUSTED_RELAYS = frozenset(pairs)
        settings.MAILOPS_EXTRA_CA_FILE = str(servers.authority.file)
        transport = make_transport(port=tap.port, security=security)
        if token:
            sign_in(transport, servers.tokens)
        elif password:
            secrets.append(password)
            add_credential(
                transport=transport,
                label="x",
                username=USER,
                secret=Secret(password),
                actor=None,
            )
        transport.tap = tap
        return transport

    yield make
    for tap in taps:
        tap.__exit__()
    crossed = b"".join(bytes(tap.said + tap.heard) for tap in taps)
    tokens = [*servers.tokens.access_tokens, *servers.tokens.refresh_tokens]
    for secret in [*secrets, *tokens]:
        for spelling in spellings(USER, Secret(secret)):
            assert spelling.encode() not in crossed
    lines = b"".join(bytes(tap.said) for tap in taps).splitlines()
    assert not any(line.upper().startswith(b"AUTH") for line in lines)


def sign_in(transport, tokens):
    grant = add_grant(
        transport=transport,
        credential={"label": "x", "username": USER},
        grant={"provider": "other", "client_id": "app", "own_token_url": tokens.token_url},
        client_secret=None,
        actor=None,
    )
    oauth.accept_refresh_token(grant, Secret("refresh-1"), actor=None)
    return grant


class TestGoesWell:
    @pytest.mark.parametrize(
        ("name", "security", "mechanism"),
        [
            ("starttls", "starttls", "PLAIN"),
            ("tls", "tls", "PLAIN"),
            ("only-login", "starttls", "LOGIN"),
            ("only-cram-md5", "starttls", "CRAM-MD5"),
            ("dovecot-starttls", "starttls", "PLAIN"),
            ("dovecot-tls", "tls", "PLAIN"),
        ],
    )
    def test_logs_in_by_what_the_server_offers(self, tapped, name, security, mechanism):
        found = diagnose(tapped(name, security=security))
        assert (found.is_ok, found.cause, found.detail) == (True, "", "")
        assert f"C: AUTH {mechanism}" in found.transcript
        assert found.tls["version"] == "TLSv1.3"

    @pytest.mark.parametrize("name", ["only-xoauth2", "starttls", "dovecot-starttls"])
    def test_logs_in_by_a_token(self, tapped, name):
        found = diagnose(tapped(name, token=True))
        assert (found.is_ok, found.cause, found.detail) == (True, "", "")
        assert "C: AUTH XOAUTH2 ****" in found.transcript

    def test_sends_through_dovecot(self, tapped, servers):
        """Its submission server proxies: it logs in, takes the mail, and hands it on itself."""
        session = open_session(tapped("dovecot-starttls"))
        session.open()
        offer = session.offer(Envelope("a@news.example", "b@example.net"))
        assert offer.is_ready, offer
        result = session.body(b"Subject: Hello\r\n\r\nHello.\r\n")
        session.close()
        assert result.reply.is_positive
        assert b"Subject: Hello" in servers.next_hop.messages[-1]


class TestGoesWrong:
    @pytest.mark.parametrize(
        ("name", "options", "cause"),
        [
            ("starttls", {"password": "wrong-2f61d0aa"}, "auth_failed"),
            ("only-login", {"password": "wrong-2f61d0aa"}, "auth_failed"),
            ("only-cram-md5", {"password": "wrong-2f61d0aa"}, "auth_failed"),
            ("dovecot-starttls", {"password": "wrong-2f61d0aa"}, "auth_failed"),
            ("only-xoauth2", {}, "needs_oauth"),
            ("only-login", {"token": True}, "oauth_not_offered"),
            ("no-login", {}, "auth_not_offered"),
            ("expired", {}, "tls_expired"),
            ("self-signed", {}, "tls_self_signed"),
            ("stranger", {}, "tls_issuer"),
            ("wrong-name", {}, "tls_name"),
            ("tls-1.0", {}, "tls_old"),
            ("no-tls", {}, "no_tls_trusted"),
            ("starttls", {"strips_starttls": True}, "tls_stripped"),
            ("dovecot-starttls", {"strips_starttls": True}, "tls_stripped"),
            ("starttls", {"security": "tls"}, "needs_starttls"),
            ("starttls", {"security": "none"}, "clear_text_auth"),
            ("dovecot-starttls", {"security": "none"}, "clear_text_auth"),
        ],
    )
    def test_has_a_cause_and_a_fix(self, tapped, name, options, cause):
        found = diagnose(tapped(name, **options))
        assert (found.is_ok, found.cause) == (False, cause), found.detail
        assert (found.what, found.fix) == (CAUSES[cause].what, CAUSES[cause].fix)
        assert found.steps[-1].status == "failed"
        assert PASSWORD not in str(found.as_json())

    @pytest.mark.parametrize("name", ["only-xoauth2", "dovecot-starttls"])
    def test_a_token_that_was_withdrawn(self, tapped, servers, name):
        transport = tapped(name, token=True)
        given = dict(servers.tokens.access_tokens)
        servers.tokens.access_tokens.clear()
        found = diagnose(transport)
        servers.tokens.access_tokens |= given
        assert found.cause == "oauth_refused"
        assert "535" in found.detail

    def test_a_host_that_never_answers(self, tapped, monkeypatch):
        monkeypatch.setattr("mailops.transports.findings.STEP_SECONDS", 1.0)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            found = diagnose(tapped(silent.getsockname()[1]))
        assert (found.cause, found.steps[-1].name) == ("timeout", "banner")

    def test_a_port_of_tls_greeted_as_if_it_spoke_first(self, tapped, monkeypatch):
        """It waits for TLS and we for its greeting: a second try tells why."""
        monkeypatch.setattr("mailops.transports.findings.STEP_SECONDS", 1.0)
        assert diagnose(tapped("tls")).cause == "needs_implicit_tls"

    def test_mail_without_a_log_in(self, tapped):
        found = diagnose(tapped("starttls", password=""), recipient="b@example.net")
        assert found.cause == "auth_required"
        assert "credential" in found.fix
