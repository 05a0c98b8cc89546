"""Finds what the sandbox captured of our own mail, and which template versions a stream uses."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.content.models import TemplateVersion
from mailops.domains.models import Identity
from mailops.outbox.models import Message
from mailops.protocol.message_id import parse_message_id
from mailops.reports.models import Count
from mailops.sandbox.models import CapturedMessage
from mailops.transports.models import Stream

LATELY = timedelta(days=30)
LOOKED_AT = 500  # newest captured messages; what is older proves little of today
_OPEN = [
    Campaign.State.DRAFT,
    Campaign.State.SCHEDULED,
    Campaign.State.RUNNING,
    Campaign.State.PAUSED,
]


@dataclass(frozen=True)
class InUse:
    """A template version that a stream sends, or is to send by a draft, and as whom."""

    version: TemplateVersion
    identity: Identity
    campaign_id: int | None = None
    campaign_name: str = ""
    is_draft: bool = False  # of drafts alone, which send nothing yet


def in_use(stream: Stream) -> list[InUse]:
    """Return each version that `stream` sends: of its open campaigns, else of its last one, else of what it sent lately."""
    campaigns = stream.campaigns.select_related("version__template", "identity__domain")
    chosen = list(campaigns.filter(state__in=_OPEN).order_by("-id")) or list(
        campaigns.order_by("-id")[:1]
    )
    drafts_first = sorted(chosen, key=lambda campaign: not campaign.is_draft)
    found = {
        campaign.version_id: InUse(
            campaign.version, campaign.identity, campaign.pk, campaign.name, campaign.is_draft
        )
        for campaign in drafts_first
    }
    return list(found.values()) or _sent_lately(stream)


def versions_sent(stream: Stream) -> list[int]:
    """Return the ids of the versions in use but for those of drafts; theirs too where there is nothing else."""
    uses = in_use(stream)
    return sorted(use.version.pk for use in [use for use in uses if not use.is_draft] or uses)


def _sent_lately(stream: Stream) -> list[InUse]:
    """Return the versions of single messages, by their counts: the ledger has no index for this question."""
    identity = stream.domain.identities.select_related("domain").order_by("id").first()
    if identity is None:
        return []
    counted = Count.objects.filter(
        stream_id=stream.pk, bucket_at__gte=timezone.now() - LATELY, version_id__isnull=False
    )
    versions = TemplateVersion.objects.filter(pk__in=counted.values("version_id"))
    newest = versions.select_related("template").order_by("template_id", "-number")
    return [InUse(version, identity) for version in newest.distinct("template_id")]


def newest_of_stream(stream: Stream) -> CapturedMessage | None:
    """Return the newest captured mail that `stream` really sent, a probe of it included."""
    found = [one for one in (_newest_sent(stream), _newest_probe(stream)) if one]
    return max(found, key=lambda captured: captured.pk, default=None)


def _newest_probe(stream: Stream) -> CapturedMessage | None:
    probes = stream.mail_probes.exclude(captured=None).select_related("captured")
    probe = probes.order_by("-id").first()
    return probe.captured if probe else None


def _newest_sent(stream: Stream) -> CapturedMessage | None:
    captured: dict[UUID, CapturedMessage] = {}
    rows = CapturedMessage.objects.light().exclude(message_id="").order_by("-id")[:LOOKED_AT]
    for row in rows:
        if found := parse_message_id(row.message_id):
            captured.setdefault(found[0], row)
    sent = Message.objects.filter(public_id__in=captured, stream=stream)
    ours = set(sent.values_list("public_id", flat=True))
    return next((row for public_id, row in captured.items() if public_id in ours), None)
