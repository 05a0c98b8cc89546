import time

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from django.contrib.sessions.models import Session
from django.urls import reverse

from mailops.accounts.models import User
from tests.conftest import PASSWORD
from tests.factories import make_transport

INVITATION = {"email": "kept@example.com", "name": "", "role": "editor"}


@pytest.fixture
def client_confirmed(admin, logged_in):
    """Return a function that gives an admin's client whose password was confirmed so many minutes ago."""

    def confirmed(minutes):
        client = logged_in(admin)
        session = client.session
        records = [{"method": "password", "at": time.time() - 60 * minutes}]
        session[AUTHENTICATION_METHODS_SESSION_KEY] = records
        session.save()
        return client

    return confirmed


def _is_invited():
    return User.objects.filter(email="kept@example.com").exists()


class TestConfirmPassword:
    def test_asks_again_after_a_quarter_of_an_hour(self, client_confirmed):
        response = client_confirmed(16).get(reverse("accounts:user-new"))
        assert response["Location"] == "/accounts/reauthenticate/?next=%2Fsettings%2Fusers%2Fnew%2F"

    def test_says_for_how_long_it_does_not_ask_again(self, client_confirmed):
        """The library's own pages ask even who has just logged in, so it is not said that that was long ago."""
        asked = client_confirmed(0).get(reverse("mfa_add_webauthn"))
        page = client_confirmed(0).get(asked["Location"]).text
        assert "you are not asked again for 15 minutes" in page

    def test_asks_again_where_the_clock_was_put_back_since(self, client_confirmed):
        client = client_confirmed(-60)
        asked = client.post(reverse("accounts:user-new"), INVITATION)
        assert not _is_invited()
        client.post(asked["Location"], {"password": PASSWORD})
        assert _is_invited()

    def test_does_not_ask_within_it(self, client_confirmed):
        assert client_confirmed(14).get(reverse("accounts:user-new")).status_code == 200

    @pytest.mark.parametrize("query", ["", "?from=list"])
    def test_goes_on_with_what_was_posted(self, query, client_confirmed):
        client = client_confirmed(16)
        asked = client.post(reverse("accounts:user-new") + query, INVITATION)
        assert not _is_invited()
        client.post(asked["Location"], {"password": PASSWORD})
        assert _is_invited()

    def test_says_what_is_kept_and_what_is_not(self, client_confirmed):
        client, user_new = client_confirmed(16), reverse("accounts:user-new")
        form = client.get(client.get(user_new)["Location"]).text
        assert "kept" not in form
        sent = client.get(client.post(user_new, INVITATION)["Location"]).text
        assert "What you sent is kept" in sent
        change = reverse("transports:edit", args=[make_transport().pk])
        secret = client.post(change, {"secret": "hunter2"}, follow=True).text
        assert "What you typed was not kept" in secret
        assert "is kept" not in secret

    def test_does_nothing_on_a_wrong_password(self, client_confirmed):
        client = client_confirmed(16)
        asked = client.post(reverse("accounts:user-new"), INVITATION)
        client.post(asked["Location"], {"password": "wrong"})
        assert not _is_invited()

    def test_an_act_given_up_is_not_done_by_the_next_confirmation(self, client_confirmed):
        client = client_confirmed(16)
        client.post(reverse("accounts:user-new"), INVITATION)
        client.post("/accounts/reauthenticate/?next=/settings/", {"password": PASSWORD})
        assert not _is_invited()

    @pytest.mark.parametrize("minutes", [-20, 20])
    def test_an_act_of_another_time_is_not_done(self, minutes, client_confirmed):
        client = client_confirmed(16)
        asked = client.post(reverse("accounts:user-new"), INVITATION)
        session = client.session
        session[STATE_SESSION_KEY]["state"]["at"] -= 60 * minutes
        session.save()
        client.post(asked["Location"], {"password": PASSWORD})
        assert not _is_invited()

    def test_keeps_no_readable_secret_in_the_session(self, client_confirmed):
        client = client_confirmed(16)
        client.post(reverse("accounts:user-new"), {**INVITATION, "name": "hunter2"})
        kept = Session.objects.get().get_decoded()
        assert "hunter2" not in str(kept)

    def test_htmx_leaves_its_page_for_it(self, client_confirmed):
        response = client_confirmed(16).post(
            reverse("accounts:user-new"), INVITATION, headers={"HX-Request": "true"}
        )
        assert response["HX-Redirect"].startswith("/accounts/reauthenticate/")

    @pytest.mark.parametrize("act", ["user", "user-deactivate", "user-reactivate"])
    def test_asks_before_anybody_s_rights_are_changed(self, act, client_confirmed, viewer):
        before = (viewer.role, viewer.is_active)
        client = client_confirmed(16)
        asked = client.post(
            reverse(f"accounts:{act}", args=[viewer.pk]), {"name": "", "role": "admin"}
        )
        assert asked["Location"].startswith("/accounts/reauthenticate/")
        viewer.refresh_from_db()
        assert (viewer.role, viewer.is_active) == before

    @pytest.mark.parametrize("page", ["user", "user-deactivate"])
    def test_lets_who_only_looks_do_so(self, page, client_confirmed, viewer):
        page = client_confirmed(16).get(reverse(f"accounts:{page}", args=[viewer.pk]))
        assert page.status_code == 200
