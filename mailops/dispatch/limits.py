"""Limits that hold over all workers: what they let through now stands in the database and is taken under a row's lock."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from math import ceil
from typing import Any, cast

from django.db import connection

from mailops.outbox.ledger import fetch_dicts

ANYBODY = ""  # whom a level belongs to that is not reserved for a stream
MOST_RESERVED = 0.9  # of a limit, by all streams: the others must not starve


@dataclass(frozen=True)
class Limit:
    """What may pass at most under one key, and which part of it streams have reserved."""

    key: str
    rate_per_minute: float | None = None
    per_day: int | None = None
    shares: Mapping[int, float] = field(default_factory=dict)  # stream id → part of the whole

    @property
    def is_open(self) -> bool:
        """Whether it lets everything through."""
        return self.rate_per_minute is None and self.per_day is None

    @property
    def of_a_second(self) -> int:
        """Return what a rate lets through in a second, and one message at least."""
        return max(1, ceil((self.rate_per_minute or 0) / 60))

    def of_a_day(self, stream_id: int) -> int:
        """Return how much of a day's number is open to a stream: the last of it is kept for those who reserved it."""
        return ceil((self.per_day or 0) * (1 - self.kept_from(stream_id)) - 1e-9)

    def kept_from(self, stream_id: int) -> float:
        """Return the part that is reserved for streams other than this one."""
        return sum(share for other, share in self.shares.items() if other != stream_id)


class Bucket:
    """One limit with its levels: messages that may leave now, for anybody or for a stream alone.

    Of a rate, one second's worth is saved up at most, and it fills so much slower that no minute ever sees more than
    the rate. What a full part can't take flows over to anybody, so a reserve that nobody uses costs nothing.
    """

    def __init__(
        self,
        limit: Limit,
        *,
        levels: Mapping[str, float],
        spent: int = 0,
        at: datetime | None = None,
        day: date | None = None,
    ) -> None:
        self.limit, self.spent, self.at, self.is_touched = limit, spent, at, False
        self.day = day  # of UTC, whose number `spent` is
        self._capacity = _capacity(limit)
        self._common: Counter[int] = Counter()  # stream id → what it took that anybody may have
        self.levels = {
            part: min(levels.get(part, most), most) for part, most in self._capacity.items()
        }

    def refill(self, seconds: float) -> None:
        """Let time fill the levels."""
        rate = self.limit.rate_per_minute
        if rate is None or seconds <= 0:
            return
        burst = sum(self._capacity.values())
        gained = max(rate - burst + 1, rate / 2) * seconds / 60
        over = gained
        for part, most in self._capacity.items():
            if part != ANYBODY:
                mine = gained * self.limit.shares[int(part)]
                level = self.levels[part] + mine
                self.levels[part] = min(level, most)
                over -= mine - max(0.0, level - most)
        self.levels[ANYBODY] = min(self.levels[ANYBODY] + over, self._capacity[ANYBODY])

    def room(self, stream_id: int) -> int:
        """Return how many messages of a stream may pass now."""
        rooms = []
        if self.limit.rate_per_minute is not None:
            # Not their sum: who has a part of its own would live on the crumbs of the others.
            own = self.levels.get(str(stream_id), 0.0)
            rooms.append(int(self.levels[ANYBODY] + 1e-9) + int(own + 1e-9))
        if self.limit.per_day is not None:
            rooms.append(self.limit.of_a_day(stream_id) - self.spent)
        return max(0, min(rooms))

    def fills_soon(self, stream_id: int) -> bool:
        """Tell whether only the next seconds are between a stream and its next message."""
        is_over = self.limit.per_day is not None and self.limit.of_a_day(stream_id) <= self.spent
        return self.limit.rate_per_minute is not None and not is_over and not self.room(stream_id)

    def take(self, stream_id: int, number: int) -> None:
        """Count messages of a stream that pass, what is reserved for it first; a negative number gives back."""
        if not number:
            return
        self.is_touched = True
        self.spent = max(0, self.spent + number)
        if self.limit.rate_per_minute is None:
            return
        part = str(stream_id)
        if part not in self.levels:
            self.levels[ANYBODY] -= number
            return
        if number > 0:
            common = number - min(number, int(self.levels[part] + 1e-9))
        else:
            common = max(number, -self._common[stream_id])
        self._common[stream_id] += common
        self.levels[ANYBODY] -= common
        self.levels[part] -= number - common


