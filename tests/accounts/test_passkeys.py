import json

import pytest
from allauth.mfa.webauthn.internal.auth import STATE_SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from tests.accounts.passkeys import SecurityKey
from tests.accounts.second_factors import give_second_factor
from tests.conftest import PASSWORD


@pytest.fixture(autouse=True)
def _no_attempts_yet():
    cache.clear()


def _challenge_alone(client):
    """Return the challenge of a log-in by a passkey alone."""
    asked = client.get(reverse("mfa_login_webauthn"), headers={"Accept": "application/json"})
    return asked.json()["request_options"]["publicKey"]["challenge"]


def _challenge_beside_password(client, user):
    """Return the challenge of a second factor, for which a touch will do."""
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    client.get(reverse("mfa_authenticate"))
    return client.session[STATE_SESSION_KEY]["challenge"]


def _is_in(client, user):
    return client.session.get("_auth_user_id") == str(user.pk)


class TestAlone:
    def test_lets_in_whoever_it_verified(self, client, viewer):
        key = SecurityKey(viewer)
        credential = key.answer(_challenge_alone(client), is_verified=True)
        client.post(reverse("mfa_login_webauthn"), {"credential": credential})
        assert _is_in(client, viewer)

    def test_lets_nobody_in_who_only_touched_it(self, client, viewer):
        key = SecurityKey(viewer)
        credential = key.answer(_challenge_alone(client), is_verified=False)
        client.post(reverse("mfa_login_webauthn"), {"credential": credential})
        assert not _is_in(client, viewer)

    def test_nor_by_a_challenge_that_was_for_a_second_factor(self, client, viewer, operator):
        """A touch is enough beside a password; the thief of a key may have an account and a password of their own."""
        key = SecurityKey(viewer)
        give_second_factor(operator)
        challenge = _challenge_beside_password(client, operator)
        client.post(reverse("account_logout"))  # as the page's “Cancel” does
        credential = key.answer(challenge, is_verified=False)
        client.post(reverse("mfa_login_webauthn"), {"credential": credential})
        assert not _is_in(client, viewer)

    def test_beside_a_password_a_touch_will_do(self, client, viewer):
        key = SecurityKey(viewer)
        credential = key.answer(_challenge_beside_password(client, viewer), is_verified=False)
        client.post(reverse("mfa_authenticate"), {"credential": credential})
        assert _is_in(client, viewer)

    def test_gives_nobody_challenges_without_end(self, client, settings, db):
        """Each is a row, and asking takes neither a password nor a token."""
        settings.MFA_RATE_LIMITS = {"passkey_challenge": "2/m/ip"}
        for _ in range(3):
            asked = Client().get(
                reverse("mfa_login_webauthn"), headers={"Accept": "application/json"}
            )
        assert asked.status_code == 429
        assert Session.objects.count() == 2

    @pytest.mark.parametrize(
        "answer",
        [
            *(
                "",
                "x",
                "[]",
                "1",
                "null",
                "{}",
                '{"response": []}',
                '{"response": {"userHandle": 1}}',
            ),
            '{"id": 1, "rawId": 1, "type": "public-key", "response": "x"}',
            '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"authenticatorData": "AA"}}',
        ],
    )
    @pytest.mark.parametrize("name", ["mfa_login_webauthn", "mfa_authenticate"])
    def test_what_no_key_answers_is_refused(self, client, viewer, answer, name):
        SecurityKey(viewer)
        _challenge_beside_password(client, viewer)
        assert client.post(reverse(name), {"credential": answer}).status_code in {200, 302}
        assert not _is_in(client, viewer)

    @pytest.mark.parametrize(
        "handle", [None, 1, "", "AA", "____", "MTExMTExMTExMTExMTExMTExMTExMTExMTExMQ"]
    )
    def test_so_is_one_that_names_nobody(self, client, viewer, handle):
        key = SecurityKey(viewer)
        answer = json.loads(key.answer(_challenge_alone(client), is_verified=True))
        answer["response"]["userHandle"] = handle
        form = {"credential": json.dumps(answer)}
        assert client.post(reverse("mfa_login_webauthn"), form).status_code == 302
        assert not _is_in(client, viewer)
