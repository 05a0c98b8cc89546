"""What a probe says, before it is written down."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Proof:
    """`is_ok` is None where nothing could be found out: then nothing is concluded."""

    is_ok: bool | None
    sentence: str
    fix: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    versions: tuple[int, ...] = ()  # ids of the template versions it speaks of
    failing: tuple[int, ...] = ()  # those of them it says no of; none: of whatever is sent

    @classmethod
    def over(cls, problems: Iterable[tuple[str, str]], *, well: str, **more: Any) -> Self:
        """Return the proof over `problems`, each a sentence and its fix; `well` is the sentence without any."""
        found = list(problems)
        fixes = dict.fromkeys(fix for _, fix in found)
        return cls(
            is_ok=not found,
            sentence=" ".join(sentence for sentence, _ in found) or well,
            fix=" ".join(fixes),
            **more,
        )
