import pytest
from django.core.cache import cache
from django.urls import reverse

from mailops.accounts import managing
from tests.accounts.second_factors import code_of, give_second_factor
from tests.conftest import PASSWORD


@pytest.fixture(autouse=True)
def _no_attempts_yet():
    cache.clear()


@pytest.fixture
def secret(viewer):
    return give_second_factor(viewer)


@pytest.fixture
def half_way(client, viewer, secret):
    """A client that gave the password, and is asked for the second factor."""
    asked = client.post(reverse("account_login"), {"login": viewer.email, "password": PASSWORD})
    assert asked["Location"] == reverse("mfa_authenticate")
    return client


def _set_password(viewer, **_):
    viewer.set_password("quite another one")
    viewer.save(update_fields=["password"])


def _log_out_elsewhere(viewer, **_):
    managing.log_out_elsewhere(user=viewer)


def _deactivate(viewer, admin):
    managing.deactivate(actor=admin, user=viewer)
    managing.reactivate(actor=admin, user=viewer)


class TestSecondStep:
    def test_lets_in(self, half_way, secret):
        half_way.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
        assert "_auth_user_id" in half_way.session

    @pytest.mark.parametrize("ended", [_set_password, _log_out_elsewhere, _deactivate])
    def test_is_ended_with_all_sessions(self, ended, half_way, secret, viewer, admin):
        ended(viewer, admin=admin)
        form = {"code": code_of(secret)}
        answer = half_way.post(reverse("mfa_authenticate"), form, follow=True)
        assert "Log in again" in answer.text
        assert "_auth_user_id" not in half_way.session

    def test_leads_to_the_first_once_the_factor_was_reset(self, half_way, viewer, admin):
        """As its page advises whoever lost the phone: they must not be led in a circle then."""
        managing.reset_second_factor(actor=admin, user=viewer)
        page = half_way.get(reverse("mfa_authenticate"), follow=True)
        assert page.redirect_chain == [(reverse("account_login"), 302)]
        form = {"login": viewer.email, "password": PASSWORD}
        assert half_way.post(reverse("account_login"), form)["Location"] == "/"
        assert "_auth_user_id" in half_way.session
