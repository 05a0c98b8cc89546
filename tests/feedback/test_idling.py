"""Servers tell of new mail as it comes (IMAP IDLE): a real Dovecot does, and what breaks falls back to the clock."""

import queue
import socket
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from mailops.feedback import idling
from mailops.feedback.idling import Ear, Listening, News
from mailops.feedback.mailbox_reading import read_mailbox, server_of
from mailops.feedback.mailboxes import change_mailbox
from mailops.feedback.models import Mailbox, RawFeedback
from mailops.feedback.models.mailboxes import EVERY_WHILE_IDLING
from tests.feedback.test_mailboxes import HELLO, box, read, server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.needs("dovecot")]
PATIENCE = 30  # seconds for what a server is to say


class Heard:
    """What an ear says, in its order."""

    def __init__(self):
        self._news = queue.Queue()

    def __call__(self, mailbox_id, news, detail=""):
        self._news.put((news, detail))

    def next(self):
        return self._news.get(timeout=PATIENCE)[0]

    def rest(self):
        found = []
        while not found or found[-1][0] != News.ENDED:
            found.append(self._news.get(timeout=PATIENCE))
        return found


@pytest.fixture
def listen():
    """Return a function that listens to a mailbox; in the end nobody listens any more."""
    ears = []

    def listen(mailbox):
        heard = Heard()
        ear = Ear(mailbox, server_of(mailbox), heard)
        ears.append(ear)
        ear.start()
        return ear, heard

    yield listen
    for ear in ears:
        ear.hush()
        ear.join(PATIENCE)
        assert not ear.is_alive()


class TestAnEar:
    @pytest.mark.parametrize("security", ["tls", "starttls"])
    def test_hears_of_mail_as_it_comes_and_goes_on(
        self, security, box, server, listen, monkeypatch  # noqa: F811
    ):  # fmt: skip
        monkeypatch.setattr(idling, "PAUSE_SECONDS", 0)
        mailbox = box(security)
        server.dovecot.deliver(mailbox.username, HELLO)
        ear, heard = listen(mailbox)
        assert heard.next() == News.LISTENING
        for n in range(2):
            server.dovecot.deliver(mailbox.username, HELLO + b"%d\r\n" % n)
            assert heard.next() == News.MAIL
        ear.hush()
        assert {news for news, _ in heard.rest()} <= {News.MAIL, News.QUIET, News.ENDED}

    def test_asks_anew_before_the_server_tires(self, box, listen, monkeypatch):  # noqa: F811
        monkeypatch.setattr(idling, "ROUND_SECONDS", 0.01)
        _, heard = listen(box())
        assert [heard.next() for _ in range(4)] == [News.LISTENING, *[News.QUIET] * 3]

    def test_stops_at_once_and_changes_nothing(self, box, server, listen):  # noqa: F811
        mailbox = box()
        server.dovecot.deliver(mailbox.username, HELLO)
        ear, heard = listen(mailbox)
        assert heard.next() == News.LISTENING
        ear.hush()
        ear.join(PATIENCE)
        assert not ear.is_alive()
        assert "Seen" not in str(server.dovecot.folders(mailbox.username, "INBOX"))

    @pytest.mark.parametrize(
        ("offers", "news"),
        [("IMAP4rev1 AUTH=PLAIN", News.REFUSED), ("IMAP4rev1 AUTH=PLAIN IDLE", News.REFUSED)],
    )
    def test_knows_a_refusal(self, offers, news, box, settings, listen):  # noqa: F811
        with _Scripted(offers, idle=b"NO not here") as scripted:
            settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", scripted.port)}
            _, heard = listen(box("none", port=scripted.port))
            assert news in {one for one, _ in heard.rest()}

    def test_tells_that_the_connection_broke(self, box, settings, listen):  # noqa: F811
        with _Scripted("IMAP4rev1 AUTH=PLAIN IDLE", idle=None) as scripted:
            settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", scripted.port)}
            _, heard = listen(box("none", port=scripted.port))
            told = heard.rest()
        assert [news for news, _ in told] == [News.LISTENING, News.LOST, News.ENDED]
        assert "closed" in told[1][1]


