"""Groups, and results that PostgreSQL does not take: kept, told of once, written when it takes them again."""

import logging
import queue
import time
from functools import partial
from types import SimpleNamespace

import pytest
from django.db import connection

from mailops.dispatch import committing
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.committing import Committer, Request
from mailops.dispatch.models import Worker
from mailops.outbox.models import Event, EventKind, Message
from mailops.outbox.recording import Outcome
from mailops.outbox.settling import hold
from mailops.outbox.settling import release as let_go
from mailops.protocol.reply import Reply
from mailops.suppressions.models import Suppression
from tests.factories import make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db(transaction=True)

ANSWERED = 5


@pytest.fixture
def requests():
    """Return what sessions ask that were answered 250, and of one that asks for a mark only."""
    stream = make_stream(transport=make_transport())
    for number in range(ANSWERED + 1):
        make_message(stream=stream, recipient=f"r{number}@x.example")
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    (carrier,) = usable_carriers("bulk")
    *answered, fresh = Claimer(worker.pk).claim(carrier, 10)
    return [
        *(Request(outcomes=[accepted(job)]) for job in answered),
        Request(mark=fresh),
    ]


def accepted(job):
    return Outcome(
        message_id=job.message_id,
        kind=EventKind.ACCEPTED,
        source="dispatch",
        external_id=f"{job.fence}:reply",
        fence=job.fence,
        round=0,
        transport_id=job.transport_id,
        reply=Reply(250, "2.0.0 ok", "2.0.0", "."),
    )


@pytest.fixture
def full_disk():
    """Let PostgreSQL refuse every new event as it does without room (SQLSTATE 53100); yield what mends it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$;
            CREATE TRIGGER no_room BEFORE INSERT ON outbox_event
            FOR EACH STATEMENT EXECUTE FUNCTION no_room()
            """
        )

    def mend():
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION IF EXISTS no_room CASCADE")

    yield mend
    mend()


@pytest.fixture
def read_only():
    """Have the database take no changes; yield what ends it."""

    def take(changes):
        with connection.cursor() as cursor:
            cursor.execute(f"SET default_transaction_read_only = {'off' if changes else 'on'}")

    take(changes=False)
    yield partial(take, changes=True)
    take(changes=True)


def commit_all(committer, times=1):
    for _ in range(times):
        committer._retry_at = 0.0
        committer.commit_waiting(timeout=0)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [("full_disk", "No space left on device"), ("read_only", "read-only transaction")],
)
def test_keeps_results_that_the_database_takes_not_now_and_writes_them_when_it_does(
    requests, request, refusal, words, caplog
):
    """Told once: Django takes a read-only database for an error of each statement, which was a traceback each."""
    mend = request.getfixturevalue(refusal)
    committer = Committer(count_sessions=lambda: len(requests))
    for each in requests:
        committer.put(each)
    with caplog.at_level(logging.ERROR):
        commit_all(committer, times=8)
    (told,) = caplog.records
    assert words in told.getMessage()
    assert told.exc_info is None
    assert not any(each.wait() for each in requests)  # nothing leaves unmarked
    assert committer.has_unwritten
    mend()
    commit_all(committer)
    assert not committer.has_unwritten
    assert Message.objects.filter(status="accepted").count() == ANSWERED


def test_tries_again_in_time_however_much_is_asked_meanwhile(requests, full_disk, monkeypatch):
    clock = 0.0
    now = SimpleNamespace(monotonic=lambda: clock, sleep=time.sleep)
    monkeypatch.setattr(committing, "time", now)
    committer = Committer()
    committer.put(requests[0])
    committer.commit_waiting(timeout=0)
    full_disk()
    for request in requests[1:]:
        assert committer.has_unwritten == (clock < committing.RETRY_SECONDS)
        clock += 0.6 * committing.RETRY_SECONDS
        committer.put(request)
        committer.commit_waiting(timeout=0)
    assert requests[-1].wait()
    assert Message.objects.filter(status="accepted").count() == ANSWERED


@pytest.fixture
def stale_and_fresh(operator):
    """Return two jobs of one message: its claim was ended by a person who held it and let it go."""
    make_message(stream=make_stream(transport=make_transport()))
    (carrier,) = usable_carriers("bulk")
    claimer = Claimer(Worker.objects.create(lane="bulk", host="test", pid=1).pk)
    (stale,) = claimer.claim(carrier, 10)
    assert hold(message=Message.objects.get(), actor=operator)
    assert let_go(message=Message.objects.get(), actor=operator)
    (fresh,) = claimer.claim(carrier, 10)
    return stale, fresh


@pytest.mark.parametrize("gives_back", [False, True], ids=["the quick way", "the long way"])
def test_one_group_grants_one_body_of_a_message(stale_and_fresh, gives_back):
    stale, fresh = stale_and_fresh
    committer = Committer(count_sessions=lambda: 2)
    releases = [stale] if gives_back else []
    asked = [
        committer.put(Request(mark=job, releases=back))
        for job, back in [(stale, releases), (fresh, [])]
    ]
    commit_all(committer)
    assert [request.wait() for request in asked] == [False, True]


def test_a_stale_refusal_beside_a_loss_of_its_message_suppresses_nobody(stale_and_fresh):
    stale, fresh = stale_and_fresh
    refused, lost = accepted(stale), accepted(fresh)
    refused.kind, refused.reply = EventKind.BOUNCED, Reply(550, "5.1.1 unknown", "5.1.1", "RCPT")
    lost.kind, lost.reply = EventKind.SESSION_LOST, None
    committer = Committer(count_sessions=lambda: 2)
    committer.put(Request(outcomes=[refused], dead_addresses={stale.claim: stale.recipient}))
    committer.put(Request(outcomes=[lost]))
    commit_all(committer)
    assert dict(Event.objects.exclude(fence=None).values_list("kind", "was_applied")) == {
        "bounced": False,
        "session_lost": True,
    }
    assert not Suppression.objects.exists()


