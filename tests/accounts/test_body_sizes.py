"""What is too large is refused before anybody reads it, and without a log-in hardly anything is read."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from tests.factories import make_audience

MB = 1_000_000
HTMX = {"HX-Request": "true"}


class Unread:
    def read(self, *_):
        raise AssertionError("it was read")

    readline = read


@pytest.fixture
def send():
    """Return a function that says a size, checks tokens as for anybody, and fails where the body is read."""

    def post(address, size, client=None, headers=None):
        client = client or Client()
        client.handler.enforce_csrf_checks = True
        client.cookies[settings.CSRF_COOKIE_NAME] = "x" * 32
        return client.generic(
            "POST",
            address,
            CONTENT_TYPE="multipart/form-data; boundary=B",
            headers=headers,
            CONTENT_LENGTH=str(size),
            **{"wsgi.input": Unread()},
        )

    return post


def uploads():
    audience = make_audience()
    return [
        (reverse("audiences:import", args=[audience.pk]), "1.0 GB", 1024**3),
        (reverse("suppressions:imports"), "200.0 MB", 200 * 1024**2),
        (reverse("outbox:relay-log-upload"), "256.0 MB", 256 * 1024**2),
    ]


class TestAPage:
    @pytest.mark.parametrize("size", [3 * MB, 600 * MB, "9" * 40])
    def test_refuses_what_is_too_large_unread(self, send, size, db):
        answer = send(reverse("account_login"), size)
        assert answer.status_code == 413
        assert "larger than 2.5" in answer.text

    @pytest.mark.parametrize(
        ("address", "headers", "status"),
        [("/no/such/page/", {}, 404), ("/accounts/login/", {"Host": "evil.example"}, 400)],
    )
    def test_of_an_error_reads_nothing_either(self, address, headers, status, send, db):
        assert send(address, 600 * MB, headers=headers).status_code == status

    def test_says_so_to_htmx_in_a_notice(self, send, operator, logged_in):
        answer = send(reverse("suppressions:add"), 3 * MB, logged_in(operator), HTMX)
        assert answer.status_code == 413
        assert answer["HX-Reswap"] == "none"
        assert "larger than 2.5" in answer.text
        assert "<html" not in answer.text


class TestAnUpload:
    def test_is_for_those_who_are_logged_in(self, send, db):
        for address, _, _ in uploads():
            answer = send(address, 100 * MB)
            assert answer.status_code == 401
            assert reverse("account_login") in answer.text

    def test_is_for_those_whose_role_allows_it(self, send, viewer, logged_in):
        for address, _, _ in uploads():
            answer = send(address, 100 * MB, logged_in(viewer))
            assert answer.status_code == 413

    def test_has_a_limit_of_its_own(self, send, admin, logged_in):
        client = logged_in(admin)
        for address, limit, most in uploads():
            with pytest.raises(AssertionError, match="it was read"):
                send(address, most, client)
            answer = send(address, most + 2 * MB, client)
            assert answer.status_code == 413
            assert f"larger than {limit}" in answer.text.replace("\N{NO-BREAK SPACE}", " ")
