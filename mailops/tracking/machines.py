"""Tells a machine's look at a mail from a person's: scanners open and follow everything before anyone reads it.

What is known is little and one-sided: a scanner that hides can't be told. So what is a machine's is said to be so, with
the reason, and what is counted as people's is an upper bound. A link that only machines would find (a honeypot) isn't
used: screen readers find it, too, and filters take hidden links for fraud.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mailops.tracking.models import Hit, Look

# after the next hop took it: nobody is that quick, a scanner at the door is
AT_ONCE = timedelta(seconds=5)
BURST = timedelta(seconds=1)  # within which nobody follows two links
BESIDE_PROBE = timedelta(seconds=10)  # a scanner asks whether a page is there, then for the page

# Words by which scanners, fetchers and link checkers name themselves; a Cubot is a telephone.
_NAMES = re.compile(
    r"\b(?!cubot\b)(?:\w*bot|crawler|spider|slurp|preview|scanner|barracuda\w*|proofpoint|mimecast|safelinks|trendmicro|symantec"
    r"|curl|wget|python-\w+|go-http-client|java|okhttp|headless\w*|phantomjs|monitor\w*"
    r"|fireeye|forcepoint|fortinet|sophos\w*|ironport|cloudmark|zscaler|urldefense|mailscanner|linkcheck\w*"
    r"|axios|node-fetch|libwww-perl|apache-httpclient|guzzlehttp|winhttp\w*|scrapy|facebookexternalhit|microsoft office"
    r"|ms-office|bitlybot|skypeuripreview|whatsapp|slackbot\S*|virustotal\w*|palo alto\w*)\b",
    re.IGNORECASE,
)
# Programs that fetch a mail's pictures for their users: Gmail, Yahoo and others when it is opened, or ahead of that.
_PROXIES = re.compile(r"\b\w*(?:ImageProxy|MailProxy|image-?proxy)\b", re.IGNORECASE)
_APPLE = "Mozilla/5.0"  # Apple's Mail Privacy Protection says this and no more, and fetches all that arrives


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who looked, as far as one can tell; `why` are words that follow “since”, empty for a person."""

    who: Look.Who
    why: str = ""


@dataclass(frozen=True, slots=True)
class Beside:
    """What else was asked for of the same message."""

    kind: str
    link: int
    at: datetime


def judge(
    *,
    is_open: bool,
    user_agent: str,
    happened_at: datetime | None,
    accepted_at: datetime | None,
    told: Mapping[str, Any] | None = None,
    link: int = 0,
    beside: Iterable[Beside] = (),
) -> Verdict:
    """Return who looked; `told` is a provider's own event, `beside` what was asked for of the message around then."""
    why = why_no_person(
        user_agent=user_agent, told=told or {}, happened_at=happened_at, accepted_at=accepted_at
    )
    if not why and happened_at and not is_open:
        why = _in_a_burst(link, happened_at, beside)
    if why:
        return Verdict(Look.Who.MACHINE, why)
    name = "Apple Mail" if user_agent.strip() == _APPLE else ""
    if found := _PROXIES.search(user_agent[:500]):
        name = found[0]
    if not name:
        return Verdict(Look.Who.PERSON)
    if is_open:
        why = f"{name} fetches pictures for its users, maybe before they read"
        return Verdict(Look.Who.PROXY, why)
    return Verdict(Look.Who.MACHINE, f"it was followed by {name}, which only fetches")


def _in_a_burst(link: int, at: datetime, beside: Iterable[Beside]) -> str:
    for other in beside:
        apart = abs(other.at - at)
        if other.kind == Hit.Kind.CLICK and other.link != link and apart <= BURST:
            return "several links of the mail were followed within a second"
        if other.kind == Hit.Kind.PROBE and apart <= BESIDE_PROBE:
            return "a program had asked just then whether the page is there"
    return ""


def why_no_person(
    *,
    user_agent: str,
    told: Mapping[str, Any],
    happened_at: datetime | None,
    accepted_at: datetime | None,
) -> str:
    """Return why an open or click was no person's, as words that follow “since”, or an empty string.

    `told` is the provider's own event: some say themselves that it was a machine.
    """
    if told.get("sg_machine_open") is True:  # SendGrid: Apple's privacy protection
        return "the provider calls it a machine's"
    data = told.get("event-data")
    client = data.get("client-info") if isinstance(data, Mapping) else None
    if isinstance(client, Mapping) and client.get("bot"):  # Mailgun
        return "the provider calls it a machine's"
    if found := _NAMES.search(user_agent[:500]):
        return f"its program names itself {found[0]}"
    if happened_at and accepted_at and happened_at < accepted_at + AT_ONCE:
        seconds = max(0, round((happened_at - accepted_at).total_seconds()))
        return f"it came {seconds} s after the mail was taken, quicker than a person"
    return ""
