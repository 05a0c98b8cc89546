"""A server that takes mail, and one day, so that no midnight of UTC begins a day's number anew within a test."""

import pytest

from mailops.dispatch import limits
from tests.smtp_server import SmtpServer


@pytest.fixture(autouse=True)
def _one_day(monkeypatch):
    monkeypatch.setattr(limits, "_TODAY", "DATE '2026-03-01'")


@pytest.fixture
def server(settings):
    """A server on loopback that mail may be sent to, and that takes it as it is told to."""
    with SmtpServer(extensions=("8BITMIME",)) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        yield server
