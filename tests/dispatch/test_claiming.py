"""Claims: what they take, pass over and give back, and the limits they never exceed together."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.dispatch import claiming, limits
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.marking import mark
from mailops.dispatch.models import Allowance, Worker
from mailops.dispatch.releasing import release, release_claims_of_the_gone, release_claims_since
from mailops.dispatch.sweeping import move_to_their_pools
from mailops.outbox.models import QueueEntry
from mailops.transports.models import ProviderLimit
from tests.factories import make_campaign, make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db


def make_worker(**fields):
    return Worker.objects.create(**{"lane": "bulk", "host": "test", "pid": 1, **fields})


def make_many(number, stream, provider="", **fields):
    return [make_message(stream=stream, mailbox_provider=provider, **fields) for _ in range(number)]


def claim(limit=100, lane="bulk"):
    """Claim through the only carrier of a lane, as a worker of its own."""
    (carrier,) = usable_carriers(lane)
    return Claimer(make_worker(lane=lane).pk).claim(carrier, limit)


def providers(jobs):
    return Counter(job.mailbox_provider for job in jobs)


class TestClaims:
    def test_takes_due_messages_once_with_fences_never_used_before(self):
        stream = make_stream()
        for _ in range(3):
            make_message(stream=stream)
        (carrier,) = usable_carriers("bulk")
        first = Claimer(make_worker().pk).claim(carrier, 2)
        second = Claimer(make_worker().pk).claim(carrier, 10)
        assert (len(first), len(second)) == (2, 1)
        assert len({job.fence for job in first + second}) == 3

    def test_meets_released_rows_again_behind_its_position(self):
        stream = make_stream()
        for _ in range(4):
            make_message(stream=stream)
        (carrier,) = usable_carriers("bulk")
        claimer = Claimer(make_worker().pk)
        first = claimer.claim(carrier, 2)
        claimer.claim(carrier, 2)
        release([(job.message_id, job.fence) for job in first])
        assert claimer.claim(carrier, 2) == []
        assert len(claimer.claim(carrier, 2)) == 2

    @pytest.mark.parametrize(
        "change",
        [
            {"due_at": timezone.now() + timedelta(hours=1)},
            {"expires_at": timezone.now() - timedelta(hours=1)},
            {"is_held": True},
            {"worker_id": 99},
        ],
    )
    def test_passes_over_what_is_not_due(self, change):
        make_message()
        QueueEntry.objects.update(**change)
        (carrier,) = usable_carriers("bulk")
        assert Claimer(make_worker().pk).claim(carrier, 10) == []

    def test_a_dead_worker_claims_and_marks_nothing(self):
        make_message()
        (carrier,) = usable_carriers("bulk")
        worker = make_worker()
        (job,) = Claimer(worker.pk).claim(carrier, 10)
        Worker.objects.update(dead_at=timezone.now())
        assert mark([job]) == set()
        release([(job.message_id, job.fence)])
        assert Claimer(worker.pk).claim(carrier, 10) == []

    @pytest.mark.parametrize("what", ["stream", "transport", "campaign"])
    def test_what_is_paused_claims_nothing(self, what):
        campaign = make_campaign(state=Campaign.State.RUNNING)
        make_message(stream=campaign.stream, campaign=campaign)
        thing = {
            "stream": campaign.stream,
            "campaign": campaign,
            "transport": campaign.stream.transport,
        }[what]
        type(thing).objects.update(state="paused")
        claimed = [
            Claimer(make_worker().pk).claim(carrier, 10) for carrier in usable_carriers("bulk")
        ]
        assert claimed in ([], [[]])

    def test_a_transport_that_backs_off_is_left_alone(self):
        make_message(stream=(stream := make_stream()))
        type(stream.transport).objects.update(backoff_until=timezone.now() + timedelta(minutes=1))
        assert usable_carriers("bulk") == []


class TestLimits:
    def test_a_transport_s_rate_holds_for_all_its_streams_together(self):
        transport = make_transport(rate_per_minute=300)
        for _ in range(2):
            make_many(5, make_stream(transport=transport))
        assert len(claim()) == 5
        assert len(claim()) <= 1

    def test_a_stream_s_rate_holds_over_its_transports_and_workers(self):
        make_many(5, make_stream(rate_per_minute=120))
        assert len(claim()) == 2
        assert claim() == []

    def test_a_provider_s_rate_holds_over_all_transports(self):
        ProviderLimit.objects.create(mailbox_provider="gmail", rate_per_minute=120)
        for _ in range(2):
            make_many(4, make_stream(), "gmail")
        claimer = Claimer(make_worker().pk)
        assert sum(len(claimer.claim(carrier, 50)) for carrier in usable_carriers("bulk")) == 2

    @pytest.mark.parametrize("which", ["transport", "stream", "provider"])
    def test_no_more_than_a_second_of_a_rate_lies_claimed(self, which):
        """Sessions that stalled would send all of it at once."""
        transport = make_transport(rate_per_minute=300 if which == "transport" else None)
        stream = make_stream(
            transport=transport, rate_per_minute=300 if which == "stream" else None
        )
        if which == "provider":
            ProviderLimit.objects.create(mailbox_provider="gmail", rate_per_minute=300)
        make_many(9, stream, "gmail")
        (carrier,) = usable_carriers("bulk")
        claimer = Claimer(make_worker().pk)
        gmail, others = (stream.pk, "gmail"), (stream.pk, "small.example")
        assert claimer.claim(carrier, 50, waiting={gmail: 5}) == []
        elsewhere = {others: 9} if which == "provider" else {}
        assert len(claimer.claim(carrier, 50, waiting={gmail: 3, **elsewhere})) == 2

    def test_a_provider_that_is_sent_enough_stops_nobody_else(self):
        ProviderLimit.objects.create(mailbox_provider="gmail", rate_per_minute=60)
        stream = make_stream()
        make_many(5, stream, "gmail")
        make_many(3, stream, "outlook")
        make_many(3, stream, "small.example")
        assert providers(claim()) == {"gmail": 1, "outlook": 3, "small.example": 3}

    def test_a_domain_with_a_row_is_limited_before_its_entries_have_moved_to_its_pool(self):
        stream = make_stream()
        make_many(5, stream, "big.example")
        make_many(1, stream, "small.example")
        ProviderLimit.objects.create(mailbox_provider="big.example", rate_per_minute=60)
        assert providers(claim()) == {"small.example": 1}
        assert move_to_their_pools() == 5
        assert providers(claim()) == {"big.example": 1}
        assert move_to_their_pools() == 0
        ProviderLimit.objects.all().delete()
        assert providers(claim()) == {"big.example": 4}

    def test_a_day_s_quota_ends_the_day_and_comes_back_with_claims_given_back(self):
        transport = make_transport(daily_quota=3)
        make_many(5, make_stream(transport=transport))
        jobs = claim()
        assert len(jobs) == 3
        assert claim() == []
        release([(job.message_id, job.fence) for job in jobs[:2]])
        assert Allowance.objects.get().spent == 1
        assert len(claim()) == 2

    def test_the_claims_of_the_gone_come_back_to_the_quota_too(self):
        make_many(5, make_stream(transport=make_transport(daily_quota=3)))
        claim()
        Worker.objects.update(dead_at=timezone.now())
        release_claims_of_the_gone()
        assert len(claim()) == 3

    @pytest.mark.parametrize(
        "give_back",
        [
            lambda jobs, _: release([(job.message_id, job.fence) for job in jobs]),
            lambda jobs, worker: release_claims_since(jobs[0].fence - 1, worker_id=worker),
            lambda *_: release_claims_of_the_gone(),
        ],
        ids=["unspent", "lost", "of-the-gone"],
    )
    def test_what_an_earlier_day_had_counted_is_not_given_back_to_the_next(
        self, give_back, monkeypatch
    ):
        make_many(6, make_stream(transport=make_transport(daily_quota=3)))
        (carrier,) = usable_carriers("bulk")
        gone, other = make_worker(), make_worker()
        with monkeypatch.context() as earlier:
            earlier.setattr(limits, "_TODAY", f"{limits._TODAY} - 1")
            before = Claimer(gone.pk).claim(carrier, 3)
        assert len(Claimer(other.pk).claim(carrier, 3)) == 3
        Worker.objects.filter(pk=gone.pk).update(dead_at=timezone.now())
        give_back(before, gone.pk)
        assert Allowance.objects.get().spent == 3
        assert QueueEntry.objects.filter(worker_id=None).count() == 3

    def test_the_last_of_a_quota_is_kept_for_who_reserved_it(self):
        transport = make_transport(daily_quota=10)
        make_many(12, make_stream(transport=transport, kind="bulk"))
        make_many(12, make_stream(transport=transport, kind="transactional"))
        assert len(claim()) == 7
        assert len(claim(lane="transactional")) == 3

    def test_a_password_reset_overtakes_a_newsletter_that_took_all_it_could(self):
        transport = make_transport(rate_per_minute=60)
        make_many(9, make_stream(transport=transport, kind="bulk"))
        assert len(claim()) == 1
        make_message(stream=make_stream(transport=transport, kind="transactional"))
        assert len(claim(lane="transactional")) == 1

    def test_a_stream_gets_the_share_it_reserved_however_many_queues_another_has(self):
        transport = make_transport()
        small = make_stream(transport=transport, kind="bulk", reserved_percent=50)
        big = make_stream(transport=transport, kind="bulk")
        make_many(20, small)
        for number in range(9):
            make_many(3, big, f"provider{number}")
        assert Counter(job.stream_id for job in claim(20))[small.pk] >= 10

    def test_nobody_is_left_out_where_there_are_more_queues_than_places(self):
        stream = make_stream()
        for number in range(6):
            make_many(4, stream, f"provider{number}")
        (carrier,) = usable_carriers("bulk")
        claimer = Claimer(make_worker().pk)
        seen = [job.mailbox_provider for _ in range(6) for job in claimer.claim(carrier, 2)]
        assert len(set(seen)) == 6


@pytest.mark.django_db(transaction=True)
class TestTogether:
    def test_two_workers_never_exceed_a_limit_and_never_take_the_same(self):
        transport = make_transport(daily_quota=40)
        ProviderLimit.objects.create(mailbox_provider="gmail", rate_per_minute=600)
        stream = make_stream(transport=transport)
        make_many(60, stream, "gmail")
        make_many(30, stream, "small.example")
        (carrier,) = usable_carriers("bulk")
        workers = [make_worker().pk for _ in range(4)]
        jobs, together = [], threading.Barrier(4)

        def work(worker_id):
            try:
                claimer = Claimer(worker_id)
                together.wait()
                for _ in range(3):
                    jobs.extend(claimer.claim(carrier, 7))
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=[worker_id]) for worker_id in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({job.message_id for job in jobs}) == len(jobs)
        assert len(jobs) <= 40
        assert providers(jobs)["gmail"] <= 30
        assert Allowance.objects.get(key=f"t{transport.pk}").spent == len(jobs)


class TestBlocked:
    def test_a_paused_campaign_s_entries_are_not_read_by_a_claim(self, django_assert_num_queries):
        paused = make_campaign(state=Campaign.State.PAUSED)
        make_many(3, paused.stream, campaign=paused)
        (carrier,) = usable_carriers("bulk")
        claimer = Claimer(make_worker().pk)
        claimer.claim(carrier, 10)
        with django_assert_num_queries(1):
            assert claimer.claim(carrier, 10) == []
        Campaign.objects.update(state=Campaign.State.RUNNING)
        assert len(claimer.claim(carrier, 10)) == 3

    def test_a_claim_without_limits_is_one_statement(self, django_assert_max_num_queries):
        make_many(10, make_stream())
        (carrier,) = usable_carriers("bulk")
        claimer = Claimer(make_worker().pk)
        claimer.claim(carrier, 5)
        with django_assert_max_num_queries(3) as seen:
            assert len(claimer.claim(carrier, 5)) == 5
        assert sum("queueentry" in query["sql"] for query in seen) == 1

    def test_a_dear_look_that_found_nothing_is_not_repeated_at_once(self, monkeypatch):
        monkeypatch.setattr(claiming, "DEAR_SECONDS", 0.0)
        monkeypatch.setattr(claiming, "REST", 1_000_000)
        make_message(stream=(stream := make_stream(rate_per_minute=60)))
        (carrier,) = usable_carriers("bulk")
        claimer = Claimer(make_worker().pk)
        assert len(claimer.claim(carrier, 10)) == 1
        assert claimer.claim(carrier, 10) == []
        make_message(stream=stream)
        assert claimer.claim(carrier, 10) == []
        claimer._known[carrier].rests_until = 0.0
        stream.rate_per_minute = None
        stream.save()
        claimer._known[carrier].read_at = 0.0
        assert len(claimer.claim(carrier, 10)) == 1
