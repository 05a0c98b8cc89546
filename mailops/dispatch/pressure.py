"""Sends less where a reply asks for it, and more again by and by.

A 421, a 4.7.x, a Retry-After, or several refusals in a row by a provider in trouble: each lowers the rate of the transport
or of the mailbox provider it speaks of. It reads what the ledger says, a second or two later, whichever worker wrote it,
and never the ledger itself: the events behind a cursor.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.dispatch.models import LONGEST_STOP, Pressure, PressureScan
from mailops.lib.clock import database_now
from mailops.lib.mailbox_providers import name_of
from mailops.lib.templatetags.times import duration
from mailops.outbox.ledger import fetch_dicts, fetch_first
from mailops.transports.models import ProviderLimit, Transport

CHUNK = 20_000  # events in one step
SETTLED_SECONDS = 1  # events this old have no older ones in a transaction still open
REST = timedelta(seconds=15)  # what was on its way when a rate was lowered doesn't lower it again
STEP = timedelta(minutes=1)  # from one raise to the next
RAISE, LOWER = 1.25, 0.5
LEAST = 6.0  # messages a minute: one in ten seconds tells whether it is over
FAINT_WISHES = 3  # a small domain's greylisting is no pressure, nor the good-bye of a server that is started anew
WATCH_SECONDS = 60  # in which they must come
SHORTEST_SECONDS = 2.0  # over which a present rate is measured: what is read is older than one
WATCHED = 500  # places at a time
TROUBLE = 5  # refusals in a row after which nothing is sent for a while
STOPS = (30, 60, 120, 300, 600)  # seconds; the last one repeats


class Place(NamedTuple):
    """What is sent less: a provider through a transport, or all of a transport."""

    transport_id: int
    mailbox_provider: str  # "": all of the transport


@dataclass
class Told:
    """What the events of one reading say of a place."""

    wishes: int = 0  # to be sent less
    is_clear: bool = False  # one of them spoke of us, and not of the server that said it
    refusals: int = 0  # with or without a wish
    taken: bool = False
    wait: int = 0  # the longest Retry-After, in seconds
    reply: str = ""


def feel_pressure() -> int:
    """Read the newest events and change the rates they speak of; return how many events spoke of one."""
    with transaction.atomic():
        PressureScan.objects.get_or_create(pk=1, defaults={"event_id": _newest_event()})
        scan = PressureScan.objects.select_for_update(skip_locked=True).filter(pk=1).first()
        if scan is None:
            return 0
        # What was said long ago, while no tick ran, is no wish of today.
        after = max(scan.event_id, _newest_event() - 2 * CHUNK)
        last = _last_settled(after)
        told = _read(after, last)
        scan.event_id, scan.watched = last, _heed_all(told, scan.watched)
        _raise_rates()
        scan.save()
    return sum(words.refusals for words in told.values())


def _newest_event() -> int:
    return int(fetch_first("SELECT coalesce(max(id), 0) FROM outbox_event", [])[0])


def _last_settled(after: int) -> int:
    (last,) = fetch_first(
        """
        SELECT max(id) FROM (
            SELECT id, recorded_at FROM outbox_event WHERE id > %s ORDER BY id LIMIT %s) e
         WHERE recorded_at < clock_timestamp() - make_interval(secs => %s)
        """,
        [after, CHUNK, SETTLED_SECONDS],
    )
    return int(last or after)


_REFUSALS = """
SELECT e.transport_id, m.mailbox_provider, e.reply_code AS code, e.reply_enhanced_status AS status,
       e.reply_text, e.reason, e.data ->> 'phase' AS phase,
       least(coalesce(substring(e.data ->> 'retry_after' FROM '^[0-9]+$')::numeric, 0), 86400)::int AS wait,
       e.data ->> 'detail' AS detail, e.kind, t.kind <> 'smtp' AS is_provider
  FROM outbox_event e
  JOIN outbox_message m ON m.id = e.message_id
  JOIN transports_transport t ON t.id = e.transport_id
 WHERE e.id > %s AND e.id <= %s AND e.source = 'dispatch'
   AND (e.kind = 'session_lost' OR (e.kind IN ('deferred', 'bounced', 'failed')
        AND (e.reply_code = 421 OR e.fault = 'outage' OR e.reply_enhanced_status LIKE '4.7.%%' OR e.reason = 'rate_limited'
             OR e.data ? 'retry_after')))
