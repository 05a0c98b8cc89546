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


def read_tags(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return a `tag=value; tag=value` list in order, and what couldn't be read (RFC 6376 section 3.2)."""
    tags: dict[str, str] = {}
    problems: dict[str, None] = {}  # each once
    for piece in (piece.strip() for piece in text.split(";")):
        name, equals, value = piece.partition("=")
        if not piece:
            continue
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name.strip()):
            problems[f"“{piece[:60]}” is not a tag"] = None
        elif name.strip() in tags:
            problems[f"the tag {name.strip()} stands more than once"] = None
        else:
            tags[name.strip()] = value.strip()
    return list(tags.items()), list(problems)


# DKIM keys, RFC 6376 section 3.6.1, RFC 8463 for Ed25519

READ_BITS = 4096  # RFC 8301 section 3.2: verifiers need not read more
# of an RSA key; it is 65537 in practice, and a long one makes a verifier work for hours
MOST_EXPONENT_BITS = 64


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
    pairs, problems = read_tags(text)
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
    is_sound = public.public_numbers().e.bit_length() <= MOST_EXPONENT_BITS
    return public.key_size, "" if is_sound else "the key's exponent is one that no verifier takes"


# DMARC, RFC 9989

DMARC_POLICIES = ("none", "quarantine", "reject")  # from the least to the most
DMARC_OBSOLETE = ("pct", "rf", "ri")  # RFC 9989 appendix: removed
_DMARC_CHOICES = {
    "p": DMARC_POLICIES,
    "sp": DMARC_POLICIES,
    "np": DMARC_POLICIES,
    "adkim": ("r", "s"),
    "aspf": ("r", "s"),
    "t": ("y", "n"),
    "psd": ("y", "n", "u"),
}
_DMARC_URI = re.compile(r"mailto:[^@\s!]+@([^@\s!]+)(![0-9]+[kmgt]?)?", re.IGNORECASE)


@dataclass(frozen=True)
class Dmarc:
    text: str
    tags: dict[str, str]
    problems: tuple[str, ...]  # a receiver may ignore the record or the tag

    @property
    def policy(self) -> str:
        """The policy for the domain itself."""
        return self._policy_of("p")

    @property
    def subdomain_policy(self) -> str:
        return self._policy_of("sp", "p")

    @property
    def nonexistent_policy(self) -> str:
        """The policy for a name below that isn't there."""
        return self._policy_of("np", "sp", "p")

    def _policy_of(self, *tags: str) -> str:
        """Return what the first of `tags` that is there says; with a bad one anywhere, all are none (section 4.10.1)."""
        said = (self.tags[tag].lower() for tag in tags if tag in self.tags)
        return next(said, "none") if self.has_sound_policies else "none"

    @property
    def has_sound_policies(self) -> bool:
        policies = (self.tags.get(tag, "none").lower() for tag in ("p", "sp", "np"))
        return all(policy in DMARC_POLICIES for policy in policies)

    @property
    def is_in_force(self) -> bool:
        """Tell whether receivers act on it at all: a bad p, sp or np is forgiven only where reports are wanted (section 4.10.1)."""
        return self.has_sound_policies or bool(self.report_addresses)

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
        """Where aggregate reports go; a size behind an exclamation mark is ignored now."""
        return self._addresses("rua")

    @cached_property
    def failure_addresses(self) -> tuple[str, ...]:
        return self._addresses("ruf")

    @property
    def has_sizes(self) -> bool:
        return any("!" in self.tags.get(tag, "") for tag in ("rua", "ruf"))

    def _addresses(self, tag: str) -> tuple[str, ...]:
        uris = self.tags.get(tag, "").split(",")
        found = (uri.strip() for uri in uris if _DMARC_URI.fullmatch(uri.strip()))
        return tuple(uri[7:].partition("!")[0] for uri in found)


def is_dmarc(text: str) -> bool:
    """Tell whether a TXT record is a DMARC record: its first tag is v=DMARC1, in capitals (RFC 9989 section 4.8)."""
    return re.match(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(;|$)", text) is not None


def parse_dmarc(text: str) -> Dmarc:
    """Read a DMARC record; what can't be read is in `problems`, tags unknown to RFC 9989 are ignored."""
    pairs, problems = read_tags(text)
    tags = dict(pairs)
    for tag, choices in _DMARC_CHOICES.items():
        if tag in tags and tags[tag].lower() not in choices:
            problems.append(f"{tag}={tags[tag]} is not one of {', '.join(choices)}")
    if "fo" in tags and not _is_fo(tags["fo"].lower().split(":")):
        problems.append(f"fo={tags['fo']} is not a list of 0 or 1, d and s")
    for tag in ("rua", "ruf"):
        for uri in filter(None, (uri.strip() for uri in tags.get(tag, "").split(","))):
            if not _DMARC_URI.fullmatch(uri):
                problems.append(f"“{uri[:60]}” in {tag} is not a mailto: address")
    return Dmarc(text, tags, tuple(problems))


def _is_fo(options: list[str]) -> bool:
    """Tell whether a list has each of its options once, and not both 0 and 1; no pattern, since records may be 64 KB long."""
    chosen = set(options)
    return chosen <= set("01ds") and len(chosen) == len(options) and not {"0", "1"} <= chosen


def tree_walk(domain: str) -> list[str]:
    """Return the names whose `_dmarc` is asked for `domain`, nearest first (RFC 9989 section 4.10)."""
    labels = domain.rstrip(".").lower().split(".")
    names = [".".join(labels)]
    labels = labels[-7:] if len(labels) > 8 else labels[1:]
    while labels:
        names.append(".".join(labels))
        labels = labels[1:]
    return names
