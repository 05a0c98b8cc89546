"""A security key in software, that proves what it is asked to, with or without its holder's PIN."""

import json
from hashlib import sha256

from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.webauthn.internal.auth import WebAuthn
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

HOST = "testserver"
PRESENT, VERIFIED = AuthenticatorData.FLAG.UP, AuthenticatorData.FLAG.UV


class SecurityKey:
    def __init__(self, user):
        """Register it as a passkey of `user`."""
        self.user, self.key, self.id = user, generate_private_key(SECP256R1()), b"a key" * 4
        public = ES256.from_cryptography_key(self.key.public_key())
        kept = AttestedCredentialData.create(bytes(16), self.id, public)
        told = self._told(PRESENT | VERIFIED | AuthenticatorData.FLAG.AT, kept)
        response = {
            "attestationObject": websafe_encode(AttestationObject.create("none", told, {})),
            "clientDataJSON": websafe_encode(self._asked("webauthn.create", b"any")),
        }
        WebAuthn.add(user, "Blue key", self._credential(response))

    def answer(self, challenge, *, is_verified):
        """Return, as browsers send it, that its holder touched it, and that they proved who they are."""
        told = self._told(PRESENT | (VERIFIED if is_verified else PRESENT))
        asked = self._asked("webauthn.get", challenge)
        signature = self.key.sign(told + sha256(asked).digest(), ECDSA(SHA256()))
        response = {
            "authenticatorData": websafe_encode(told),
            "clientDataJSON": websafe_encode(asked),
            "signature": websafe_encode(signature),
            "userHandle": websafe_encode(user_pk_to_url_str(self.user).encode()),
        }
        return json.dumps(self._credential(response))

    def _credential(self, response):
        name = websafe_encode(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}

    @staticmethod
    def _told(flags, kept=b""):
        return AuthenticatorData.create(sha256(HOST.encode()).digest(), flags, 1, kept)

    @staticmethod
    def _asked(kind, challenge):
        return CollectedClientData.create(kind, challenge, f"http://{HOST}")
