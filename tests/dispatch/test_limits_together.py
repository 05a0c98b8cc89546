"""Two sending processes and one set of limits; the receiver's log is the truth."""

import time

import pytest

from mailops.campaigns.models import Campaign
from mailops.dispatch.models import Allowance
from mailops.outbox.models import Message, QueueEntry
from mailops.transports.models import Transport
from tests.dispatch.test_kill import launch
from tests.engine import Engine
from tests.waiting import wait_until

pytestmark = [pytest.mark.whole, pytest.mark.django_db(transaction=True)]

WORKERS, RECIPIENTS, A_MINUTE, A_DAY = ("bulk1", "bulk2"), 120, 600, 80


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path)
    yield engine
    engine.stop()


@pytest.fixture
def campaign(engine):
    """Return a campaign that two workers begin to send, within a rate and a day's number."""
    campaign = launch(engine, RECIPIENTS)
    Transport.objects.update(rate_per_minute=A_MINUTE, daily_quota=A_DAY)
    engine.start_receiver("--no-store")
    engine.start_housekeeping()
    for worker in WORKERS:
        engine.start_worker(worker, "bulk")
    return campaign


def test_two_processes_keep_to_one_rate_and_one_quota(engine, campaign):
    wait_until(lambda: engine.received().total(), seconds=60, what="the first message")
    began, first = time.monotonic(), engine.received().total()
    wait_until(lambda: engine.received().total() >= A_DAY, seconds=60, what="the day's quota")
    a_second = A_MINUTE / 60
    assert time.monotonic() - began >= (A_DAY - first - a_second) / a_second - 1
    assert Allowance.objects.get(key=f"t{campaign.stream.transport.pk}").spent == A_DAY
    # Nothing is lost of what waits for the next day, and nothing stands still for good.
    waiting = RECIPIENTS - A_DAY
    wait_until(lambda: QueueEntry.objects.count() == waiting, seconds=30, what="the last results")
    Transport.objects.update(daily_quota=None)

    def is_completed():
        campaign.refresh_from_db()
        return campaign.state == Campaign.State.COMPLETED

    wait_until(is_completed, seconds=60, what="the campaign to complete once it may")
    assert engine.received().total() == RECIPIENTS


def test_what_a_killed_process_had_taken_comes_back_and_no_more(engine, campaign):
    wait_until(lambda: engine.received().total() >= A_DAY // 4, seconds=60, what="some messages")
    for worker in WORKERS:
        engine.kill(worker)
        engine.start_worker(worker, "bulk")

    def is_spent():
        spent = Allowance.objects.get(key=f"t{campaign.stream.transport.pk}").spent
        return spent == A_DAY and not QueueEntry.objects.exclude(worker_id=None).exists()

    wait_until(is_spent, seconds=120, what="the day's quota, and nothing claimed")
    uncertain = Message.objects.filter(status="uncertain").count()
    assert Message.objects.filter(status="accepted").count() + uncertain == A_DAY
    assert A_DAY - uncertain <= engine.received().total() <= A_DAY
    assert max(engine.received().values()) == 1
