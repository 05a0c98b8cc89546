"""Shows what changed between two versions of a record, word by word."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    text: str
    is_added: bool = False
    is_removed: bool = False


def difference(before: Sequence[str], after: Sequence[str]) -> list[Word]:
    """Return the words of `after` and the lost ones of `before`, marked, to show what changed."""
    old = [word for value in before for word in value.split()]
    new = [word for value in after for word in value.split()]
    return [Word(word, is_removed=True) for word in old if word not in new] + [
        Word(word, is_added=word not in old) for word in new
    ]
