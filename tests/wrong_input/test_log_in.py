"""The way in: wrong passwords, deactivated users, and addresses to go on to that lead elsewhere."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from mailops.accounts.models import User
from tests.conftest import PASSWORD

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "http:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/%0d%0aSet-Cookie:x=1",
    "\r\nLocation: https://evil.example",
    "\t//evil.example",
    "http://testserver@evil.example/",
    "http://[",
    "\0",
    "http://localhost/",  # a host of ours as its machine sees it, and of whoever reads the page as theirs does
    "https://127.0.0.1/",
    "http://links.example.com/",
]


@pytest.fixture(autouse=True)
def _no_attempts_yet():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def log_in(client, viewer):
    """Return a function that logs in through the page, and gives the answer."""

    def send(*, password=PASSWORD, email=viewer.email, next_="", **extra):
        url = reverse("account_login")
        form = {"login": email, "password": password, **({"next": next_} if next_ else {})}
        return client.post(url, form, **extra)

    return send


class TestPasswords:
    def test_a_wrong_one_keeps_the_address_and_says_nothing_of_whether_it_is_known(self, log_in):
        known = log_in(password="wrong")
        unknown = log_in(password="wrong", email="nobody@example.com")
        assert "viewer@example.com" in known.text
        assert "not correct" in known.text
        assert "not correct" in unknown.text

    def test_many_wrong_ones_lead_to_a_page_that_says_wait(self, log_in, client):
        answers = [log_in(password=f"wrong {n}") for n in range(12)]
        assert "too many" in answers[-1].text.lower()
        # the right one doesn't get in either, or it could be found by trying
        assert "_auth_user_id" not in client.session
        log_in()
        assert "_auth_user_id" not in client.session

    def test_many_wrong_ones_of_a_stranger_stop_nobody_else_behind_the_same_proxy(
        self, log_in, client, settings
    ):
        settings.MAILOPS_TRUSTED_PROXIES = 1
        settings.ACCOUNT_RATE_LIMITS = {"login_failed": "2/h/ip"}
        for n in range(3):
            stranger = {"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.7"}  # the first is a lie
            refused = log_in(email=f"nobody{n}@example.com", headers=stranger)
        assert "too many" in refused.text.lower()
        log_in(headers={"X-Forwarded-For": "203.0.113.8"})
        assert "_auth_user_id" in client.session

    def test_many_wrong_ones_are_counted_whatever_host_is_called(self, log_in, client, settings):
        settings.ACCOUNT_RATE_LIMITS = {"login_failed": "2/h/key"}
        for n in range(3):
            refused = log_in(password=f"wrong {n}", headers={"Host": f"localhost:{8000 + n}"})
        assert "too many" in refused.text.lower()
        log_in(headers={"Host": "127.0.0.1"})
        assert "_auth_user_id" not in client.session

    def test_many_wrong_ones_are_counted_where_it_is_changed(self, log_in, client, settings):
        log_in()
        settings.ACCOUNT_RATE_LIMITS = {"login_failed": "2/h/key"}
        new = dict.fromkeys(("password1", "password2"), "a long enough one")
        url = reverse("account_change_password")
        for n in range(3):
            refused = client.post(url, {"oldpassword": f"wrong {n}", **new})
        assert "too many" in refused.text.lower()
        client.post(url, {"oldpassword": PASSWORD, **new})
        assert User.objects.get().check_password(PASSWORD)

    @pytest.mark.parametrize("password", ["", "\0", "x" * 100_000, "\U0001f600", b"\xed\xa0\x80"])
    def test_nonsense_is_a_wrong_one(self, log_in, password, client):
        assert log_in(password=password).status_code < 500
        assert "_auth_user_id" not in client.session

    @pytest.mark.parametrize("email", ["", "\0", "x" * 100_000, "' OR 1=1 --", "a@b\r\nBcc: c@d.e"])
    def test_so_is_a_nonsensical_address(self, log_in, email, client):
        assert log_in(email=email).status_code < 500
        assert "_auth_user_id" not in client.session

    def test_a_deactivated_user_does_not_get_in(self, log_in, client):
        User.objects.update(is_active=False)
        log_in()
        assert "_auth_user_id" not in client.session

    def test_a_form_of_another_site_does_not_log_in(self, viewer):
        client = Client(enforce_csrf_checks=True)
        form = {"login": viewer.email, "password": PASSWORD}
        assert client.post(reverse("account_login"), form).status_code == 403


class TestGoingOn:
    @pytest.fixture(autouse=True)
    def _links_have_a_host_of_their_own(self, settings):
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "links.example.com"]

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_after_log_in_stays_here(self, log_in, target):
        assert_stays_here(log_in(next_=target))

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_who_is_logged_in_already_stays_here(self, browser, target):
        assert_stays_here(browser.get(reverse("account_login"), {"next": target}))

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_after_confirming_the_password_stays_here(self, browser, target):
        url = reverse("account_reauthenticate")
        assert_stays_here(browser.post(url, {"password": PASSWORD, "next": target}))

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_after_log_out_stays_here(self, browser, target):
        assert_stays_here(browser.post(reverse("account_logout"), {"next": target}))

    @pytest.mark.parametrize(
        "page", ["http://evil.example//evil.example", "//evil.example", "javascript:alert(1)"]
    )
    def test_where_htmx_says_it_was_stays_here(self, client, page, viewer, log_in):
        headers = {"HX-Request": "true", "HX-Current-URL": page}
        sent = client.get(reverse("accounts:audit"), headers=headers)["HX-Redirect"]
        assert sent.startswith("/accounts/login/?next=")
        response = client.post(sent, {"login": viewer.email, "password": PASSWORD})
        assert_stays_here(response)


def assert_stays_here(response):
    assert response.status_code < 500
    location = response.headers.get("Location", "/")
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert "\n" not in location
