"""Tells a machine's look at a mail from a person's: scanners open and follow everything before anyone reads it.

What is known is little and one-sided: a scanner that hides can't be told. So what is left out is said so, and what is
counted is an upper bound.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

AT_ONCE = timedelta(
    seconds=5
)  # after the next hop took it: nobody is that quick, a scanner at the door is

# Words by which scanners, fetchers and link checkers name themselves.
_NAMES = re.compile(
    r"\b(?:\w*bot|crawler|spider|slurp|preview|scanner|barracuda\w*|proofpoint|mimecast|safelinks|trendmicro|symantec"
    r"|curl|wget|python-\w+|go-http-client|java|okhttp|headless\w*|phantomjs|monitor\w*)\b",
    re.IGNORECASE,
)


def why_no_person(
    *,
    user_agent: str,
    told: Mapping[str, Any],
    happened_at: datetime | None,
    accepted_at: datetime | None,
) -> str:
    """Return why an open or click was no person's, as words that follow “left out:”, or an empty string.

    `told` is the provider's own event: some say themselves that it was a machine.
    """
    if told.get("sg_machine_open") is True:  # SendGrid: Apple's privacy protection
        return "the provider calls it a machine’s"
    data = told.get("event-data")
    client = data.get("client-info") if isinstance(data, Mapping) else None
    if isinstance(client, Mapping) and client.get("bot"):  # Mailgun
        return "the provider calls it a machine’s"
    if found := _NAMES.search(user_agent[:500]):
        return f"its program names itself {found[0]}"
    if happened_at and accepted_at and happened_at < accepted_at + AT_ONCE:
        seconds = max(0, round((happened_at - accepted_at).total_seconds()))
        return f"it came {seconds} s after the mail was taken, quicker than a person"
    return ""
