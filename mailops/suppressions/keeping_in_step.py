"""Keeps providers' suppression lists and ours in step: what is new there comes in, what a person took off ours leaves there.

One process at a time is at a list. Whoever was slower than its lease writes nothing more of where the walk is: an old
place would make the next walk pass over what is new.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.clock import ClockTimestamp
from mailops.lib.locks import lock_row
from mailops.lib.storable import storable
from mailops.protocol.address import InvalidAddress, address_key
from mailops.suppressions.asking import AskingFailed, Provider, Refused
from mailops.suppressions.models import SYNC_LEASE, LeaseLost, ProviderSync, Suppression
from mailops.suppressions.provider_lists import LISTS, Entry, ListOf, ProviderLists, Round
from mailops.suppressions.suppressing import suppress_all
from mailops.transports.kinds.apis import APIS
from mailops.transports.models import Stream, Transport

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=15)
RUN_SECONDS = 30.0  # of a run's walk
REMOVAL_SECONDS = 15.0  # of a run before that, however many wait
BACKOFF_MINUTES = (1, 5, 30, 120)
MOST_REMOVALS = 100  # a run
CHUNK = 500  # entries in one transaction


@transaction.atomic
def begin(*, transport: Transport, actor: User | None) -> ProviderSync:
    """Keep the provider's list and ours in step from now on; all of it comes in first."""
    sync, is_new = ProviderSync.objects.get_or_create(transport=transport)
    if is_new:
        audit(actor=actor, verb="suppression.sync_begin", subject=transport)
    return sync


@transaction.atomic
def end(*, sync: ProviderSync, actor: User | None) -> None:
    """Ask the provider no more; what came from its list stays on ours."""
    if lock_row(sync):
        audit(actor=actor, verb="suppression.sync_end", subject=sync.transport)
        sync.delete()


@transaction.atomic
def ask_again(*, sync: ProviderSync, actor: User | None) -> None:
    """Let it be asked at once, whatever went wrong before, and told again what it refused."""
    sync.removals.exclude(refusal="").update(done_at=None, refusal="")
    ProviderSync.objects.filter(pk=sync.pk).update(due_at=ClockTimestamp())
    audit(actor=actor, verb="suppression.sync_now", subject=sync.transport)


def run(sync_id: int) -> bool:
    """Go on with one list for half a minute; return whether there is more to do at once."""
    rows = ProviderSync.objects.due().filter(pk=sync_id)
    if not rows.update(running_until=ClockTimestamp() + SYNC_LEASE):
        return False
    sync = ProviderSync.objects.select_related("transport").get(pk=sync_id)
    try:
        return _run(sync, LISTS[sync.transport.kind])
    except LeaseLost:
        logger.info("list %s is left to another process", sync.pk)
        return False


def _run(sync: ProviderSync, known: ProviderLists) -> bool:
    try:
        with Provider(sync.transport, known.right) as provider:
            is_done = _go_on(sync, provider, known)
    except AskingFailed as failed:
        _put_off(sync, failed)
        return False
    _rest(sync, is_done=is_done)
    return not is_done


def _go_on(sync: ProviderSync, provider: Provider, known: ProviderLists) -> bool:
    """Take off and take in, the latter even where the former fails or goes on; return whether all was done; raise AskingFailed."""
    try:
        is_all_off = _remove(sync, provider, known)
    except AskingFailed:
        _walk(sync, provider, known)
        raise
    is_walked = _walk(sync, provider, known)
    return is_all_off and is_walked


def _walk(sync: ProviderSync, provider: Provider, known: ProviderLists) -> bool:
    """Take in page after page and note where the next begins; return whether all was seen."""
    until = time.monotonic() + RUN_SECONDS
    if sync.begun_at is None:
        _begin_walk(sync)
    while sync.list_number < len(known.lists):
        if time.monotonic() > until:
            return False
        if not _take_page(sync, provider, known.lists[sync.list_number], until):
            return False
    sync.hold(
        since=sync.begun_at,
        begun_at=None,
        list_number=0,
        cursor="",
        covered=sync.walked_for,
        in_step_at=timezone.now(),
    )
    return True


