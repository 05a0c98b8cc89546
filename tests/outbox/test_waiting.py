from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.outbox.models import QueueEntry
from mailops.outbox.waiting import count_waiting, last_in_line
from mailops.transports.models import Route, Stream
from tests.factories import make_campaign, make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db


@pytest.fixture
def stream():
    stream = make_stream()
    for _ in range(4):
        make_message(stream=stream)
    first, second, third, _ = QueueEntry.objects.filter(stream=stream)
    QueueEntry.objects.filter(pk=first.pk).update(is_held=True)
    QueueEntry.objects.filter(pk=second.pk).update(due_at=timezone.now() + timedelta(hours=1))
    QueueEntry.objects.filter(pk=third.pk).update(expires_at=timezone.now() + timedelta(minutes=5))
    return stream


def test_counts_what_is_owed_due_held_and_running_out(stream, django_assert_num_queries):
    with django_assert_num_queries(1):
        (row,) = count_waiting([stream])
    assert (row.owed, row.due, row.held, row.expiring) == (4, 2, 1, 1)


def test_what_a_person_holds_does_not_run_out(stream):
    QueueEntry.objects.filter(is_held=True).update(expires_at=timezone.now())
    assert count_waiting([stream])[0].expiring == 1


def test_what_is_before_or_behind_its_hours_is_not_due(stream):
    now = timezone.now()
    ids = list(
        QueueEntry.objects.filter(due_at__lte=now, is_held=False).values_list("pk", flat=True)
    )
    later = {"due_at": now + timedelta(hours=3), "closes_at": now + timedelta(hours=9)}
    QueueEntry.objects.filter(pk=ids[0]).update(**later)
    QueueEntry.objects.filter(pk=ids[1]).update(closes_at=now - timedelta(seconds=1))
    (row,) = count_waiting([stream])
    assert (row.owed, row.due, row.early) == (4, 0, 1)


def test_a_message_says_until_when_it_may_leave(viewer, logged_in):
    message = make_message()
    closes_at = timezone.now() + timedelta(hours=9)
    QueueEntry.objects.filter(pk=message.pk).update(closes_at=closes_at)
    page = logged_in(viewer).get(reverse("outbox:detail", args=[message.public_id])).text
    assert "by the hours of its campaign" in page


def test_a_stream_that_owes_nothing_is_counted_too():
    (row,) = count_waiting([make_stream()])
    assert row.owed == 0


def test_a_transport_carries_the_streams_it_is_the_first_route_of(stream):
    standby = make_transport()
    Route.objects.create(stream=stream, transport=standby, position=1)
    assert list(Stream.objects.carried_by(stream.transport)) == [stream]
    assert not Stream.objects.carried_by(standby)


class TestPanels:
    def urls(self, stream):
        return [
            reverse("outbox:stream-panel", args=[stream.pk]),
            reverse("outbox:transport-panel", args=[stream.transport.pk]),
        ]

    def test_are_a_page_and_a_fragment(self, viewer, logged_in, stream):
        client = logged_in(viewer)
        for url in self.urls(stream):
            assert stream.name in client.get(url).content.decode()
            part = client.get(url, headers={"HX-Request": "true"}).content.decode()
            assert part.lstrip().startswith('<section class="card" id="waiting"')

    def test_say_when_nothing_waits(self, viewer, logged_in):
        page = logged_in(viewer).get(self.urls(make_stream())[0]).content.decode()
        assert "no message is owed" in page

    def test_are_not_for_strangers(self, client, logged_in, stranger, stream):
        for url in self.urls(stream):
            assert client.get(url).status_code == 302
            assert logged_in(stranger).get(url).status_code == 403


def test_finds_what_is_given_up_last_of_a_campaign():
    campaign = make_campaign(state="running")
    assert last_in_line(campaign) is None
    now = timezone.now()
    for minutes in (1, 2, 3):
        message = make_message(campaign=campaign, stream=campaign.stream)
        QueueEntry.objects.filter(pk=message.pk).update(
            due_at=now - timedelta(minutes=9 - minutes), expires_at=now + timedelta(minutes=minutes)
        )
    other = make_message(stream=campaign.stream)
    assert last_in_line(campaign).expires_at == now + timedelta(minutes=3)
    QueueEntry.objects.exclude(pk=other.pk).update(is_held=True)
    assert last_in_line(campaign) is None
