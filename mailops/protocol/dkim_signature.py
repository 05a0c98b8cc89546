"""Signs mail with DKIM, relaxed in header and body (RFC 6376), by RSA and by Ed25519 (RFC 8463)."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

RSA_BITS = 2048  # RFC 8301 section 3.2; longer keys don't fit into one string of a TXT record
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

# RFC 6376 section 5.4.1, and what RFC 8058 section 4 wants covered for a one-click unsubscribe.
_SIGNED = (
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Feedback-ID",
)
# Named once more than they are there, so that nobody can add a second one that inboxes show (section 8.15).
_SEALED = frozenset({"from", "to", "reply-to", "subject", "date", "message-id", "content-type"})
_SPACES = re.compile(rb"[ \t]{2,}|\t")  # a single space is as it should be
_FIELD_ENDS = re.compile(rb"\r\n(?![ \t])")
_LINE = 70


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs for a domain; its public half stands at `selector`._domainkey.`domain`."""

    domain: str
    selector: str
    key: PrivateKey

    @property
    def algorithm(self) -> str:
        kind = "rsa" if isinstance(self.key, rsa.RSAPrivateKey) else "ed25519"
        return f"{kind}-sha256"


def make_private_key(kind: str) -> str:
    """Return a new private key, "rsa" or "ed25519", as PEM."""
    key: PrivateKey
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    elif kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        raise ValueError(f"DKIM knows no {kind} keys")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii")


def load_private_key(pem: str) -> PrivateKey:
    """Read a key that `make_private_key` made; raise ValueError where it is none of these."""
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, PrivateKey):
        raise ValueError("the key is neither RSA nor Ed25519")  # noqa: TRY004 - a wrong value
    return key


def key_record(key: PrivateKey) -> str:
    """Return the TXT record that publishes the public half (RFC 6376 section 3.6.1, RFC 8463 section 4)."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        kind = "rsa"
        octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, octets = "ed25519", public.public_bytes_raw()
    return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}"


def sign(content: bytes, signers: Sequence[Signer], *, at: int) -> bytes:
    """Return `content` (CRLF line ends, 7-bit) with a signature of each signer on top; `at` is seconds since 1970."""
    head, _, body = content.partition(b"\r\n\r\n")
    digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
    names, covered = _covered(_FIELD_ENDS.split(head))
    fields = [_signature_field(signer, names, covered, digest, at) for signer in signers]
    return b"".join([*fields, content])


def relaxed_body(body: bytes) -> bytes:
    """Return `body` in its relaxed form (RFC 6376 section 3.4.4)."""
    text = _SPACES.sub(b" ", body).replace(b" \r\n", b"\r\n").removesuffix(b" ")
    end = len(text)
    while text.endswith(b"\r\n", 0, end):
        end -= 2
    return text[:end] + b"\r\n" if end else b""


def relaxed_field(field: bytes) -> bytes:
    """Return a header field, without its line end, in its relaxed form (RFC 6376 section 3.4.2)."""
    name, _, value = field.partition(b":")
    unfolded = _SPACES.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.strip(b" \t").lower() + b":" + unfolded


def _covered(fields: list[bytes]) -> tuple[list[str], bytes]:
    """Return the names a signature lists, and those fields in relaxed form, the last of a name first (section 5.4.2)."""
    found: dict[bytes, list[bytes]] = {}
    for field in fields:
        found.setdefault(field.partition(b":")[0].strip(b" \t").lower(), []).append(field)
    names: list[str] = []
    octets = []
    for name in _SIGNED:
        there = found.get(name.lower().encode(), [])
        names += [name] * (len(there) + (name.lower() in _SEALED))
        octets += [relaxed_field(field) + b"\r\n" for field in reversed(there)]
    return names, b"".join(octets)


def _signature_field(
    signer: Signer, names: Sequence[str], covered: bytes, body_digest: bytes, at: int
) -> bytes:
    unsigned = (
        f"DKIM-Signature: v=1; a={signer.algorithm}; c=relaxed/relaxed;\r\n"
        f" d={signer.domain}; s={signer.selector}; t={at};\r\n"
        f" h={_folded_names(names)};\r\n"
        f" bh={body_digest.decode()};\r\n"
        " b="
    ).encode("ascii")
    value = base64.b64encode(_signature(signer.key, covered + relaxed_field(unsigned)))
    lines = [value[i : i + _LINE] for i in range(0, len(value), _LINE)]
    return unsigned + b"\r\n ".join(lines) + b"\r\n"


def _folded_names(names: Sequence[str]) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n  ".join(lines).removesuffix(":")


def _signature(key: PrivateKey, octets: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, PKCS1v15(), SHA256())
    return key.sign(hashlib.sha256(octets).digest())  # RFC 8463 section 3: of the digest
