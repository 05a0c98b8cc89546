"""A campaign through each broker that is not the embedded one: Redis and RabbitMQ carry the same hints."""

import pytest

from mailops.campaigns.models import Campaign
from mailops.outbox.models import Message
from mailops.transports.models import Transport
from tests import brokers
from tests.engine import Engine
from tests.factories import make_audience, make_campaign, make_stream
from tests.waiting import wait_until

pytestmark = [pytest.mark.whole, pytest.mark.django_db(transaction=True)]

BROKERS = [
    pytest.param(brokers.redis, marks=pytest.mark.needs("redis-server"), id="redis"),
    pytest.param(brokers.rabbitmq, marks=pytest.mark.needs("rabbitmq-server"), id="rabbitmq"),
]


@pytest.mark.parametrize("broker", BROKERS)
def test_a_campaign_goes_out(broker, tmp_path):
    with broker(tmp_path) as url:
        engine = Engine(tmp_path, broker_url=url)
        try:
            send(engine)
        finally:
            engine.stop()


def send(engine):
    engine.start_receiver("--no-store")
    engine.start_housekeeping()
    engine.start_worker("bulk", "bulk")
    transport = Transport.objects.create(
        name="Receiver", host="127.0.0.1", port=engine.receiver_port, security="none"
    )
    campaign = make_campaign(
        stream=make_stream(transport=transport),
        audience=make_audience(*(f"accept+{n}@x.example" for n in range(100))),
        state=Campaign.State.RUNNING,
    )

    def is_completed():
        campaign.refresh_from_db()
        return campaign.state == Campaign.State.COMPLETED

    wait_until(is_completed, seconds=60, what="the campaign to complete")
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
    assert len(engine.received()) == 100
    assert max(engine.received().values()) == 1
