"""Mailboxes are read from a real Dovecot: each mail stored once, then dealt with, whatever breaks in between."""

import imaplib
import socket
import threading
from types import SimpleNamespace

import pytest

from mailops.accounts.models import AuditEntry
from mailops.feedback import mailbox_reading
from mailops.feedback.mailbox_causes import CAUSES
from mailops.feedback.mailbox_reading import look, read_mailbox
from mailops.feedback.mailboxes import add_mailbox, change_mailbox
from mailops.feedback.models import Mailbox, RawFeedback
from mailops.feedback.processing import process_pending
from mailops.feedback.tasks import read_mailboxes
from mailops.lib import imap
from mailops.lib.imap import ImapFault
from mailops.lib.secrets import Secret
from mailops.outbox.models import Status
from mailops.reports.attention import matters
from mailops.suppressions.models import Suppression
from mailops.transports import oauth
from mailops.transports.credentials import add_grant
from tests.factories import make_transport
from tests.feedback.conftest import make_sent, report_on, sender_of
from tests.mailbox_server import MailboxServer
from tests.oauth_server import OAuthServer
from tests.smtp_server import CertificateAuthority

pytestmark = [pytest.mark.django_db, pytest.mark.needs("dovecot")]
PASSWORD = "canary-70e1b2aa-pass"
QUOTED = 'canary-"70e1\\b2aa'  # IMAP writes it otherwise
USERS = [f"bounces{n}@example.com" for n in range(80)]
HELLO = b"From: ann@example.net\r\nSubject: Hello\r\n\r\nHow are you?\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    authority = CertificateAuthority(tmp_path_factory.mktemp("authority"))
    authority.server_context("127.0.0.1")
    with (
        OAuthServer() as tokens,
        MailboxServer(
            dict.fromkeys(USERS, PASSWORD),
            pair=authority.folder / "127.0.0.1-90.pem",
            token_info=tokens.info_url,
        ) as dovecot,
    ):
        dovecot.unused = iter(USERS)
        yield SimpleNamespace(dovecot=dovecot, authority=authority, tokens=tokens)


@pytest.fixture
def box(server, settings):
    """Return a function that makes a mailbox nobody has read yet."""
    pairs = {("127.0.0.1", port) for port in (*server.dovecot.ports.values(), server.tokens.port)}
    settings.MAILOPS_TRUSTED_RELAYS = frozenset(pairs)
    settings.MAILOPS_EXTRA_CA_FILE = server.authority.file

    def make(security="tls", password=PASSWORD, **fields):
        given = {
            "name": f"Bounces {Mailbox.objects.count()}",
            "host": "127.0.0.1",
            "port": server.dovecot.ports.get(security, server.dovecot.ports["starttls"]),
            "security": security,
            "username": next(server.dovecot.unused),
            **fields,
        }
        return add_mailbox(given=given, password=Secret(password), actor=None)

    return make


def read(mailbox):
    """Read a mailbox whether it is due or not, and return it as it is then."""
    Mailbox.objects.filter(pk=mailbox.pk).update(due_at=None, reading_until=None)
    read_mailbox(mailbox.pk)
    mailbox.refresh_from_db()
    return mailbox


