"""One message is taken into the ledger, with all that it refers to."""

import pytest
from django.db import transaction
from psycopg import connect
from psycopg.errors import LockNotAvailable

from mailops.outbox.models import Message, QueueEntry, Tally
from mailops.outbox.submission import RefusedSubmission, submit
from mailops.transports.models import Stream
from tests.engine import database_url
from tests.factories import make_identity, make_stream, make_version


@pytest.fixture
def given(db):
    stream = make_stream()
    return {
        "stream": stream,
        "identity": make_identity(domain=stream.domain),
        "version": make_version(),
        "recipient": "Ada@Example.com",
        "merge_data": {"first_name": "Ada"},
    }


class TestSubmission:
    def test_writes_message_entry_and_tally(self, given):
        message = submit(**given)
        assert (message.recipient, message.address_key) == ("Ada@Example.com", "ada@example.com")
        assert QueueEntry.objects.filter(message=message, stream=given["stream"]).exists()
        assert Tally.objects.count() == 1

    def test_takes_no_invisible_blanks_with_the_address(self, given):
        message = submit(**(given | {"recipient": " \u200bAda@Example.com\ufeff"}))
        assert message.recipient == "Ada@Example.com"

    def test_returns_the_first_message_of_an_idempotency_key(self, given):
        first = submit(**given, idempotency_key="order-1")
        again = submit(**(given | {"recipient": "eve@example.com"}), idempotency_key="order-1")
        assert again == first
        assert Message.objects.count() == QueueEntry.objects.count() == Tally.objects.count() == 1

    @pytest.mark.parametrize("what", ["stream", "identity", "version"])
    @pytest.mark.parametrize("key", [None, "order-1"])
    def test_refuses_what_was_deleted_meanwhile_and_writes_nothing(self, given, what, key):
        submit(**given)
        gone = type(given[what])(pk=2**40)
        if what != "version":
            gone.domain = given["stream"].domain
        with pytest.raises(RefusedSubmission, match="deleted at this very moment"):
            submit(**(given | {what: gone}), idempotency_key=key)
        assert Message.objects.count() == QueueEntry.objects.count() == Tally.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_it_refers_to_is_deleted_while_it_is_open(given):
    with transaction.atomic(), connect(database_url()) as other:
        submit(**given)
        for model in (Stream, type(given["identity"]), type(given["version"])):
            with pytest.raises(LockNotAvailable), other.transaction():
                other.execute(f"SELECT FROM {model._meta.db_table} FOR UPDATE NOWAIT")
