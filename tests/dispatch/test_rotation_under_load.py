"""A credential is rotated, rolled back, refused and switched off while mail leaves: nobody's message notices."""

import pytest
from django.db import connection
from django.db.models import F

from mailops.accounts.models import AuditEntry
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.models import Worker
from mailops.dispatch.working import WorkerProcess
from mailops.lib.secrets import Secret
from mailops.outbox.models import Event, Message, QueueEntry
from mailops.outbox.tokens import current_token_key_id
from mailops.transports.credentials import add_credential, change_credential
from mailops.transports.models import Credential
from mailops.transports.rotation import activate_credential, roll_back
from tests.factories import make_message, make_stream, make_transport
from tests.login_server import LoginServer
from tests.smtp_server import CertificateAuthority
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
OLD, NEW, ANEW = "old-password-41d7", "new-password-9c02", "anew-password-e85b"


@pytest.fixture
def server(tmp_path, settings):
    authority = CertificateAuthority(tmp_path)
    settings.MAILOPS_EXTRA_CA_FILE = str(authority.file)
    with LoginServer(authority.server_context(), OLD, NEW) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        yield server


@pytest.fixture
def transport(server):
    return make_transport(port=server.port, security="tls", max_sessions=4, messages_per_session=40)


def added(transport, label, password):
    return add_credential(
        transport=transport, label=label, username="u", secret=Secret(password), actor=None
    )


def queue(stream, number):
    """Make so many due messages by copying one."""
    one = make_message(
        stream=stream, recipient="r0@example.net", token_key_id=current_token_key_id()
    )
    for model, own in (
        (
            Message,
            {
                "recipient": "'r' || n || '@example.net'",
                "address_key": "'r' || n || '@example.net'",
            },
        ),
        (QueueEntry, {"address_key": "'r' || n || '@example.net'"}),
    ):
        changed = {
            **own,
            **(
                {"id": "%(id)s + n", "public_id": "gen_random_uuid()"}
                if model is Message
                else {"message_id": "%(id)s + n"}
            ),
        }
        columns = [field.column for field in model._meta.concrete_fields]
        values = ", ".join(changed.get(column, f'"{column}"') for column in columns)
        key = "id" if model is Message else "message_id"
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"
                f" SELECT {values} FROM {model._meta.db_table}, generate_series(1, %(most)s) AS n"
                f" WHERE {key} = %(id)s",
                {"id": one.pk, "most": number - 1},
            )


class Play:
    """What happens as so many messages have arrived; asked by the delivery's own thread at each of its steps."""

    def __init__(self, server, transport, total):
        self.server, self.transport = server, transport
        self.old, self.new = added(transport, "Old", OLD), added(transport, "New", NEW)
        acts = [
            self.rotate,
            self.switch_off_old,
            self.roll_back,
            self.rotate_too_early,
            self.rotate_at_once,
            self.set_anew,
        ]
        share = total // (len(acts) + 1)
        self.acts = [(share * number, act) for number, act in enumerate(acts, start=1)]
        self.watched = []

    def should_stop(self):
        if self.acts and sum(self.server.recipients.values()) >= self.acts[0][0]:
            self.acts.pop(0)[1]()
        return False

    def active(self):
        return Credential.objects.get(is_active=True).label

    def rotate(self):
        activate_credential(credential=self.new, actor=None)

    def switch_off_old(self):
        """Sessions that still speak with it are told so in the middle."""
        assert self.active() == "New"
        self.server.passwords.discard(OLD)

    def roll_back(self):
        self.server.passwords.add(OLD)
        roll_back(transport=self.transport, actor=None)

    def rotate_too_early(self):
        """The new one isn't known to the server: the first log-in is refused, and the old one is in use again."""
        assert self.active() == "Old"
        self.server.passwords.discard(NEW)
        activate_credential(credential=self.new, actor=None)

    def rotate_at_once(self):
        """The old one is gone in the same moment as the new one is in use."""
        assert self.active() == "Old"
        assert self.server.refused
        self.server.passwords = {NEW}
        activate_credential(credential=self.new, actor=None)

    def set_anew(self):
        """The one in use gets another secret, and the server knows only that."""
        assert self.active() == "New"
        self.server.passwords = {ANEW}
        credential = Credential.objects.select_related("transport").get(is_active=True)
        change_credential(
            credential=credential, label="New", username="u", secret=Secret(ANEW), actor=None
        )


@pytest.mark.parametrize("total", [240, pytest.param(2000, marks=pytest.mark.whole)], ids=str)
def test_loses_and_doubles_nothing_and_tells_nobody(server, transport, total):
    play = Play(server, transport, total)
    queue(make_stream(transport=transport), total)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=play.should_stop)

    def has_sent_all():
        run.run()  # ends early while the transport backs off after a refused log-in
        return not QueueEntry.objects.exists()

    wait_until(has_sent_all, seconds=300, what="everything to be sent")
    run.finish()
    worker.stop()

    assert play.acts == []
    assert server.refused
    assert min(server.log_ins[OLD], server.log_ins[NEW]) > 1
    assert server.log_ins[ANEW]
    assert len(server.recipients) == total
    assert set(server.recipients.values()) == {1}
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
    assert set(Event.objects.values_list("kind", flat=True)) == {"accepted"}
    verbs = set(AuditEntry.objects.values_list("verb", flat=True))
    assert "credential.fall_back" in verbs
    assert not {"transport.pause", "transport.breaker_open"} & verbs
    assert play.active() == "New"


def test_claims_see_that_another_user_name_is_another_log_in(server, transport):
    credential = added(transport, "Old", OLD)
    make_stream(transport=transport)
    (before,) = usable_carriers("bulk")
    assert before.login_id == credential.login_id
    change_credential(credential=credential, label="Old", username="v", actor=None)
    (carrier,) = usable_carriers("bulk")
    assert carrier.login_id == credential.login_id != before.login_id


def test_workers_tell_who_still_uses_the_old_one(server, transport, viewer, logged_in):
    old = added(transport, "Old", OLD)
    queue(make_stream(transport=transport), 3)
    worker = WorkerProcess("bulk")
    seen = []

    def look():
        worker.beat()
        seen.extend(Worker.objects.logged_in_with(old.pk).values_list("logins", flat=True))
        return False

    run = Delivery(worker, "bulk", should_stop=look)
    run.run()
    run.finish()
    assert {str(old.pk): 1} in seen
    Worker.objects.update(beats=F("beats"), logins={str(old.pk): 2})
    page = logged_in(viewer).get(f"/dispatch/credentials/{old.pk}/").text
    assert "Bulk worker" in page
    worker.stop()
    page = logged_in(viewer).get(f"/dispatch/credentials/{old.pk}/").text
    assert "Nobody: no session is logged in with Old." in page