class TestReading:
    @pytest.mark.parametrize("security", ["tls", "starttls", "none"])
    def test_a_bounce_settles_its_message(self, security, box, server):
        sent, mailbox = make_sent(), box(security)
        mail = f"Delivered-To: {sender_of(sent)}\r\n".encode() + report_on(sent)
        server.dovecot.deliver(mailbox.username, mail)
        assert read(mailbox).cause == "", mailbox.detail
        process_pending()
        sent.refresh_from_db()
        row = RawFeedback.objects.get()
        assert (sent.status, Suppression.objects.count()) == (Status.BOUNCED, 1)
        assert (row.source, row.raw, row.mailbox, row.is_verified) == ("imap", mail, mailbox, True)
        assert (mailbox.taken, mailbox.known, mailbox.state) == (1, 0, "read")
        assert mailbox.last_mail_at

    def test_mails_are_marked_as_read_and_met_once(self, box, server):
        mailbox = box()
        server.dovecot.deliver(mailbox.username, HELLO, HELLO + b"Again\r\n", b"\r\n")
        read(mailbox)
        assert server.dovecot.folders(mailbox.username, "INBOX") == {"INBOX": ["\\Seen"] * 3}
        assert (read(mailbox).taken, mailbox.known) == (3, 0)
        server.dovecot.deliver(mailbox.username, HELLO + b"New\r\n")
        assert (read(mailbox).taken, RawFeedback.objects.count()) == (4, 4)

    def test_mails_are_moved_where_that_is_wished(self, box, server):
        mailbox = box(then="move", target="Älteres", folder="Bounces")
        with server.dovecot.open(mailbox.username) as client:
            client.create("Bounces")
            client.create("&AMQ-lteres")
        server.dovecot.deliver(mailbox.username, HELLO, HELLO + b"2", folder="Bounces")
        read(mailbox)
        found = server.dovecot.folders(mailbox.username, "Bounces", "&AMQ-lteres")
        assert {name: len(mails) for name, mails in found.items()} == {
            "Bounces": 0,
            "&AMQ-lteres": 2,
        }

    def test_only_what_was_read_is_deleted(self, box, server):
        mailbox = box(then="delete")
        server.dovecot.deliver(mailbox.username, HELLO)
        read(mailbox)
        server.dovecot.deliver(mailbox.username, HELLO + b"a", HELLO + b"b")
        with server.dovecot.open(mailbox.username) as client:
            client.select("INBOX")
            client.store("1", "+FLAGS", "\\Deleted")  # its owner's business: not expunged yet
        Mailbox.objects.update(last_uid=2)
        read(mailbox)
        assert server.dovecot.folders(mailbox.username, "INBOX") == {"INBOX": ["\\Deleted"]}

    def test_many_are_read_in_steps_and_gaps_cost_little(self, box, server, monkeypatch):
        monkeypatch.setattr(mailbox_reading, "CHUNK", 3)
        monkeypatch.setattr(imap, "_FIRST_SPAN", 2)
        mailbox = box()
        server.dovecot.deliver(mailbox.username, *(HELLO + b"%d" % n for n in range(8)))
        with server.dovecot.open(mailbox.username) as client:
            client.select("INBOX")
            client.store("2:7", "+FLAGS", "\\Deleted")
            client.expunge()
        assert (read(mailbox).taken, mailbox.last_uid) == (2, 8)

    def test_of_a_large_mail_the_beginning_is_read(self, box, server, monkeypatch):
        monkeypatch.setattr(imap, "MOST_OCTETS", 2000)
        sent, mailbox = make_sent(), box()
        mail = report_on(sent)
        server.dovecot.deliver(mailbox.username, mail + b"x" * 100_000)
        read(mailbox)
        row = RawFeedback.objects.get()
        assert (row.size, mailbox.cut) == (2000, 1)
        assert "2000 of" in row.headers["x-mailops-cut"]

    def test_a_token_of_oauth_logs_in(self, box, server):
        tokens = server.tokens
        mailbox = box()
        tokens.mailbox = mailbox.username
        grant = add_grant(
            transport=make_transport(),
            credential={"label": "Mailbox", "username": mailbox.username},
            grant={
                "provider": "other", "client_id": "app", "own_scope": "imap",
                "own_authorize_url": "https://login.example/",
                "own_token_url": f"http://127.0.0.1:{tokens.port}/token",
            },
            client_secret=None,
            actor=None,
        )  # fmt: skip
        oauth.accept_refresh_token(grant, Secret("refresh-1"), actor=None)
        change_mailbox(mailbox=mailbox, given={"grant": grant}, password=None, actor=None)
        server.dovecot.deliver(mailbox.username, HELLO)
        assert (read(mailbox).cause, mailbox.taken, mailbox.password) == ("", 1, b"")
        tokens.access_tokens.clear()
        assert read(mailbox).cause == "oauth_refused"


