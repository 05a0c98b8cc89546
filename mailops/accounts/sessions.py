"""Sessions that a copy of the database opens to nobody: of their keys it has hashes, and what is in them is sealed."""

import json
import os
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import salted_hmac

_NONCE_SIZE = 12
_KEY_SIZE = 40  # characters of the column


class SealedJson:
    """Writes what is in a session: a link that sets a password, the secret of an app that is being set up.

    The key is made of SECRET_KEY, as the signature around it is: an admin whose MAILOPS_SECRET_KEYS are gone stays in.
    """

    def dumps(self, data: dict[str, Any]) -> bytes:
        nonce = os.urandom(_NONCE_SIZE)
        return nonce + _cipher().encrypt(nonce, json.dumps(data).encode(), None)

    def loads(self, sealed: bytes) -> dict[str, Any]:
        """Return what `dumps` was given; what can't be opened is an empty session to Django."""
        opened = _cipher().decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], None)
        data: dict[str, Any] = json.loads(opened)
        return data


def _cipher() -> AESGCM:
    return AESGCM(salted_hmac("mailops.accounts.sessions", "", algorithm="sha256").digest())


class SessionStore(db.SessionStore):
    """Django's, but the cookie's key itself stands nowhere: whoever had it would be logged in."""

    def _get_session_from_db(self) -> Session | None:
        found = Session.objects.filter(
            session_key=_hash(self.session_key or ""), expire_date__gt=timezone.now()
        ).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(_hash(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        session = super().create_model_instance(data)
        session.session_key = _hash(session.session_key)
        return session

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            super().delete(_hash(key))


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:_KEY_SIZE]
