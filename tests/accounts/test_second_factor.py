import re
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import hotp_value, yield_hotp_counters_from_time
from django.urls import reverse

from mailops.accounts.models import AuditEntry
from tests.browser import assert_clean, go_on_to
from tests.conftest import PASSWORD


def _code(secret):
    counter = next(iter(yield_hotp_counters_from_time()))
    return f"{hotp_value(secret, counter):06d}"


def _set_up(client):
    page = client.get(reverse("mfa_activate_totp")).content.decode()
    secret = re.search(r'data-copy="([A-Z2-7]+)"', page)[1]
    client.post(reverse("mfa_activate_totp"), {"code": _code(secret)})
    return secret


@pytest.fixture
def confirmed(client, admin):
    """Return a client that logged in and confirmed the password, as the security pages ask."""
    client.post(reverse("account_login"), {"login": admin.email, "password": PASSWORD})
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


class TestAuthenticatorApp:
    def test_asks_for_no_verified_mailbox(self, confirmed, admin):
        EmailAddress.objects.create(user=admin, email=admin.email, verified=False)
        _set_up(confirmed)
        assert Authenticator.objects.filter(user=admin, type="totp").exists()

    def test_is_set_up_with_recovery_codes_and_recorded(
        self, confirmed, admin, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            _set_up(confirmed)
        kinds = set(Authenticator.objects.filter(user=admin).values_list("type", flat=True))
        assert kinds == {"totp", "recovery_codes"}
        assert "user.totp_activated" in AuditEntry.objects.values_list("verb", flat=True)

    def test_is_asked_for_at_the_next_log_in(self, confirmed, admin, client):
        _set_up(confirmed)
        client.logout()
        form = {"login": admin.email, "password": PASSWORD}
        assert (
            client.post(reverse("account_login"), form)["Location"] == "/accounts/2fa/authenticate/"
        )
        codes = Authenticator.objects.get(user=admin, type="recovery_codes").wrap()
        code = codes.get_unused_codes()[0]
        assert client.post("/accounts/2fa/authenticate/", {"code": code})["Location"] == "/"


@pytest.mark.broad
@pytest.mark.needs("chromium")
class TestLogInPages:
    def test_are_clean_for_the_anonymous(self, open_page):
        page = open_page("/accounts/login/")
        assert_clean(page)
        for path in (
            "/accounts/signup/",
            "/accounts/password/reset/",
            "/accounts/password/reset/done/",
            "/accounts/password/reset/key/0-wrong/",
            "/accounts/inactive/",
        ):
            go_on_to(page, path)
            assert_clean(page)

    def test_are_clean_for_a_user(self, open_page, admin):
        page = open_page("/accounts/login/")
        page.get_by_label("E-mail address").fill(admin.email)
        page.get_by_label("Password").fill(PASSWORD)
        with page.expect_navigation():
            page.get_by_role("button", name="Log in", exact=True).click()
        page.goto("/accounts/reauthenticate/")
        page.get_by_label("Password").fill(PASSWORD)
        with page.expect_navigation():
            page.get_by_role("button", name="Confirm").click()
        for path in (
            "/accounts/logout/",
            "/accounts/reauthenticate/",
            "/accounts/password/change/",
            "/accounts/2fa/",
            "/accounts/2fa/totp/activate/",
            "/accounts/2fa/webauthn/",
            "/accounts/2fa/webauthn/add/",
        ):
            go_on_to(page, path)
            assert urlsplit(page.url).path == path
            assert_clean(page)
