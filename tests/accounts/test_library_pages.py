import time

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.urls import reverse

from mailops.accounts.models import AuditEntry
from tests.accounts.second_factors import give_second_factor
from tests.conftest import PASSWORD

TURN_OFF = "/accounts/2fa/totp/deactivate/"


@pytest.fixture(autouse=True)
def _no_attempts_yet():
    cache.clear()


@pytest.fixture
def client_of_viewer(viewer, logged_in):
    """A client whose password was confirmed long ago, of somebody with a second factor."""
    give_second_factor(viewer)
    client = logged_in(viewer)
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time() - 3600}]
    session.save()
    return client


def _has_app(user):
    return Authenticator.objects.filter(user=user, type="totp").exists()


class TestConfirming:
    def test_goes_on_with_what_was_posted(self, client_of_viewer, viewer):
        asked = client_of_viewer.post(TURN_OFF)
        assert _has_app(viewer)
        client_of_viewer.post(asked["Location"], {"password": PASSWORD})
        assert not _has_app(viewer)
        assert AuditEntry.objects.filter(verb="user.totp_deactivated").exists()

    def test_an_act_given_up_is_not_done_by_a_later_look_at_its_page(
        self, client_of_viewer, viewer
    ):
        client_of_viewer.post(TURN_OFF)
        asked = client_of_viewer.get(TURN_OFF)
        client_of_viewer.post(asked["Location"], {"password": PASSWORD})
        assert _has_app(viewer)

    def test_an_act_of_another_time_is_not_done(self, client_of_viewer, viewer):
        asked = client_of_viewer.post(TURN_OFF)
        session = client_of_viewer.session
        session[STATE_SESSION_KEY]["state"]["at"] -= 3600
        session.save()
        client_of_viewer.post(asked["Location"], {"password": PASSWORD})
        assert _has_app(viewer)

    def test_keeps_nothing_readable(self, client_of_viewer):
        client_of_viewer.post(TURN_OFF, {"code": "hunter2"}, headers={"X-Any": "hunter3"})
        assert "hunter" not in str(Session.objects.get().get_decoded())


@pytest.mark.parametrize(
    "name", ["mfa_generate_recovery_codes", "mfa_activate_totp", "mfa_add_webauthn"]
)
class TestAnonymous:
    def test_are_led_to_the_log_in(self, name, client, db):
        path = reverse(name)
        assert client.get(path)["Location"] == f"{reverse('account_login')}?next={path}"

    def test_leave_nothing_in_the_database(self, name, client, db):
        assert client.post(reverse(name), {"any": "x" * 1000}).status_code == 401
        assert not Session.objects.exists()
