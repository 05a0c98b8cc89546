"""A host that takes the connection and never says a word: the test of a transport ends by itself and names the cause."""

import socket

import pytest
from django.urls import reverse

from mailops.lib import resolver
from mailops.lib.resolver import Resolver
from mailops.transports import diagnosis, findings
from mailops.transports.sessions import Phase
from tests.factories import make_transport


@pytest.fixture
def silent(settings):
    """Listen on loopback, where the kernel takes connections and nobody answers; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})
        yield port


@pytest.mark.parametrize(
    ("security", "step"), [("none", "banner"), ("starttls", "banner"), ("tls", "tls")]
)
def test_the_page_names_the_step_and_the_cause(silent, security, step, browser, monkeypatch):
    monkeypatch.setattr(findings, "STEP_SECONDS", 0.2)
    transport = make_transport(port=silent, security=security)
    page = browser.post(reverse("transports:test", args=[transport.pk]), follow=True)
    assert page.status_code == 200
    transport.refresh_from_db()
    found = transport.last_test
    assert (found["is_ok"], found["cause"]) == (False, "timeout")
    assert (found["steps"][-1]["name"], found["steps"][-1]["status"]) == (step, "failed")
    assert found["what"] in page.text
    assert found["fix"] in page.text


def test_silent_name_servers_are_named_and_not_waited_for_twice(dns, browser, monkeypatch):
    dns.is_silent = True
    asks = Resolver(((dns.host, dns.port),), query_seconds=0.05)
    monkeypatch.setattr("mailops.lib.resolver.the_resolver", lambda: asks)
    transport = make_transport(host="smtp.example.net", port=587, security="starttls")
    page = browser.post(reverse("transports:test", args=[transport.pk]), follow=True)
    transport.refresh_from_db()
    assert transport.last_test["cause"] == "dns_silent"
    assert "No name server answered" in page.text
    assert {kind for _, _, kind in dns.asked} == {"A"}
    # three servers are as many as a machine asks
    assert 3 * resolver.ATTEMPTS * resolver.QUERY_SECONDS <= 20


def test_all_steps_together_take_no_more_than_twenty_seconds(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(diagnosis.time, "monotonic", lambda: now[0])
    budget = findings.Budget(diagnosis.LIMIT_SECONDS)
    for phase in Phase:  # each waits as long as it may
        now[0] += budget[phase]
    assert now[0] - 1000.0 <= 20
