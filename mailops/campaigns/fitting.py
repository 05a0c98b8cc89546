"""Whether campaigns fit their stream: it is bulk, and their sender is of its domain."""

from django.db.models import F, Q

from mailops.campaigns.models import Campaign, CampaignQuerySet
from mailops.domains.models import Identity
from mailops.transports.models import Stream
from mailops.transports.ties import foreign_sender

_WHAT_TO_DO = (
    "Add another stream, or come back when its campaigns are completed, canceled or, as drafts, "
    "moved to another stream."
)

# of a campaign: it can't leave through its stream, for what `misfits` says
MISFIT = ~Q(stream__kind=Stream.Kind.BULK) | ~Q(identity__domain=F("stream__domain"))


def misfits(stream: Stream, identity: Identity | None) -> dict[str, str]:
    """Return why a campaign of `identity`, where that is known, can't leave through `stream`: field → sentence."""
    found = {}
    if not stream.is_bulk:
        found["stream"] = (
            "Campaigns leave through bulk streams: there mail can be unsubscribed from, and it never "
            "stands in the way of a password reset."
        )
    if identity and (why := foreign_sender(stream, identity)):
        found["identity"] = why
    return found


def ties(stream: Stream) -> dict[str, str]:
    """Return why `stream` can't become what it is in memory while campaigns are tied to it: field → sentence."""
    campaigns = Campaign.objects.filter(stream=stream).not_over().most_urgent_first()
    found = {}
    if not stream.is_bulk and (told := _told(campaigns)):
        found["kind"] = (
            f"{told}, and campaigns must be bulk mail, which can be unsubscribed from. {_WHAT_TO_DO}"
        )
    if told := _told(campaigns.exclude(identity__domain=stream.domain_id)):
        found["domain"] = f"{told}, with a sender that is not at {stream.domain}. {_WHAT_TO_DO}"
    return found


def _told(campaigns: CampaignQuerySet) -> str:
    first, more = campaigns.first(), campaigns.count() - 1
    if first is None:
        return ""
    named = f"“{first}” ({first.get_state_display().lower()})"
    if more > 0:
        return f"{named} and {more:,} more leave through this stream"
    return f"{named} leaves through this stream"
