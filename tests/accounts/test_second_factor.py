import base64
import re
from importlib import import_module
from urllib.parse import urljoin, urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.management import CommandError, call_command
from django.urls import reverse
from playwright.sync_api import expect

from mailops.accounts.models import AuditEntry, SecondFactor
from mailops.lib.secrets import is_text_sealed_by_first_key
from tests.accounts.second_factors import code_of, give_second_factor
from tests.browser import assert_clean, go_on_to
from tests.conftest import PASSWORD


def _set_up(client):
    page = client.get(reverse("mfa_activate_totp")).content.decode()
    secret = re.search(r'data-copy="([A-Z2-7]+)"', page)[1]
    client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    return secret


@pytest.fixture
def confirmed(client, admin):
    """Return a client that logged in and confirmed the password, as the security pages ask."""
    client.post(reverse("account_login"), {"login": admin.email, "password": PASSWORD})
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


@pytest.fixture
def confirmed_as(client):
    """Return what gives a client that logged in with a second factor a moment ago."""

    def confirmed_as(user, secret):
        client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
        client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
        return client

    return confirmed_as


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


OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


class TestSealed:
    """What proves a second factor stands in the database sealed, and opens as long as its key is there."""

    @pytest.fixture
    def secret(self, viewer, settings):
        settings.MAILOPS_SECRET_KEYS = [OLD]
        return give_second_factor(viewer)

    def test_nothing_stands_in_clear(self, secret):
        app, codes = (Authenticator.objects.get(type=kind) for kind in ("totp", "recovery_codes"))
        assert is_text_sealed_by_first_key(app.data["secret"])
        assert is_text_sealed_by_first_key(codes.data["seed"])
        assert secret not in str(app.data)

    def test_keys_are_changed_and_it_goes_on(self, secret, settings, capsys):
        codes = Authenticator.objects.get(type="recovery_codes").wrap().generate_codes()
        settings.MAILOPS_SECRET_KEYS = [NEW, OLD]
        call_command("rotate_keys")
        assert "2 rows" in capsys.readouterr().out
        settings.MAILOPS_SECRET_KEYS = [NEW]
        assert Authenticator.objects.get(type="totp").wrap().validate_code(code_of(secret))
        assert Authenticator.objects.get(type="recovery_codes").wrap().generate_codes() == codes
        call_command("rotate_keys")
        assert "0 rows" in capsys.readouterr().out

    def test_of_a_key_that_is_gone_is_said(self, secret, viewer, client, settings):
        settings.MAILOPS_SECRET_KEYS = [NEW]
        with pytest.raises(CommandError, match="2 could not be opened"):
            call_command("rotate_keys")
        client.post(reverse("account_login"), {"login": viewer.email, "password": PASSWORD})
        page = client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
        assert "the key that sealed this secret is not among MAILOPS_SECRET_KEYS" in page.text

    def test_its_page_opens_without_the_key(self, secret, viewer, logged_in, settings):
        settings.MAILOPS_SECRET_KEYS = [NEW]
        assert reverse("mfa_deactivate_totp") in logged_in(viewer).get(reverse("mfa_index")).text

    @pytest.mark.parametrize(
        "name",
        ["mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes"],
    )
    def test_pages_that_need_the_key_lead_to_the_one_that_says_it_is_gone(
        self, name, secret, viewer, confirmed_as, settings
    ):
        client = confirmed_as(viewer, secret)
        settings.MAILOPS_SECRET_KEYS = [NEW]
        page = client.get(reverse(name), follow=True)
        assert page.redirect_chain == [(reverse("mfa_index"), 302)]
        assert "the key that sealed this secret is not among MAILOPS_SECRET_KEYS" in page.text

    def test_what_an_older_version_kept_in_clear_goes_on(self, viewer, client, settings):
        settings.MAILOPS_SECRET_KEYS = [OLD]
        secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
        Authenticator.objects.create(user=viewer, type="totp", data={"secret": secret})
        seed = {"seed": "ab" * 40, "used_mask": 1}
        Authenticator.objects.create(user=viewer, type="recovery_codes", data=seed)
        codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
        seal = import_module("mailops.accounts.migrations.0004_seal_second_factors")
        for _ in range(2):
            seal.seal_second_factors(apps, None)
            factors = {one.type: one for one in SecondFactor.objects.all()}
            assert is_text_sealed_by_first_key(factors["totp"].data["secret"])
            assert is_text_sealed_by_first_key(factors["recovery_codes"].data["seed"])
            assert factors["recovery_codes"].wrap().get_unused_codes() == codes
        client.post(reverse("account_login"), {"login": viewer.email, "password": PASSWORD})
        form = {"code": code_of(secret)}
        assert client.post(reverse("mfa_authenticate"), form)["Location"] == "/"


