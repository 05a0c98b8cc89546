"""The gate before a body: what is accepted beside it, and what keeps it shut."""

import json
import re
from functools import partial

import pytest
from django.db import connection
from psycopg._queries import _query2pg

from mailops.dispatch import marking
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.marking import accept_and_mark, mark
from mailops.dispatch.models import Worker
from mailops.outbox import ledger
from mailops.outbox.models import EventKind, Message, QueueEntry, Tally
from mailops.outbox.recording import Outcome, handovers_of
from mailops.protocol.reply import Reply
from mailops.suppressions.models import Suppression
from tests.factories import make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db


@pytest.fixture
def jobs():
    stream = make_stream(transport=make_transport())
    for name in "abc":
        make_message(stream=stream, recipient=f"{name}@x.example")
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    (carrier,) = usable_carriers("bulk")
    return Claimer(worker.pk).claim(carrier, 10)


def handed_over(*jobs):
    return handovers_of(
        [
            Outcome(
                message_id=job.message_id,
                kind=EventKind.ACCEPTED,
                source="dispatch",
                external_id=f"{job.fence}:reply",
                fence=job.fence,
                round=0,
                transport_id=job.transport_id,
                reply=Reply(250, "2.0.0 ok", "2.0.0", "."),
            )
            for job in jobs
        ]
    )


def marked():
    return set(QueueEntry.objects.exclude(marked_at=None).values_list("pk", flat=True))


def accepted():
    return set(Message.objects.filter(status="accepted").values_list("pk", flat=True))


def test_accepts_one_and_marks_the_next(jobs):
    assert accept_and_mark(handed_over(jobs[0]), jobs[1:]) == {job.claim for job in jobs[1:]}
    assert accepted() == {jobs[0].message_id}
    assert marked() == {job.message_id for job in jobs[1:]}


def test_marks_without_anything_to_accept(jobs):
    assert accept_and_mark([], jobs) == {job.claim for job in jobs}
    assert marked() == {job.message_id for job in jobs}
    assert not Tally.objects.filter(kind="accepted").exists()


def scans_of_the_queue():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_scan, idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'outbox_queueentry'"
        )
        return cursor.fetchone()


@pytest.mark.django_db(transaction=True)
def test_finds_its_rows_by_index_while_the_queue_is_short(jobs):
    # the server keeps such a plan, so a queue that grew would be read whole with each group
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE outbox_queueentry")
    accept_and_mark([], jobs[:1])
    try:
        whole, by_index = scans_of_the_queue()
        accept_and_mark(handed_over(jobs[0]), jobs[1:])
        assert scans_of_the_queue()[0] == whole
        assert scans_of_the_queue()[1] > by_index
    finally:
        connection.close()  # no other test's plans are to be bound by it


def test_finds_its_rows_by_their_ids_whatever_a_worker_holds(jobs):
    # by worker, it would walk through all that worker has sent since the last vacuum
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "UPDATE outbox_queueentry SET worker_id = NULL WHERE message_id <> %s",
            [jobs[0].message_id],
        )
        cursor.execute("ANALYZE outbox_queueentry")
        cursor.execute(
            "UPDATE pg_class SET reltuples = 20000, relpages = 500 WHERE relname = 'outbox_queueentry'"
        )
        cursor.execute(
            "UPDATE pg_class SET reltuples = 20, relpages = 1 WHERE relname = 'entry_by_worker'"
        )
        cursor.execute(f"EXPLAIN {marking._MARK}", [marking._told(jobs)])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "outbox_queueentry_pkey" in plan
    assert "entry_by_worker" not in plan


