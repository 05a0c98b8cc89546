"""The log-ins mailops knows (RFC 4954): what each says, challenge by challenge.

XOAUTH2 is Google's, and Microsoft speaks it too: no RFC, but both describe it as it stands here.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Generator
from dataclasses import dataclass

from mailops.lib.secrets import Secret

Steps = Generator[str, str, None]  # yields what to say, gets the text of the 334


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One way to log in; `steps` yields the initial response first, empty where there is none."""

    name: str
    steps: Callable[[str, Secret], Steps]


def _plain(username: str, secret: Secret) -> Steps:
    yield _encode(f"\0{username}\0{secret.reveal()}".encode())


def _login(username: str, secret: Secret) -> Steps:
    yield ""
    yield _encode(username.encode())
    yield _encode(secret.reveal().encode())


def _cram_md5(username: str, secret: Secret) -> Steps:
    challenge = yield ""
    try:
        octets = base64.b64decode(challenge, validate=True)
    except binascii.Error:
        return
    digest = hmac.new(secret.reveal().encode(), octets, "md5").hexdigest()
    yield _encode(f"{username} {digest}".encode())


def _xoauth2(username: str, token: Secret) -> Steps:
    yield _encode(f"user={username}\1auth=Bearer {token.reveal()}\1\1".encode())
    yield ""  # a refusal comes as a challenge first, and its reply only after an empty answer


# In order of preference: under TLS, the simplest that everyone has got right.
_MECHANISMS = (
    Mechanism("PLAIN", _plain),
    Mechanism("LOGIN", _login),
    Mechanism("CRAM-MD5", _cram_md5),
)


_FOR_TOKENS = (Mechanism("XOAUTH2", _xoauth2),)


def usable(offered: str, *, is_token: bool = False) -> list[Mechanism]:
    """Return those mechanisms of an EHLO reply that we know, the one to use first."""
    names = offered.upper().split()
    known = _FOR_TOKENS if is_token else _MECHANISMS
    return [mechanism for mechanism in known if mechanism.name in names]


def _encode(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
