"""Turns a running campaign's audience into messages, once, in chunks that can be repeated."""

import json
import logging
import time

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.dispatch.sweeping import sweep_suppressed
from mailops.lib.chunks import MAX_FAILURES
from mailops.lib.clock import database_now
from mailops.lib.database_away import is_away, will_pass
from mailops.lib.hours import opening
from mailops.lib.locks import session_lock
from mailops.lib.resolver import mailbox_providers
from mailops.outbox.hinting import hint_after_commit
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import QueueEntry
from mailops.outbox.tokens import current_token_key_id
from mailops.protocol.address import BEYOND_ASCII
from mailops.transports.models import PauseCause

logger = logging.getLogger(__name__)

# Members in one transaction: a third of a second here, so well under the five on any machine. More would not be quicker.
CHUNK = 4000
# then the task hands on to a new one, so that none keeps its process from stopping
RUN_SECONDS = 2.0
DNS_SECONDS = 0.5  # of a chunk: a silent name server must not keep a launch waiting


def expand_for_a_while() -> bool:
    """Expand running campaigns for some seconds, unless another process is at it; return whether to go on at once."""
    with session_lock("dispatch.expand") as is_ours:
        if not is_ours:
            return False
        expand_running()
    return has_unexpanded()


def has_unexpanded() -> bool:
    """Tell whether a running campaign's audience is yet to be read to its end."""
    return _unexpanded().exists()


def expand_running(*, seconds: float = RUN_SECONDS) -> int:
    """Expand chunks of running campaigns, the oldest first, until the time is over; return how many rows were made.

    Where the database broke a chunk off, to end a deadlock, say, the younger campaigns have their turn; then that is
    raised, and the next tick repeats the chunk. MAX_FAILURES in a row that are the chunk's own pause the campaign.
    """
    made, ends_at = 0, time.monotonic() + seconds
    broken_off: dict[int, OperationalError] = {}
    while campaign := _unexpanded().exclude(pk__in=broken_off).order_by("started_at", "pk").first():
        try:
            made += expand_chunk(campaign.pk)
            _set_failures(campaign, 0)
        except Exception as error:
            if is_away(error):  # or was, for this process, which was frozen
                raise
            if isinstance(error, OperationalError):
                broken_off[campaign.pk] = error
                if not will_pass(error):
                    _count_failure(campaign, error)
                continue  # however long that took
            logger.exception("campaign %d could not be expanded", campaign.pk)
            _pause(
                campaign,
                "mailops failed while it read the audience. Its log has the cause; resuming tries again.",
                error,
            )
        if time.monotonic() >= ends_at:
            break
    if broken_off:
        raise next(iter(broken_off.values()))
    return made


def _count_failure(campaign: Campaign, error: OperationalError) -> None:
    """Count a chunk that the database broke off; after a few in a row the campaign waits for a person."""
    _set_failures(campaign, campaign.expansion_failures + 1)
    if campaign.expansion_failures >= MAX_FAILURES:
        _pause(
            campaign,
            f"The database broke off the reading of the audience {MAX_FAILURES} times in a row. The technical text has "
            "its reason: whoever runs the database can remove it. Resuming goes on where it was.",
            error,
        )


def _set_failures(campaign: Campaign, failures: int) -> None:
    if campaign.expansion_failures != failures:
        campaign.expansion_failures = failures
        campaign.save(update_fields=["expansion_failures"])


def _pause(campaign: Campaign, sentence: str, error: Exception) -> None:
    campaign.pause(cause=PauseCause.FAULT, sentence=sentence, detail=repr(error))


def _unexpanded() -> QuerySet[Campaign]:
    return Campaign.objects.filter(state=Campaign.State.RUNNING, expanded_at=None)


