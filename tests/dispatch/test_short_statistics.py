"""A vacuum that saw one entry in a long queue, as where a single message outlives a campaign, leaves no plan that reads it whole."""

from datetime import time

import pytest
from django.db import connection

from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.models import Worker
from mailops.dispatch.releasing import release, release_behind
from mailops.dispatch.sweeping import sweep_suppressed
from mailops.outbox.keeping_hours import keep_hours
from mailops.outbox.models import QueueEntry
from mailops.suppressions.models import Suppression
from tests.dispatch.test_marking import add_alike
from tests.factories import make_campaign, make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db

LONG = 2000


@pytest.fixture
def queued():
    """Return the first of a long queue."""
    message = make_message(stream=make_stream(transport=make_transport()))
    with connection.cursor() as cursor:
        add_alike(cursor, message.pk, LONG)
        cursor.execute("ANALYZE outbox_message")
        cursor.execute(
            "UPDATE pg_class SET reltuples = 1, relpages = 500 WHERE relname = 'outbox_queueentry'"
        )
    return message


def entries_read():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'outbox_queueentry'"
        )
        return cursor.fetchone()[0]


def test_a_claim_reads_what_it_claims(queued):
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    (carrier,) = usable_carriers(queued.stream.kind)
    before = entries_read()
    assert len(Claimer(worker.pk).claim(carrier, 20)) == 20
    assert entries_read() - before < LONG / 10


@pytest.mark.parametrize("give_back", [release, release_behind])
def test_claims_go_back_by_their_ids(queued, give_back):
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    (carrier,) = usable_carriers(queued.stream.kind)
    jobs = Claimer(worker.pk).claim(carrier, 20)
    kept, *others = jobs
    before = entries_read()
    give_back([(kept.message_id, kept.fence + 1000), *(job.claim for job in others)])
    assert entries_read() - before < LONG / 10
    assert QueueEntry.objects.exclude(worker_id=None).get().message_id == kept.message_id


def test_closing_deletes_by_ids(queued):
    Suppression.objects.create(
        address="b@x.example", address_key=queued.address_key, reason="manual"
    )
    QueueEntry.objects.exclude(pk=queued.pk).update(address_key="another@x.example")
    entries = QueueEntry.objects.filter(pk=queued.pk)
    before = entries_read()
    assert sweep_suppressed(entries) == 1
    assert entries_read() - before < LONG / 10


def test_hours_are_kept_by_ids(queued):
    campaign = make_campaign(has_own_hours=True, window_from=time(9), window_to=time(18))
    entries = QueueEntry.objects.order_by("pk")
    entries.update(campaign=campaign)
    due = dict.fromkeys(entries.values_list("pk", flat=True)[:20], campaign.pk)
    before = entries_read()
    assert keep_hours(due) == 20
    assert entries_read() - before < LONG / 10
    assert QueueEntry.objects.exclude(closes_at=None).count() == 20
