"""Addresses of our own network, written in every way: nothing a person may type makes mailops speak to them."""

import http.server
import socket
import threading

import pytest
from django.urls import reverse

from mailops.incidents.models import NoticeAttempt, NotificationChannel
from mailops.incidents.notifying import deliver_due
from mailops.transports.models import Transport

OURS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST.",
    "inside.example",
    "alias.example",
    "10.0.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fec0::1]",
    "[fd00:ec2::254]",
    "\uff11\uff12\uff17.0.0.1",
    "127.0.0.1.",
    "user@127.0.0.1",
    "evil.example@127.0.0.1",
    "127.0.0.1#.evil.example",
    "127.0.0.1%23.evil.example",
]


@pytest.fixture(autouse=True)
def _names(dns):
    dns.zones["inside.example"] = {"A": ["127.0.0.1"], "AAAA": ["::1"]}
    dns.zones["alias.example"] = {"CNAME": ["inside.example"]}


@pytest.fixture
def listener():
    """Count on loopback who connects; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):  # nobody came
            server.accept()


@pytest.mark.parametrize("host", OURS)
class TestTyped:
    def test_a_webhook_is_refused_or_never_told(self, host, listener, browser):
        port = listener.getsockname()[1]
        form = {"name": "x", "least_level": "warn", "is_enabled": "on"}
        url = reverse("incidents:channel-add", args=["webhook"])
        answer = browser.post(url, {**form, "url": f"https://{host}:{port}/hook"})
        if answer.status_code == 422:
            assert not NotificationChannel.objects.exists()
            return
        channel = NotificationChannel.objects.get()
        browser.post(reverse("incidents:channel-test", args=[channel.pk]))
        deliver_due()
        result = NoticeAttempt.objects.get().result
        assert "is not public" in result or "has no address" in result

    def test_a_transport_is_refused_or_never_spoken_to(self, host, listener, browser):
        port = listener.getsockname()[1]
        form = {
            "name": "x",
            "host": host,
            "port": port,
            "security": "tls",
            "environment": "production",
            "max_sessions": "1",
            "messages_per_session": "1",
        }
        answer = browser.post(reverse("transports:add") + "?preset=smtp", form)
        if answer.status_code == 422:
            assert not Transport.objects.exists()
            return
        transport = Transport.objects.get()
        page = browser.post(reverse("transports:test", args=[transport.pk]), follow=True)
        transport.refresh_from_db()
        assert transport.last_test["cause"] in {"not_allowed", "not_found"}
        assert transport.last_test["what"] in page.text


class Redirecting(http.server.BaseHTTPRequestHandler):
    target = ""

    def do_POST(self):
        self.send_response(307)
        self.send_header("Location", self.target)
        self.end_headers()

    def log_message(self, *args):
        pass


def test_a_redirect_to_our_own_network_is_not_followed(listener, browser, settings):
    Redirecting.target = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with http.server.HTTPServer(("127.0.0.1", 0), Redirecting) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.server_port)})
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        form = {
            "name": "x",
            "least_level": "warn",
            "url": f"http://127.0.0.1:{server.server_port}/",
        }
        browser.post(reverse("incidents:channel-add", args=["webhook"]), form)
        channel = NotificationChannel.objects.get()
        browser.post(reverse("incidents:channel-test", args=[channel.pk]))
        deliver_due()
        thread.join()
    assert "answered 307" in NoticeAttempt.objects.get().result
