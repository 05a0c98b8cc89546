"""Tells why mail of a stream doesn't leave as fast as it could, by the rows that dispatch goes by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.urls import reverse

from mailops.campaigns.models import Campaign
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.limits import Bucket, Limit, utc_today
from mailops.dispatch.models import LONGEST_STOP, Allowance, Pressure
from mailops.dispatch.rules import Rules, read_rules
from mailops.dispatch.seats import count_held
from mailops.dispatch.standing import (
    Sessions,
    Standing,
    keepers_of,
    place_name,
    sessions_by,
    standing_of,
)
from mailops.dispatch.standing_in import able
from mailops.lib.clock import database_now
from mailops.lib.enumerating import enumerated
from mailops.lib.mailbox_providers import name_of
from mailops.lib.templatetags.times import duration
from mailops.outbox.models import Event, Message, QueueEntry
from mailops.outbox.queues import Queue, due_queues, has_waited, waiting_pools
from mailops.outbox.resuming import count_untimed
from mailops.outbox.waiting import COUNTED
from mailops.transports.models import PauseCause, Stream, Transport

STILL = timedelta(seconds=15)  # that mail is due, until somebody should have taken it
TAKEN_LATELY = timedelta(seconds=5)  # or as long as two messages take
SILENT = timedelta(seconds=30)  # without any answer, until a server is no longer taken to be busy
LATEST = 500  # events of all mail by which that is seen


@dataclass(frozen=True)
class Hold:
    """Something that keeps mail of a stream from leaving as fast as it could."""

    title: str
    sentence: str
    detail: str = ""
    since: datetime | None = None
    tone: str = "info"
    url: str = ""  # of the page that tells more, and has what ends it


def stopped_ways(stream: Stream) -> list[Transport]:
    """Return the transports without which no mail of a running stream leaves now; none where another carries it."""
    carriers = usable_carriers(stream.kind)
    if stream.is_paused or any(
        stream.pk in one.stream_ids for one in carriers if not one.is_probed
    ):
        return []
    routes = stream.routes.select_related("transport").order_by("position")
    return [one.transport for one in routes if one.transport.is_paused or one.transport.is_broken]


def spent_ways(stream: Stream) -> list[Transport]:
    """Return the transports whose number of today leaves a stream nothing; none where another carries its mail."""
    carriers = [one for one in usable_carriers(stream.kind) if stream.pk in one.stream_ids]
    wanted = {one.transport_id for one in carriers if not one.is_probed}
    routes = stream.routes.select_related("transport").order_by("position")
    ways = [route.transport for route in routes if route.transport_id in wanted]
    limits = {way: read_rules(way.pk, [stream.pk]).transport for way in ways if way.daily_quota}
    if len(limits) < len(ways):
        return []
    today = Allowance.objects.filter(key__in=[f"t{way.pk}" for way in ways], day=utc_today())
    spent = dict(today.values_list("key", "spent"))
    are_spent = all(
        spent.get(f"t{way.pk}", 0) >= limit.of_a_day(stream.pk) for way, limit in limits.items()
    )
    return ways if are_spent else []


def holds_of(campaign: Campaign) -> list[Hold]:
    """Return what holds mail of a campaign back now, on its stream's ways out in their order."""
    return [*_time_anew(campaign), *_holds(campaign.stream, campaign.pk)]


def holds_of_message(message: Message) -> list[Hold]:
    """Return what holds an open message back now; what waits for a person or a due time says so itself."""
    stream, campaign = message.stream, message.campaign
    paused = [
        Hold(
            f"{what} is paused",
            one.pause_sentence,
            one.pause_detail,
            one.paused_at,
            "warn",
            _page_of(one),
        )
        for what, one in ((f"The stream {stream}", stream), (f"The campaign {campaign}", campaign))
        if one is not None and one.is_paused
    ]
    untimed = list(_time_anew(campaign)) if campaign else []
    entry = QueueEntry.objects.filter(message=message).first()
    return [*paused, *untimed, *_holds(stream, message.campaign_id or 0, entry)]


