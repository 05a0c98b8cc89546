"""Reads calls as they came: each is matched with its message and judged, first looks become events and counts.

A call is read some seconds after it came, when all that came with it is there to judge it by. Nothing is kept of mail
whose stream doesn't ask any more, of mail that is too old, and of people who unsubscribed from anything.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from mailops.content.models import TemplateVersion
from mailops.content.rendering import RenderError, links_of
from mailops.lib.locks import advisory_lock
from mailops.outbox.models import EventKind, Message
from mailops.outbox.recording import Outcome, record
from mailops.protocol.looks import link_number
from mailops.suppressions.models import Suppression
from mailops.tracking.counting import NewLook, note_looks
from mailops.tracking.machines import BESIDE_PROBE, Beside, Verdict, judge
from mailops.tracking.models import Hit, Look

BATCH = 500
REST = timedelta(seconds=6)  # longer than a burst, and than the acceptance takes to be written
SOURCE = "tracking"
REASONS = {Look.Who.PERSON: "", Look.Who.PROXY: "mail_program", Look.Who.MACHINE: "machine"}
_KINDS = {Look.Kind.OPEN: EventKind.OPENED, Look.Kind.CLICK: EventKind.CLICKED}


def outcome_of(look: NewLook, **more: object) -> Outcome:
    """Return the event of a first look: however often, and by whomever it is told, it is one for each kind of looker."""
    who = look.verdict.who
    return Outcome(
        message_id=look.message.pk,
        kind=_KINDS[look.kind],
        source=SOURCE,
        external_id=f"{look.message.public_id.hex}:{look.kind}:{who}",
        occurred_at=look.at,
        reason=REASONS[who],
        sentence=_sentence(look.verdict),
        data={"who": who, **more},
    )


def _sentence(verdict: Verdict) -> str:
    if verdict.who == Look.Who.PROXY:
        return f"By a mail program, maybe for a person: {verdict.why}."
    return f"By a machine, since {verdict.why}." if verdict.why else ""


def read_hits(limit: int = BATCH) -> int:
    """Read up to `limit` calls that have rested, and return how many; of two that run at once one does nothing."""
    with advisory_lock("tracking-read") as is_ours:
        if not is_ours:
            return 0
        due = Hit.objects.filter(is_read=False, at__lt=Now() - REST).order_by("id")
        hits = list(due[:limit])
        if hits:
            _read(hits)
            Hit.objects.filter(pk__in=[hit.pk for hit in hits]).update(is_read=True)
        return len(hits)


@dataclass(frozen=True)
class _Judged:
    message: Message
    kind: Look.Kind
    hit: Hit
    verdict: Verdict


@transaction.atomic
def _read(hits: Sequence[Hit]) -> None:
    messages = _messages({hit.public_id for hit in hits if hit.kind != Hit.Kind.PROBE})
    beside = _beside(hits, messages)
    judged = [
        one
        for hit in hits
        if (message := messages.get(hit.public_id))
        if (one := _judged(hit, message, beside[hit.public_id]))
    ]
    names = _Names()
    found = [
        NewLook(
            message=one.message,
            kind=one.kind,
            link=link,
            verdict=one.verdict,
            at=one.hit.at,
            written=names.of(one.message, link) if link else "",
        )
        for one in judged
        for link in dict.fromkeys((0, one.hit.link))
    ]
    first = [look for look in note_looks(found) if look.link == 0]
    record([outcome_of(look) for look in first])


def _judged(hit: Hit, message: Message, beside: Sequence[Beside]) -> _Judged | None:
    is_open = hit.kind == Hit.Kind.OPEN
    stream = message.stream
    if hit.kind == Hit.Kind.PROBE or not (stream.tracks_opens if is_open else stream.tracks_clicks):
        return None
    verdict = judge(
        is_open=is_open,
        user_agent=hit.user_agent,
        happened_at=hit.at,
        accepted_at=message.accepted_at,
        link=hit.link,
        beside=beside,
    )
    if verdict.who == Look.Who.PERSON and not hit.user_agent:
        verdict = Verdict(Look.Who.MACHINE, "it names no program, as every browser does")
    return _Judged(message, Look.Kind.OPEN if is_open else Look.Kind.CLICK, hit, verdict)


def _messages(public_ids: set[UUID]) -> Mapping[UUID, Message]:
    """Return those messages of which looks are kept."""
    since = timedelta(days=settings.MAILOPS_LOOK_DAYS)
    found = Message.objects.filter(public_id__in=public_ids, created_at__gt=Now() - since)
    found = found.select_related("stream", "version").defer("merge_data", "reply_text")
    # locked before their looks are written, as all who record do: to lock more of a row later would be a deadlock
    found = found.order_by("pk").select_for_update(of=("self",))
    messages = {message.public_id: message for message in found}
    left = who_left({message.address_key for message in messages.values()})
    return {key: message for key, message in messages.items() if message.address_key not in left}


def who_left(address_keys: Collection[str]) -> set[str]:
    """Return which of these people asked for no more mail of some kind: they aren't looked after any more."""
    found = Suppression.objects.active().asked_for().filter(address_key__in=address_keys)
    return set(found.values_list("address_key", flat=True))


def _beside(
    hits: Sequence[Hit], messages: Mapping[UUID, Message]
) -> Mapping[UUID, Sequence[Beside]]:
    """Return what was asked for of each message around the time of `hits`, read before or not."""
    found: dict[UUID, list[Beside]] = defaultdict(list)
    clicks = [hit.at for hit in hits if hit.kind == Hit.Kind.CLICK]
    if not clicks:
        return found
    around = (min(clicks) - BESIDE_PROBE, max(clicks) + BESIDE_PROBE)
    rows = Hit.objects.filter(public_id__in=messages, at__range=around)
    rows = rows.exclude(kind=Hit.Kind.OPEN)
    for public_id, kind, link, at in rows.values_list("public_id", "kind", "link", "at"):
        found[public_id].append(Beside(kind, link, at))
    return found


class _Names:
    """What the links of templates are called, by the numbers in tokens."""

    def __init__(self) -> None:
        self._of_version: dict[int, dict[int, str]] = {}

    def of(self, message: Message, link: int) -> str:
        if message.version is None:
            return ""
        names = self._of_version.get(message.version.pk)
        if names is None:
            names = self._of_version[message.version.pk] = _links(message.version)
        return names.get(link, "")


def _links(version: TemplateVersion) -> dict[int, str]:
    try:
        return {link_number(written): written for written in links_of(version)}
    except RenderError:
        return {}
