"""Proves that a call comes from the provider it claims: one row for each, with how it signs. Amazon's is in `sns`.

Who signs nothing gets a password of our making, which the view compares as the call comes in: it is never archived.
"""

import hmac
import json
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mailops.feedback.sns import Unverified, check_moment
from mailops.lib.whole_numbers import whole_number

USER = "mailops"  # of basic authentication
# our note of what the call's password was worth: right, wrong or missing
BASIC = "X-Mailops-Password"

_WRONG = "Its signature is wrong: it was not made with the key of this transport, or the call was changed."
_UNREADABLE = "Its signature can't be read."


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a webhook as it came; header names in lower case."""

    body: bytes
    headers: Mapping[str, str]
    url: str  # as the provider knows it
    key: str
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class Proof:
    key_label: str  # what a person pastes; empty where we make a password
    check: Callable[[Call], None]  # raises Unverified
    headers: tuple[str, ...] = ()  # what of the call's headers it needs
    # what is signed in place of the content, and so may be said once only
    token: Callable[[Call], str] | None = None

    @property
    def is_password(self) -> bool:
        return not self.key_label


def prove(kind: str, call: Call) -> str:
    """Raise Unverified, with a sentence, unless the call is proven to be of the provider.

    Returns the token that must not have been said with another content, empty where the content itself is signed.
    """
    proof = PROOFS[kind]
    if not call.key:
        raise Unverified(
            f"Nothing proves it yet: enter the {proof.key_label or 'password'} of this transport's webhook, then read it again."
        )
    proof.check(call)
    return proof.token(call) if proof.token else ""


def _body_signed(header: str) -> Callable[[Call], None]:
    def check(call: Call) -> None:
        expected = hmac.new(call.key.encode(), call.body, "sha256").hexdigest()
        _compare(_header(call, header), expected)

    return check


def _mailgun(call: Call) -> None:
    """Mailgun signs a token and the time, not the body (documentation: Securing webhooks)."""
    timestamp, token, signature = _mailgun_fields(call)
    signed = f"{timestamp}{token}".encode("utf-8", "replace")
    expected = hmac.new(call.key.encode(), signed, "sha256").hexdigest()
    _compare(signature, expected)
    _check_age(timestamp, call.received_at)


def _mailgun_fields(call: Call) -> tuple[str, str, str]:
    try:
        fields = _json(call)["signature"] if _is_json(call) else dict(parse_qsl(call.body.decode()))
        return str(fields["timestamp"]), str(fields["token"]), str(fields["signature"])
    except (KeyError, TypeError, ValueError, UnicodeError):
        raise Unverified(_UNREADABLE) from None


def _mailgun_token(call: Call) -> str:
    return _mailgun_fields(call)[1]


def _mandrill(call: Call) -> None:
    try:
        fields = sorted(parse_qsl(call.body.decode(), keep_blank_values=True, max_num_fields=100))
    except (ValueError, UnicodeError):
        raise Unverified(_UNREADABLE) from None
    signed = call.url + "".join(name + value for name, value in fields)
    digest = hmac.new(call.key.encode(), signed.encode(), "sha1").digest()
    _compare(_header(call, "x-mandrill-signature"), b64encode(digest).decode())


def _svix(call: Call) -> None:
    """Resend signs by Svix: id, time and body; several signatures while a secret is rotated."""
    identity, timestamp = _header(call, "svix-id"), _header(call, "svix-timestamp")
    try:
        key = b64decode(call.key.removeprefix("whsec_"), validate=True)
    except BadBase64:
        raise Unverified("The signing secret of this webhook is none: paste it again.") from None
    signed = f"{identity}.{timestamp}.".encode() + call.body
    expected = b64encode(hmac.new(key, signed, "sha256").digest()).decode()
    given = [one.partition(",")[2] for one in _header(call, "svix-signature").split()]
    if not any(hmac.compare_digest(one.encode(), expected.encode()) for one in given):
        raise Unverified(_WRONG)
    _check_age(timestamp, call.received_at)


def _sendgrid(call: Call) -> None:
    timestamp = _header(call, "x-twilio-email-event-webhook-timestamp")
    signature = _header(call, "x-twilio-email-event-webhook-signature")
    key = _public_key(call.key)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Unverified("The verification key of this webhook is none: paste it again.")
    try:
        signed = timestamp.encode() + call.body
        key.verify(b64decode(signature), signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, BadBase64, ValueError):
        raise Unverified(_WRONG) from None
    _check_age(timestamp, call.received_at)


def _postal(call: Call) -> None:
    key = _public_key(call.key)
    if not isinstance(key, rsa.RSAPublicKey):
        raise Unverified("The public key of this webhook is none: paste it again.")
    try:
        signature = b64decode(_header(call, "x-postal-signature"))
        key.verify(signature, call.body, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - Postal's choice
    except (InvalidSignature, BadBase64, ValueError):
        raise Unverified(_WRONG) from None


def _unisender(call: Call) -> None:
    """Unisender Go puts in `auth` the MD5 of the body that has the API key in its place."""
    told = _json(call).get("auth")
    if not isinstance(told, str) or len(told) != 32:
        raise Unverified(_UNREADABLE)
    signed = call.body.replace(told.encode("utf-8", "replace"), call.key.encode())
    _compare(told, md5(signed).hexdigest())  # noqa: S324 - Unisender's choice


def _password(call: Call) -> None:
    worth = call.headers.get(BASIC.lower(), "missing")
    if worth != "right":
        raise Unverified(
            "It came without the password of this webhook: register the address with it."
            if worth == "missing"
            else "It came with a wrong password."
        )


PROOFS: Mapping[str, Proof] = {
    "brevo": Proof(key_label="", check=_password),
    "mailersend": Proof(
        key_label="signing secret", check=_body_signed("signature"), headers=("Signature",)
    ),
    "mailgun": Proof(key_label="HTTP webhook signing key", check=_mailgun, token=_mailgun_token),
    "mailjet": Proof(key_label="", check=_password),
    "mailtrap": Proof(
        key_label="signature key",
        check=_body_signed("mailtrap-signature"),
        headers=("Mailtrap-Signature",),
    ),
    "mandrill": Proof(key_label="webhook key", check=_mandrill, headers=("X-Mandrill-Signature",)),
    "postal": Proof(key_label="public key", check=_postal, headers=("X-Postal-Signature",)),
    "postmark": Proof(key_label="", check=_password),
    "resend": Proof(
        key_label="signing secret",
        check=_svix,
        headers=("Svix-Id", "Svix-Timestamp", "Svix-Signature"),
    ),
    "sendgrid": Proof(
        key_label="verification key",
        check=_sendgrid,
        headers=(
            "X-Twilio-Email-Event-Webhook-Signature",
            "X-Twilio-Email-Event-Webhook-Timestamp",
        ),
    ),
    "sparkpost": Proof(key_label="", check=_password, headers=("X-MessageSystems-Batch-ID",)),
    "unisender_go": Proof(key_label="API key", check=_unisender),
}


def is_proven_by_password(kind: str) -> bool:
    """Tell whether this kind's calls bear a password of our making, since its provider signs nothing."""
    proof = PROOFS.get(kind)
    return proof is not None and proof.is_password


