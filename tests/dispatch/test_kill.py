"""Kills the sending processes for real and asks the receiver's log what became of the mail."""

import pytest

from mailops.audiences.models import Audience, Contact, Membership
from mailops.campaigns.models import Campaign
from mailops.dispatch.models import Worker
from mailops.outbox.models import Message
from mailops.transports.models import Transport
from tests.engine import Engine
from tests.factories import make_campaign, make_stream
from tests.waiting import wait_until

pytestmark = [pytest.mark.whole, pytest.mark.django_db(transaction=True)]

RECIPIENTS, KILLS, SESSIONS, WORKERS = 2000, 10, 4, ("bulk1", "bulk2")


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path)
    yield engine
    engine.stop()


def launch(engine, recipients):
    transport = Transport.objects.create(
        name="Receiver",
        host="127.0.0.1",
        port=engine.receiver_port,
        security="none",
        max_sessions=SESSIONS,
    )
    stream = make_stream(transport=transport, backoff_seconds=[1], expiry_seconds=600)
    audience = Audience.objects.create(name="All")
    contacts = Contact.objects.bulk_create(
        Contact(
            address=f"accept+{n}@x.example",
            address_key=f"accept+{n}@x.example",
            attributes={"first_name": "A"},
        )
        for n in range(recipients)
    )
    Membership.objects.bulk_create(
        Membership(audience=audience, contact=contact) for contact in contacts
    )
    return make_campaign(stream=stream, audience=audience, state=Campaign.State.RUNNING)


def test_ten_kills_lose_nothing_and_double_nothing(engine):
    campaign = launch(engine, RECIPIENTS)
    engine.start_receiver("--no-store")
    engine.start_housekeeping()
    for worker in WORKERS:
        engine.start_worker(worker, "bulk")
    step = RECIPIENTS // (KILLS + 2)
    for kill in range(1, KILLS + 1):
        wait_until(
            lambda kill=kill: engine.received().total() >= kill * step,
            seconds=180,
            what=f"progress before kill {kill}",
        )
        for worker in WORKERS:
            engine.kill(worker)
            engine.start_worker(worker, "bulk")

    def is_completed():
        campaign.refresh_from_db()
        return campaign.state == Campaign.State.COMPLETED

    wait_until(is_completed, seconds=300, what="the campaign to complete by itself")
    received = engine.received()
    statuses = dict(Message.objects.values_list("recipient", "status"))
    uncertain = {recipient for recipient, status in statuses.items() if status == "uncertain"}
    accepted = {recipient for recipient, status in statuses.items() if status == "accepted"}
    assert [recipient for recipient, times in received.items() if times > 1] == []
    assert accepted <= set(received)
    assert set(received) <= accepted | uncertain
    assert accepted | uncertain == set(statuses)
    assert len(statuses) == RECIPIENTS == campaign.planned
    assert len(uncertain) <= KILLS * len(WORKERS) * SESSIONS
    assert Worker.objects.filter(dead_at__isnull=False).exists()
