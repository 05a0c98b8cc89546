"""Short signatures for tokens that travel in mail (HMAC, RFC 2104); base32 in lower case survives any relay's folding."""

import base64
import hashlib
import hmac
from functools import lru_cache

LENGTH = 20  # 100 bits
OCTETS = 15  # of the digest: whole groups of base32 that hold these characters


@lru_cache(maxsize=256)  # a message's token stands in several of its addresses
def sign(purpose: str, text: str, key: bytes) -> str:
    """Return the signature of `text` for one purpose, so that a token of one kind is none of another."""
    code = _keyed(key).copy()
    code.update(f"{purpose}\0{text}".encode())
    return base64.b32encode(code.digest()[:OCTETS]).decode("ascii").lower()[:LENGTH]


@lru_cache(maxsize=64)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod=hashlib.sha256)


def is_signed(purpose: str, text: str, signature: str, key: bytes) -> bool:
    """Tell in constant time whether `signature` was made by `sign` with `key`."""
    wanted = sign(purpose, text, key).encode()
    return hmac.compare_digest(wanted, signature.lower().encode("utf-8", "replace"))