class TestCrashes:
    """Between any two steps: stored, dealt with, noted."""

    @pytest.mark.parametrize("step", ["_conclude", "advance"])
    @pytest.mark.parametrize("then", ["flag", "move", "delete"])
    def test_nothing_is_lost_and_nothing_doubled(self, step, then, box, server, monkeypatch):
        class Killed(BaseException):
            pass

        def die(*_, **__):
            raise Killed

        mailbox = box(then=then, target="Trash" if then == "move" else "")
        if then == "move":
            with server.dovecot.open(mailbox.username) as client:
                client.create("Trash")
        mails = {HELLO + b"%d\r\n" % n + step.encode() for n in range(3)}
        server.dovecot.deliver(mailbox.username, *mails)
        before = len(server.dovecot.folders(mailbox.username, "INBOX")["INBOX"])
        with monkeypatch.context() as patched:
            patched.setattr(mailbox_reading if step == "_conclude" else Mailbox, step, die)
            with pytest.raises(Killed):
                read(mailbox)
        read(mailbox)
        left = server.dovecot.folders(mailbox.username, "INBOX")["INBOX"]
        assert mails <= {row.raw for row in RawFeedback.objects.all()}
        assert len(RawFeedback.objects.all()) == before
        assert left == ([r"\Seen"] * before if then == "flag" else [])

    def test_mails_that_are_numbered_anew_are_known_by_their_octets(self, box, server):
        mailbox = box()
        server.dovecot.deliver(mailbox.username, HELLO, HELLO + b"2")
        was = read(mailbox).uid_validity
        stored = RawFeedback.objects.count()
        server.dovecot.number_anew(mailbox.username)
        server.dovecot.deliver(mailbox.username, HELLO + b"3")
        assert read(mailbox).uid_validity != was
        assert RawFeedback.objects.count() == stored + 1
        assert mailbox.known == stored

    @pytest.mark.parametrize("then", ["flag", "delete"])
    @pytest.mark.parametrize(
        "answer",
        [("NO", [b"[SERVERBUG] Internal error occurred."]), imaplib.IMAP4.error("BAD Error 10")],
    )
    def test_a_mail_that_is_not_handed_out_is_not_passed_over_and_holds_up_no_other(
        self, answer, then, box, server, monkeypatch
    ):
        mailbox = box(then=then)
        monkeypatch.setattr(mailbox_reading, "CHUNK", 2)
        server.dovecot.deliver(mailbox.username, *(HELLO + b"%d" % n for n in range(5)))
        with monkeypatch.context() as patched:
            _refuse_to_fetch(patched, "2", answer)
            for _ in range(2):
                assert (read(mailbox).cause, mailbox.refused_uids) == ("mail_refused", [2])
                assert mailbox.taken == RawFeedback.objects.count() == 4
                assert (mailbox.known, mailbox.last_uid) == (0, 5)
        left = server.dovecot.folders(mailbox.username, "INBOX")["INBOX"]
        assert left == ([r"\Seen", "", *[r"\Seen"] * 3] if then == "flag" else [""])
        assert (read(mailbox).cause, mailbox.taken, mailbox.refused_uids) == ("", 5, [])
        left = server.dovecot.folders(mailbox.username, "INBOX")["INBOX"]
        assert left == ([r"\Seen"] * 5 if then == "flag" else [])

    @pytest.mark.parametrize(
        "answer", [("NO", [b"[SERVERBUG]"]), imaplib.IMAP4.abort("the server died of it")]
    )
    def test_what_lies_beyond_such_a_mail_is_read_however_long_that_takes(
        self, answer, box, server, monkeypatch
    ):
        mailbox = box()
        monkeypatch.setattr(mailbox_reading, "CHUNK", 2)
        monkeypatch.setattr(mailbox_reading, "TAKING_SECONDS", 0)  # time for one chunk
        server.dovecot.deliver(mailbox.username, *(HELLO + b"%d" % n for n in range(7)))
        with monkeypatch.context() as patched:
            _refuse_to_fetch(patched, "1", answer)
            taken = [read(mailbox).taken for _ in range(6)]
            assert (taken[-1], mailbox.known, mailbox.refused_uids) == (6, 0, [1])
            assert (mailbox.cause, mailbox.failures) == ("mail_refused", 0)
            assert not Mailbox.objects.due().exists()
            assert f"Mailbox {mailbox} needs a look" in [one.title for one in matters()]
        assert (read(mailbox).cause, mailbox.taken, mailbox.known) == ("", 7, 0)
        assert server.dovecot.folders(mailbox.username, "INBOX")["INBOX"] == [r"\Seen"] * 7

    def test_a_reading_that_succeeds_forgets_why_the_one_before_failed_whatever_was_left(
        self, box, server, monkeypatch
    ):
        mailbox = box()
        monkeypatch.setattr(mailbox_reading, "CHUNK", 2)
        server.dovecot.deliver(mailbox.username, *(HELLO + b"%d" % n for n in range(5)))
        with monkeypatch.context() as patched:
            _refuse_to_fetch(patched, "1", ("NO", [b"[SERVERBUG]"]))
            read(mailbox)
        Mailbox.objects.update(folder="Later")
        assert (read(mailbox).cause, mailbox.failures) == ("folder_missing", 1)
        Mailbox.objects.update(folder="INBOX", last_uid=1)
        monkeypatch.setattr(mailbox_reading, "TAKING_SECONDS", 0)  # time for one chunk
        assert (read(mailbox).refused_uids, mailbox.last_uid) == ([1], 3)
        assert (mailbox.cause, mailbox.failing_since_at) == ("", None)

    def test_mails_that_are_refused_take_turns_to_be_asked_for_again(
        self, box, server, monkeypatch
    ):
        mailbox = box()
        server.dovecot.deliver(mailbox.username, *(HELLO + b"%d" % n for n in range(5)))
        with monkeypatch.context() as patched:
            _refuse_to_fetch(patched, "124", ("NO", [b"[SERVERBUG]"]))
            assert read(mailbox).refused_uids == [1, 2, 4]
        monkeypatch.setattr(mailbox_reading, "CHUNK", 2)
        with monkeypatch.context() as patched:
            _refuse_to_fetch(patched, "12", ("NO", [b"[SERVERBUG]"]))
            assert read(mailbox).refused_uids == [4, 1, 2]
            assert (read(mailbox).refused_uids, mailbox.cause) == ([2, 1], "mail_refused")
        assert (read(mailbox).refused_uids, mailbox.taken, mailbox.cause) == ([], 5, "")

    def test_a_server_that_hands_out_nothing_is_not_asked_for_all_it_holds(
        self, box, server, monkeypatch
    ):
        mailbox = box()
        monkeypatch.setattr(mailbox_reading, "CHUNK", 2)
        server.dovecot.deliver(mailbox.username, *(HELLO + b"%d" % n for n in range(5)))
        with monkeypatch.context() as patched:
            asked = _refuse_to_fetch(patched, "345", ("NO", [b"[THROTTLED] Slow down."]))
            assert (read(mailbox).cause, mailbox.last_uid, mailbox.taken) == ("mail_refused", 2, 2)
        assert asked == ["3", "4"]
        assert (read(mailbox).cause, mailbox.taken) == ("", 5)

    def test_a_folder_that_is_gone_holds_up_no_report(self, box, server, monkeypatch):
        mailbox = box(then="move", target="Gone")
        monkeypatch.setattr(mailbox_reading, "CHUNK", 2)
        server.dovecot.deliver(mailbox.username, *(HELLO + b"%d" % n for n in range(5)))
        for _ in range(2):
            assert (read(mailbox).cause, mailbox.left_spans) == ("target_missing", [[1, 5]])
            assert (mailbox.taken, mailbox.known, mailbox.last_uid) == (5, 0, 5)
        with server.dovecot.open(mailbox.username) as client:
            client.create("Gone")
        assert (read(mailbox).cause, mailbox.taken, mailbox.left_spans) == ("", 5, [])
        found = server.dovecot.folders(mailbox.username, "INBOX", "Gone")
        assert {name: len(mails) for name, mails in found.items()} == {"INBOX": 0, "Gone": 5}

    def test_large_mails_are_noted_one_by_one_so_that_none_is_asked_for_for_ever(
        self, box, server, monkeypatch
    ):
        monkeypatch.setattr(mailbox_reading, "CHUNK_OCTETS", 1000)
        mailbox = box()
        server.dovecot.deliver(mailbox.username, *(HELLO + b"%d" % n * 1000 for n in range(3)))
        with monkeypatch.context() as patched:
            _refuse_to_fetch(patched, "3", imaplib.IMAP4.abort("the time is up"))
            assert (read(mailbox).cause, mailbox.refused_uids, mailbox.taken) == ("dropped", [3], 2)
        assert (read(mailbox).cause, mailbox.taken, mailbox.known) == ("", 3, 0)

    def test_a_mail_that_brought_nothing_is_not_deleted(self, box, server, monkeypatch):
        mailbox = box(then="delete")
        server.dovecot.deliver(mailbox.username, HELLO, HELLO + b"2")
        with monkeypatch.context() as patched:
            _refuse_to_fetch(patched, "1", ("OK", [None]))
            assert (read(mailbox).taken, mailbox.last_uid) == (1, 2)
        assert len(server.dovecot.folders(mailbox.username, "INBOX")["INBOX"]) == 1

    def test_two_processes_never_read_one_mailbox_at_once(self, box):
        mailbox = box()
        assert mailbox.lease()
        assert not mailbox.lease()
        assert not Mailbox.objects.due().exists()


