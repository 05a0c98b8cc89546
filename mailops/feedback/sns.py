"""Proves that a webhook call comes from Amazon SNS: pinned certificate address, both signature versions, topic, age.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import json
import re
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

MAX_AGE = timedelta(hours=24)  # providers try an endpoint that is down for hours
MAX_SKEW = timedelta(minutes=10)

_HOST = re.compile(r"sns\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?:\.cn)?", re.ASCII)
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem", re.ASCII)
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED_FIELDS = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {"1": hashes.SHA1, "2": hashes.SHA256}


class Unverified(Exception):
    """The call isn't proven to be its provider's; the sentence says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Notice:
    """A call whose signature holds."""

    type: str
    message_id: str
    topic: str
    message: str
    fields: dict[str, Any]

    @property
    def is_notification(self) -> bool:
        return self.type == "Notification"

    @property
    def asks_to_subscribe(self) -> bool:
        return self.type == "SubscriptionConfirmation"

    @property
    def subscribe_url(self) -> str:
        return str(self.fields.get("SubscribeURL", ""))


def verify(body: bytes, *, received_at: datetime, certificate_at: Callable[[str], bytes]) -> Notice:
    """Return the notice that `body` is; raise Unverified. `certificate_at` returns the PEM of a pinned address."""
    fields = _fields(body)
    signed = _SIGNED_FIELDS.get(str(fields.get("Type", "")))
    if signed is None:
        raise Unverified("It is not a call of Amazon SNS: its Type is none that SNS sends.")
    url = str(fields.get("SigningCertURL", ""))
    if not is_certificate_address(url):
        raise Unverified("Its certificate is not at an address of Amazon SNS.")
    _check_age(str(fields.get("Timestamp", "")), received_at)
    _check_signature(fields, signed, certificate_at(url), received_at)
    return Notice(
        type=fields["Type"],
        message_id=str(fields.get("MessageId", ""))[:100],
        topic=str(fields.get("TopicArn", ""))[:300],
        message=str(fields.get("Message", "")),
        fields=fields,
    )


def certificate_address(body: bytes) -> str:
    """Return where the certificate of a call stands, an empty string where that is no address of Amazon SNS."""
    try:
        url = str(_fields(body).get("SigningCertURL", ""))
    except Unverified:
        return ""
    return url if is_certificate_address(url) else ""


def check_topic(notice: Notice, topics: Collection[str]) -> None:
    """Raise Unverified unless a person let the notice's topic in: anybody may own a topic and sign with it."""
    if notice.topic not in topics:
        raise Unverified(
            f"The topic {notice.topic} was not let in for this transport; confirm its subscription first."
        )


def is_certificate_address(url: str) -> bool:
    return is_sns_address(url) and _CERTIFICATE_PATH.fullmatch(urlsplit(url).path) is not None


def is_sns_address(url: str) -> bool:
    """Tell whether `url` is https at SNS itself, with no port, user or trick in it."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None
    except ValueError:
        return False


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise Unverified("It is not a call of Amazon SNS: it is not JSON.") from None
    if not isinstance(fields, dict):
        raise Unverified("It is not a call of Amazon SNS: it is no JSON object.")
    return fields


def _check_age(timestamp: str, received_at: datetime) -> None:
    try:
        told_at = datetime.fromisoformat(timestamp)
    except ValueError:
        told_at = None
    check_moment(told_at if told_at and told_at.tzinfo else None, received_at)


def check_moment(told_at: datetime | None, received_at: datetime) -> None:
    """Raise Unverified unless a call was signed about when it came; None is a time that can't be read."""
    if told_at is None:
        raise Unverified("Its timestamp can't be read.")
    if not -MAX_SKEW <= received_at - told_at <= MAX_AGE:
        raise Unverified("Its timestamp is too old or in the future: it may be a replay.")


def _check_signature(
    fields: dict[str, Any], signed: tuple[str, ...], pem: bytes, received_at: datetime
) -> None:
    algorithm = _HASHES.get(str(fields.get("SignatureVersion", "")))
    if algorithm is None:
        raise Unverified("Its signature version is unknown.")
    text = "".join(f"{name}\n{fields[name]}\n" for name in signed if fields.get(name) is not None)
    try:
        signature = b64decode(str(fields.get("Signature", "")), validate=True)
        certificate = x509.load_pem_x509_certificate(pem)
    except (BadBase64, ValueError):
        raise Unverified("Its signature or certificate can't be read.") from None
    if not certificate.not_valid_before_utc <= received_at <= certificate.not_valid_after_utc:
        raise Unverified("The certificate that signed it is not valid at this time.")
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise Unverified("The certificate that signed it has no RSA key.")
    try:
        key.verify(signature, text.encode("utf-8", "replace"), padding.PKCS1v15(), algorithm())
    except InvalidSignature:
        raise Unverified(
            "Its signature is wrong: it was not made by Amazon SNS, or was changed."
        ) from None