def expand_chunk(campaign_id: int) -> int:
    """Make messages of the audience's next members; after the last one freeze `planned`. Return how many were made.

    Safe to repeat and to run twice at once: the campaign's row is locked, a campaign has one message for an address
    key, and the cursor moves in the same transaction.
    """
    domains, zones = _next_domains_and_zones(campaign_id)
    # asks DNS, so before anything is locked
    providers = mailbox_providers(domains, within=DNS_SECONDS)
    with transaction.atomic():
        campaign = _locked(campaign_id)
        if campaign is None:
            return 0
        if campaign.expansion_end is None:
            campaign.expansion_end = _last_member(campaign)
        counts = _expand(campaign, providers, zones)
        campaign.expansion_cursor = counts["last_id"] or campaign.expansion_end
        campaign.invalid += counts["invalid"]
        campaign.duplicates += counts["members"] - counts["invalid"] - counts["made"]
        campaign.save(update_fields=["expansion_cursor", "expansion_end", "invalid", "duplicates"])
        if counts["made"]:
            hint_after_commit(campaign.stream.kind)
    if campaign.expansion_cursor >= campaign.expansion_end:
        _finish(campaign_id)
    return counts["made"]


def _finish(campaign_id: int) -> None:
    # With the cursor at the end nobody makes rows any more, so a million are counted before the campaign is locked.
    rows = _rows_of(campaign_id)
    with transaction.atomic():
        campaign = _locked(campaign_id)
        if campaign is None:
            return
        campaign.expanded_at, campaign.planned = timezone.now(), rows
        campaign.save(update_fields=["expanded_at", "planned"])
    sweep_suppressed(QueueEntry.objects.filter(campaign_id=campaign_id))


def _locked(campaign_id: int) -> Campaign | None:
    """Lock the campaign and return it, if it is to be expanded still."""
    # Not its stream, whose lock would keep submissions and pauses waiting for a chunk.
    locked = Campaign.objects.select_for_update(of=("self",)).select_related("stream")
    campaign = locked.get(pk=campaign_id)
    is_to_do = campaign.state == Campaign.State.RUNNING and campaign.expanded_at is None
    return campaign if is_to_do else None


def _expand(campaign: Campaign, providers: dict[str, str], zones: list[str]) -> dict[str, int]:
    with connection.cursor() as cursor:
        # the chunk is read several times: memory for it, not files
        cursor.execute("SET LOCAL work_mem = '32MB'")
    parameters = _parameters(campaign, providers)
    if campaign.hours.are_set:
        sql, parameters["openings"] = _EXPAND_IN_HOURS, _openings(campaign, zones)
    else:
        sql = _EXPAND
    (counts,) = fetch_dicts(sql, parameters)
    return counts


def _openings(campaign: Campaign, zones: list[str]) -> str:
    """Return when mail to each of `zones` may leave, and until when, as JSON."""
    now = database_now()
    openings = {
        name: opening(campaign.hours, name or campaign.zone_if_unknown, now)
        for name in ["", *zones]
    }
    return json.dumps(
        {name: [each.opens_at, each.closes_at] for name, each in openings.items()}, default=str
    )


def _last_member(campaign: Campaign) -> int:
    rows = fetch_dicts(
        "SELECT coalesce(max(id), 0) AS id FROM audiences_membership WHERE audience_id = %s",
        [campaign.audience_id],
    )
    return int(rows[0]["id"])


