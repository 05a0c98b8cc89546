"""Takes calls of webhooks: what comes together is committed by one statement, and each is answered after that.

Providers send in storms, and call again where nobody answers in time. So a call costs one look at what is known of its
address for a second, and its part of a statement.
"""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import Error

from mailops.feedback.archiving import called, row_of
from mailops.feedback.models import RawFeedback, WebhookEndpoint, content_hash
from mailops.feedback.proving import proofs_in
from mailops.feedback.tasks import nudge
from mailops.lib.database_away import is_away
from mailops.outbox.ledger import fetch_prepared

KNOWN_SECONDS = 1.0  # for which an address is taken for what it was
NUDGE_SECONDS = 0.5  # what arrives together is announced together; the tick reads what comes after
TOLD_SECONDS = 60.0  # for which a stored call is known again without asking: providers tell twice within seconds
MOST_TOLD = 20_000  # some 4 MB
_MOST_KNOWN = 1000

# Of calls told twice, at once or long ago, one is kept. The endpoint's row is written once a second, however many call.
_STORE = """
WITH taken AS (
    INSERT INTO feedback_rawfeedback (
        source, transport_id, peer, headers, content, size, sha256,
        envelope_sender, envelope_recipients, is_verified, state, kind, reason, result, attempts
    )
    SELECT one.source, one.transport_id, one.peer, one.headers::jsonb, one.content, one.size, one.sha256,
        '', '{}', false, 'pending', '', '', '{}', 0
    FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::int[], %s::text[])
        AS one (source, transport_id, peer, headers, content, size, sha256)
    ON CONFLICT (source, sha256) DO NOTHING
), heard AS (
    UPDATE feedback_webhookendpoint SET last_heard_at = clock_timestamp()
    WHERE transport_id = ANY (%s::bigint[])
        AND (last_heard_at IS NULL OR last_heard_at < clock_timestamp() - interval '1 second')
)
SELECT 1
"""


@dataclass(frozen=True)
class Door:
    """What is known of an address that may be called."""

    endpoint: WebhookEndpoint
    source: RawFeedback.Source


@dataclass
class _Waiting:
    row: RawFeedback
    is_stored: bool = False
    error: BaseException | None = field(default=None, repr=False)


class Doors:
    """Remembers addresses for a moment, those that lead nowhere not at all."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Door]] = {}

    def find(self, secret: str) -> Door | None:
        """Return the door of this secret, None where there is none."""
        until, door = self._known.get(secret, (0.0, None))
        if door is not None and time.monotonic() < until:
            return door
        door = _look_up(secret)
        if door is not None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[secret] = (time.monotonic() + KNOWN_SECONDS, door)
        return door

    def forget(self) -> None:
        """Ask anew: an address or a password was changed."""
        self._known.clear()


class Told:
    """Remembers for a minute which calls are committed, so that one told again costs neither packing nor a statement."""

    def __init__(self) -> None:
        self._new: set[tuple[int, str]] = set()
        self._old: set[tuple[int, str]] = set()
        self._until = 0.0

    def has(self, endpoint_id: int, sha256: str) -> bool:
        told = (endpoint_id, sha256)
        return time.monotonic() < self._until and (told in self._new or told in self._old)

    def note(self, endpoint_id: int, sha256: str) -> None:
        """Remember a call that is committed."""
        now = time.monotonic()
        if now >= self._until or len(self._new) >= MOST_TOLD // 2:
            is_fresh = now < self._until
            self._old, self._new = (self._new if is_fresh else set()), set()
            self._until = now + TOLD_SECONDS
        self._new.add((endpoint_id, sha256))


class Group:
    """Threads that wait for a commit: one of them writes for all, and whoever came meanwhile is written next."""

    def __init__(self) -> None:
        self._mutex, self._writing = threading.Lock(), threading.Lock()
        self._waiting: list[_Waiting] = []

    def store(self, row: RawFeedback) -> None:
        """Return when the row is committed; raise what kept it from being stored."""
        own = _Waiting(row)
        with self._mutex:
            self._waiting.append(own)
        with self._writing:
            if not own.is_stored and own.error is None:
                with self._mutex:
                    group, self._waiting = self._waiting, []
                _store_all(group)
        if own.error is not None:
            raise own.error


_doors, _told, _group = Doors(), Told(), Group()
_nudged_at = 0.0


def door_of(secret: str) -> Door | None:
    return _doors.find(secret)


def forget_doors() -> None:
    _doors.forget()


def take(door: Door, *, content: bytes, peer: str, headers: dict[str, str]) -> None:
    """Store one call; raise DatabaseError where it could not be kept."""
    global _nudged_at  # noqa: PLW0603 - of this process
    transport = door.endpoint.transport
    proofs = proofs_in(transport.kind, headers)
    sha256 = content_hash(called(transport.pk, proofs), content)
    if _told.has(door.endpoint.pk, sha256):
        return
    row = row_of(
        source=door.source,
        content=content,
        peer=peer,
        headers=headers,
        transport_id=transport.pk,
        proofs=proofs,
    )
    _group.store(row)
    _told.note(door.endpoint.pk, sha256)
    if time.monotonic() - _nudged_at > NUDGE_SECONDS:
        _nudged_at = time.monotonic()
        nudge()


def _look_up(secret: str) -> Door | None:
    endpoint = WebhookEndpoint.objects.select_related("transport").filter(secret=secret).first()
    source = f"webhook:{endpoint.transport.kind}" if endpoint else ""
    if endpoint is None or source not in RawFeedback.Source.values:
        return None
    return Door(endpoint, RawFeedback.Source(source))


def _store_all(group: Sequence[_Waiting]) -> None:
    """Store a group; where one of it can't be stored, the others are, each alone."""
    try:
        _store([one.row for one in group])
    except Error as error:
        if len(group) == 1 or is_away(error):  # whom a silent database keeps waiting waits once
            _fail(group, error)
            return
        for one in group:
            _store_all([one])
    except BaseException as error:  # the process ends: nobody is told that it was stored
        _fail(group, error)
        raise
    else:
        for one in group:
            one.is_stored = True


def _fail(group: Sequence[_Waiting], error: BaseException) -> None:
    for one in group:
        one.error = error


def _store(rows: Sequence[RawFeedback]) -> None:
    transports = [row.transport_id for row in rows]
    columns = (
        [str(row.source) for row in rows],
        transports,
        [row.peer for row in rows],
        [json.dumps(row.headers) for row in rows],
        [bytes(row.content) for row in rows],
        [row.size for row in rows],
        [row.sha256 for row in rows],
    )
    fetch_prepared(_STORE, [*columns, sorted({one for one in transports if one is not None})])