def _time_anew(campaign: Campaign) -> Iterator[Hold]:
    """Say how much of a resumed campaign may have to wait until its time has begun anew."""
    if n := count_untimed(campaign):
        many = f"{n:,} message{'s'[: n > 1]}" if n < COUNTED else f"{n:,} messages or more"
        yield Hold(
            f"The time of {many} is yet to begin anew",
            "They waited for a person since the database was restored, so each has its stream's whole time from now on. "
            "What is too old by its former time leaves once it has the new one, and nothing of the campaign expires "
            "meanwhile.",
        )


def _holds(stream: Stream, campaign_id: int, entry: QueueEntry | None = None) -> list[Hold]:
    """Return what holds a stream's mail of a campaign back, or only one message of it."""
    mail = _Mail(stream, campaign_id, entry)
    routes = stream.routes.select_related("transport").order_by("position")
    transports = {route.transport_id: route.transport for route in routes}
    carriers = [one for one in usable_carriers(stream.kind) if stream.pk in one.stream_ids]
    in_use = {
        one.transport_id: transports[one.transport_id]
        for one in carriers
        if one.transport_id in transports
    }
    rules = {pk: read_rules(pk, [stream.pk]) for pk in transports}
    holds = [
        hold
        for pk, one in transports.items()
        for hold in _stops(stream, standing_of(one), rules[pk], list(in_use.values()), mail)
    ]
    if not in_use:
        holds += _unable(stream, list(transports.values())[1:])
    queues = [
        queue
        for queue in due_queues([stream.pk])
        if queue.campaign == campaign_id and mail.is_concerned_by(queue.pool)
    ]
    for transport in in_use.values() if queues else ():
        of_it = rules[transport.pk]
        holds += _rates(stream, transport, of_it, queues) or _sessions(transport, of_it, queues)
    return holds or _still(stream, list(in_use.values()), queues)


def _page_of(one: Transport | Stream | Campaign) -> str:
    if isinstance(one, Stream):
        return reverse("transports:stream-detail", args=[one.pk])
    name = "campaigns:detail" if isinstance(one, Campaign) else "transports:detail"
    return reverse(name, args=[one.pk])


def _stops(
    stream: Stream,
    standing: Standing,
    rules: Rules,
    in_use: Iterable[Transport],
    mail: "_Mail",
) -> Iterator[Hold]:
    transport, quota = standing.transport, rules.transport
    others, page = enumerated(str(one) for one in in_use if one != transport), _page_of(transport)
    if transport.is_paused:
        stands_in = others if transport.pause_cause in {PauseCause.PERSON, PauseCause.FAULT} else ""
        yield Hold(
            f"{transport} is paused{'' if others else ', and nothing leaves'}",
            _with_stand_in(transport.pause_sentence, stands_in),
            transport.pause_detail,
            transport.paused_at,
            "warn",
            page,
        )
    elif transport.is_backing_off:
        is_open = transport.breaker != Transport.Breaker.CLOSED
        yield Hold(
            f"{transport}: {transport.breaker_title}",
            _with_stand_in(transport.breaker_sentence, others if is_open else ""),
            transport.breaker_detail,
            tone="bad",
            url=page,
        )
    if quota.per_day and standing.sent_today >= quota.of_a_day(stream.pk):
        is_all = standing.sent_today >= quota.per_day
        sent = "its" if is_all else f"{standing.sent_today:,} of its"
        yield Hold(
            f"{transport} has sent {sent} {quota.per_day:,} of today",
            _for_tomorrow(stream, quota),
            url=page,
        )
    for ramp in standing.ramps:
        if ramp.volume is None:
            continue
        limit = Limit("", per_day=ramp.volume, shares=quota.shares)
        names = [
            place_name(place)
            for place, sent in ramp.sent
            if sent >= limit.of_a_day(stream.pk) and mail.is_concerned_by(place)
        ]
        if names:
            yield Hold(
                f"{transport} is warming up: {ramp.volume:,} a day at most to {enumerated(names)}",
                f"Today's have left. {_for_tomorrow(stream, limit)}",
                url=page,
            )
    for pressure in standing.pressures:
        if not pressure.mailbox_provider or mail.is_concerned_by(pressure.mailbox_provider):
            yield _less(transport, pressure)


