"""Finds what the sandbox captured of our own mail, and which template versions a stream uses."""

from uuid import UUID

from mailops.campaigns.models import Campaign
from mailops.outbox.models import Message
from mailops.protocol.message_id import parse_message_id
from mailops.sandbox.models import CapturedMessage
from mailops.transports.models import Stream

LOOKED_AT = 500  # newest captured messages; what is older proves little of today
_OPEN = [
    Campaign.State.DRAFT,
    Campaign.State.SCHEDULED,
    Campaign.State.RUNNING,
    Campaign.State.PAUSED,
]


def campaigns_in_use(stream: Stream) -> list[Campaign]:
    """Return a campaign for each template version that `stream` sends: of its open campaigns, else of its last one."""
    campaigns = stream.campaigns.select_related("version__template", "identity__domain")
    chosen = list(campaigns.filter(state__in=_OPEN).order_by("-id")) or list(
        campaigns.order_by("-id")[:1]
    )
    return list({campaign.version_id: campaign for campaign in chosen}.values())


def newest_of_stream(stream: Stream) -> CapturedMessage | None:
    """Return the newest captured mail that `stream` really sent."""
    captured: dict[UUID, CapturedMessage] = {}
    rows = CapturedMessage.objects.light().exclude(message_id="").order_by("-id")[:LOOKED_AT]
    for row in rows:
        if found := parse_message_id(row.message_id):
            captured.setdefault(found[0], row)
    sent = Message.objects.filter(public_id__in=captured, stream=stream)
    ours = set(sent.values_list("public_id", flat=True))
    return next((row for public_id, row in captured.items() if public_id in ours), None)
