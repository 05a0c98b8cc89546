"""Rates that hold over all workers: an allowance in the database, taken in batches and given back unused."""

from django.db import connection, transaction

BURST_SECONDS = (
    10  # how much of a rate may be saved up, so that a batch of claims is worth its statement
)


def take_allowance(key: str, rate_per_minute: int | None, want: int) -> int:
    """Take up to `want` messages from the allowance of `key`; all of them where there is no rate."""
    if rate_per_minute is None or want <= 0:
        return max(want, 0)
    burst = _burst(rate_per_minute)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dispatch_allowance VALUES (%s, %s, clock_timestamp()) ON CONFLICT DO NOTHING",
            [key, burst],
        )
        # The row's lock orders concurrent takers; time is the database's.
        cursor.execute(
            """
            SELECT least(%s, level + extract(epoch FROM clock_timestamp() - refilled_at) * %s / 60)
              FROM dispatch_allowance WHERE key = %s FOR UPDATE
            """,
            [burst, rate_per_minute, key],
        )
        level = float(cursor.fetchone()[0])
        taken = min(want, int(level))
        cursor.execute(
            "UPDATE dispatch_allowance SET level = %s, refilled_at = clock_timestamp() WHERE key = %s",
            [level - taken, key],
        )
    return taken


def give_back(key: str, rate_per_minute: int | None, unused: int) -> None:
    """Return what was taken and not used."""
    if rate_per_minute is None or unused <= 0:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE dispatch_allowance SET level = least(%s, level + %s) WHERE key = %s",
            [_burst(rate_per_minute), unused, key],
        )


def _burst(rate_per_minute: int) -> float:
    return max(1.0, rate_per_minute * BURST_SECONDS / 60)
