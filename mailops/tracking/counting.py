"""Keeps looks once each and counts them by link, in one transaction; and recounts them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import F, Q, Sum
from django.utils import timezone

from mailops.outbox.models import Message
from mailops.tracking.machines import Verdict
from mailops.tracking.models import Look, LookCount

COLUMNS = {Look.Who.PERSON: "people", Look.Who.PROXY: "proxies", Look.Who.MACHINE: "machines"}


@dataclass(frozen=True, slots=True)
class NewLook:
    message: Message
    kind: Look.Kind
    link: int
    verdict: Verdict
    at: datetime
    written: str = ""

    @property
    def key(self) -> tuple[int, str, int, str]:
        return self.message.pk, self.kind, self.link, self.verdict.who


class LinkFigure(NamedTuple):
    """One link, and how many messages it was followed in."""

    written: str
    people: int
    machines: int


@dataclass(frozen=True)
class Difference:
    """A count of looks that is not what it is counted from."""

    key: tuple[Any, ...]
    recount: int
    count: int

    def __str__(self) -> str:
        return f"looks {self.key}: counted {self.count}, by looks {self.recount}"


_KEEP = """
INSERT INTO tracking_look (message_id, kind, link, who, why, written, first_at, last_at, times)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::text[], %s::text[], %s::text[],
                     %s::timestamptz[], %s::timestamptz[], %s::int[])
ON CONFLICT (message_id, kind, link, who) DO UPDATE
   SET times = tracking_look.times + excluded.times, last_at = greatest(tracking_look.last_at, excluded.last_at)
RETURNING message_id, kind, link, who, xmax = 0
"""
_COUNT = """
INSERT INTO tracking_lookcount (stream_id, campaign_id, day, kind, link, written, people, proxies, machines)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::text[], %s::int[], %s::text[],
                     %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (stream_id, campaign_id, day, kind, link) DO UPDATE
   SET people = tracking_lookcount.people + excluded.people, proxies = tracking_lookcount.proxies + excluded.proxies,
       machines = tracking_lookcount.machines + excluded.machines
"""
_DIFFERENCE = """
WITH looks AS (
    SELECT m.stream_id, m.campaign_id, (l.first_at AT TIME ZONE 'UTC')::date AS day, l.kind, l.link, l.who, count(*) AS n
      FROM tracking_look l JOIN outbox_message m ON m.id = l.message_id GROUP BY 1, 2, 3, 4, 5, 6
), counts AS (
    SELECT stream_id, campaign_id, day, kind, link, who, n FROM tracking_lookcount
     CROSS JOIN LATERAL (VALUES ('person', people), ('proxy', proxies), ('machine', machines)) AS v (who, n)
), both_sides AS (
    SELECT stream_id, campaign_id, day, kind, link, who, n AS recount, 0 AS count FROM looks
    UNION ALL SELECT stream_id, campaign_id, day, kind, link, who, 0, n FROM counts
)
SELECT stream_id, campaign_id, day, kind, link, who, sum(recount)::bigint, sum(count)::bigint FROM both_sides
 WHERE day > %s GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(recount) <> sum(count) ORDER BY 3, 1, 2, 4, 5, 6 LIMIT %s
"""


def note_looks(looks: Sequence[NewLook]) -> list[NewLook]:
    """Keep `looks`, count those that are first of their kind, and return these; call it inside a transaction."""
    times = Counter(look.key for look in looks)
    last: dict[tuple[int, str, int, str], datetime] = {}
    first: dict[tuple[int, str, int, str], NewLook] = {}
    for look in sorted(looks, key=lambda look: look.at):
        first.setdefault(look.key, look)
        last[look.key] = look.at
    if not first:
        return []
    rows = sorted(first.items())  # in one order, so that two writers don't wait for each other
    ordered = [look for _, look in rows]
    columns: list[Any] = [
        [look.message.pk for look in ordered],
        [look.kind.value for look in ordered],
        [look.link for look in ordered],
        [look.verdict.who.value for look in ordered],
        [look.verdict.why[:200] for look in ordered],
        [look.written for look in ordered],
        [look.at for look in ordered],
        [last[key] for key, _ in rows],
        [times[key] for key, _ in rows],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, columns)
        new = {tuple(row[:4]) for row in cursor.fetchall() if row[4]}
    found = [look for key, look in rows if key in new]
    _count(found)
    return found


def _count(looks: Iterable[NewLook]) -> None:
    counts: Counter[tuple[Any, ...]] = Counter()
    written: dict[tuple[Any, ...], str] = {}
    for look in looks:
        message = look.message
        day = look.at.astimezone(UTC).date()
        key = (message.stream_id, message.campaign_id or 0, day, look.kind.value, look.link)
        counts[*key, look.verdict.who] += 1
        written[key] = look.written
    keys = sorted(written)
    if not keys:
        return
    columns = [
        [key[0] for key in keys],
        [key[1] or None for key in keys],
        *([key[place] for key in keys] for place in (2, 3, 4)),
        [written[key] for key in keys],
        *([counts[*key, who] for key in keys] for who in COLUMNS),
    ]
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, columns)


def top_links(
    *, since: date | None = None, until: date | None = None, limit: int = 10, **of: int
) -> list[LinkFigure]:
    """Return the links followed most, of a `campaign_id` or a `stream_id`, by people first; `until` is left out."""
    found = LookCount.objects.filter(Q(**of), kind=Look.Kind.CLICK).exclude(link=0)
    if since:
        found = found.filter(day__gte=since)
    if until:
        found = found.filter(day__lt=until)
    rows = found.values("link", "written").annotate(
        p=Sum("people"), m=Sum(F("machines") + F("proxies"))
    )
    rows = rows.order_by("-p", "-m", "written")[:limit]
    return [LinkFigure(row["written"], row["p"], row["m"]) for row in rows]


def look_differences(limit: int = 100) -> list[Difference]:
    """Return where counts of looks are not what the looks say, of days none of which were forgotten."""
    kept = timezone.now().astimezone(UTC).date() - timedelta(days=settings.MAILOPS_LOOK_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCE, [kept, limit])
        return [Difference(tuple(row[:-2]), row[-2], row[-1]) for row in cursor.fetchall()]