def _begin_walk(sync: ProviderSync) -> None:
    """Begin where the last walk began; over all of the list where the transport carries a stream more since.

    And where that is a time to come: a clock was ahead, and what came since would be asked for by nobody.
    """
    now, since = timezone.now(), sync.since
    walked_for = [stream.pk for stream in _streams_of(sync)]
    if (since and since > now) or not set(walked_for) <= set(sync.covered or ()):
        since = None
    sync.hold(begun_at=now, walked_for=walked_for, since=since)


def _streams_of(sync: ProviderSync) -> list[Stream]:
    return list(Stream.objects.filter(routes__transport=sync.transport).order_by("pk"))


def _take_page(sync: ProviderSync, provider: Provider, one: ListOf, until: float) -> bool:
    """Take in a page, a chunk a transaction, and move to the next; return whether there was time for all of it.

    A page that is cut short is read again, but for a whole list, which goes on behind the last chunk.
    """
    round_ = Round(options=sync.transport.options, since=sync.since, today=timezone.now().date())
    sync.hold()
    answer = provider.ask(one.ask(round_, sync.cursor))
    try:
        page = one.read(answer, sync.cursor)
        keyed = _keyed(page.entries)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        raise provider.misread(f"{one.name}: {error!r:.200}") from error
    if page.cursor and page.cursor == sync.cursor:
        raise provider.misread(f"{one.name}: its next page is the same")
    place = sync.cursor if one.is_whole else ""
    keys = sorted(key for key in {*chain(*keyed.values())} if key > place)
    for at in range(0, len(keys), CHUNK):
        if at and one.is_whole and time.monotonic() > until:
            return False
        chunk = keys[at : at + CHUNK]
        with transaction.atomic():
            came: set[str] = set()
            for told in keyed.values():
                came |= _take_in(sync, one, {key: told[key] for key in chunk if key in told})
            sync.hold(came=F("came") + len(came))
            if one.is_whole:
                _move_on(sync, chunk[-1])
    _move_on(sync, page.cursor)
    return True


def _move_on(sync: ProviderSync, cursor: str) -> None:
    """Note where to go on: in the same list, or at the begin of the next where `cursor` is empty."""
    sync.hold(cursor=cursor, list_number=sync.list_number + (not cursor))


def _keyed(entries: Sequence[Entry]) -> dict[str, dict[str, Entry]]:
    """Return the entries by their reason, then by the keys of their addresses, without those that are no addresses.

    A provider may list an address for one kind of mail and for another, or for two senders, each with a reason.
    """
    keyed: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        try:
            key = address_key(entry.address, allow_utf8=True)
        except InvalidAddress:
            continue
        keyed.setdefault(entry.reason, {}).setdefault(key, entry)
    return keyed


def _take_in(sync: ProviderSync, one: ListOf, keyed: dict[str, Entry]) -> set[str]:
    """Suppress what is new; return the keys of those that were not known.

    What is true of an address holds for all streams. Who unsubscribed left what this transport carries, no more.
    """
    streams = _streams_of(sync)
    ours: dict[str, list[Suppression]] = {}
    for known in Suppression.objects.active().filter(address_key__in=keyed):
        ours.setdefault(known.address_key, []).append(known)
    taken_off = dict(
        sync.removals.filter(address_key__in=keyed).values_list("address_key", "asked_at")
    )
    came: set[str] = set()
    new: list[Suppression] = []
    for key, entry in keyed.items():
        if _is_taken_back(entry, taken_off.get(key)):
            continue
        scope: list[Stream | None] = [*streams] if entry.is_of_some_mail else [None]
        covering = {None, *(stream.pk for stream in scope if stream)}
        standing = [one for one in ours.get(key, []) if one.stream_id in covering]
        firm = {
            one.stream_id
            for one in standing
            if not (one.is_an_imports_alone or _is_stronger(entry, one))
        }
        if firm:
            scope = [*_joined(sync, streams, firm)] if entry.is_of_some_mail else []
        evidence = _evidence(sync, one, entry)
        new += [
            Suppression(
                address=entry.address.strip(),
                address_key=key,
                stream=stream,
                reason=entry.reason,
                evidence_text=evidence,
            )
            for stream in scope
        ]
        if scope and not standing:
            came.add(key)
    suppress_all(new)
    return came


