"""Takes one message into the ledger: an API call, a test send, an alarm by mail."""

import json
from typing import Any
from uuid import UUID

from mailops.content.models import TemplateVersion
from mailops.domains.models import Identity
from mailops.lib.resolver import mailbox_provider_at_hand
from mailops.outbox.hinting import hint_after_commit
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import Message
from mailops.outbox.tokens import current_token_key_id
from mailops.protocol.address import InvalidAddress, parse_address, trimmed
from mailops.transports.models import Stream


class RefusedSubmission(Exception):
    """The message can't be taken; the text says why, for the person who submitted it."""


def submit(
    *,
    stream: Stream,
    identity: Identity,
    recipient: str,
    version: TemplateVersion,
    merge_data: dict[str, Any],
    idempotency_key: str | None = None,
) -> Message:
    """Write the message and its queue entry; the same `idempotency_key` again returns the first message.

    Raise RefusedSubmission for an address or an identity that can't be used.
    """
    try:
        address = parse_address(recipient)
    except InvalidAddress as error:
        raise RefusedSubmission(str(error)) from error
    if identity.domain_id != stream.domain_id:
        raise RefusedSubmission(
            f"{identity.addr_spec} is not of this stream's domain, {stream.domain}."
        )
    public_id = _insert(
        {
            "recipient": trimmed(recipient),
            "address_key": address.key,
            "provider": mailbox_provider_at_hand(address.domain),
            "stream": stream.pk,
            "lane": stream.kind,
            "expiry": stream.expiry_seconds,
            "identity": identity.pk,
            "domain": identity.domain_id,
            "version": version.pk,
            "merge_data": json.dumps(merge_data),
            "key": idempotency_key or None,
            "token_key": current_token_key_id(),
        }
    )
    if public_id is not None:
        hint_after_commit(stream.kind)
        return Message.objects.get(public_id=public_id)
    if idempotency_key and (
        known := Message.objects.filter(idempotency_key=idempotency_key).first()
    ):
        return known
    raise RefusedSubmission(
        "The stream, the sender or the template was deleted at this very moment."
    )


# Message, queue entry and tally are one statement; a known idempotency key inserts none of them. What the message refers
# to is locked, since nothing else keeps it from being deleted meanwhile.
_SUBMIT = """
WITH made AS (
    INSERT INTO outbox_message (recipient, address_key, stream_id, identity_id, version_id, merge_data,
           idempotency_key, token_key_id, status, evidence, round, positive_from_round, reason, sentence,
           reply_enhanced_status, reply_text, reply_command, transport_message_id, mailbox_provider, was_resent)
    SELECT %(recipient)s, %(address_key)s, s.id, i.id, v.id, %(merge_data)s::jsonb,
           %(key)s, %(token_key)s, 'queued', 0, 0, 0, '', '', '', '', '', '', %(provider)s, FALSE
      FROM transports_stream s, domains_identity i, content_templateversion v
     WHERE s.id = %(stream)s AND i.id = %(identity)s AND v.id = %(version)s
       FOR KEY SHARE
    ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, public_id
), queued AS (
    INSERT INTO outbox_queueentry (message_id, lane, stream_id, address_key, mailbox_provider, pool, due_at, expires_at,
           attempts, session_attempts, is_held)
    SELECT id, %(lane)s, %(stream)s, %(address_key)s, %(provider)s, outbox_pool(%(provider)s), clock_timestamp(),
           clock_timestamp() + make_interval(secs => %(expiry)s), 0, 0, FALSE FROM made
), counted AS (
    INSERT INTO outbox_tally (bucket_at, measure, kind, reason, stream_id, domain_id, version_id,
           mailbox_provider, n)
    SELECT date_bin('15 minutes', clock_timestamp(), TIMESTAMPTZ '2000-01-01 00:00Z'), 'status', 'queued', '',
           %(stream)s, %(domain)s, %(version)s, '', 1 FROM made
)
SELECT public_id FROM made
"""


def _insert(values: dict[str, Any]) -> UUID | None:
    rows = fetch_dicts(_SUBMIT, values)
    return rows[0]["public_id"] if rows else None
