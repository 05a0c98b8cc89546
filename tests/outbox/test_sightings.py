"""Replies are counted by their signature, in rows that stay few."""

import pytest
from django.db import connection
from django.db.models import Count, Sum
from django.utils import timezone

from mailops.outbox import sightings
from mailops.outbox.ledger import draw_fence
from mailops.outbox.models import (
    Event,
    EventKind,
    Message,
    QueueEntry,
    Sighting,
    Signature,
    SignatureCount,
)
from mailops.outbox.recording import Outcome, record
from mailops.outbox.sightings import fold_sightings
from mailops.protocol.reply import Reply
from mailops.protocol.signature import OTHER, signature_of
from tests.factories import make_message, make_stream
from tests.outbox.answers import BUSY, NO_SUCH, OK, answer

pytestmark = pytest.mark.django_db


def recount():
    """Return how often each signature's replies came, by events."""
    events = Event.objects.filter(was_applied=True, signature_id__isnull=False)
    return dict(events.values_list("signature_id").annotate(Count("id")))


def counted():
    rows = SignatureCount.objects.values_list("signature_id").annotate(total=Sum("n"))
    return dict(rows)


class TestNoting:
    def test_gives_event_and_message_the_signature_of_a_refusal(self):
        message = make_message()
        answer(message, NO_SUCH)
        expected = signature_of(NO_SUCH).id
        assert Event.objects.get(message=message).signature_id == expected
        assert Message.objects.get(pk=message.pk).signature_id == expected

    def test_gives_none_to_an_acceptance_and_no_statement_either(
        self, django_assert_max_num_queries
    ):
        message = make_message()
        with django_assert_max_num_queries(4):
            answer(message, OK, EventKind.ACCEPTED)
        assert Event.objects.get(message=message).signature_id is None
        assert not Sighting.objects.exists()

    def test_keeps_what_was_said_last_when_the_message_is_taken_after_all(self):
        message = make_message()
        answer(message, BUSY, EventKind.DEFERRED)
        answer(message, OK, EventKind.ACCEPTED)
        assert Message.objects.get(pk=message.pk).signature_id == signature_of(BUSY).id

    def test_keeps_that_of_a_bounce_when_a_delay_is_told_behind_it(self):
        message = make_message()
        answer(message, OK, EventKind.ACCEPTED)
        for kind, reply, shown in (
            (EventKind.DELAYED, BUSY, BUSY),
            (EventKind.RETURNED, NO_SUCH, NO_SUCH),
            (EventKind.DELAYED, BUSY, NO_SUCH),
        ):
            answer(message, reply, kind, source="feedback", fence=None)
            assert Message.objects.get(pk=message.pk).signature_id == signature_of(shown).id
        assert recount() == {signature_of(BUSY).id: 2, signature_of(NO_SUCH).id: 1}

    def test_counts_no_reply_twice(self):
        message = make_message()
        fence = draw_fence()
        QueueEntry.objects.filter(message=message).update(fence=fence, worker_id=0)
        outcome = Outcome(
            message_id=message.pk,
            kind=EventKind.BOUNCED,
            source="dispatch",
            external_id=f"{fence}:reply",
            fence=fence,
            reply=NO_SUCH,
        )
        record([outcome])
        record([outcome])
        fold_sightings()
        assert counted() == {signature_of(NO_SUCH).id: 1}


class TestFolding:
    def test_makes_a_row_from_the_first_reply(self):
        answer(make_message(), NO_SUCH)
        assert fold_sightings() == 1
        (row,) = Signature.objects.all()
        assert (row.said, row.example) == ("550 5.1.1 no such user", "5.1.1 No such user")
        assert (row.reason, row.kind, row.fault) == ("unknown_mailbox", "permanent", "recipient")
        assert row.n == 1

    def test_adds_up_what_comes_later_by_place(self):
        stream, at = make_stream(), timezone.now()  # one moment, so one quarter hour
        for _ in range(3):
            answer(make_message(stream=stream, mailbox_provider="gmail"), NO_SUCH, at=at)
        fold_sightings(chunk=1)
        answer(make_message(mailbox_provider="yahoo"), NO_SUCH)
        fold_sightings()
        assert Signature.objects.get().n == 4
        assert sorted(SignatureCount.objects.values_list("mailbox_provider", "n")) == [
            ("gmail", 3),
            ("yahoo", 1),
        ]
        assert counted() == recount()

    def test_passes_where_another_folds(self, monkeypatch):
        answer(make_message(), NO_SUCH)

        class Taken:
            def __enter__(self):
                return False

            def __exit__(self, *_):
                return None

        monkeypatch.setattr(sightings, "advisory_lock", lambda _: Taken())
        assert fold_sightings() == 0
        assert Sighting.objects.count() == 1


class TestTooMany:
    """A server may answer with another text each time."""

    @pytest.fixture(autouse=True)
    def _room_is_made_at_any_time(self, monkeypatch):
        monkeypatch.setattr(sightings, "ROOM_SECONDS", 0)

    def flood(self, n, start=0):
        stream, message = make_stream(), make_message()
        with connection.cursor() as cursor:
            for number in range(start, start + n):
                text = "".join(chr(97 + (number // 26**place) % 26) for place in range(4))
                said = signature_of(Reply(550, text)).id
                cursor.execute(
                    """
                    WITH told AS (
                        INSERT INTO outbox_event (message_id, kind, source, external_id, occurred_at, round, reason, fault,
                               sentence, reply_code, reply_enhanced_status, reply_text, reply_command, was_applied, data,
                               signature_id)
                        VALUES (%s, 'bounced', 'test', %s, clock_timestamp(), 0, '', '', '', 550, '', %s, '', TRUE, '{}', %s))
                    INSERT INTO outbox_sighting (signature_id, bucket_at, kind, stream_id, mailbox_provider, n, first_at, last_at)
                    VALUES (%s, '2026-11-21', 'bounced', %s, '', 1, clock_timestamp(), clock_timestamp())
                    """,
                    [message.pk, text, text, said, said, stream.pk],
                )

    def test_keeps_no_more_rows_than_it_may(self):
        for _ in range(4):
            answer(make_message(), NO_SUCH)
        fold_sightings(most=20)
        Signature.objects.create(
            pk=7, first_at="2026-01-01T00:00Z", last_at="2026-01-01T00:00Z", name="Named"
        )
        for start in range(0, 200, 25):
            self.flood(25, start)
            fold_sightings(chunk=10, most=20)
        fold_sightings(most=20)
        assert Signature.objects.count() <= 21
        assert Signature.objects.filter(pk__in=[7, signature_of(NO_SUCH).id]).count() == 2
        assert Signature.objects.get(pk=OTHER).title == "All other replies"

    def test_makes_room_only_now_and_then(self, monkeypatch):
        monkeypatch.setattr(sightings, "ROOM_SECONDS", 3600)
        monkeypatch.setattr(sightings, "_made_room_at", None)
        self.flood(60)
        while fold_sightings(chunk=10, most=20):
            pass
        kept = set(Signature.objects.exclude(pk=OTHER).values_list("pk", flat=True))
        self.flood(60, start=60)
        while fold_sightings(chunk=10, most=20):
            pass
        assert kept == set(Signature.objects.exclude(pk=OTHER).values_list("pk", flat=True))
        assert counted() == recount()

    def test_counts_the_rest_as_others_and_loses_none(self):
        self.flood(60)
        while fold_sightings(chunk=13, most=10):
            pass
        assert sum(counted().values()) == 60
        assert counted() == recount()
        assert Event.objects.filter(signature_id=OTHER).count() == counted()[OTHER]
