"""Calls that come together are committed together, and each is answered by what became of its own."""

import threading
from unittest.mock import Mock

import pytest
from django.db import DataError, OperationalError, connection

from mailops.feedback import taking
from mailops.feedback.archiving import row_of
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.feedback.taking import TOLD_SECONDS, Door, Doors, Group, Told
from tests.factories import make_transport
from tests.waiting import wait_until


@pytest.fixture
def door(db):
    endpoint = WebhookEndpoint.objects.create(transport=make_transport(kind="postmark"))
    return Door(endpoint, RawFeedback.Source.POSTMARK)


def row(door, content=b"{}", **fields):
    return row_of(
        source=door.source, content=content, peer="1.2.3.4", headers={"A": "b\x00ü"},
        transport_id=door.endpoint.transport_id, **fields,
    )  # fmt: skip


def test_a_row_is_the_same_as_one_that_is_stored_alone(door):
    Group().store(row(door, b"together"))
    row(door, b"alone").save()
    ours, plain = RawFeedback.objects.order_by("id")
    differing = {"id", "received_at", "due_at", "content", "sha256", "size"}
    for name in {field.attname for field in RawFeedback._meta.concrete_fields} - differing:
        assert getattr(ours, name) == getattr(plain, name), name
    assert (ours.raw, ours.size) == (b"together", 8)
    assert ours.due_at <= plain.due_at


def test_who_comes_while_another_writes_is_written_next_by_one_statement(door, monkeypatch):
    group, begun, go_on, groups = Group(), threading.Event(), threading.Event(), []

    def store(rows):
        groups.append([bytes(one.content) for one in rows])
        if len(groups) == 1:
            begun.set()
            assert go_on.wait(30)

    monkeypatch.setattr(taking, "_store", store)
    rows = [row(door, b"%d" % n) for n in range(6)]
    threads = [threading.Thread(target=group.store, args=(one,)) for one in rows]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: len(group._waiting) == 5, seconds=30, what="the five that come meanwhile")
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert [len(one) for one in groups] == [1, 5]


def test_one_that_can_not_be_stored_holds_up_no_other(door, monkeypatch):
    store = taking._store

    def picky(rows):
        if any(one.size == 3 for one in rows):
            raise DataError("not this one")
        store(rows)

    monkeypatch.setattr(taking, "_store", picky)
    waiting = [taking._Waiting(row(door, content)) for content in (b"1", b"333", b"22")]
    taking._store_all(waiting)
    assert [one.is_stored for one in waiting] == [True, False, True]
    assert isinstance(waiting[1].error, DataError)
    assert RawFeedback.objects.count() == 2


def test_a_database_that_is_away_is_asked_once_for_all(door, monkeypatch):
    store = Mock(side_effect=OperationalError("the server does not answer"))
    monkeypatch.setattr(taking, "_store", store)
    waiting = [taking._Waiting(row(door, content)) for content in (b"1", b"2", b"3")]
    taking._store_all(waiting)
    assert store.call_count == 1
    assert all(isinstance(one.error, OperationalError) for one in waiting)


def test_where_the_process_ends_nobody_is_told_that_it_was_stored(door, monkeypatch):
    def end(_):
        raise SystemExit

    monkeypatch.setattr(taking, "_store", end)
    waiting = [taking._Waiting(row(door, content)) for content in (b"1", b"2")]
    with pytest.raises(SystemExit):
        taking._store_all(waiting)
    assert all(isinstance(one.error, SystemExit) for one in waiting)


def test_an_address_is_looked_up_once_a_second_and_anew_once_it_changed(
    door, django_assert_num_queries
):
    doors, secret = Doors(), door.endpoint.secret
    with django_assert_num_queries(1):
        assert doors.find(secret) == doors.find(secret)
    with django_assert_num_queries(2):
        assert doors.find("nobody") is doors.find("nobody") is None
    WebhookEndpoint.objects.update(secret="other")
    doors.forget()
    assert doors.find(secret) is None


def test_a_call_costs_one_statement_and_one_look_a_second(door, client, django_assert_num_queries):
    url = f"/feedback/webhooks/{door.endpoint.secret}/"
    client.post(url, "{}", content_type="application/json")
    before = len(connection.queries_log)
    with django_assert_num_queries(0):  # but the one statement, which Django's count doesn't see
        assert client.post(url, '{"a": 1}', content_type="application/json").status_code == 200
    assert len(connection.queries_log) == before
    assert RawFeedback.objects.count() == 2


def test_a_call_told_again_within_a_minute_costs_no_statement(door, client, monkeypatch):
    url = f"/feedback/webhooks/{door.endpoint.secret}/"
    stored = []
    store = taking._store
    monkeypatch.setattr(taking, "_store", lambda rows: (stored.append(len(rows)), store(rows)))
    for _ in range(3):
        assert client.post(url, "{}", content_type="application/json").status_code == 200
    assert stored == [1]


def test_what_could_not_be_stored_is_not_taken_for_told(door, monkeypatch):
    def fail(_):
        raise DataError("not this one")

    with monkeypatch.context() as broken:
        broken.setattr(taking, "_store", fail)
        with pytest.raises(DataError):
            taking.take(door, content=b"again", peer="", headers={})
    taking.take(door, content=b"again", peer="", headers={})
    assert RawFeedback.objects.count() == 1


def test_what_was_told_is_remembered_for_a_while_and_never_by_too_many(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(taking.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(taking, "MOST_TOLD", 20)
    told = Told()
    told.note(1, "a")
    assert told.has(1, "a")
    assert not told.has(2, "a")
    clock[0] += TOLD_SECONDS + 1
    assert not told.has(1, "a")
    for n in range(100):
        told.note(1, str(n))
    assert told.has(1, "99")
    assert not told.has(1, "0")
    assert len(told._new) + len(told._old) <= 24