@dataclass(frozen=True)
class _Mail:
    """The mail that is asked about: what waits of a campaign, or one message of it."""

    stream: Stream
    campaign_id: int  # 0: of none
    entry: QueueEntry | None

    def is_concerned_by(self, pool: str) -> bool:
        """Tell whether what is said of a mailbox provider holds for any of it."""
        if self.entry is not None:
            return pool in (self.entry.pool, self.entry.mailbox_provider)
        return pool in self._pools

    @cached_property
    def _pools(self) -> set[str]:
        return waiting_pools(self.stream.pk, self.campaign_id)


def _less(transport: Transport, pressure: Pressure) -> Hold:
    """Say that a next hop or a provider is sent less, or nothing for a while."""
    sends, sentence = f"{transport} sends {pressure.place_name}", pressure.sentence
    title = f"{sends} {pressure.now_at_most:,} a minute at most"
    rest = pressure.stopped_until and pressure.stopped_until - database_now()
    if rest and timedelta() < rest <= LONGEST_STOP:
        title = f"{sends} nothing just now"
        sentence += f" It is tried again in {duration(rest)}; “Full speed” on the page of {transport} ends that."
    return Hold(title, sentence, pressure.detail, pressure.since, "warn", _page_of(transport))


def _for_tomorrow(stream: Stream, limit: Limit) -> str:
    """Say what becomes of a stream's mail that is over a day's number, and for whom the last of that is kept."""
    said = "The rest leaves through the stream's next transport, or waits until midnight UTC."
    kept = (limit.per_day or 0) - limit.of_a_day(stream.pk)
    if not kept:
        return said
    return f"The last {kept:,} of the day are kept for {enumerated(keepers_of(limit, [stream.pk]))}. {said}"


def _unable(stream: Stream, transports: list[Transport]) -> Iterator[Hold]:
    """Name the transports that run and must not stand in for the first."""
    allowed = able(stream)
    for transport in transports:
        if transport.pk not in allowed and not transport.is_paused:
            yield Hold(
                f"{transport} does not stand in",
                f"Mail from {stream.domain} would not pass DMARC through it; the stream's page tells what to change.",
                tone="warn",
                url=_page_of(stream),
            )


def _with_stand_in(sentence: str, names: str) -> str:
    return f"{sentence} Its mail leaves through {names} meanwhile.".strip() if names else sentence


def _rates(stream: Stream, transport: Transport, rules: Rules, queues: list[Queue]) -> list[Hold]:
    """Name the rates that a person set and that are used up as soon as they let something through."""
    pools = {queue.pool for queue in queues}
    sayings = [
        (
            rules.transport,
            f"{transport} sends {{rate}} at most",
            "That is its own limit, set on its page.",
            _page_of(transport),
        ),
        (
            rules.streams.get(stream.pk),
            f"The stream {stream} sends {{rate}} at most",
            "That is its own limit, set on its page.",
            _page_of(stream),
        ),
        *(
            (
                limit,
                f"{name_of(provider)} is sent {{rate}} at most",
                "That is the limit for this provider over all transports, set beside them.",
                reverse("transports:providers"),
            )
            for provider, limit in rules.providers.items()
            if provider in pools
        ),
    ]
    limits = [limit for limit, *_ in sayings if limit is not None and limit.rate_per_minute]
    used_up = _used_up(limits, stream)
    return [
        Hold(title.format(rate=f"{limit.rate_per_minute:,.0f} a minute"), sentence, url=url)
        for limit, title, sentence, url in sayings
        if limit is not None and limit.key in used_up
    ]


