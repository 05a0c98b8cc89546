"""The bench's rows in mailops: domain, stream, transport, template, and audiences of any size."""

import json
import os

from django.db import connection
from django.db.models import Count

from bench import letter
from bench.stage import BenchError
from mailops.audiences.curating import count_attributes
from mailops.audiences.models import Audience
from mailops.campaigns.models import Campaign
from mailops.content.drafting import create_template
from mailops.content.models import TemplateVersion
from mailops.content.publishing import publish
from mailops.dispatch.expansion import expand_running
from mailops.domains.models import Domain, Identity
from mailops.outbox.models import Message, QueueEntry, Status
from mailops.transports.models import Route, RunState, Stream, Transport

SESSIONS = 40  # of all processes together; a receiver like Postfix lets one client have 50


def make_identity() -> Identity:
    domain, _ = Domain.objects.get_or_create(name=letter.DOMAIN)
    identity, _ = Identity.objects.get_or_create(
        domain=domain, name=letter.SENDER_NAME, local_part=letter.SENDER
    )
    return identity


def make_stream(
    name: str, *, kind: str = "bulk", port: int = 0, sessions: int = SESSIONS
) -> Stream:
    """Make a paused stream with a transport of its own to the receiver at `port`."""
    transport = Transport.objects.create(
        name=name,
        host="127.0.0.1",
        port=port or int(os.environ["BENCH_SINK_PORT"]),
        security=Transport.Security.NONE,
        max_sessions=sessions,
    )
    stream = Stream.preset(kind)
    stream.name, stream.domain, stream.state = name, make_identity().domain, RunState.PAUSED
    stream.is_sensitive = False
    stream.save()
    Route.objects.create(stream=stream, transport=transport)
    return stream


def make_version() -> TemplateVersion:
    template = create_template(
        actor=None,
        name="Bench",
        draft_subject=letter.SUBJECT,
        draft_html=letter.HTML,
        draft_text=letter.TEXT,
        sample=letter.SAMPLE,
    )
    return publish(template, None)


def make_audience(size: int) -> Audience:
    """Make an audience of the first `size` recipients, whose data are those of `letter.attributes()`."""
    audience = Audience.objects.create(name=f"{size:,} recipients")
    data = json.dumps(letter.DATA)
    key, value = letter.PERSONAL, letter.DATA[letter.PERSONAL]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO audiences_contact (address, address_key, attributes, created_at, updated_at)
            SELECT address, address, %s::jsonb || jsonb_build_object(%s::text, %s::text || n), now(), now()
              FROM generate_series(0, %s - 1) AS n,
                   LATERAL (SELECT 'r' || n || '@inbox' || n %% %s || '.example' AS address) AS made
            ON CONFLICT (address_key) DO NOTHING
            """,
            [data, key, value, size, letter.RECIPIENT_DOMAINS],
        )
        cursor.execute(
            """
            INSERT INTO audiences_membership (audience_id, contact_id, consent, added_at)
            SELECT %s, id, '', now() FROM audiences_contact ORDER BY id LIMIT %s
            """,
            [audience.pk, size],
        )
        cursor.execute("ANALYZE audiences_contact, audiences_membership")
    count_attributes(audience_id=audience.pk)  # else housekeeping does it within the first turn
    return audience


def make_campaign(stream: Stream, version: TemplateVersion, audience: Audience) -> Campaign:
    return Campaign.objects.create(
        name=f"To {audience.name}",
        stream=stream,
        identity=make_identity(),
        version=version,
        audience=audience,
    )


def expand(campaign: Campaign) -> None:
    """Start the campaign and make all its rows now; they wait as long as the stream is paused."""
    campaign.start(actor=None)
    while campaign.expanded_at is None:
        expand_running()
        campaign.refresh_from_db()


def has_claims() -> bool:
    """Look into the small index of what is claimed; by itself PostgreSQL reads the queue, and what earlier turns left in it."""
    return bool(QueueEntry.objects.filter(worker_id__isnull=False).order_by("worker_id").first())


def has_open(campaign: Campaign) -> bool:
    return QueueEntry.objects.filter(campaign=campaign).exists()


def check_accepted(campaign: Campaign, recipients: int) -> None:
    """Raise unless mailops says of every recipient that it was accepted."""
    counted = Message.objects.filter(campaign=campaign).values_list("status")
    statuses = dict(counted.annotate(messages=Count("pk")).order_by())
    if statuses != {Status.ACCEPTED: recipients}:
        raise BenchError(f"mailops tells of {statuses} where {recipients:,} should be accepted")
