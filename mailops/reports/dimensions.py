"""The columns that counts are rolled up by, alone and in pairs, and which rollup answers a question."""

from itertools import combinations

DIMENSIONS = ("stream_id", "transport_id", "domain_id", "campaign_id", "mailbox_provider")
PAIRS = tuple(combinations(DIMENSIONS, 2))
STEPS = (15, 60, 1440)  # minutes; each ends where one of the next does


def _text(column: str) -> str:
    # A provider that mailops doesn't know is called by its domain, and there are as many of those as there are companies.
    if column == "mailbox_provider":
        return "CASE WHEN strpos(c.mailbox_provider, '.') = 0 THEN c.mailbox_provider ELSE '' END"
    return f"coalesce(c.{column}::text, '')"


_SINGLE = [("", "''", "''"), *((one, _text(one), "''") for one in DIMENSIONS)]
_PAIRED = [(f"{one} {other}", _text(one), _text(other)) for one, other in PAIRS]

# Rows of a rollup from those of `source`, which has a count's columns.
EXPANDED = f"""
SELECT s.step, d.dimension, d.value, d.other,
       date_bin(make_interval(mins => s.step), c.cohort_at, TIMESTAMPTZ '2000-01-01 00:00Z') AS at,
       c.measure, c.kind, c.reason, c.n
  FROM {{source}} c
 CROSS JOIN (VALUES {", ".join(f"({step})" for step in STEPS)}) s(step)
 CROSS JOIN LATERAL (VALUES
       {", ".join(f"('{name}', {value}, {other}, FALSE)" for name, value, other in _SINGLE)},
       {", ".join(f"('{name}', {value}, {other}, TRUE)" for name, value, other in _PAIRED)}
       ) d(dimension, value, other, is_pair)
 WHERE c.measure <> 'status' AND (c.measure = 'event' OR NOT d.is_pair)
"""  # noqa: S608 - names of our own
