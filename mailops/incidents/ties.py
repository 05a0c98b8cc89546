"""What holds a stream to its domain: the mail channels that tell of incidents through it."""

from mailops.incidents.models import NotificationChannel
from mailops.transports.models import Stream


def ties(stream: Stream) -> dict[str, str]:
    """Return why `stream` can't become what it is in memory while channels tell through it: field → sentence."""
    kind = NotificationChannel.Kind.MAIL
    channels = NotificationChannel.objects.filter(stream=stream, kind=kind, is_enabled=True)
    held = channels.exclude(identity__domain=stream.domain_id).order_by("name")
    if not held:
        return {}
    names = ", ".join(f"“{channel}”" for channel in held)
    return {
        "domain": f"Incidents are told of through this stream ({names}), from a sender that is not at {stream.domain}. "
        "First choose another stream there, under Incidents, Notifications."
    }