"""


def _read(after: int, last: int) -> dict[Place, Told]:
    told: dict[Place, Told] = {}
    for row in fetch_dicts(_REFUSALS, [after, last]):
        speaks_of_all = row["phase"] == "mail" or row["is_provider"]
        place = Place(row["transport_id"], "" if speaks_of_all else row["mailbox_provider"])
        if row["reason"] == "greylisted" or (row["kind"] == "session_lost" and not _is_421(row)):
            continue
        words = told.setdefault(place, Told())
        words.refusals += 1
        words.wishes += _is_wish(row)
        words.is_clear |= _is_wish(row) and not _is_good_bye(row)
        words.wait = max(words.wait, row["wait"])
        words.reply = row["detail"] or f"{row['code']} {row['status']} {row['reply_text']}".strip()
    pressed = {Place(p.transport_id, p.mailbox_provider) for p in Pressure.objects.all()}
    for place in _that_were_taken(after, last, pressed | set(told)):
        told.setdefault(place, Told()).taken = True
    return told


def _is_421(row: dict[str, Any]) -> bool:
    return row["code"] == 421 or (row["detail"] or "").startswith("421")


def _is_good_bye(row: dict[str, Any]) -> bool:
    """Tell whether a 421 only says that the server goes down or can't just now (RFC 3463, 3.4: X.3.z is about the system)."""
    said = row["status"] or (row["detail"] or "")[4:]
    return _is_421(row) and not row["wait"] and said.startswith("4.3.")


def _is_wish(row: dict[str, Any]) -> bool:
    return bool(
        _is_421(row)
        or row["wait"]
        or row["reason"] == "rate_limited"
        or (row["status"] or "").startswith("4.7.")
    )


def _that_were_taken(after: int, last: int, places: Iterable[Place]) -> list[Place]:
    """Return those of `places` through which a message was taken."""
    places = list(places)
    if not places:
        return []
    rows = fetch_dicts(
        """
        SELECT p.transport_id, p.mailbox_provider
          FROM unnest(%s::bigint[], %s::text[]) AS p(transport_id, mailbox_provider)
         WHERE EXISTS (SELECT FROM outbox_event e JOIN outbox_message m ON m.id = e.message_id
                        WHERE e.id > %s AND e.id <= %s AND e.kind = 'accepted' AND e.transport_id = p.transport_id
                          AND (p.mailbox_provider = '' OR m.mailbox_provider = p.mailbox_provider))
        """,
        [[p.transport_id for p in places], [p.mailbox_provider for p in places], after, last],
    )
    return [Place(**row) for row in rows]


def _heed_all(told: dict[Place, Told], watched: list[Any]) -> list[Any]:
    """Change the rates of the places that were spoken of; return what is to be watched of the others, as it is stored."""
    now = database_now().timestamp()
    rows = {
        Place(p.transport_id, p.mailbox_provider): p for p in Pressure.objects.select_for_update()
    }
    before = {
        Place(*place): (wishes, refusals, since)
        for place, wishes, refusals, since in watched
        if since > now - WATCH_SECONDS
    }
    for place, words in told.items():
        if row := rows.get(place):
            _heed(row, words)
            continue
        wishes, refusals, since = before.pop(place, (0, 0, now))
        words.wishes += wishes
        words.refusals = 0 if words.taken else words.refusals + refusals
        if words.wishes >= _enough(place, words) or words.refusals >= TROUBLE:
            _begin(place, words)
        elif words.wishes or words.refusals:
            before[place] = (words.wishes, words.refusals, since)
    return [[place, *numbers] for place, numbers in list(before.items())[-WATCHED:]]


def _heed(row: Pressure, told: Told) -> None:
    row.refusals = 0 if told.taken else row.refusals + told.refusals
    if told.taken and row.stops:
        # It is well again: half of what left before the trouble.
        row.stops, row.stopped_until = 0, None
        row.rate_per_minute = max(row.rate_per_minute, row.aim / 4)
    if told.refusals:
        _lower(row, told)
    row.save()


def _enough(place: Place, words: Told) -> int:
    """Return how many wishes in a minute are heard: of a small domain, or where only servers said good-bye, not the first."""
    provider = place.mailbox_provider
    is_small = "." in provider
    if is_small:
        is_small = not ProviderLimit.objects.filter(mailbox_provider=provider).exists()
    return FAINT_WISHES if is_small or not words.is_clear else 1