class TestListening:
    @pytest.fixture
    def hints(self):
        return []

    @pytest.fixture
    def listening(self, hints):
        listening = Listening(hints.append)
        yield listening
        listening.stop()
        listening.run()  # hangs up

    def test_has_a_mailbox_read_when_mail_comes_and_seldom_else(
        self, box, server, listening, hints  # noqa: F811
    ):  # fmt: skip
        mailbox = read(box())
        listening.look()
        listening.take(*listening._news.get(timeout=PATIENCE))  # it listens
        assert hints == [mailbox.pk]
        assert not read_mailbox(mailbox.pk)
        Mailbox.objects.update(due_at=timezone.now() - timedelta(minutes=2))
        assert not Mailbox.objects.due().exists()
        server.dovecot.deliver(mailbox.username, HELLO)
        listening.take(*listening._news.get(timeout=PATIENCE))
        assert hints == [mailbox.pk] * 2
        assert Mailbox.objects.due().exists()
        read_mailbox(mailbox.pk)
        assert RawFeedback.objects.count() == 1
        mailbox.refresh_from_db()
        assert mailbox.is_idling
        assert mailbox.heard_at
        Mailbox.objects.update(due_at=timezone.now() - EVERY_WHILE_IDLING)
        assert Mailbox.objects.due().exists()  # a server may forget to tell

    def test_is_for_those_that_can_be_read_and_do_not_refuse(self, box, listening):  # noqa: F811
        new, broken, off, refusing = box(), read(box(folder="Nowhere")), read(box()), read(box())
        Mailbox.objects.filter(pk=off.pk).update(is_enabled=False)
        listening.take(refusing.pk, News.REFUSED, "no")
        listening.look()
        assert listening.ears == {}
        refusing.refresh_from_db()
        assert refusing.refuses_to_idle
        assert new.last_read_at is None
        assert broken.cause
        change_mailbox(mailbox=refusing, given={}, password=None, actor=None)
        listening.look()  # it may be another server now
        assert set(listening.ears) == {refusing.pk}

    def test_holds_no_more_connections_than_it_may(self, box, listening, monkeypatch):  # noqa: F811
        monkeypatch.setattr(idling, "MOST", 1)
        first, _ = read(box()), read(box())
        listening.look()
        listening.look()
        assert set(listening.ears) == {first.pk}

    def test_listens_anew_where_a_mailbox_was_changed(self, box, listening):  # noqa: F811
        mailbox = read(box())
        listening.look()
        ear = listening.ears[mailbox.pk]
        Mailbox.objects.update(folder="Other")
        listening.look()
        ear.join(PATIENCE)
        assert not ear.is_alive()

    def test_leaves_a_lost_one_alone_the_longer_the_oftener(self, box, listening):  # noqa: F811
        mailbox = read(box())
        for _ in range(6):
            listening.take(mailbox.pk, News.LOST, "dropped")
        rest = listening._rests[mailbox.pk]
        assert rest.losses == 6
        listening.look()
        assert listening.ears == {}
        rest.until = 0
        listening.look()
        assert set(listening.ears) == {mailbox.pk}
        listening.take(mailbox.pk, News.LISTENING)
        assert listening._rests == {}

    def test_mail_that_comes_while_it_is_read_is_read_next(self, box):  # noqa: F811
        mailbox = read(box())
        assert mailbox.lease()
        Mailbox.objects.update(due_at=None)  # the server told of it
        mailbox.record_reading(is_done=True, fault=None)
        mailbox.refresh_from_db()
        assert mailbox.due_at is None
        assert mailbox.lease()
        mailbox.record_reading(is_done=True, fault=None)
        mailbox.refresh_from_db()
        assert mailbox.due_at > timezone.now()

    def test_outlives_a_database_that_is_away(self, listening, monkeypatch):
        looks = []

        def away():
            looks.append(1)
            listening.stop()
            raise OperationalError("away")

        monkeypatch.setattr(listening, "look", away)
        monkeypatch.setattr(idling.connections, "close_all", lambda: None)
        listening.run()
        assert looks == [1]

    def test_its_end_is_told(self, box, monkeypatch, hints):  # noqa: F811
        mailbox = read(box())
        monkeypatch.setattr(idling.connections, "close_all", lambda: None)
        listening = Listening(hints.append)
        listening.look()
        listening.take(*listening._news.get(timeout=PATIENCE))
        ear = listening.ears[mailbox.pk]
        mailbox.refresh_from_db()
        assert mailbox.is_idling
        listening.stop()
        monkeypatch.setattr(listening, "look", lambda: None)
        listening.run()
        ear.join(PATIENCE)
        assert not ear.is_alive()
        mailbox.refresh_from_db()
        assert not mailbox.is_idling


def test_the_pages_say_which_it_is(box, logged_in, viewer):  # noqa: F811
    client, mailbox = logged_in(viewer), box()
    pages = (f"/feedback/mailboxes/{mailbox.pk}/", "/feedback/mailboxes/")
    said = [client.get(page).content.decode() for page in pages]
    assert "looked for every minute" in said[0]
    assert "polled every minute" in said[1]
    now = timezone.now()
    Mailbox.objects.update(idling_until=now + timedelta(minutes=1), heard_at=now)
    said = [client.get(page).content.decode() for page in pages]
    assert "IDLE" in said[0]
    assert "idles" in said[1]
    Mailbox.objects.update(idling_until=None, idle_refused_until=now + timedelta(hours=1))
    assert "offers no IDLE" in client.get(pages[0]).content.decode()


class _Scripted:
    """An IMAP server in clear text that answers IDLE with a word, or with nothing and the end of the connection."""

    def __init__(self, offers, *, idle):
        self._offers, self._idle = offers.encode(), idle

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(PATIENCE)
        self._listener.close()

    def _run(self):
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"* OK hello\r\n")
            for line in lines:
                if not self._answer(connection, line, lines):
                    break

    def _answer(self, connection, line, lines):
        tag, command, *_ = line.split()
        untagged = {
            b"CAPABILITY": b"* CAPABILITY " + self._offers + b"\r\n",
            b"EXAMINE": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 1] ok\r\n",
        }
        if command == b"AUTHENTICATE":
            connection.sendall(b"+ \r\n")
            lines.readline()
        if command == b"IDLE" and self._idle is None:
            connection.sendall(b"+ idling\r\n")
            return False
        answer = self._idle if command == b"IDLE" else b"OK done"
        connection.sendall(untagged.get(command, b"") + tag + b" " + answer + b"\r\n")
        return command != b"LOGOUT"
