"""Lets mailboxes' servers tell of new mail as it comes (IMAP IDLE, RFC 2177); what they tell is only a hint to read.

A thread of its own holds one connection to each mailbox's server, up to MOST. All that touches the database is done by the
one that looks after them, so quiet mailboxes cost no connection there. Whatever breaks, each mailbox is read by the clock.
"""

import logging
import queue
import random
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from functools import partial

from django.db import Error, connections

from mailops.feedback.mailbox_reading import server_of
from mailops.feedback.models import Mailbox
from mailops.feedback.models.mailboxes import IDLING_LEASE
from mailops.lib import imap
from mailops.lib.clock import ClockTimestamp
from mailops.lib.imap import ImapFault

logger = logging.getLogger(__name__)

MOST = 30  # connections; the mailboxes beyond are read by the clock
# of one IDLE: firewalls forget quiet connections after ten minutes, servers after 29
ROUND_SECONDS = 540.0
SESSION_SECONDS = 3000.0  # of one log-in: access tokens live for an hour
PAUSE_SECONDS = 1.0  # after mail: what comes in a burst is told of once a second
LOOK_SECONDS = 20.0  # between two looks at which mailboxes there are
REFUSED_FOR = timedelta(days=1)
BACKOFF_SECONDS = (5.0, 30.0, 120.0, 600.0)  # after a connection was lost
STOP_SECONDS = 1.0


class News(Enum):
    """What a thread says of its mailbox."""

    LISTENING = "listening"  # logged in, and the server is asked to tell
    QUIET = "quiet"  # a round went by; the server is still there
    MAIL = "mail"
    REFUSED = "refused"  # the server doesn't tell of new mail
    LOST = "lost"
    ENDED = "ended"


Tell = Callable[[int, News, str], None]


class Ear(threading.Thread):
    """Listens to one mailbox until it is hushed, the session is old, or the connection breaks."""

    def __init__(self, mailbox: Mailbox, server: imap.Server, tell: Tell) -> None:
        super().__init__(name=f"mailbox {mailbox.pk}", daemon=True)
        self.place = _place_of(mailbox)
        self._mailbox_id, self._folder, self._server = mailbox.pk, mailbox.folder, server
        self._tell = tell
        self._wakes, self._waker = socket.socketpair()

    def hush(self) -> None:
        """Stop listening at once."""
        self._waker.close()

    def run(self) -> None:
        try:
            self._listen(time.monotonic() + SESSION_SECONDS - ROUND_SECONDS)
        except ImapFault as fault:
            is_refusal = fault.cause == "idle_refused"
            self._say(News.REFUSED if is_refusal else News.LOST, f"{fault.cause}: {fault.detail}")
        finally:
            self._say(News.ENDED)
            self._wakes.close()

    def _listen(self, until: float) -> None:
        with imap.conversation(self._server, seconds=SESSION_SECONDS) as talk:
            if not talk.can_idle:
                raise ImapFault("idle_refused", "it is not among what the server offers")
            talk.open(self._folder, is_look=True)
            self._say(News.LISTENING)
            while not self._is_hushed(0) and time.monotonic() < until:
                has_come = talk.idle(seconds=ROUND_SECONDS, waker=self._wakes)
                self._say(News.MAIL if has_come else News.QUIET)
                if has_come and self._is_hushed(PAUSE_SECONDS):
                    return

    def _is_hushed(self, seconds: float) -> bool:
        """Wait so long, unless somebody has us stop; tell whether that is so."""
        return bool(select.select([self._wakes], [], [], seconds)[0])

    def _say(self, news: News, detail: str = "") -> None:
        self._tell(self._mailbox_id, news, detail)


@dataclass
class _Rest:
    """How long a mailbox is left alone after its connection was lost."""

    losses: int = 0
    until: float = 0.0

    def lengthen(self) -> None:
        seconds = BACKOFF_SECONDS[min(self.losses, len(BACKOFF_SECONDS) - 1)]
        self.losses += 1
        self.until = time.monotonic() + seconds * random.uniform(0.75, 1.25)  # noqa: S311 - jitter


