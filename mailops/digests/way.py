"""By which stream, and from whom, the digest goes: as an administrator chose, else as the mails of incidents do."""

from dataclasses import dataclass

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect, mark_of
from mailops.accounts.models import User
from mailops.digests.models import Way
from mailops.domains.models import Identity
from mailops.incidents.models import NotificationChannel
from mailops.incidents.ways import standstill
from mailops.transports.models import Stream


class NoWay(Exception):
    """There is no way to send it just now; the text says why, and what to do."""


@dataclass(frozen=True)
class Chosen:
    stream: Stream
    identity: Identity
    is_of_incidents: bool = False  # nobody chose; it goes as the mails of incidents do

    @property
    def obstacle(self) -> str:
        """Say what keeps it from sending now, or nothing."""
        if self.identity.domain_id != self.stream.domain_id:
            return (
                f"{self.identity.addr_spec} is not of the domain of {self.stream}: choose another."
            )
        why = standstill(self.stream)
        return f"{why}: it goes out when mail leaves there again." if why else ""


def chosen_way() -> Chosen | None:
    related = ("stream__domain", "identity__domain")
    if way := Way.objects.select_related(*related).first():
        return Chosen(way.stream, way.identity)
    channels = NotificationChannel.objects.filter(
        kind=NotificationChannel.Kind.MAIL, is_enabled=True, stream__isnull=False, identity__isnull=False
    )  # fmt: skip
    channel = channels.select_related(*related).order_by("pk").first()
    if channel is None or channel.stream is None or channel.identity is None:
        return None
    return Chosen(channel.stream, channel.identity, is_of_incidents=True)


def mark_of_way(way: Chosen | None) -> str:
    """Return what tells a way from others, and from none."""
    return mark_of(way.stream.pk, way.identity.pk) if way else mark_of()


def ties(stream: Stream) -> dict[str, str]:
    """Return why `stream` can't become what it is in memory while the digest goes through it: field → sentence."""
    held = Way.objects.filter(stream=stream).exclude(identity__domain=stream.domain_id)
    if not held.exists():
        return {}
    return {
        "domain": f"The weekly digest goes through this stream, from a sender that is not at {stream.domain}. "
        "First choose another stream for it, on the page of the weekly digest."
    }


def usable_way() -> Chosen:
    """Return the way if mail can take it now; raise NoWay."""
    way = chosen_way()
    if way is None:
        raise NoWay(
            "No stream is chosen to send it by: an admin chooses one on the page of the weekly digest."
        )
    if way.obstacle:
        raise NoWay(way.obstacle)
    return way


@transaction.atomic
def choose_way(*, stream: Stream, identity: Identity, actor: User, seen: str | None = None) -> bool:
    """Send it by another stream or sender from now on; return whether that changed anything.

    Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    before = Way.objects.select_for_update().first()
    wanted = Chosen(stream, identity)
    expect(seen, was=mark_of_way(chosen_way()), wanted=mark_of_way(wanted))
    if before and (before.stream_id, before.identity_id) == (stream.pk, identity.pk):
        return False
    way, _ = Way.objects.update_or_create(pk=1, defaults={"stream": stream, "identity": identity})
    audit(
        actor=actor,
        verb="digest.choose_way",
        subject=way,
        before={"way": str(before)} if before else {},
        after={"way": str(way)},
    )
    return True