class TestReset:
    """An admin takes away what somebody lost."""

    def test_is_asked_for_and_done_by_a_post(self, admin, viewer, logged_in):
        give_second_factor(viewer)
        client, theirs = logged_in(admin), logged_in(viewer)
        url = reverse("accounts:user-second-factor", args=[viewer.pk])
        person = reverse("accounts:user", args=[viewer.pk])
        assert url in client.get(person).text
        assert "<li>authenticator app</li>" in client.get(url).text
        assert Authenticator.objects.filter(user=viewer).exists()
        assert client.post(url)["Location"] == person
        assert not Authenticator.objects.filter(user=viewer).exists()
        assert "/accounts/login/" in theirs.get(reverse("accounts:profile"))["Location"]
        page = client.get(person).text
        assert url not in page
        assert "no second factor" in page

    def test_lets_the_person_log_in_by_the_password_alone(self, admin, viewer, logged_in, client):
        give_second_factor(viewer)
        logged_in(admin).post(reverse("accounts:user-second-factor", args=[viewer.pk]))
        form = {"login": viewer.email, "password": PASSWORD}
        assert client.post(reverse("account_login"), form)["Location"] == "/"

    def test_asks_for_the_password_first(self, admin, viewer, client):
        give_second_factor(viewer)
        client.force_login(admin)
        response = client.post(reverse("accounts:user-second-factor", args=[viewer.pk]))
        assert "/accounts/reauthenticate/" in response["Location"]
        assert Authenticator.objects.filter(user=viewer).exists()

    def test_is_an_admins(self, operator, viewer, logged_in):
        give_second_factor(viewer)
        client = logged_in(operator)
        assert (
            client.post(reverse("accounts:user-second-factor", args=[viewer.pk])).status_code == 403
        )
        assert Authenticator.objects.filter(user=viewer).exists()

    def test_pressed_twice_says_that_there_is_none(self, admin, viewer, logged_in):
        client, url = logged_in(admin), reverse("accounts:user-second-factor", args=[viewer.pk])
        assert "There is none" in client.get(url).text
        assert "has no second factor" in client.post(url, follow=True).text
        assert not AuditEntry.objects.exists()


@pytest.mark.broad
@pytest.mark.needs("chromium")
def test_who_has_a_key_alone_is_asked_for_that_and_gets_in(open_page, admin, viewer, client):
    secret = give_second_factor(viewer)
    client.post(reverse("account_login"), {"login": viewer.email, "password": PASSWORD})
    asked = client.get(reverse("mfa_authenticate")).text
    assert "six digits" in asked
    assert "security key" not in asked
    assert client.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).status_code == 302

    page = open_page("/accounts/login/")
    _plug_in_a_key(page)
    _log_in(page, admin)
    page.goto("/accounts/2fa/webauthn/add/")
    if "reauthenticate" in page.url:
        page.get_by_label("Password").fill(PASSWORD)
        with page.expect_navigation():
            page.get_by_role("button", name="Confirm").click()
    with page.expect_navigation():
        page.get_by_label("Name").fill("Blue key")
        page.get_by_role("button", name="Add passkey").click()
    assert str(Authenticator.objects.get(user=admin, type="webauthn")) == "Blue key"
    Authenticator.objects.filter(user=admin, type="recovery_codes").delete()
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    _log_in(page, admin)
    assert urlsplit(page.url).path == reverse("mfa_authenticate")
    expect(page.get_by_label("Code")).to_have_count(0)
    assert_clean(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Use your passkey or security key").click()
    assert urlsplit(page.url).path == "/"


def _log_in(page, user):
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Log in", exact=True).click()


def _plug_in_a_key(page):
    """Give the browser a security key that is always touched at once."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
    options |= {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


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
        _log_in(page, admin)
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

    def test_say_why_a_passkey_cannot_be_kept(self, open_page, admin):
        """At an address without a name, no browser keeps one; the library tells that to the console alone."""
        page = open_page("/accounts/login/")
        page.goto(page.url.replace("localhost", "127.0.0.1"))
        _log_in(page, admin)
        page.goto(urljoin(page.url, "/accounts/2fa/webauthn/add/"))
        if "reauthenticate" in page.url:
            page.get_by_label("Password").fill(PASSWORD)
            with page.expect_navigation():
                page.get_by_role("button", name="Confirm").click()
        page.get_by_role("button", name="Add passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("opened by its name")
        assert_clean(page)