def _rows_of(campaign_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbox_message WHERE campaign_id = %s", [campaign_id])
        return int(cursor.fetchone()[0])


def _next_domains_and_zones(campaign_id: int) -> tuple[list[str], list[str]]:
    rows = fetch_dicts(
        """
        SELECT DISTINCT substring(c.address_key FROM '[^@]*$') AS domain, c.time_zone
          FROM campaigns_campaign p
          JOIN LATERAL (SELECT contact_id FROM audiences_membership m
                         WHERE m.audience_id = p.audience_id AND m.id > p.expansion_cursor
                         ORDER BY m.id LIMIT %s) m ON TRUE
          JOIN audiences_contact c ON c.id = m.contact_id
         WHERE p.id = %s
        """,
        [CHUNK, campaign_id],
    )
    return sorted({row["domain"] for row in rows}), sorted({row["time_zone"] for row in rows})


def _parameters(campaign: Campaign, providers: dict[str, str]) -> dict[str, object]:
    return {
        "audience": campaign.audience_id,
        "cursor": campaign.expansion_cursor,
        "end": campaign.expansion_end,
        "chunk": CHUNK,
        "campaign": campaign.pk,
        "stream": campaign.stream_id,
        "lane": campaign.stream.kind,
        "identity": campaign.identity_id,
        "version": campaign.version_id,
        "domain": campaign.stream.domain_id,
        "token_key": current_token_key_id(),
        "expiry": campaign.stream.expiry_seconds,
        "providers": json.dumps(providers),
        "beyond_ascii": BEYOND_ASCII,
    }


# An address with letters outside ASCII would need SMTPUTF8 at the next hop: it is counted apart, as invalid. Before its
# last @ there may be another, in quotes.
_EXPAND_AT = r"""
WITH member AS (
    SELECT m.id, c.address, c.address_key, c.attributes, c.time_zone,
           substring(c.address_key FROM '[^@]*$') AS domain
      FROM (SELECT id, contact_id FROM audiences_membership
             WHERE audience_id = %(audience)s AND id > %(cursor)s AND id <= %(end)s
             ORDER BY id LIMIT %(chunk)s) m
      JOIN audiences_contact c ON c.id = m.contact_id
), valid AS (
    SELECT member.*, coalesce(%(providers)s::jsonb ->> member.domain, left(member.domain, 100)) AS provider
      FROM member
     WHERE member.address_key !~ %(beyond_ascii)s
), made AS (
    INSERT INTO outbox_message (recipient, address_key, stream_id, campaign_id, identity_id, version_id, merge_data,
           token_key_id, status, evidence, round, positive_from_round, reason, sentence, reply_enhanced_status,
           reply_text, reply_command, transport_message_id, mailbox_provider, was_resent)
    SELECT address, address_key, %(stream)s, %(campaign)s, %(identity)s, %(version)s, attributes,
           %(token_key)s, 'queued', 0, 0, 0, '', '', '', '', '', '', provider, FALSE
      FROM valid ORDER BY id
    ON CONFLICT (campaign_id, address_key) DO NOTHING
    RETURNING id, address_key, mailbox_provider
), queued AS (
    INSERT INTO outbox_queueentry (message_id, lane, stream_id, campaign_id, address_key, mailbox_provider, pool, due_at,
           owed_at, closes_at, expires_at, attempts, session_attempts, is_held)
    SELECT id, %(lane)s, %(stream)s, %(campaign)s, address_key, mailbox_provider, outbox_pool(mailbox_provider),
           due_at, due_at, closes_at, due_at + make_interval(secs => %(expiry)s), 0, 0, FALSE
      FROM {due}
), counted AS (
    INSERT INTO outbox_tally (bucket_at, measure, kind, reason, stream_id, campaign_id, domain_id, version_id,
           mailbox_provider, n)
    SELECT date_bin('15 minutes', clock_timestamp(), TIMESTAMPTZ '2000-01-01 00:00Z'), 'status', 'queued', '',
           %(stream)s, %(campaign)s, %(domain)s, %(version)s, '', count(*)
      FROM made HAVING count(*) > 0
)
SELECT (SELECT count(*) FROM member) AS members, (SELECT max(id) FROM member) AS last_id,
       (SELECT count(*) FROM member) - (SELECT count(*) FROM valid) AS invalid, (SELECT count(*) FROM made) AS made
"""

_EXPAND = _EXPAND_AT.replace(
    "{due}", "(SELECT *, clock_timestamp() AS due_at, NULL::timestamptz AS closes_at FROM made) due"
)
# Each zone has its opening. A zone that a contact was given this very moment has none: such an entry closes at once, and
# gets its own when it is moved into its hours.
_EXPAND_IN_HOURS = _EXPAND_AT.replace(
    "{due}",
    """made JOIN (
        SELECT address_key,
               greatest(clock_timestamp(), (%(openings)s::jsonb -> time_zone ->> 0)::timestamptz) AS due_at,
               CASE WHEN %(openings)s::jsonb ? time_zone THEN (%(openings)s::jsonb -> time_zone ->> 1)::timestamptz
                    ELSE clock_timestamp() END AS closes_at
          FROM valid) due USING (address_key)""",
)