@dataclass
class Listening:
    """Looks after all ears of this process; `hint` has a mailbox read soon."""

    hint: Callable[[int], None]
    ears: dict[int, Ear] = field(default_factory=dict)
    _news: "queue.Queue[tuple[int, News, str] | None]" = field(default_factory=queue.Queue)
    _rests: dict[int, _Rest] = field(default_factory=dict)
    _heard: set[int] = field(default_factory=set)

    def run(self) -> None:
        """Look after them until `stop()`; a database that is away is waited for."""
        looks_at = 0.0
        while True:
            if time.monotonic() >= looks_at:
                self._safely(self.look)
                looks_at = time.monotonic() + LOOK_SECONDS
            try:
                news = self._news.get(timeout=max(0.0, looks_at - time.monotonic()))
            except queue.Empty:
                continue
            if news is None:
                break
            self._safely(partial(self.take, *news))
        self._end()

    def stop(self) -> None:
        """Have `run()` hang up and return; may be called from anywhere."""
        self._news.put(None)

    def look(self) -> None:
        """Listen to the mailboxes that there are now, to no others, and tell that we do."""
        wanted = {one.pk: one for one in Mailbox.objects.to_idle().order_by("pk")[:MOST]}
        for mailbox_id, ear in list(self.ears.items()):
            mailbox = wanted.get(mailbox_id)
            if mailbox is None or _place_of(mailbox) != ear.place:
                ear.hush()
        for mailbox_id, mailbox in wanted.items():
            rest = self._rests.get(mailbox_id)
            if mailbox_id not in self.ears and (rest is None or time.monotonic() >= rest.until):
                self._begin(mailbox)
        Mailbox.objects.filter(pk__in=self._heard).update(
            idling_until=ClockTimestamp() + IDLING_LEASE
        )

    def take(self, mailbox_id: int, news: News, detail: str = "") -> None:
        """Do what a thread's news asks for."""
        row = Mailbox.objects.filter(pk=mailbox_id)
        if news in {News.LISTENING, News.QUIET, News.MAIL}:
            self._heard.add(mailbox_id)
            self._rests.pop(mailbox_id, None)
            now = ClockTimestamp()
            row.update(heard_at=now, idling_until=now + IDLING_LEASE)
        if news in {News.LISTENING, News.MAIL}:  # what came before we listened was not told
            row.update(due_at=None)
            self.hint(mailbox_id)
        elif news == News.REFUSED:
            logger.info("mailbox %s is read by the clock: %s", mailbox_id, detail)
            row.update(idle_refused_until=ClockTimestamp() + REFUSED_FOR)
        elif news == News.LOST:
            logger.info("mailbox %s is no longer listened to: %s", mailbox_id, detail)
            self._rests.setdefault(mailbox_id, _Rest()).lengthen()
        elif news == News.ENDED:
            self.ears.pop(mailbox_id, None)
            self._heard.discard(mailbox_id)
            row.update(idling_until=None)

    def _begin(self, mailbox: Mailbox) -> None:
        try:
            server = server_of(mailbox)
        except ImapFault:
            return  # the next reading says what is wrong
        ear = Ear(mailbox, server, lambda *news: self._news.put(news))
        self.ears[mailbox.pk] = ear
        ear.start()

    def _end(self) -> None:
        until = time.monotonic() + STOP_SECONDS
        for ear in self.ears.values():
            ear.hush()
        for ear in self.ears.values():
            ear.join(max(0.0, until - time.monotonic()))
        ids = list(self.ears)
        self._safely(lambda: Mailbox.objects.filter(pk__in=ids).update(idling_until=None))
        connections.close_all()

    def _safely(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Error as error:
            logger.warning("mailboxes can't be looked after, it is tried again: %s", error)
            connections.close_all()


def _place_of(mailbox: Mailbox) -> tuple[object, ...]:
    """Return what, once changed, is listened to anew."""
    return (
        mailbox.host, mailbox.port, mailbox.security, mailbox.username, bytes(mailbox.password),
        mailbox.grant_id, mailbox.folder,
    )  # fmt: skip