def _capacity(limit: Limit) -> dict[str, float]:
    """Return how much each part may save up: a second's worth, but one message at least."""
    rate = limit.rate_per_minute
    if rate is None:
        return {ANYBODY: 0.0}
    second = rate / 60
    # A very low rate is too little to be divided.
    shares = limit.shares if rate > 2 * (len(limit.shares) + 1) else {}
    free = second * (1 - sum(shares.values()))
    return {ANYBODY: max(1.0, free)} | {
        str(stream_id): max(1.0, second * share) for stream_id, share in shares.items()
    }


def open_buckets(limits: Iterable[Limit]) -> dict[str, Bucket]:
    """Lock the rows of `limits`, in the order of their keys, and return their buckets, filled up to now.

    In a transaction of the caller, who holds the rows until it ends: of two workers, the second sees what the first
    has taken.
    """
    wanted = {limit.key: limit for limit in limits}
    if not wanted:
        return {}
    rows = _locked(sorted(wanted))
    if len(rows) < len(wanted):
        _make(sorted(set(wanted) - {row["key"] for row in rows}))
        rows = _locked(sorted(wanted))
    return {row["key"]: _bucket(wanted[row["key"]], row) for row in rows}


def _bucket(limit: Limit, row: dict[str, Any]) -> Bucket:
    # Django leaves jsonb in raw cursors as text.
    levels, spent = json.loads(row["levels"]), row["spent"] if row["day"] == row["today"] else 0
    bucket = Bucket(limit, levels=levels, spent=spent, at=row["now"], day=row["today"])
    seconds = (row["now"] - row["refilled_at"]).total_seconds()
    bucket.refill(seconds)
    # The database's clock was set back: begin anew from where it stands.
    bucket.is_touched = seconds < 0
    return bucket


_TODAY = "(clock_timestamp() AT TIME ZONE 'UTC')::date"


def _locked(keys: list[str]) -> list[dict[str, Any]]:
    return fetch_dicts(
        f"""
        SELECT key, levels, refilled_at, spent, day, {_TODAY} AS today, clock_timestamp() AS now
          FROM dispatch_allowance WHERE key = ANY(%s) ORDER BY key FOR UPDATE
        """,  # noqa: S608 - a constant
        [keys],
    )


def _make(keys: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO dispatch_allowance (key, levels, refilled_at, day, spent)
            SELECT key, '{{}}', clock_timestamp(), {_TODAY}, 0 FROM unnest(%s::text[]) AS key ORDER BY key
                ON CONFLICT DO NOTHING
            """,  # noqa: S608 - a constant
            [keys],
        )


def close_buckets(buckets: Mapping[str, Bucket]) -> None:
    """Write what was taken, in the transaction that opened them."""
    values = [
        {
            "key": key,
            "levels": bucket.levels,
            "spent": bucket.spent,
            "day": bucket.day,
            "at": bucket.at,
        }
        for key, bucket in buckets.items()
        if bucket.is_touched
    ]
    if not values:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE dispatch_allowance a
               SET levels = v.levels, spent = v.spent, day = v.day, refilled_at = v.at
              FROM json_to_recordset(%s::json)
                AS v(key text, levels jsonb, spent int, day date, at timestamptz)
             WHERE a.key = v.key
            """,
            [json.dumps(values, default=str)],
        )


def scaled(shares: Mapping[int, float]) -> dict[int, float]:
    """Return the shares that are something, made smaller where together they would leave nothing to the others."""
    real = {stream_id: share for stream_id, share in shares.items() if share > 0}
    total = sum(real.values())
    factor = MOST_RESERVED / total if total > MOST_RESERVED else 1.0
    return {stream_id: share * factor for stream_id, share in real.items()}


def read_spent(keys: Iterable[str]) -> dict[str, int]:
    """Return what was taken today under `keys`, without locking anything: it may have grown already."""
    rows = fetch_dicts(
        f"SELECT key, spent FROM dispatch_allowance WHERE key = ANY(%s) AND day = {_TODAY}",  # noqa: S608 - a constant
        [sorted(keys)],
    )
    return {row["key"]: row["spent"] for row in rows}


def utc_today() -> date:
    """Return the present day of UTC, by the database's clock."""
    (row,) = fetch_dicts(f"SELECT {_TODAY} AS today", [])
    return cast("date", row["today"])
