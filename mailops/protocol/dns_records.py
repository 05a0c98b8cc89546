"""Reads the TXT records that mail authentication rests on: DKIM keys (RFC 6376) and DMARC (RFC 9989)."""

import base64
import binascii
import re
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

# Tag lists, as DKIM and DMARC write them


def _tags(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return a `tag=value; tag=value` list in order, and what couldn't be read (RFC 6376 section 3.2)."""
    tags: list[tuple[str, str]] = []
    problems: list[str] = []
    for piece in (piece.strip() for piece in text.split(";")):
        name, equals, value = piece.partition("=")
        if not piece:
            continue
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name.strip()):
            problems.append(f"“{piece[:60]}” is not a tag")
        elif name.strip() in dict(tags):
            problems.append(f"the tag {name.strip()} stands more than once")
        else:
            tags.append((name.strip(), value.strip()))
    return tags, problems


# DKIM keys, RFC 6376 section 3.6.1, RFC 8463 for Ed25519


@dataclass(frozen=True)
class DkimKey:
    text: str
    kind: str  # "rsa", "ed25519", or what it says
    bits: int  # 0: no key could be read
    is_revoked: bool
    is_testing: bool
    hashes: tuple[str, ...]  # empty: any
    services: tuple[str, ...]
    problems: tuple[str, ...]
    key: str = ""  # base64, without white space

    @property
    def signs_mail(self) -> bool:
        return bool({"*", "email"} & set(self.services))


def parse_dkim(text: str) -> DkimKey:
    """Read a DKIM key record; what can't be read is in `problems`."""
    pairs, problems = _tags(text)
    tags = dict(pairs)
    if "v" in tags and (pairs[0][0] != "v" or tags["v"] != "DKIM1"):
        problems.append("v=DKIM1 must stand first")
    kind = tags.get("k", "rsa").lower()
    key = re.sub(r"\s", "", tags.get("p", ""))
    if "p" not in tags:
        problems.append("there is no p tag, so there is no key")
    bits = 0
    if key:
        bits, problem = _key_bits(kind, key)
        problems += [problem] if problem else []
    return DkimKey(
        text=text,
        kind=kind,
        bits=bits,
        is_revoked="p" in tags and not key,
        is_testing="y" in _list(tags.get("t", "")),
        hashes=_list(tags.get("h", "")),
        services=_list(tags.get("s", "*")),
        problems=tuple(problems),
        key=key,
    )


def _list(value: str) -> tuple[str, ...]:
    return tuple(item.strip().lower() for item in value.split(":") if item.strip())


def _key_bits(kind: str, key: str) -> tuple[int, str]:
    """Return a key's length in bits, and what is wrong with it."""
    try:
        octets = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return 0, "the key is not base64: it was cut or changed on the way"
    if kind == "ed25519":
        return (256, "") if len(octets) == 32 else (0, "an Ed25519 key has 32 octets")
    if kind != "rsa":
        return 0, f"the key type {kind} is not known"
    try:
        public = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        return 0, "the key can't be read: it was cut or changed on the way"
    if not isinstance(public, RSAPublicKey):
        return 0, "the record says RSA, and the key is of another type"
    return public.key_size, ""


# DMARC, RFC 9989

DMARC_POLICIES = ("none", "quarantine", "reject")  # from the least to the most
DMARC_OBSOLETE = ("pct", "rf", "ri")  # RFC 9989 appendix: removed
DMARC_TAGS = frozenset(
    {"v", "p", "sp", "np", "adkim", "aspf", "fo", "rua", "ruf", "t", "psd", *DMARC_OBSOLETE}
)
_DMARC_CHOICES = {
    "p": DMARC_POLICIES,
    "sp": DMARC_POLICIES,
    "np": DMARC_POLICIES,
    "adkim": ("r", "s"),
    "aspf": ("r", "s"),
    "t": ("y", "n"),
    "psd": ("y", "n", "u"),
}


@dataclass(frozen=True)
class Dmarc:
    text: str
    tags: dict[str, str]
    problems: tuple[str, ...]  # a receiver may ignore the record or the tag

    @property
    def policy(self) -> str:
        """The policy for the domain itself; a record without a valid one counts as none."""
        policy = self.tags.get("p", "").lower()
        return policy if policy in DMARC_POLICIES else "none"

    @property
    def subdomain_policy(self) -> str:
        policy = self.tags.get("sp", "").lower()
        return policy if policy in DMARC_POLICIES else self.policy

    @property
    def is_testing(self) -> bool:
        return self.tags.get("t", "n").lower() == "y"

    @property
    def psd(self) -> str:
        return self.tags.get("psd", "u").lower()

    @property
    def is_dkim_strict(self) -> bool:
        return self.tags.get("adkim", "r").lower() == "s"

    @property
    def is_spf_strict(self) -> bool:
        return self.tags.get("aspf", "r").lower() == "s"

    @property
    def obsolete(self) -> tuple[str, ...]:
        return tuple(tag for tag in DMARC_OBSOLETE if tag in self.tags)

    @property
    def without_obsolete_tags(self) -> str:
        """The record as it should be published now."""
        if not self.obsolete:
            return self.text
        kept = (f"{tag}={value}" for tag, value in self.tags.items() if tag not in self.obsolete)
        return "; ".join(kept)

    @cached_property
    def report_addresses(self) -> tuple[str, ...]:
        uris = (uri.strip() for uri in self.tags.get("rua", "").split(","))
        return tuple(uri[7:].split("!")[0] for uri in uris if uri.lower().startswith("mailto:"))


def is_dmarc(text: str) -> bool:
    """Tell whether a TXT record is a DMARC record: its first tag is v=DMARC1."""
    return re.match(r"v\s*=\s*DMARC1\s*(;|$)", text) is not None


def parse_dmarc(text: str) -> Dmarc:
    """Read a DMARC record; what can't be read is in `problems`, tags unknown to RFC 9989 are ignored."""
    pairs, problems = _tags(text)
    tags = dict(pairs)
    for tag, choices in _DMARC_CHOICES.items():
        if tag in tags and tags[tag].lower() not in choices:
            problems.append(f"{tag}={tags[tag]} is not one of {', '.join(choices)}")
    for uri in filter(None, (uri.strip() for uri in tags.get("rua", "").split(","))):
        if not re.fullmatch(r"mailto:[^@\s]+@[^@\s]+", uri, re.IGNORECASE):
            problems.append(f"“{uri[:60]}” in rua is not a mailto: address")
    return Dmarc(text, tags, tuple(problems))


def tree_walk(domain: str) -> list[str]:
    """Return the names whose `_dmarc` is asked for `domain`, nearest first (RFC 9989 section 4.10)."""
    labels = domain.rstrip(".").lower().split(".")
    names = [".".join(labels)]
    labels = labels[-7:] if len(labels) > 8 else labels[1:]
    while labels:
        names.append(".".join(labels))
        labels = labels[1:]
    return names