def _begin(place: Place, told: Told) -> None:
    rate = _present_rate(place)
    row = Pressure(
        transport_id=place.transport_id,
        mailbox_provider=place.mailbox_provider,
        rate_per_minute=max(LEAST, rate * LOWER),
        aim=max(2 * LEAST, rate * 2),
        refusals=0 if told.taken else told.refusals,
    )
    _explain(row, told)
    _stop_if_it_must(row, told)
    row.save()
    audit(actor=None, verb="transport.slow_down", subject=row.transport, reason=row.sentence)


def _lower(row: Pressure, told: Told) -> None:
    """Lower a rate, but not again for what was on its way when it was lowered."""
    now = database_now()
    if told.wishes and not now - REST <= row.changed_at <= now:
        row.rate_per_minute = max(LEAST, row.rate_per_minute * LOWER)
        row.changed_at = now
        _explain(row, told)
    _stop_if_it_must(row, told)


def _stop_if_it_must(row: Pressure, told: Told) -> None:
    """Send nothing for as long as the peer said, or for a while after many refusals in a row."""
    now = database_now()
    is_stopped = bool(row.stopped_until and now < row.stopped_until <= now + LONGEST_STOP)
    seconds = min(told.wait, int(LONGEST_STOP.total_seconds()))
    if row.refusals >= TROUBLE and not told.taken and not is_stopped:
        seconds = max(seconds, STOPS[min(row.stops, len(STOPS) - 1)])
        row.stops = min(row.stops + 1, len(STOPS))
        row.rate_per_minute = LEAST
        _explain(row, told)
    if seconds:
        until = now + timedelta(seconds=seconds)
        row.stopped_until = (
            max(row.stopped_until, until) if row.stopped_until and is_stopped else until
        )


def _explain(row: Pressure, told: Told) -> None:
    who = name_of(row.mailbox_provider) if row.mailbox_provider else "The next hop"
    if told.wait:
        row.sentence = f"{who} asked to wait {duration(told.wait)}."
        if told.wait > LONGEST_STOP.total_seconds():
            row.sentence += f" It is tried again after each {duration(LONGEST_STOP)}."
    elif told.wishes:
        row.sentence = f"{who} asked for less: {told.wishes} such replies in the last seconds."
    else:
        row.sentence = f"{who} took nothing and refused {row.refusals} messages in a row."
    row.detail = told.reply[:2000]


def _present_rate(place: Place) -> float:
    """Return how many messages a minute leave just now, or may by a limit that is lower.

    It is measured from the first that left in the last minute: a campaign that has just begun is not a slow one.
    """
    newest = _newest_event()
    (present,) = fetch_first(
        """
        SELECT count(*) * 60 / greatest(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), %s)::float
          FROM outbox_event e JOIN outbox_message m ON m.id = e.message_id
         WHERE e.id > %s AND e.transport_id = %s AND e.source = 'dispatch' AND e.kind IN ('accepted', 'deferred')
           AND e.recorded_at > clock_timestamp() - interval '1 minute'
           AND (%s = '' OR m.mailbox_provider = %s)
        """,
        [SHORTEST_SECONDS, newest - 100_000, place.transport_id, *[place.mailbox_provider] * 2],
    )
    transport = Transport.objects.get(pk=place.transport_id)
    provider = ProviderLimit.objects.filter(mailbox_provider=place.mailbox_provider).first()
    limits = [transport.rate_per_minute, provider.rate_per_minute if provider else None]
    return float(min([max(present, 1), *filter(None, limits)]))


def _raise_rates() -> None:
    """Raise what has kept still for a while; what has reached its aim is over."""
    goes_on = Q(stopped_until=None) | ~Q(stopped_until__range=(Now(), Now() + LONGEST_STOP))
    kept_still = ~Q(changed_at__range=(Now() - STEP, Now()))
    still = Pressure.objects.filter(goes_on, kept_still).select_for_update(skip_locked=True)
    for row in still:
        row.rate_per_minute *= RAISE
        if row.rate_per_minute >= row.aim:
            end_pressure(row, actor=None)
        else:
            Pressure.objects.filter(pk=row.pk).update(
                rate_per_minute=row.rate_per_minute, changed_at=Now()
            )


@transaction.atomic
def end_pressure(row: Pressure, *, actor: User | None) -> None:
    """Let mail leave at full speed again."""
    if Pressure.objects.filter(pk=row.pk).delete()[0]:
        who = name_of(row.mailbox_provider) if row.mailbox_provider else "the next hop"
        audit(
            actor=actor,
            verb="transport.full_speed",
            subject=row.transport,
            reason=f"Nothing more was heard of {who}." if actor is None else "",
            after={"mailbox_provider": row.mailbox_provider},
        )
