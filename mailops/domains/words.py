"""Shows what changed between two versions of a record, word by word."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True)
class Word:
    text: str
    is_added: bool = False
    is_removed: bool = False


def difference(before: Sequence[str], after: Sequence[str]) -> list[Word]:
    """Return the words of both in order, those only in `before` or only in `after` marked."""
    old = [word for value in before for word in value.split()]
    new = [word for value in after for word in value.split()]
    words: list[Word] = []
    for act, old_from, old_to, new_from, new_to in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        is_same = act == "equal"
        words += [] if is_same else [Word(word, is_removed=True) for word in old[old_from:old_to]]
        words += [Word(word, is_added=not is_same) for word in new[new_from:new_to]]
    return words
