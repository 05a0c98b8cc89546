import pytest

from mailops.lib.secrets import Secret
from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.kinds.smtp_connection import TIMEOUTS, Login, Server
from tests.smtp_server import CertificateAuthority

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
