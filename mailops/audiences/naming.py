"""Names of attributes: what a template can read, and what it would misread."""

import re
import unicodedata

from mailops.content.variables import BUILT_IN, CLOCK

MAX_NAME = 40
NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
LIQUID_WORDS = frozenset(
    "and or not contains in with as by if else elsif endif unless for true false nil null none blank "  # noqa: SIM905 - thirty words read best as words
    "empty forloop tablerowloop continue break".split()
)
RESERVED = LIQUID_WORDS | CLOCK | {name.split(".")[0] for name in BUILT_IN}


def liquid_name(text: str) -> str:
    """Return `text` as a name that Liquid can read: "First name" → "first_name", "Straße" → "strasse"."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:MAX_NAME]
    if not name:
        return ""
    name = name if name[0].isalpha() else f"c_{name}"[:MAX_NAME]
    return f"{name}_"[:MAX_NAME] if name in RESERVED else name


def problem_of_name(name: str) -> str:
    """Say why `name` can't name an attribute, or nothing."""
    if not name:
        return "Give the attribute a name, or leave the column out."
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        return f"Use small letters, digits and _, at most {MAX_NAME}, not beginning with a digit: first_name."
    if name in RESERVED:
        return f"“{name}” has a meaning of its own in templates. Take another name."
    return ""


def free_name(name: str, taken: set[str]) -> str:
    """Return `name`, with a number where it is taken, and take it."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name[: MAX_NAME - 4].rstrip('_')}_{number}", number + 1
    taken.add(free)
    return free
