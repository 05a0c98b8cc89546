from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone

from mailops.incidents.detection import detect
from mailops.incidents.models import GAP, Threshold, Watch
from mailops.installation import processes
from mailops.installation.processes import _web


class TestHealth:
    def test_is_well_for_anyone_while_the_database_answers(self, client, db):
        response = client.get("/healthz/")
        assert (response.status_code, response.content) == (200, b"well\n")
        assert "no-store" in response["Cache-Control"]
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in response["Content-Security-Policy"]

    @pytest.mark.parametrize("host", ["10.1.2.3:8000", "[2001:db8::1]", "web-0.internal", "_"])
    def test_is_told_by_whatever_name_it_is_asked(self, client, db, host):
        assert client.get("/healthz/", headers={"Host": host}).status_code == 200
        assert client.get("/accounts/login/", headers={"Host": host}).status_code == 400

    def test_is_told_to_who_asks_for_it_only(self, client, db):
        assert client.head("/healthz/").status_code == 200
        assert client.post("/healthz/", headers={"Host": "10.1.2.3"}).status_code == 400

    def test_is_503_where_the_database_takes_no_changes(self, client, db):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
        response = client.get("/healthz/")
        assert (response.status_code, response.content) == (503, b"the database takes no changes\n")

    def test_is_503_without_a_database(self, client, db, monkeypatch):
        def away():
            raise OperationalError("away")

        with monkeypatch.context() as patch:
            patch.setattr(connection, "cursor", away)
            assert client.get("/healthz/").status_code == 503


class TestTheWatch:
    def test_is_told_by_whatever_name_it_is_asked(self, client, db):
        detect()
        response = client.get("/healthz/watch/", headers={"Host": "10.1.2.3:8000"})
        assert (response.status_code, response.content) == (200, b"watched\n")

    def test_is_503_where_nobody_looks(self, client, db):
        assert client.get("/healthz/watch/").status_code == 503
        long_ago = timezone.now() - timedelta(minutes=5)
        Watch.objects.create(since_at=long_ago, looked_at=long_ago)
        response = client.get("/healthz/watch/")
        assert (response.status_code, response.content) == (503, b"nobody looks for trouble\n")

    def test_is_503_where_a_threshold_can_not_be_looked_at(self, client, db):
        detect()
        Threshold.objects.filter(measure="fault").update(failing_since_at=Now() - GAP * 2)
        response = client.get("/healthz/watch/")
        assert (response.status_code, response.content) == (
            503,
            b"a threshold can't be looked at\n",
        )

    def test_is_503_without_a_database(self, client, db, monkeypatch):
        def away(*_):
            raise OperationalError("away")

        monkeypatch.setattr(Watch.objects, "watching", away)
        assert client.get("/healthz/watch/").status_code == 503


class Well(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz/" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.usefixtures("socket_enabled")
class TestTheSupervisor:
    def test_asks_the_pages_where_they_listen_and_no_proxy(self, settings, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.delenv("no_proxy", raising=False)
        with HTTPServer(("0.0.0.0", 0), Well) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            settings.MAILOPS_BIND = f"0.0.0.0:{server.server_port}"
            assert any(_web().is_ready() for _ in range(60))  # one has half a second
            server.shutdown()

    @pytest.mark.parametrize(
        ("bind", "asked"),
        [
            ("10.1.2.3:80", "http://10.1.2.3:80/healthz/"),
            ("0.0.0.0:80", "http://127.0.0.1:80/healthz/"),
            ("[::]:80", "http://[::1]:80/healthz/"),
            ("[2001:db8::1]:80", "http://[2001:db8::1]:80/healthz/"),
        ],
    )
    def test_asks_at_an_address_that_can_be_called(self, settings, monkeypatch, bind, asked):
        called = []

        def refuse(url, **_):
            called.append(url)
            raise OSError

        monkeypatch.setattr(processes._DIRECTLY, "open", refuse)
        settings.MAILOPS_BIND = bind
        assert not _web().is_ready()
        assert called == [asked]


class TestEveryAnswer:
    def test_lets_in_our_own_scripts_and_styles_only(self, client, db):
        policy = client.get("/accounts/login/")["Content-Security-Policy"]
        parts = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}
        assert parts["default-src"] == ["'none'"]
        assert parts["script-src"] == ["'self'"]
        assert parts["style-src"] == ["'self'"]
