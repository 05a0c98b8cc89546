"""What every test stands on: real PostgreSQL, loopback only, and the fixed cast of users."""

import time

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.test import Client

from mailops.accounts.models import Role, User

PASSWORD = "correct horse battery staple"


def _user(role: str, name: str) -> User:
    return User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title(), role=role)


@pytest.fixture
def admin(db):
    return _user(Role.ADMIN, "admin")


@pytest.fixture
def operator(db):
    return _user(Role.OPERATOR, "operator")


@pytest.fixture
def editor(db):
    return _user(Role.EDITOR, "editor")


@pytest.fixture
def oncall(db):
    return _user(Role.ONCALL, "oncall")


@pytest.fixture
def viewer(db):
    return _user(Role.VIEWER, "viewer")


@pytest.fixture
def stranger(db):
    return _user(Role.NONE, "stranger")


@pytest.fixture
def logged_in():
    """Return a function that gives a client logged in as a user, with its password just confirmed."""

    def log_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        session = client.session
        session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time()}]
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()
        return client

    return log_in
