"""Reads MTA-STS: the record that says there is a policy, and the policy (RFC 8461)."""

import re
from dataclasses import dataclass

MODES = ("enforce", "testing", "none")
LONGEST_SECONDS = 31_557_600  # section 3.2
_AGE = re.compile(r"[0-9]{1,10}")  # section 3.2
_ID = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_RECORD = re.compile(r"v[ \t]*=[ \t]*STSv1[ \t]*(;|$)")
_PATTERN = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+", re.IGNORECASE)


@dataclass(frozen=True)
class StsPolicy:
    mode: str
    exchanges: tuple[str, ...]  # names, or patterns such as *.example.com
    problems: tuple[str, ...]

    def lets_in(self, exchange: str) -> bool:
        """Tell whether the policy names `exchange`; an asterisk stands for one label (section 4.1)."""
        name = exchange.rstrip(".").lower()
        return any(
            name.partition(".")[2] == pattern[2:] if pattern.startswith("*.") else name == pattern
            for pattern in self.exchanges
        )


def is_sts(text: str) -> bool:
    return _RECORD.match(text) is not None


def sts_id(record: str) -> str:
    """Return the policy's id in a record; empty where there is none that is valid."""
    pairs = (piece.partition("=") for piece in record.split(";"))
    tags = {name.strip(): value.strip() for name, _, value in pairs}
    identifier = tags.get("id", "")
    return identifier if _ID.fullmatch(identifier) else ""


def parse_policy(text: str) -> StsPolicy:
    """Read a policy; what can't be read is in `problems`."""
    lines = [line.partition(":") for line in text.splitlines() if line.strip()]
    pairs = [(name.strip(), value.strip()) for name, _, value in lines]
    fields = dict(reversed(pairs))  # the first of several counts
    exchanges = tuple(value.lower() for name, value in pairs if name == "mx")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    is_age = bool(_AGE.fullmatch(age)) and int(age) <= LONGEST_SECONDS
    problems = [
        *(["it has no “version: STSv1”"] if fields.get("version") != "STSv1" else []),
        *([f"its mode “{mode[:40]}” is none of {', '.join(MODES)}"] if mode not in MODES else []),
        *([f"its max_age “{age[:40]}” is no number of seconds up to a year"] if not is_age else []),
        *(
            f"“{mx[:60]}” is not the name of an MX"
            for mx in exchanges
            if not _PATTERN.fullmatch(mx)
        ),
        *(["it names no MX"] if mode in MODES[:2] and not exchanges else []),
    ]
    return StsPolicy(mode, exchanges, tuple(problems))