def add_alike(cursor, message_id, number):
    """Queue so many more messages like the one of that id."""
    cursor.execute(
        """
        WITH new AS (
            INSERT INTO outbox_message
            SELECT (jsonb_populate_record(m, jsonb_build_object(
                   'id', nextval('outbox_message_id_seq'), 'public_id', gen_random_uuid()))).*
              FROM outbox_message m CROSS JOIN generate_series(1, %s) WHERE m.id = %s RETURNING id)
        INSERT INTO outbox_queueentry
        SELECT (jsonb_populate_record(e, jsonb_build_object('message_id', new.id))).*
          FROM outbox_queueentry e CROSS JOIN new WHERE e.message_id = %s
        """,
        [number, message_id, message_id],
    )


def test_walks_through_no_index_where_messages_are_newer_than_their_statistics(jobs):
    # a merge join would be taken to end at once, since the ids of queue and messages don't meet by their statistics
    pattern = jobs[0].message_id
    with connection.cursor() as cursor:
        add_alike(cursor, pattern, 2000)
        cursor.execute("UPDATE outbox_message SET evidence = 2, accepted_at = now()")
        cursor.execute("ANALYZE outbox_message")
        newest = Message.objects.latest("pk").pk
        add_alike(cursor, pattern, 6000)
        QueueEntry.objects.filter(pk__lte=newest).delete()
        cursor.execute("ANALYZE outbox_queueentry")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {marking._ACCEPT_AND_MARK}", ["[]", "[]"])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Merge Join" not in plan


def test_finds_its_rows_by_their_ids_where_a_vacuum_saw_one_entry_in_a_long_queue(jobs):
    # as after a campaign that one single message outlived: the next one's entries would be read whole with each group
    with connection.cursor() as cursor:
        add_alike(cursor, jobs[0].message_id, 2000)
        cursor.execute(
            "UPDATE pg_class SET reltuples = 1, relpages = 500 WHERE relname = 'outbox_queueentry'"
        )
        cursor.execute("SET LOCAL enable_seqscan = off")
        told = [json.dumps(handed_over(*jobs[:2]), default=str), marking._told(jobs[2:])]
        cursor.execute(f"EXPLAIN {marking._ACCEPT_AND_MARK}", told)
        plan = [line.strip() for (line,) in cursor.fetchall()]
    scans = [at for at, line in enumerate(plan) if "Scan" in line and "outbox_queueentry" in line]
    assert len(scans) == 3
    assert all(re.match(r"Index Cond: \(+message_id", plan[at + 1]) for at in scans), "\n".join(
        plan
    )


def test_marks_nothing_where_a_reply_needs_more_than_the_quick_way(jobs):
    QueueEntry.objects.filter(pk=jobs[0].message_id).update(fence=jobs[0].fence + 1000)
    assert accept_and_mark(handed_over(*jobs[:2]), jobs[2:]) is None
    assert marked() == set()
    assert accepted() == {jobs[1].message_id}


def test_leaves_out_what_may_not_go_on(jobs):
    Suppression.objects.create(address="b@x.example", address_key="b@x.example", reason="manual")
    (held, suppressed, free) = jobs
    QueueEntry.objects.filter(pk=held.message_id).update(is_held=True)
    assert suppressed.recipient == "b@x.example"
    assert accept_and_mark([], jobs) == {free.claim}


@pytest.mark.parametrize("mark_all", [mark, partial(accept_and_mark, [])])
def test_a_stale_job_beside_a_fresh_one_of_its_message_is_not_granted(jobs, mark_all):
    stale, *_ = jobs
    fresh = stale._replace(fence=stale.fence + 1000)
    QueueEntry.objects.filter(pk=stale.message_id).update(fence=fresh.fence)
    assert mark_all([stale, fresh]) == {fresh.claim}


def test_the_statement_of_each_group_is_read_once(jobs, monkeypatch):
    monkeypatch.setattr(ledger, "PLAN_SECONDS", 1e9)  # it is not planned anew meanwhile
    _query2pg.cache_clear()
    for _ in range(3):
        accept_and_mark(handed_over(jobs[0]), [jobs[1]])
    assert _query2pg.cache_info().hits >= 2
