"""Calls that come together are read together: the same ends as one by one, at the price of a few."""

import hmac
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailops.feedback import processing
from mailops.feedback.archiving import archive
from mailops.feedback.endpoints import make_endpoint, set_key
from mailops.feedback.models import RawFeedback
from mailops.outbox.models import EventKind
from mailops.outbox.tokens import envid
from tests.factories import make_message, make_transport
from tests.feedback.conftest import make_sent
from tests.feedback.esp_calls import KEYS, PAYLOADS, now

STATE = RawFeedback.State


@pytest.fixture
def transport(admin):
    transport = make_transport(kind="mailgun")
    set_key(
        endpoint=make_endpoint(transport=transport, actor=admin), key=KEYS["mailgun"], actor=admin
    )
    return transport


def call(transport, message, what="delivered", *, token="", by_id=False):
    """Archive a call that tells `what` of a message, by our token or by the provider's id alone."""
    body = PAYLOADS["mailgun"](what, now())
    event = body["event-data"]
    event["id"] = f"{what}-{message.pk}-{token}"
    event["recipient"] = message.recipient
    event["message"] = {"headers": {"message-id": message.transport_message_id.strip("<>")}}
    event["user-variables"] = {} if by_id else {
        "mailops": envid(message.public_id, message.round, message.token_key_id)
    }  # fmt: skip
    said = body["signature"]
    said["token"] = token or f"{what}-{message.pk}"
    said["signature"] = hmac.new(
        KEYS["mailgun"].encode(), f"{said['timestamp']}{said['token']}".encode(), "sha256"
    ).hexdigest()
    archive(
        source=RawFeedback.Source.MAILGUN,
        content=json.dumps(body).encode(),
        peer="",
        headers={"Content-Type": "application/json"},
        transport_id=transport.pk,
    )
    return RawFeedback.objects.latest("id")


def sent_by(transport, size, **fields):
    return [
        make_sent(transport=transport, transport_message_id=f"<m{n}>", **fields)
        for n in range(size)
    ]


def test_ten_times_as_many_calls_ask_no_more_questions(transport):
    asked = []
    for size in (3, 30):
        for message in sent_by(transport, size):
            call(transport, message)
        for message in sent_by(transport, size):
            call(transport, message, by_id=True)
        with CaptureQueriesContext(connection) as queries:
            assert processing.process_pending() == 2 * size
        asked.append(len(queries))
    assert asked[0] == asked[1] < 35


def test_each_is_matched_by_its_own_token_or_by_its_own_number_and_recipient(transport):
    first, second, third = sent_by(transport, 3)
    foreign = make_sent(transport=make_transport(), transport_message_id="<m1>")
    call(transport, first)
    call(transport, second, by_id=True)
    other = make_message(transport_message_id="<m2>", with_entry=False)
    third.recipient = other.recipient  # told of somebody it didn't go to
    row = call(transport, third, by_id=True)
    processing.process_pending()
    row.refresh_from_db()
    assert row.state == STATE.QUARANTINED
    told = {one.pk: list(one.events.values_list("kind", flat=True)) for one in (first, second, third, foreign, other)}  # fmt: skip
    assert told.pop(first.pk) == told.pop(second.pk) == [EventKind.DELIVERED]
    assert set(map(tuple, told.values())) == {()}


def test_of_two_that_say_one_token_the_first_counts_however_they_are_read(transport):
    first, second = sent_by(transport, 2)
    rows = [call(transport, one, token="said-once") for one in (first, second)]
    processing.process_pending()
    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == [STATE.PROCESSED, STATE.QUARANTINED]
    assert "replay" in rows[1].reason
    assert not second.events.exists()
    processing.process_one(rows[0])  # the same call again is no replay
    rows[0].refresh_from_db()
    assert rows[0].state == STATE.PROCESSED


def test_a_call_of_a_webhook_that_is_gone_holds_up_no_other(transport):
    (message,) = sent_by(transport, 1)
    gone = call(make_transport(kind="mailgun"), message, token="another")
    good = call(transport, message)
    processing.process_pending()
    gone.refresh_from_db()
    good.refresh_from_db()
    assert (gone.state, good.state) == (STATE.QUARANTINED, STATE.PROCESSED)
    assert "gone" in gone.reason


def test_large_calls_are_read_in_several_transactions(transport, monkeypatch):
    messages = sent_by(transport, 3)
    sizes = [call(transport, message).size for message in messages]
    monkeypatch.setattr(processing, "MOST_OCTETS", sizes[0] + sizes[1])
    assert [processing.process_pending() for _ in range(3)] == [2, 1, 0]
    monkeypatch.setattr(processing, "MOST_OCTETS", 1)
    RawFeedback.objects.update(state=STATE.PENDING)
    assert processing.process_pending() == 1


def test_what_a_call_came_to_is_written_whole(transport):
    (message,) = sent_by(transport, 1)
    row = call(transport, message, "bounced")
    processing.process_pending()
    row.refresh_from_db()
    assert (row.kind, row.is_verified, row.message_id) == (
        RawFeedback.Kind.WEBHOOK, True, message.pk,
    )  # fmt: skip
    assert row.processed_at
    assert row.result["events"][0]["recipient"] == message.recipient
    assert json.dumps(row.result)