def proofs_in(kind: str, headers: Mapping[str, str]) -> list[str]:
    """Return what of a call's archived headers may prove it, so that a call without may come again with it."""
    proof = PROOFS.get(kind)
    names = (BASIC, *proof.headers) if proof else ()
    return [f"{name}: {headers[name]}" for name in names if name in headers]


def worth_of(authorization: str, password: str) -> str:
    """Return what is noted of a call's basic authentication (RFC 7617): right, wrong or missing."""
    scheme, _, given = authorization.partition(" ")
    if not authorization:
        return "missing"
    try:
        pair = b64decode(given.strip(), validate=True)
    except ValueError:  # no Base64, or not even ASCII
        return "wrong"
    is_right = bool(password) and hmac.compare_digest(pair, f"{USER}:{password}".encode())
    return "right" if is_right and scheme.lower() == "basic" else "wrong"


def _header(call: Call, name: str) -> str:
    value = call.headers.get(name, "")
    if not value:
        raise Unverified("It bears no signature.")
    return value


def _compare(given: str, expected: str) -> None:
    if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
        raise Unverified(_WRONG)


def _check_age(seconds: str, received_at: datetime) -> None:
    """Raise Unverified unless so many whole seconds since 1970 are about now.

    Digits alone: where a token follows with nothing between, as Mailgun signs both, what else reads as a number could be
    made of its beginning.
    """
    told = whole_number(seconds)
    try:
        told_at = datetime.fromtimestamp(told, tz=UTC) if told is not None else None
    except (ValueError, OverflowError, OSError):
        told_at = None
    check_moment(told_at, received_at)


def _is_json(call: Call) -> bool:
    return call.body.lstrip()[:1] in {b"{", b"["}


def _json(call: Call) -> dict[str, Any]:
    try:
        found = json.loads(call.body)
    except (ValueError, RecursionError):
        raise Unverified("It is not JSON.") from None
    if not isinstance(found, dict):
        raise Unverified("It is no JSON object.")
    return found


def _public_key(text: str) -> object:
    bare = "".join(line for line in text.splitlines() if not line.startswith("-----"))
    try:
        return serialization.load_der_public_key(b64decode("".join(bare.split()), validate=True))
    except (BadBase64, ValueError):
        return None