def _used_up(limits: list[Limit], stream: Stream) -> set[str]:
    """Return the keys of those that were taken from just now, and had nothing left for the stream."""
    rows = Allowance.objects.filter(key__in=[limit.key for limit in limits]).in_bulk()
    now, found = database_now(), set()
    for limit in limits:
        row, rate = rows.get(limit.key), limit.rate_per_minute or 0
        if row is None or not rate:
            continue
        is_fresh = now - row.refilled_at < max(TAKEN_LATELY, timedelta(minutes=2 / rate))
        rate_alone = Limit(limit.key, rate, shares=limit.shares)
        if is_fresh and not Bucket(rate_alone, levels=row.levels).room(stream.pk):
            found.add(limit.key)
    return found


def _still(stream: Stream, in_use: list[Transport], queues: list[Queue]) -> list[Hold]:
    """Say that nobody takes what is due, where nothing known holds it back."""
    if not queues or not in_use or not has_waited(queues, STILL):
        return []
    if any(count_held([f"t{one.pk}" for one in in_use]).values()):
        return []
    return [
        Hold(
            "Nothing moves",
            f"Mail has been due for {STILL.seconds} seconds or more, no limit holds it back, and no sending process of "
            f"the {stream.get_kind_display().lower()} lane speaks to {enumerated(str(one) for one in in_use)}. One that has "
            "died is replaced within a minute, and what it had taken is given to others. If this stays, see the log of "
            "mailops.",
            tone="bad",
        )
    ]


def _sessions(transport: Transport, rules: Rules, queues: list[Queue]) -> list[Hold]:
    """Name the sessions that are all busy, where nothing else is in the way."""
    limited = {queue.pool: rules.sessions_of(queue.pool).sessions for queue in queues if queue.pool}
    most = {f"p:{pool}": number for pool, number in limited.items() if number is not None}
    held = count_held([f"t{transport.pk}", *most])
    holds = [
        Hold(
            f"{name_of(key[2:])} is spoken to in {Sessions(number).words}, over all transports",
            "They are busy: its mail leaves as fast as they are answered.",
            url=reverse("transports:providers"),
        )
        for key, number in most.items()
        if held.get(key, 0) >= number
    ]
    own = sessions_by(rules, [queue.stream for queue in queues])
    if held.get(f"t{transport.pk}", 0) >= own.open:
        if since := silent_since(transport):
            return [_silent(transport, since)]
        holds.append(
            Hold(
                f"{transport} is spoken to in {own.words}",
                "They are busy: mail leaves as fast as its server answers. "
                f"{own.why} More sessions, where it allows them, send more.".strip(),
                url=_page_of(transport),
            )
        )
    return holds


def silent_since(transport: Transport) -> datetime | None:
    """Return since when its server has answered nothing that became of a message; None where it did just now.

    Only asked of one that sessions speak to. Where none of the newest events is of it, it is silent for as long as
    those reach back, or since it was last used.
    """
    newest = Event.objects.order_by("-pk").values_list("transport_id", "source", "recorded_at")
    rows = list(newest[:LATEST])
    ours = [at for pk, source, at in rows if pk == transport.pk and source == "dispatch"]
    last = max(ours, default=rows[-1][2] if len(rows) == LATEST else transport.last_used_at)
    return last if last and database_now() - last >= SILENT else None


def silent_ways(stream: Stream) -> list[Transport]:
    """Return the transports whose servers leave all sessions without an answer; none where another carries its mail."""
    carriers = [one for one in usable_carriers(stream.kind) if stream.pk in one.stream_ids]
    routes = stream.routes.select_related("transport").order_by("position")
    wanted = {one.transport_id for one in carriers}
    ways = [route.transport for route in routes if route.transport_id in wanted]
    held = count_held([f"t{one.pk}" for one in ways])
    are_silent = all(held.get(f"t{one.pk}") and silent_since(one) for one in ways)
    return ways if are_silent else []


def _silent(transport: Transport, since: datetime) -> Hold:
    return Hold(
        f"{transport} does not answer",
        "Its sessions wait for the server. After some minutes they are given up and others are tried. A connection test on "
        "its page says at once whether it answers, and up to which step.",
        since=since,
        tone="warn",
        url=_page_of(transport),
    )
