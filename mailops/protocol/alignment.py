"""Whether a mail passes DMARC, by which leg, and what would have to change (RFC 9989 section 4.4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_LONELY = "Only SPF holds, and it breaks when mail is forwarded. "


class Result(StrEnum):
    PASS = "pass"  # noqa: S105 - a result
    FAIL = "fail"
    UNKNOWN = "unknown"  # DNS could not be asked for what would decide it


@dataclass(frozen=True)
class Identifier:
    """A domain that authenticates a mail: the envelope sender's, or the d= of a signature."""

    domain: str
    organization: str  # its organizational domain; empty where it isn't known
    works: bool | None  # whether SPF passes for it, or the signature verifies; None: not known
    label: str = ""  # how people call it: "bounces.acme.example", "s1"


@dataclass(frozen=True)
class Author:
    """The header From's domain, and how strictly its policy compares."""

    domain: str
    organization: str
    is_spf_strict: bool = False
    is_dkim_strict: bool = False


@dataclass(frozen=True)
class Leg:
    """One way in which a mail may pass."""

    name: str  # SPF or DKIM
    identifier: Identifier
    is_strict: bool  # the mode in force
    is_the_same: bool  # strictly aligned
    is_of_the_organization: bool  # relaxedly aligned

    @property
    def is_aligned(self) -> bool:
        return self.is_the_same if self.is_strict else self.is_of_the_organization

    @property
    def result(self) -> Result:
        return self.result_if(is_strict=self.is_strict)

    def result_if(self, *, is_strict: bool) -> Result:
        """Return what this leg gives in one of the two modes."""
        is_aligned = self.is_the_same if is_strict else self.is_of_the_organization
        if not is_aligned or self.identifier.works is False:
            return Result.FAIL
        return Result.PASS if self.identifier.works else Result.UNKNOWN

    @property
    def holds(self) -> bool:
        return self.result is Result.PASS

    @property
    def short(self) -> str:
        """Say it in three words."""
        if not self.is_aligned:
            return "strict mode wants the same" if self.is_of_the_organization else "not aligned"
        told = {True: "aligned, works", False: "aligned, broken", None: "aligned, not known"}
        return told[self.identifier.works]

    @property
    def sentence(self) -> str:
        """Say why it holds or doesn't."""
        what = "the return path" if self.name == "SPF" else "the signature's domain"
        domain = self.identifier.domain
        if not self.is_aligned:
            if self.is_of_the_organization:
                return f"{what} {domain} is of the same organization, and the policy wants the very same domain"
            return f"{what} {domain} belongs to another organization"
        if self.identifier.works is None:
            return f"{domain} is aligned, and whether it works is not known"
        if not self.identifier.works:
            broken = "SPF does not pass for" if self.name == "SPF" else "the key does not work at"
            return f"{domain} is aligned, but {broken} it"
        return f"{domain} is aligned and works"


@dataclass(frozen=True)
class Alignment:
    """What DMARC makes of a mail."""

    author: Author
    legs: tuple[Leg, ...]

    @property
    def result(self) -> Result:
        return self._of(leg.result for leg in self.legs)

    def result_if(self, *, is_strict: bool) -> Result:
        """Return the result if the policy compared both legs in that mode."""
        return self._of(leg.result_if(is_strict=is_strict) for leg in self.legs)

    @staticmethod
    def _of(results: Iterable[Result]) -> Result:
        found = set(results)
        best = [one for one in (Result.PASS, Result.UNKNOWN) if one in found]
        return best[0] if best else Result.FAIL

    @property
    def passes_by(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(leg.name for leg in self.legs if leg.holds))

    @property
    def spf(self) -> Leg | None:
        return next((leg for leg in self.legs if leg.name == "SPF"), None)

    @property
    def dkim(self) -> tuple[Leg, ...]:
        return tuple(leg for leg in self.legs if leg.name == "DKIM")


def align(
    author: Author, envelope: Identifier | None, signatures: Sequence[Identifier]
) -> Alignment:
    """Return what DMARC makes of a mail from `author` with this envelope sender and these signatures."""
    legs = [_leg("SPF", author, envelope, is_strict=author.is_spf_strict)] if envelope else []
    legs += [_leg("DKIM", author, one, is_strict=author.is_dkim_strict) for one in signatures]
    return Alignment(author, tuple(legs))


def _leg(name: str, author: Author, one: Identifier, *, is_strict: bool) -> Leg:
    same = one.domain.lower() == author.domain.lower()
    related = same or (bool(one.organization) and one.organization == author.organization)
    return Leg(name, one, is_strict, same, related)


def change_to_make(
    alignment: Alignment, *, signs_here: bool = False, named: str = "on the transport"
) -> str:
    """Say what makes the mail pass, or pass more safely; nothing where it passes by DKIM already.

    `named` says where a provider's selector is named.
    """
    author = alignment.author
    broken = [
        leg.identifier.label
        for leg in alignment.dkim
        if leg.is_aligned and leg.identifier.works is False
    ]
    if "DKIM" in alignment.passes_by:
        return ""
    if broken:
        return f"Mend the DKIM key {', '.join(broken)} of {author.domain}."
    if signs_here:
        sign = f"Make a key on the Signing page of {author.domain} and let mailops sign with it."
    else:
        sign = f"Let the provider sign as {author.domain}, and name its DKIM selector {named}."
    if "SPF" in alignment.passes_by:
        return f"{_LONELY}{sign}"
    return " ".join(filter(None, [sign, _change_of_spf(author, alignment.spf)]))


def _change_of_spf(author: Author, spf: Leg | None) -> str:
    if spf is None:
        return ""
    if spf.is_aligned:
        broken = spf.identifier.works is False
        return f"Or mend the SPF record of {spf.identifier.domain}." if broken else ""
    wanted = author.domain if spf.is_strict else f"a host under {author.organization}"
    return f"Or use {wanted} as the return path."
