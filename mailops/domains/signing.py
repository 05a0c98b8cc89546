"""Signs mail that leaves, with keys that each process keeps in memory for a little while."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from mailops.domains.models import SigningKey
from mailops.lib.secrets import Unsealable
from mailops.protocol import dkim_signature
from mailops.protocol.dkim_signature import Signer, load_private_key

# after which the rows are read again; a key that was replaced is valid for days
KEPT_SECONDS = 30.0


class CannotSign(Exception):
    """Mail of this domain must be signed and can't be: it waits, since unsigned it would be refused or lose its name."""

    def __init__(self, sentence: str, detail: str) -> None:
        super().__init__(sentence)
        self.sentence, self.detail = sentence, detail


@dataclass(frozen=True)
class _Kept:
    read_at: float
    signers: tuple[Signer, ...] = ()
    problem: CannotSign | None = None


_kept: dict[str, _Kept] = {}


def load_signers(domains: Iterable[str]) -> None:
    """Read the keys of `domains` from the database, unless they were a moment ago."""
    now = time.monotonic()
    stale = [
        name for name in domains if name not in _kept or now - _kept[name].read_at > KEPT_SECONDS
    ]
    if not stale:
        return
    keys: dict[str, list[SigningKey]] = {name: [] for name in stale}
    # RSA first: what can't verify Ed25519 looks at the topmost signature
    signing = SigningKey.objects.signing().filter(domain__name__in=stale)
    for key in signing.select_related("domain").order_by("-algorithm"):
        keys[key.domain.name].append(key)
    for name in stale:
        _kept[name] = _read(name, keys[name], now)


def _read(name: str, keys: list[SigningKey], now: float) -> _Kept:
    try:
        return _Kept(now, tuple(_signer(key) for key in keys))
    except (Unsealable, ValueError) as error:
        problem = CannotSign(
            f"Mail of {name} can't be signed: its DKIM key can't be opened. Put the key that sealed it back into "
            f"MAILOPS_SECRET_KEYS, or make a new one on the page of {name} and let it sign, then resume.",
            str(error),
        )
        return _Kept(now, problem=problem)


def _signer(key: SigningKey) -> Signer:
    return Signer(key.domain.name, key.selector, load_private_key(key.reveal().reveal()))


def is_signed(domain: str) -> bool:
    """Tell whether mail of `domain` is to be signed here, by what `load_signers` read."""
    kept = _kept.get(domain)
    return kept is None or bool(kept.signers) or kept.problem is not None


def sign(content: bytes, domain: str) -> bytes:
    """Return `content` with the signatures of `domain`, if it has keys; asks no database. Raise CannotSign."""
    kept = _kept.get(domain)
    if kept is None:
        raise CannotSign(f"The DKIM keys of {domain} were not read.", "load_signers comes first")
    if kept.problem is not None:
        raise CannotSign(kept.problem.sentence, kept.problem.detail)
    if not kept.signers:
        return content
    return dkim_signature.sign(content, kept.signers, at=int(time.time()))


def forget_signers() -> None:
    """Let this process read all keys anew."""
    _kept.clear()
