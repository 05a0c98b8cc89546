import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core import signing
from django.test import Client
from django.urls import reverse

from mailops.accounts.sessions import SessionStore
from tests.conftest import PASSWORD

COOKIE = settings.SESSION_COOKIE_NAME


@pytest.fixture
def theirs(client, viewer):
    """A client that logged in."""
    client.post(reverse("account_login"), {"login": viewer.email, "password": PASSWORD})
    return client


def _is_in(key):
    client = Client()
    client.cookies[COOKIE] = key
    return client.get(reverse("mfa_index")).status_code == 200


class _Octets:
    """Reads what is kept without a key."""

    def loads(self, kept):
        return kept


class TestSessions:
    def test_let_in_by_the_cookie_and_not_by_what_the_database_has(self, theirs):
        assert _is_in(theirs.cookies[COOKIE].value)
        assert not _is_in(Session.objects.get().session_key)

    def test_end_with_the_log_out(self, theirs):
        key = theirs.cookies[COOKIE].value
        theirs.post(reverse("account_logout"))
        assert not _is_in(key)
        assert not Session.objects.exists()

    def test_have_another_key_after_the_log_in(self, client, viewer):
        client.get(reverse("mfa_login_webauthn"), headers={"Accept": "application/json"})
        planted = client.cookies[COOKIE].value
        client.post(reverse("account_login"), {"login": viewer.email, "password": PASSWORD})
        assert not _is_in(planted)
        assert _is_in(client.cookies[COOKIE].value)
        assert Session.objects.count() == 1

    def test_hold_nothing_readable(self, db):
        session = SessionStore()
        session["any"] = "a link that sets a password"
        session.create()
        kept = Session.objects.get()
        assert kept.get_decoded() == {"any": session["any"]}
        octets = signing.loads(kept.session_data, salt=session.key_salt, serializer=_Octets)
        assert b"link" not in octets

    def test_without_their_key_are_over(self, theirs, settings):
        settings.SECRET_KEY = "another-one-" * 5
        assert not _is_in(theirs.cookies[COOKIE].value)

    def test_whose_row_is_gone_are_over(self, theirs):
        Session.objects.all().delete()
        assert not _is_in(theirs.cookies[COOKIE].value)