class Waits:
    """A queue of one request, which remembers how long it was waited for more."""

    def __init__(self, request):
        self.requests, self.timeouts = [request], []

    def get(self, timeout):
        self.timeouts.append(timeout)
        if not self.requests:
            raise queue.Empty
        return self.requests.pop()


@pytest.mark.parametrize(
    ("seconds_apart", "waits"), [(0.0005, committing.GAP_SECONDS), (0.006, 0.0)]
)
def test_waits_for_other_sessions_only_where_requests_come_thick(monkeypatch, seconds_apart, waits):
    committer = Committer(count_sessions=lambda: 10)
    clock = 0.0
    monkeypatch.setattr(committing.time, "monotonic", lambda: clock)
    for _ in range(50):
        clock += 4 * seconds_apart
        committer._learn(4)
    committer._requests = Waits(Request())
    committer._gather(timeout=1)
    assert committer._requests.timeouts == [1, waits]


@pytest.fixture
def refuse():
    """Return a function that lets PostgreSQL refuse rows of a table, as what it can't store."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'invalid' USING ERRCODE = '22P05'; END $$
            """
        )

    def make(table, condition="true"):
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT ON {table} "
                f"FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()"
            )

    yield make
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")


@pytest.fixture
def no_words(refuse):
    """Let PostgreSQL refuse every event that comes with data."""
    refuse("outbox_event", "NEW.data ? 'peer'")


def test_what_can_not_be_stored_of_a_result_is_left_out_and_stops_nobody(requests, no_words):
    requests[0].outcomes[0].data = {"peer": "mx.example"}
    committer = Committer(count_sessions=lambda: len(requests))
    for request in requests:
        committer.put(request)
    commit_all(committer)
    assert not committer.has_unwritten
    assert requests[-1].wait(), "the mark of another was refused"
    assert Message.objects.filter(status="accepted").count() == ANSWERED
    (event,) = Event.objects.filter(data__has_key="detail")
    assert (event.reply_code, event.reply_text) == (250, committing.LEFT_OUT)


@pytest.fixture
def bounce(requests):
    """Let the first request be of a refusal that suppresses its address."""
    (outcome,) = requests[0].outcomes
    outcome.kind, outcome.reply = EventKind.BOUNCED, Reply(550, "5.1.1 unknown", "5.1.1", "RCPT")
    outcome.data = {"peer": "mx.example"}
    requests[0].dead_addresses = {(outcome.message_id, outcome.fence): "r0@x.example"}
    return requests[0]


def test_a_suppression_that_can_not_be_stored_keeps_no_result_from_being_written(bounce, refuse):
    refuse("suppressions_suppression")
    committer = Committer()
    committer.put(bounce)
    commit_all(committer)
    assert not committer.has_unwritten
    assert Message.objects.get(pk=bounce.outcomes[0].message_id).status == "bounced"


def test_what_can_not_be_stored_of_a_refusal_takes_no_suppression_with_it(bounce, no_words):
    committer = Committer()
    committer.put(bounce)
    commit_all(committer)
    assert Message.objects.get(pk=bounce.outcomes[0].message_id).status == "bounced"
    assert Suppression.objects.get().address_key == "r0@x.example"


def test_a_nul_and_half_a_character_are_written_as_what_replaces_them(requests):
    outcome = requests[0].outcomes[0]
    outcome.kind, outcome.reason, outcome.reply = EventKind.UNCERTAIN, "no_final_reply", None
    outcome.data = {"detail": "HTTP 502: \x1f\0", "more": ["\ud800", {"\0": 1}]}
    committer = Committer()
    committer.put(requests[0])
    commit_all(committer)
    assert not committer.has_unwritten
    event = Event.objects.get(kind=EventKind.UNCERTAIN)
    assert event.data == {"detail": "HTTP 502: \x1f\ufffd", "more": ["?", {"\ufffd": 1}]}


def test_an_error_of_ours_leaves_no_session_waiting(requests, monkeypatch):
    monkeypatch.setattr(committing, "RETRY_SECONDS", 0.0)
    committer = Committer(count_sessions=lambda: len(requests))
    learn, errors = committer._learn, [MemoryError()]

    def learn_or_fail(came):
        if errors:
            raise errors.pop()
        learn(came)

    monkeypatch.setattr(committer, "_learn", learn_or_fail)
    for request in requests:
        committer.put(request)
    committer.start()
    granted = [request.wait() for request in requests]
    committer.stop(patience=60)
    # the mark as well: nobody knows whether it was written
    assert granted == [False] * len(requests)
    assert Message.objects.filter(status="accepted").count() == ANSWERED
    assert not committer.has_unwritten


def test_what_is_no_address_by_the_rules_of_today_keeps_no_result_from_being_written(requests):
    (outcome,) = requests[0].outcomes
    outcome.kind, outcome.reply = EventKind.BOUNCED, Reply(550, "5.1.1 unknown", "5.1.1", "RCPT")
    requests[0].dead_addresses = {(outcome.message_id, outcome.fence): "a b@x.example"}
    committer = Committer()
    committer.put(requests[0])
    commit_all(committer)
    assert not committer.has_unwritten
    assert Message.objects.get(pk=outcome.message_id).status == "bounced"
