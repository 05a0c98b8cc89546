"""Seals secrets for the database (AES-256-GCM) and reads those that are kept elsewhere by reference."""

import base64
import binascii
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_VERSION = b"\x01"
_SEALED_TEXT = "sealed:"  # begins what is sealed in a column of text, where others stand in clear
_KEY_ID_SIZE = 4
_NONCE_SIZE = 12
_MAX_FILE = 64 * 1024
_NO_SUCH_FILE = (
    "There is no file of that name inside MAILOPS_SECRET_FOLDER that can be read as text."
)
_ENVIRONMENT_PREFIX = "MAILOPS_SECRET_"
_NOT_SECRETS_OF_TRANSPORTS = frozenset({"MAILOPS_SECRET_KEYS", "MAILOPS_SECRET_FOLDER"})


class Unsealable(Exception):
    """The sealed secret can't be opened: no key for it, or it belongs to another row or endpoint."""


class BadReference(Exception):
    """The reference names nothing that may be read; the message is a sentence for a person."""


class Secret:
    """A secret in memory: it shows itself to nobody but the caller of `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(****)"

    def __str__(self) -> str:
        return "****"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: it must not travel in a task or a cache")


def spellings(username: str, secret: Secret) -> list[str]:
    """Return the forms in which a mail server may quote the secret of a log-in, for masking: those that hold others first."""
    plain = secret.reveal()
    said = f"\0{username}\0{plain}", f"user={username}\1auth=Bearer {plain}\1\1", plain
    quoted = plain.replace("\\", r"\\").replace('"', r"\"")  # RFC 3501, 4.3
    return [*(base64.b64encode(each.encode()).decode() for each in said), quoted, plain]


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a sealed secret is bound to: moved to another row or endpoint it no longer opens."""

    table: str
    column: str
    row: str
    endpoint: str

    def as_bytes(self) -> bytes:
        """Return the parts, each with its length before it, so that no two places read the same."""
        parts = [p.encode() for p in (self.table, self.column, self.row, self.endpoint)]
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def seal(secret: Secret, place: Place) -> bytes:
    """Return `secret` encrypted by the first of MAILOPS_SECRET_KEYS and bound to `place`."""
    key = _keys()[0]
    nonce = os.urandom(_NONCE_SIZE)
    head = _VERSION + _key_id(key) + nonce
    return head + AESGCM(key).encrypt(nonce, secret.reveal().encode(), head + place.as_bytes())


def unseal(sealed: bytes, place: Place) -> Secret:
    """Return what `seal` was given; any key of MAILOPS_SECRET_KEYS opens it. Raise Unsealable."""
    start = 1 + _KEY_ID_SIZE
    head, body = sealed[: start + _NONCE_SIZE], sealed[start + _NONCE_SIZE :]
    if head[:1] != _VERSION:
        raise Unsealable("the stored secret is not in a format this version knows")
    candidates = [key for key in _keys() if _key_id(key) == head[1:start]]
    if not candidates:
        raise Unsealable("the key that sealed this secret is not among MAILOPS_SECRET_KEYS")
    for key in candidates:
        try:
            plain = AESGCM(key).decrypt(head[start:], body, head + place.as_bytes())
        except InvalidTag:
            continue
        return Secret(plain.decode())
    raise Unsealable("the stored secret belongs to another row or endpoint; give it again")


def is_sealed_by_first_key(sealed: bytes) -> bool:
    """Tell whether a key rotation has reached this secret."""
    return sealed[1 : 1 + _KEY_ID_SIZE] == _key_id(_keys()[0])


def has_key_for(sealed: bytes) -> bool:
    """Tell whether the key that sealed this is among MAILOPS_SECRET_KEYS."""
    return sealed[1 : 1 + _KEY_ID_SIZE] in {_key_id(key) for key in _keys()}


def seal_text(secret: Secret, place: Place) -> str:
    """Return what `seal` does as text, for what others keep in columns of theirs."""
    return _SEALED_TEXT + base64.b64encode(seal(secret, place)).decode()


def unseal_text(text: str, place: Place) -> Secret:
    """Return what `seal_text` was given, or what stands there in clear. Raise Unsealable."""
    return unseal(_octets(text), place) if _is_sealed_text(text) else Secret(text)


def is_text_sealed_by_first_key(text: str) -> bool:
    """Tell whether a key rotation has reached this text; one in clear it has not."""
    return _is_sealed_text(text) and is_sealed_by_first_key(_octets(text))


def has_key_for_text(text: str) -> bool:
    """Tell the same of a text; one in clear needs none."""
    return not _is_sealed_text(text) or has_key_for(_octets(text))


def _is_sealed_text(text: str) -> bool:
    return text.startswith(_SEALED_TEXT)


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(_SEALED_TEXT), validate=True)
    except binascii.Error as error:
        raise Unsealable("the stored secret is not in a format this version knows") from error


def follow(reference: str) -> Secret:
    """Return what `env:MAILOPS_SECRET_…` or `file:name` (inside MAILOPS_SECRET_FOLDER) holds; raise BadReference."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        return _from_environment(name)
    if kind == "file":
        return _from_folder(name)
    raise BadReference("A reference is env:MAILOPS_SECRET_NAME or file:name.")


def _from_environment(name: str) -> Secret:
    if not name.startswith(_ENVIRONMENT_PREFIX) or name in _NOT_SECRETS_OF_TRANSPORTS:
        raise BadReference(
            f"Only variables that begin with {_ENVIRONMENT_PREFIX} may be read, and not mailops' own keys."
        )
    if name not in os.environ:
        raise BadReference(f"The environment variable {name} is not set in this process.")
    return _one_line(os.environ[name], f"The environment variable {name}")


def _from_folder(name: str) -> Secret:
    if settings.MAILOPS_SECRET_FOLDER is None:
        raise BadReference("MAILOPS_SECRET_FOLDER is not set, so no file can hold a secret.")
    folder = Path(settings.MAILOPS_SECRET_FOLDER).resolve()
    try:
        path = (folder / name).resolve()
        if not name or not path.is_relative_to(folder):
            raise BadReference(_NO_SUCH_FILE)
        text = _read_small_file(path).decode()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadReference(_NO_SUCH_FILE) from error
    return _one_line(text, "The file in MAILOPS_SECRET_FOLDER")


def _one_line(text: str, where: str) -> Secret:
    """Return the secret that `text` is but for the end of its line; raise BadReference."""
    value = text.strip("\r\n")
    if not value:
        raise BadReference(f"{where} is empty.")
    if not value.isprintable():
        raise BadReference(f"{where} holds more than one line of text.")
    return Secret(value)


def _read_small_file(path: Path) -> bytes:
    """Return what a plain file holds; what is judged is what was opened, whatever stands at `path` a moment later."""
    # a link that appears after `path` was resolved is not followed, and a pipe is not waited for
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise BadReference(_NO_SUCH_FILE)
        octets = file.read(_MAX_FILE + 1)
    if len(octets) > _MAX_FILE:
        raise BadReference("The file in MAILOPS_SECRET_FOLDER is too big for a secret.")
    return octets


def _keys() -> list[bytes]:
    return [_decode(key) for key in settings.MAILOPS_SECRET_KEYS]


def _decode(key: str) -> bytes:
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise ValueError("a key of MAILOPS_SECRET_KEYS is not base64") from error
    if len(raw) != 32:
        raise ValueError("a key of MAILOPS_SECRET_KEYS must be base64 of 32 random bytes")
    return raw


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"mailops key id" + key).digest()[:_KEY_ID_SIZE]