def _joined(sync: ProviderSync, streams: list[Stream], left: set[int | None]) -> list[Stream]:
    """Return the streams that the transport carries only since the last walk, for who `left` all that it carried before."""
    if sync.covered is None or None in left:
        return []
    before = {stream.pk for stream in streams} & set(sync.covered)
    joined = [stream for stream in streams if stream.pk not in {*before, *left}]
    return joined if before and before <= left else []


def _is_taken_back(entry: Entry, asked_at: datetime | None) -> bool:
    """Tell whether a person took the address off after the provider had put it on its list."""
    return asked_at is not None and (entry.since is None or entry.since <= asked_at)


def _is_stronger(entry: Entry, standing: Suppression) -> bool:
    return Suppression(reason=entry.reason).rank > standing.rank


def _evidence(sync: ProviderSync, one: ListOf, entry: Entry) -> str:
    name = APIS[sync.transport.kind].name
    since = f" since {entry.since:%d %b %Y, %H:%M} UTC" if entry.since else ""
    words = f": {entry.words}" if entry.words else ""
    return storable(f"On {name}'s list “{one.name}” ({sync.transport}){since}{words}", 500)


def _remove(sync: ProviderSync, provider: Provider, known: ProviderLists) -> bool:
    """Take off the provider's lists what was taken off ours, until time is up; return whether that was all."""
    until = time.monotonic() + REMOVAL_SECONDS
    waiting = sync.removals.filter(done_at=None).order_by("pk")[:MOST_REMOVALS]
    for removal in waiting:
        _step_back(sync, known)
        refusals = [_take_off(sync, provider, one, removal.address) for one in known.lists]
        refusal = storable("; ".join(filter(None, refusals)), 500)
        asked = sync.removals.filter(pk=removal.pk, asked_at=removal.asked_at)
        if asked.update(done_at=ClockTimestamp(), refusal=refusal) and not refusal:
            sync.hold(went=F("went") + 1)
        if time.monotonic() > until:
            return False
    return len(waiting) < MOST_REMOVALS


def _step_back(sync: ProviderSync, known: ProviderLists) -> None:
    """Go on one entry earlier in a list that is walked by offset: what is taken off before that place moves up all behind."""
    if sync.cursor and known.lists[sync.list_number].is_by_offset:
        sync.hold(cursor=str(max(int(sync.cursor) - 1, 0)))


def _take_off(sync: ProviderSync, provider: Provider, one: ListOf, address: str) -> str:
    """Take an address off one list; return why the provider keeps it there, empty where it is off; raise AskingFailed."""
    sync.hold()
    try:
        why = one.refusal(provider.ask(one.remove(sync.transport.options, address)))
    except Refused as refused:
        why = refused.detail
    except (LookupError, TypeError, AttributeError) as error:
        raise provider.misread(f"{one.name}: {error!r:.200}") from error
    return f"{one.name}: {why}" if why else ""


def _rest(sync: ProviderSync, *, is_done: bool) -> None:
    now = ClockTimestamp()
    sync.let_go(sentence="", detail="", failures=0, due_at=now + EVERY if is_done else now)


def _put_off(sync: ProviderSync, failed: AskingFailed) -> None:
    """Write down what is wrong; where it stopped it goes on later."""
    minutes = BACKOFF_MINUTES[min(sync.failures, len(BACKOFF_MINUTES) - 1)]
    wait = max(failed.wait or timedelta(), timedelta(minutes=minutes))
    sync.let_go(
        sentence=failed.sentence,
        detail=failed.detail,
        failures=F("failures") + 1,
        due_at=ClockTimestamp() + wait,
    )
