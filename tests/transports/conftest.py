import pytest

from mailops.lib.secrets import Secret
from mailops.transports.credentials import add_credential
from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.kinds.smtp_connection import TIMEOUTS, Server
from mailops.transports.sessions import Login
from tests.factories import make_transport
from tests.smtp_server import CertificateAuthority
from tests.transports.api_doubles import OPTIONS, SECRET, USER, Double

CANARY = "canary-9f8e7d6c5b4a"


@pytest.fixture
def authority(tmp_path):
    return CertificateAuthority(tmp_path)


@pytest.fixture
def dial(settings):
    """Return a function that gives a session with a scripted server, opened unless told otherwise."""
    sessions = []

    def start(server, *, opens=True, timeout=5, observer=None, **fields):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        fields = {
            "host": "127.0.0.1",
            "port": server.port,
            "security": "none",
            "ehlo_name": "mailops.example",
            "timeouts": dict.fromkeys(TIMEOUTS, timeout),
            **fields,
        }
        session = SmtpSession(Server(**fields), observer)
        sessions.append(session)
        if opens:
            session.open()
        return session

    yield start
    for session in sessions:
        session.abandon()


@pytest.fixture
def login():
    return Login(username="user@example.com", reveal=lambda: Secret(CANARY))


@pytest.fixture(scope="module")
def double():
    double = Double()
    yield double
    double.close()


@pytest.fixture
def api_transport(db, double, settings):
    """Return a maker of transports of an API kind whose provider is the double, with their credential."""
    settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", double.port)})

    def make(kind):
        double.reset(kind)
        options = OPTIONS.get(kind, {}) | {"endpoint_url": double.url}
        transport = make_transport(kind=kind, host="", options=options)
        add_credential(
            transport=transport, label="key", username=USER, secret=Secret(SECRET), actor=None
        )
        return transport

    return make
