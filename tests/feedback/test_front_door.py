"""Webhook calls are answered before Django, as its view would; all else is Django's."""

import io
from base64 import b64encode

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import OperationalError, close_old_connections

from mailops.feedback import intake, taking
from mailops.feedback.endpoints import make_endpoint, renew_endpoint
from mailops.feedback.front_door import FrontDoor
from mailops.feedback.intake import MAX_WEBHOOK
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.feedback.proving import BASIC, USER
from tests.factories import make_transport


@pytest.fixture(scope="module")
def django():
    return get_wsgi_application()


@pytest.fixture
def endpoint(admin):
    return make_endpoint(transport=make_transport(kind="postmark"), actor=admin)


@pytest.fixture(autouse=True)
def _one_connection():
    """Keep the test's connection, as Django's own client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def call():
    """Call an address by WSGI; tell the status, the text and the headers."""

    def call(address, body=b"{}", *, application=None, **environ):
        answered = []
        given = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": f"/feedback/webhooks/{address}/",
            "HTTP_HOST": "127.0.0.1:8000",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "203.0.113.7",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            **environ,
        }
        door = FrontDoor(application or _nobody)
        text = b"".join(
            door(given, lambda status, headers: answered.append((status, dict(headers))))
        )
        (status, headers), = answered  # fmt: skip
        return int(status[:3]), text.decode(), headers

    return call


def _nobody(_environ, start_response):
    start_response("299 Passed on", [])
    return [b""]


class TestACall:
    def test_is_stored_as_the_view_stores_it(self, call, endpoint, client):
        seen = {"HTTP_USER_AGENT": "Provider/1", "HTTP_AUTHORIZATION": "Basic bm8="}
        assert call(endpoint.secret, b'{"a": 1}', **seen)[0] == 200
        headers = {"User-Agent": "Provider/1", "Authorization": "Basic bm8="}
        client.post(
            f"/feedback/webhooks/{endpoint.secret}/",
            '{"a": 2}',
            content_type="application/json",
            headers=headers,
        )
        ours, plain = RawFeedback.objects.order_by("id")
        assert (ours.raw, ours.peer, ours.transport) == (b'{"a": 1}', "203.0.113.7", endpoint.transport)  # fmt: skip
        assert ours.headers == plain.headers
        assert ours.headers[BASIC] == "wrong"
        endpoint.refresh_from_db()
        assert endpoint.last_heard_at

    def test_is_from_whom_our_proxy_saw(self, call, endpoint, settings):
        settings.MAILOPS_TRUSTED_PROXIES = 1
        call(endpoint.secret, HTTP_X_FORWARDED_FOR="198.51.100.9, 203.0.113.9")
        assert RawFeedback.objects.get().peer == "203.0.113.9"

    def test_told_three_times_is_stored_once_and_answered_three_times(self, call, endpoint):
        assert {call(endpoint.secret, b"same")[0] for _ in range(3)} == {200}
        assert RawFeedback.objects.count() == 1

    def test_of_any_octets_is_stored(self, call, endpoint):
        content = bytes(range(256)) * 4
        assert call(endpoint.secret, content)[0] == 200
        assert RawFeedback.objects.get().raw == content

    def test_in_chunks_is_stored_whole(self, call, endpoint):
        more = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
        assert call(endpoint.secret, b"in chunks", **more)[0] == 200
        assert RawFeedback.objects.get().raw == b"in chunks"

    @pytest.mark.parametrize(
        ("environ", "status"),
        [
            ({"CONTENT_LENGTH": str(MAX_WEBHOOK + 1)}, 413),
            ({"CONTENT_LENGTH": "ten"}, 413),
            ({"CONTENT_LENGTH": "²"}, 413),
            ({"CONTENT_LENGTH": "1" * 5000}, 413),
            ({"CONTENT_LENGTH": "3"}, 400),  # the connection broke after two
        ],
    )
    def test_of_a_wrong_size_is_refused(self, call, endpoint, environ, status):
        assert call(endpoint.secret, b"{}", **environ)[0] == status
        assert not RawFeedback.objects.exists()

    def test_without_end_in_chunks_is_refused(self, call, endpoint):
        more = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
        assert call(endpoint.secret, b"x" * (MAX_WEBHOOK + 9), **more)[0] == 413
        assert not RawFeedback.objects.exists()

    def test_to_an_address_that_was_renewed_finds_nobody(self, call, endpoint, admin):
        old = endpoint.secret
        assert call(old)[0] == 200
        renew_endpoint(endpoint=endpoint, actor=admin)
        assert call(old, b"later")[0] == 404
        assert call("0" * 40)[0] == 404
        assert RawFeedback.objects.count() == 1


class TestWhereItCanNotBeStored:
    def test_the_provider_is_told_to_call_again_and_then_it_is(self, call, endpoint, monkeypatch):
        def away(_):
            raise OperationalError("the server closed the connection")

        with monkeypatch.context() as broken:
            broken.setattr(taking, "_store", away)
            status, _, headers = call(endpoint.secret, b"kept")
            assert (status, headers["Retry-After"]) == (503, "5")
        assert not RawFeedback.objects.exists()
        assert call(endpoint.secret, b"kept")[0] == 200
        assert RawFeedback.objects.get().raw == b"kept"

    def test_the_provider_is_told_to_call_again_while_its_password_can_not_be_opened(
        self, call, endpoint, settings
    ):
        """No password is archived, so a call that is stored without its worth could never be proven."""
        pair = b64encode(f"{USER}:{endpoint.revealed_key()}".encode()).decode()
        keys = settings.MAILOPS_SECRET_KEYS
        settings.MAILOPS_SECRET_KEYS = [b64encode(b"x" * 32).decode()]
        status, _, headers = call(endpoint.secret, HTTP_AUTHORIZATION=f"Basic {pair}")
        assert (status, headers["Retry-After"]) == (503, "5")
        assert not RawFeedback.objects.exists()
        settings.MAILOPS_SECRET_KEYS = keys
        assert call(endpoint.secret, HTTP_AUTHORIZATION=f"Basic {pair}")[0] == 200
        assert RawFeedback.objects.get().headers[BASIC] == "right"

    def test_nobody_knows_the_address_while_the_database_is_away(self, call, endpoint, monkeypatch):
        def away(_):
            raise OperationalError("the server closed the connection")

        monkeypatch.setattr(intake, "door_of", away)
        assert call(endpoint.secret)[0] == 503


class TestAllElse:
    @pytest.mark.parametrize(
        "environ",
        [
            {"REQUEST_METHOD": "GET"},
            {"PATH_INFO": "/"},
            {"PATH_INFO": "/feedback/webhooks/nobody/"},
            {"PATH_INFO": "/feedback/webhooks/of/1/renew/"},
            {"HTTP_HOST": "elsewhere.example"},
            {"HTTP_HOST": ""},
        ],
    )
    def test_goes_on_to_django(self, call, endpoint, environ):
        assert call(endpoint.secret, **environ)[0] == 299

    def test_is_answered_there(self, call, endpoint, django):
        path = f"/feedback/webhooks/{endpoint.secret}/"
        assert call(endpoint.secret, REQUEST_METHOD="GET", application=django)[0] == 200
        assert call("nobody", application=django)[0] == 404
        wrong_host = {"HTTP_HOST": "elsewhere.example", "PATH_INFO": path}
        assert call(endpoint.secret, application=django, **wrong_host)[0] == 400
        assert not RawFeedback.objects.exists()
        assert WebhookEndpoint.objects.get().last_heard_at is None
