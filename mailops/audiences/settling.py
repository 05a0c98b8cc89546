"""Settles a chunk of read rows with a handful of set-based statements over a staging table."""

import json
from dataclasses import dataclass, field

from django.db import connection

from mailops.audiences.models import Import
from mailops.suppressions.models import Suppression


@dataclass(frozen=True, slots=True)
class StagedRow:
    """One row of the file, understood or refused."""

    line: int
    cells: list[str]
    address: str = ""
    key: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    time_zone: str = ""
    refusal: str = ""

    def as_copied(self) -> tuple[int, str, str, str, str, str, str, str]:
        return (
            self.line,
            self.address,
            self.key,
            json.dumps(self.attributes, ensure_ascii=False),
            self.time_zone,
            json.dumps(self.cells, ensure_ascii=False),
            "rejected" if self.refusal else "",
            self.refusal,
        )


STAGING = """
    CREATE TEMPORARY TABLE import_staging (
        line bigint, address text, address_key text, attributes jsonb, time_zone text, cells jsonb,
        outcome text, reason text, is_changed boolean DEFAULT false
    ) ON COMMIT DROP
"""

# The first row of an address in the file counts, in this chunk or in one before it.
MEET_ADDRESSES = """
    INSERT INTO audiences_importedaddress (run_id, address_key, line)
    SELECT DISTINCT ON (address_key) %(run)s, address_key, line
    FROM import_staging WHERE outcome = '' ORDER BY address_key, line
    ON CONFLICT DO NOTHING
"""
MARK_DUPLICATES = """
    UPDATE import_staging AS staged
    SET outcome = 'duplicate', reason = 'The same person stands in line ' || seen.line || '.'
    FROM audiences_importedaddress AS seen
    WHERE staged.outcome = '' AND seen.run_id = %(run)s
      AND seen.address_key = staged.address_key AND seen.line <> staged.line
"""

# In the order of the key, so that two imports meeting the same people can't lock each other out.
STORE_CONTACTS = """
    WITH stored AS (
        INSERT INTO audiences_contact AS contact
            (address, address_key, attributes, time_zone, created_at, updated_at)
        SELECT address, address_key, attributes, time_zone, clock_timestamp(), clock_timestamp()
        FROM import_staging WHERE outcome = '' ORDER BY address_key
        ON CONFLICT (address_key) DO UPDATE
        SET attributes = contact.attributes || excluded.attributes,
            time_zone = coalesce(nullif(excluded.time_zone, ''), contact.time_zone),
            updated_at = clock_timestamp()
        WHERE NOT contact.attributes @> excluded.attributes
           OR excluded.time_zone NOT IN ('', contact.time_zone)
        RETURNING address_key
    )
    UPDATE import_staging AS staged SET outcome = 'updated', is_changed = true
    FROM stored WHERE stored.address_key = staged.address_key AND staged.outcome = ''
"""

STORE_MEMBERS = """
    WITH joined AS (
        INSERT INTO audiences_membership (audience_id, contact_id, consent, added_at)
        SELECT %(audience)s, contact.id, %(consent)s, clock_timestamp()
        FROM import_staging AS staged JOIN audiences_contact AS contact USING (address_key)
        WHERE staged.outcome IN ('', 'updated') ORDER BY staged.line
        ON CONFLICT (audience_id, contact_id) DO NOTHING
        RETURNING contact_id
    )
    UPDATE import_staging AS staged SET outcome = 'added'
    FROM joined JOIN audiences_contact AS contact ON contact.id = joined.contact_id
    WHERE contact.address_key = staged.address_key AND staged.outcome IN ('', 'updated')
"""

# Every audience that has one of the changed people is another one now; one that is being deleted is waited for by nobody.
RAISE_REVISIONS = """
    WITH touched AS (
        SELECT id FROM audiences_audience WHERE deleted_at IS NULL AND id IN (
            SELECT membership.audience_id
            FROM import_staging AS staged
            JOIN audiences_contact AS contact USING (address_key)
            JOIN audiences_membership AS membership ON membership.contact_id = contact.id
            WHERE staged.is_changed
               OR (staged.outcome = 'added' AND membership.audience_id = %(audience)s)
        ) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE audiences_audience SET revision = revision + 1 WHERE id IN (SELECT id FROM touched)
"""

# The membership is kept, the suppression stands: nobody is revived by a file.
MARK_SUPPRESSED = """
    UPDATE import_staging AS staged
    SET outcome = 'suppressed', reason = suppressed.reason
    FROM (
        SELECT address_key, min(
            (%(suppression_reasons)s::jsonb ->> reason)
            || ', since ' || to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
            || CASE WHEN stream_id IS NULL THEN '' ELSE ', in one stream' END
            || '. Gets no mail until the suppression is removed.') AS reason
        FROM suppressions_suppression
        WHERE (expires_at IS NULL OR expires_at > clock_timestamp())
          AND address_key IN (SELECT address_key FROM import_staging)
        GROUP BY address_key
    ) AS suppressed
    WHERE suppressed.address_key = staged.address_key AND staged.outcome IN ('', 'added', 'updated')
"""

KEEP_REMARKS = """
    INSERT INTO audiences_importremark (run_id, line, outcome, reason, cells)
    SELECT %(run)s, line, outcome, reason, cells FROM import_staging
    WHERE outcome IN ('rejected', 'duplicate', 'suppressed') ORDER BY line
"""

COUNT_OUTCOMES = """
    SELECT CASE outcome WHEN '' THEN 'unchanged' ELSE outcome END, count(*)
    FROM import_staging GROUP BY 1
"""


def settle(run: Import, rows: list[StagedRow]) -> None:
    """Store `rows` and add them to the account of `run`."""
    names: dict[str, str | int] = {
        "run": run.pk,
        "audience": run.audience_id,
        "consent": run.consent,
        "suppression_reasons": json.dumps(dict(Suppression.Reason.choices)),
    }
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS import_staging")
        cursor.execute(STAGING)
        with cursor.copy(
            "COPY import_staging (line, address, address_key, attributes, time_zone, cells, outcome, reason) FROM STDIN"
        ) as copy:
            for row in rows:
                copy.write_row(row.as_copied())
        cursor.execute("ANALYZE import_staging")
        for statement in (
            MEET_ADDRESSES,
            MARK_DUPLICATES,
            STORE_CONTACTS,
            STORE_MEMBERS,
            RAISE_REVISIONS,
            MARK_SUPPRESSED,
            KEEP_REMARKS,
        ):
            cursor.execute(statement, names)
        cursor.execute(COUNT_OUTCOMES)
        for outcome, count in cursor.fetchall():
            setattr(run, outcome, getattr(run, outcome) + count)
    run.rows += len(rows)