def _refuse_to_fetch(patched, uids, answer):
    """Have `answer` given for `uids`, of one digit each; return a list of those that are asked for."""
    ask, asked = imaplib.IMAP4.uid, []

    def answered(self, command, *args):
        if command != "FETCH" or args[0] not in uids:
            return ask(self, command, *args)
        asked.append(args[0])
        if isinstance(answer, Exception):
            raise answer
        return answer

    patched.setattr(imaplib.IMAP4, "uid", answered)
    return asked


class TestFaults:
    @pytest.mark.parametrize(
        ("fields", "cause"),
        [
            ({"password": "wrong"}, "auth_failed"),
            ({"folder": "Nowhere"}, "folder_missing"),
            ({"then": "move", "target": "Nowhere"}, "target_missing"),
            ({"security": "none", "port": 1}, "not_trusted"),
            ({"security": "tls", "host": "localhost"}, "tls_name"),
        ],
    )
    def test_each_has_its_cause_and_its_fix(self, fields, cause, box, server, settings):
        settings.MAILOPS_TRUSTED_RELAYS |= {("localhost", server.dovecot.ports["tls"])}
        mailbox = box(**fields)
        server.dovecot.deliver(mailbox.username, HELLO + cause.encode())
        assert read(mailbox).cause == cause, mailbox.detail
        assert CAUSES[cause].fix
        assert PASSWORD not in mailbox.detail
        if cause != "target_missing":
            with pytest.raises(ImapFault):
                look(mailbox)
        (matter,) = [one for one in matters() if "Mailbox" in one.title]
        assert CAUSES[cause].what in matter.sentence

    def test_a_host_that_is_away(self, box, settings):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            mailbox = box(port=port)
            settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", port)}
            assert read(mailbox).cause == "refused"

    def test_an_authority_nobody_trusts(self, box, settings):
        mailbox = box()
        settings.MAILOPS_EXTRA_CA_FILE = None
        assert read(mailbox).cause == "tls_issuer"

    def test_a_password_of_another_endpoint_does_not_open(self, box):
        mailbox = box()
        Mailbox.objects.update(port=mailbox.port + 1)
        assert read(mailbox).cause == "credential"

    def test_it_rests_the_longer_the_more_often_it_fails_and_a_success_forgets(self, box):
        mailbox = box(folder="Later")
        waits = []
        for _ in range(5):
            read(mailbox)
            waits.append(round((mailbox.due_at - mailbox.failing_since_at).total_seconds() / 60))
            assert not Mailbox.objects.due().exists()
        assert waits == [1, 5, 15, 60, 60]
        change_mailbox(mailbox=mailbox, given={"folder": "INBOX"}, password=None, actor=None)
        assert Mailbox.objects.due().exists()
        assert (read(mailbox).cause, mailbox.failures) == ("", 0)

    @pytest.mark.parametrize(
        "greeting",
        [b"* PREAUTH hello root\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"* BYE busy\r\n", b"\xff\x00\r\n",
         b"* OK hello\r\n* CAPABILITY IMAP4rev1\r\n", b"* OK {99999999999}\r\n"],
    )  # fmt: skip
    def test_whatever_else_answers_is_a_cause_too(self, greeting, box, settings):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            mailbox = box("starttls", port=port)
            settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", port)}
            answer = _answering(listener, greeting)
            assert read(mailbox).cause in {"protocol", "dropped", "no_tls"}
            answer.join(5)

    @pytest.mark.parametrize("offers", ["AUTH=PLAIN", ""])
    def test_a_server_that_quotes_the_log_in_tells_no_password(self, offers, box, settings):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", port)}
            mailbox = box("none", port=port, password=QUOTED)
            quoting = _quoting(listener, offers)
            assert read(mailbox).cause == "auth_failed", mailbox.detail
            quoting.join(5)
        assert mailbox.detail == "you said ****"

    def test_a_switched_off_mailbox_is_left_alone(self, box, server):
        mailbox = box(is_enabled=False)
        server.dovecot.deliver(mailbox.username, HELLO)
        read_mailboxes()
        assert read(mailbox).last_read_at is None


