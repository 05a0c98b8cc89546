import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.conf import settings
from django.contrib.sessions.models import Session
from django.urls import reverse

from mailops.accounts import managing
from mailops.accounts.models import User
from tests.conftest import PASSWORD

CHANGED = {"oldpassword": PASSWORD, "password1": "another-1-word", "password2": "another-1-word"}


def _told(client):
    """Return what the next page tells, with the mark-up around it."""
    page = client.get(reverse("reports:overview"), follow=True)
    assert page.redirect_chain[0][0].startswith(reverse("account_login"))
    return page.text


class TestALogInThatEnded:
    def test_by_a_press_elsewhere_says_so(self, viewer, logged_in):
        here, there = logged_in(viewer), logged_in(viewer)
        there.post(reverse("accounts:log-out-elsewhere"))
        told = _told(here)
        assert (
            "You were logged out here: you pressed “Log out everywhere else” elsewhere on" in told
        )
        assert "If that was not you, tell an admin at once." in told

    def test_by_another_password_says_so(self, viewer, logged_in):
        here, there = logged_in(viewer), logged_in(viewer)
        there.post(reverse("account_change_password"), CHANGED)
        assert "your password was changed on" in _told(here)

    def test_by_an_admin_says_who_it_was(self, viewer, admin, logged_in):
        here = logged_in(viewer)
        managing.deactivate(actor=admin, user=viewer)
        told = _told(here)
        assert f"{admin.email} deactivated your account on" in told
        assert "An admin can reactivate it." in told

    def test_by_what_nobody_wrote_down_claims_no_reason(self, viewer, logged_in):
        here = logged_in(viewer)
        User.objects.filter(pk=viewer.pk).update(ended_sessions=1)
        told = _told(here)
        assert "You were logged out here. Log in again to go on." in told
        assert "tell an admin" not in told

    def test_takes_nothing_of_before_it_for_its_reason(self, viewer, logged_in):
        managing.log_out_elsewhere(user=viewer)
        here = logged_in(viewer)
        User.objects.filter(pk=viewer.pk).update(ended_sessions=7)
        assert "You were logged out here. Log in again to go on." in _told(here)

    def test_says_so_on_the_log_in_page_itself(self, viewer, logged_in):
        here, there = logged_in(viewer), logged_in(viewer)
        there.post(reverse("accounts:log-out-elsewhere"))
        assert "You were logged out here" in here.get(reverse("account_login")).text

    def test_is_told_once(self, viewer, logged_in):
        here = logged_in(viewer)
        managing.deactivate(actor=None, user=viewer)
        assert "You were logged out here" in _told(here)
        assert "You were logged out here" not in _told(here)
        assert not Session.objects.exists()

    def test_is_told_where_something_was_posted(self, viewer, logged_in):
        here, there = logged_in(viewer), logged_in(viewer)
        there.post(reverse("accounts:log-out-elsewhere"))
        page = here.post(reverse("accounts:profile"), {"name": "Vic"})
        assert page.status_code == 401
        assert "You were logged out here" in page.text

    def test_by_its_time_is_known_by_how_long_one_lasts(self, viewer, logged_in):
        here = logged_in(viewer)
        del here.cookies[settings.SESSION_COOKIE_NAME]  # as a browser does then
        assert "lasts two weeks." in _told(here)


class TestALogInThatHolds:
    def test_is_told_nothing(self, viewer, logged_in):
        assert "logged out" not in logged_in(viewer).get(reverse("mfa_index")).text

    def test_and_was_ended_by_hand_is_told_nothing(self, viewer, logged_in):
        here = logged_in(viewer)
        here.post(reverse("account_logout"))
        assert "You were logged out here" not in _told(here)

    @pytest.mark.django_db
    def test_of_nobody_is_told_nothing(self, client):
        assert "You were logged out here" not in _told(client)


def test_a_session_without_a_time_has_the_newest_reason(viewer, logged_in):
    here, there = logged_in(viewer), logged_in(viewer)
    session = here.session
    del session[AUTHENTICATION_METHODS_SESSION_KEY]
    session.save()
    there.post(reverse("accounts:log-out-elsewhere"))
    assert "Log out everywhere else" in _told(here)