def _answering(listener, greeting):
    def run():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(greeting)
            connection.recv(1000)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _quoting(listener, offers):
    """Refuse the log-in and say back what was told of the password."""

    def run():
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb", 0) as said:
            said.write(b"* OK hello\r\n")
            while words := said.readline().split():
                tag, verb = words[:2]
                if verb == b"CAPABILITY":
                    said.write(
                        b"* CAPABILITY IMAP4rev1 %s\r\n%s OK done\r\n" % (offers.encode(), tag)
                    )
                    continue
                if verb == b"AUTHENTICATE":
                    said.write(b"+ \r\n")
                    words = said.readline().split()
                said.write(b"%s NO you said %s\r\n" % (tag, words[-1].strip(b'"')))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


class TestPages:
    FORM = {
        "name": "Returns", "host": "imap.example.com", "port": "993", "security": "tls",
        "username": "returns@example.com", "password": PASSWORD, "folder": "INBOX",
        "then": "flag", "is_enabled": "on",
    }  # fmt: skip

    @pytest.fixture
    def cast(self, oncall, viewer):
        return oncall, viewer

    def test_an_admin_adds_one_and_its_password_is_never_shown(self, admin, logged_in):
        client = logged_in(admin)
        assert "No mailboxes yet" in client.get("/feedback/mailboxes/").content.decode()
        page = client.post("/feedback/mailboxes/add/", self.FORM, follow=True)
        mailbox = Mailbox.objects.get()
        assert mailbox.open_from("password").reveal() == PASSWORD
        edit = client.get(f"/feedback/mailboxes/{mailbox.pk}/edit/")
        assert PASSWORD not in page.content.decode() + edit.content.decode()
        assert AuditEntry.objects.get().verb == "mailbox.add"
        assert PASSWORD not in str(AuditEntry.objects.values_list())

    def test_a_host_is_written_as_that_of_a_transport_is(self, admin, logged_in):
        given = {**self.FORM, "host": "IMAP_1.example.com."}
        assert logged_in(admin).post("/feedback/mailboxes/add/", given).status_code == 302
        assert Mailbox.objects.get().host == "imap_1.example.com"

    def test_an_edit_replaces_no_change_that_was_not_seen(self, admin, logged_in):
        client = logged_in(admin)
        client.post("/feedback/mailboxes/add/", self.FORM)
        url = f"/feedback/mailboxes/{Mailbox.objects.get().pk}/edit/"
        seen = client.get(url).context["form"]["seen"].value()
        same = {**self.FORM, "password": "", "seen": seen}
        for _ in range(2):  # the same once more is no conflict
            assert client.post(url, {**same, "folder": "Bounces"}).status_code == 302
        late = client.post(url, {**same, "name": "Other", "password": PASSWORD})
        assert late.status_code == 422
        facts = {"Name": "Returns", "Folder": "Bounces"}
        assert dict(late.context["meanwhile"].facts) == facts
        assert PASSWORD not in late.text
        assert 'placeholder="Not saved yet: type it again"' in late.text
        assert "placeholder" not in client.post(url, {**same, "name": "Other"}).text
        assert Mailbox.objects.get().folder == "Bounces"
        seen = late.context["form"]["seen"].value()
        assert client.post(url, {**same, "name": "Other", "seen": seen}).status_code == 302
        assert (Mailbox.objects.get().name, Mailbox.objects.get().folder) == ("Other", "INBOX")

    def test_a_password_is_asked_for_again_where_the_endpoint_changes(self, admin, logged_in):
        client = logged_in(admin)
        client.post("/feedback/mailboxes/add/", self.FORM)
        url = f"/feedback/mailboxes/{Mailbox.objects.get().pk}/edit/"
        same = {**self.FORM, "password": ""}
        assert client.post(url, {**same, "name": "Other"}).status_code == 302
        assert client.post(url, {**same, "host": "imap.example.org"}).status_code == 422
        assert Mailbox.objects.get().host == "imap.example.com"

    @pytest.mark.parametrize(
        "wrong",
        [{"security": "none"}, {"then": "move"}, {"then": "move", "target": "INBOX"}, {"port": "0"},
         {"host": "not a host"}, {"password": ""}, {"folder": "A\nB\x00"}, {"then": "keep"}, {"port": "70000"}],
    )  # fmt: skip
    def test_nonsense_is_refused_and_kept(self, wrong, admin, logged_in):
        response = logged_in(admin).post("/feedback/mailboxes/add/", {**self.FORM, **wrong})
        assert response.status_code == 422
        assert "Returns" in response.content.decode()
        assert not Mailbox.objects.exists()

    def test_a_token_is_said_to_its_provider_alone(self, admin, logged_in):
        grant = add_grant(
            transport=make_transport(),
            credential={"label": "Mailbox", "username": "a@example.com"},
            grant={"provider": "google", "client_id": "app"},
            client_secret=None,
            actor=None,
        )
        given = {**self.FORM, "password": "", "grant": grant.pk}
        client = logged_in(admin)
        assert client.post("/feedback/mailboxes/add/", given).status_code == 422
        given["host"] = "imap.gmail.com"
        assert client.post("/feedback/mailboxes/add/", given).status_code == 302

    def test_who_may_do_what(self, cast, client, logged_in, box, server):
        mailbox, (oncall, viewer) = box(), cast
        at = f"/feedback/mailboxes/{mailbox.pk}/"
        assert client.get(at).status_code == 302
        seen = logged_in(viewer)
        assert "Test now" not in seen.get(at).content.decode()
        for url in (f"{at}edit/", f"{at}delete/", "/feedback/mailboxes/add/"):
            assert seen.get(url).status_code == 403
        assert seen.post(f"{at}test/").status_code == 403
        server.dovecot.deliver(mailbox.username, HELLO)
        page = logged_in(oncall).post(f"{at}test/", follow=True)
        assert "Logged in." in page.content.decode()
        assert AuditEntry.objects.filter(verb="mailbox.test").count() == 1

    def test_what_is_wrong_is_said_with_its_fix(self, admin, logged_in, box):
        mailbox = box(folder="Nowhere")
        client = logged_in(admin)
        at = f"/feedback/mailboxes/{mailbox.pk}/"
        page = client.post(f"{at}test/", follow=True).content.decode()
        assert "There is no such folder" in page
        assert "Can’t be read" in page or "Can&#x27;t be read" in page
        assert client.post(f"{at}delete/").status_code == 302
        assert not Mailbox.objects.exists()

    def test_the_number_of_queries_is_fixed(self, viewer, logged_in, django_assert_max_num_queries):
        for n in range(5):
            mailbox = Mailbox.objects.create(name=f"M{n}", host="h", username=f"u{n}")
        client = logged_in(viewer)
        for url in ("/feedback/mailboxes/", f"/feedback/mailboxes/{mailbox.pk}/"):
            with django_assert_max_num_queries(5):
                client.get(url)
