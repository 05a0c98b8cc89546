"""Warm-up: the ramp, what it holds back and lets spill over, and where a person sees it stand."""

from collections import Counter
from datetime import date, timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse

from mailops.accounts.models import AuditEntry
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.limits import utc_today
from mailops.dispatch.models import Allowance, Worker
from mailops.dispatch.releasing import release
from mailops.transports.models import ProviderLimit, Route, WarmUp
from tests.factories import make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db


def warm(transport, provider="", *, days_ago=0, **fields):
    return WarmUp.objects.create(
        transport=transport,
        mailbox_provider=provider,
        started_on=utc_today() - timedelta(days=days_ago),
        **{"first_day": 4, "growth_percent": 50, "full_volume": 100, **fields},
    )


def queue(stream, number, provider="gmail"):
    return [make_message(stream=stream, mailbox_provider=provider) for _ in range(number)]


def claim(lane="bulk"):
    """Claim all there is through every carrier; return the jobs by transport."""
    claimer = Claimer(Worker.objects.create(lane=lane, host="test", pid=1).pk)
    return {carrier.transport_id: claimer.claim(carrier, 100) for carrier in usable_carriers(lane)}


def providers(jobs):
    return Counter(job.mailbox_provider for job in jobs)


class TestRamp:
    DAY = date(2026, 3, 1)

    def ramp(self, **fields):
        values = {"first_day": 50, "growth_percent": 100, "full_volume": 1000, **fields}
        return WarmUp(started_on=self.DAY, **values)

    def test_grows_each_day_until_it_is_warm(self):
        ramp = self.ramp()
        volumes = [ramp.volume(self.DAY + timedelta(days=day)) for day in range(6)]
        assert volumes == [50, 100, 200, 400, 800, None]
        assert ramp.days == 5
        assert ramp.warm_on == self.DAY + timedelta(days=5)

    def test_is_warm_for_ever_after(self):
        assert self.ramp(growth_percent=300).volume(date(2126, 1, 1)) is None

    def test_grows_by_the_percent_that_was_given_to_the_last_message(self):
        ramp = self.ramp(first_day=100, growth_percent=15)
        assert ramp.volume(self.DAY + timedelta(days=1)) == 115

    def test_stands_at_its_first_day_before_it(self):
        assert self.ramp().volume(self.DAY - timedelta(days=3)) == 50


class TestHoldsBack:
    def test_what_is_over_the_day_s_number_for_the_next_day(self):
        transport = make_transport()
        warm(transport, "gmail", days_ago=1)
        queue(make_stream(transport=transport), 9)
        assert len(claim()[transport.pk]) == 6
        assert claim()[transport.pk] == []
        Allowance.objects.update(day=F("day") - timedelta(days=1))
        assert len(claim()[transport.pk]) == 3

    def test_each_provider_by_itself_where_one_ramp_is_for_everybody(self):
        transport = make_transport()
        warm(transport)
        warm(transport, "yahoo", days_ago=300)
        stream = make_stream(transport=transport)
        for provider in ("gmail", "outlook", "yahoo", "a.example", "b.example"):
            queue(stream, 9, provider)
        left = providers(claim()[transport.pk])
        assert (left["gmail"], left["outlook"], left["yahoo"]) == (4, 4, 9)
        assert left["a.example"] + left["b.example"] == 4

    def test_no_more_than_its_number_comes_back_with_claims_given_back(self):
        transport = make_transport()
        warm(transport, "gmail")
        queue(make_stream(transport=transport), 9)
        jobs = claim()[transport.pk]
        release([(job.message_id, job.fence) for job in jobs[:3]])
        assert len(claim()[transport.pk]) == 3


class TestSpills:
    @pytest.fixture
    def ways(self):
        first, second = make_transport(), make_transport()
        stream = make_stream(transport=first)
        Route.objects.create(stream=stream, transport=second, position=1)
        return stream, first, second

    def test_over_to_the_stream_s_next_transport(self, ways):
        stream, first, _ = ways
        warm(first, "gmail")
        queue(stream, 9)
        assert [len(jobs) for jobs in claim().values()] == [4, 5]

    def test_only_what_the_first_may_send_no_more(self, ways):
        stream, first, second = ways
        warm(first, "gmail")
        Allowance.objects.create(
            key=f"t{first.pk}:gmail", refilled_at="2026-01-01T00:00Z", day=utc_today(), spent=4
        )
        queue(stream, 3)
        queue(stream, 3, "outlook")
        by_transport = claim()
        assert providers(by_transport[first.pk]) == {"outlook": 3}
        assert providers(by_transport[second.pk]) == {"gmail": 3}

    def test_a_day_s_quota_too(self, ways):
        stream, first, _ = ways
        type(first).objects.filter(pk=first.pk).update(daily_quota=2)
        queue(stream, 5)
        assert [len(jobs) for jobs in claim().values()] == [2, 3]

    def test_nothing_where_the_first_has_no_day_s_number(self, ways):
        stream, first, second = ways
        warm(second, "gmail")
        queue(stream, 3)
        assert list(claim()) == [first.pk]

    def test_nothing_over_a_first_that_a_guardrail_paused(self, ways):
        stream, first, second = ways
        warm(first, "gmail")
        first.pause("guardrail")
        queue(stream, 3)
        assert claim() == {second.pk: []}


class TestPages:
    RAMP = {
        "mailbox_provider": "Gmail",
        "started_on": "2026-03-01",
        "first_day": "50",
        "growth_percent": "50",
        "full_volume": "10000",
    }

    @pytest.fixture
    def transport(self):
        return make_transport()

    def add(self, client, transport, **changes):
        url = reverse("transports:warm-up-add", args=[transport.pk])
        return client.post(url, self.RAMP | changes)

    def test_is_added_changed_and_ended_with_a_trail(self, admin, logged_in, transport):
        client = logged_in(admin)
        assert self.add(client, transport).status_code == 302
        ramp = WarmUp.objects.get()
        assert (ramp.mailbox_provider, ramp.first_day) == ("gmail", 50)
        url = reverse("transports:warm-up-edit", args=[ramp.pk])
        assert client.post(url, self.RAMP | {"first_day": "80"}).status_code == 302
        assert client.post(reverse("transports:warm-up-end", args=[ramp.pk])).status_code == 302
        assert not WarmUp.objects.exists()
        verbs = AuditEntry.objects.order_by("pk").values_list("verb", flat=True)
        assert list(verbs) == [
            "transport.warm_up",
            "transport.change_warm_up",
            "transport.end_warm_up",
        ]

    @pytest.mark.parametrize(
        "changes",
        [
            {"mailbox_provider": "big.example"},
            {"mailbox_provider": "nonsense"},
            {"first_day": "0"},
            {"growth_percent": "0"},
            {"growth_percent": "301"},
            {"growth_percent": "1", "full_volume": "1000000"},
            {"full_volume": "50"},
            {"started_on": "yesterday"},
            {"started_on": ""},
            {"started_on": "9999-12-31"},
            {"started_on": "2126-03-01"},
        ],
    )
    def test_keeps_what_was_typed_where_it_is_wrong(self, admin, logged_in, transport, changes):
        answer = self.add(logged_in(admin), transport, **changes)
        assert answer.status_code == 422
        assert not WarmUp.objects.exists()

    def test_has_one_ramp_for_each(self, admin, logged_in, transport):
        client = logged_in(admin)
        self.add(client, transport, mailbox_provider="")
        assert self.add(client, transport, mailbox_provider="").status_code == 422

    def test_a_domain_with_limits_of_its_own_may_have_a_ramp(self, admin, logged_in, transport):
        ProviderLimit.objects.create(mailbox_provider="big.example", max_sessions=3)
        answer = self.add(logged_in(admin), transport, mailbox_provider="big.example")
        assert answer.status_code == 302

    @pytest.mark.parametrize("name", ["warm-up-edit", "warm-up-end"])
    def test_only_who_configures_may(self, admin, operator, logged_in, transport, name):
        url = reverse(f"transports:{name}", args=[warm(transport).pk])
        assert logged_in(admin).get(url).status_code == 200
        assert logged_in(operator).get(url).status_code == 403
        assert Client().get(url).status_code == 302

    def test_the_transport_s_panel_shows_where_it_stands(self, viewer, logged_in, transport):
        warm(transport, days_ago=1)
        stream = make_stream(transport=transport)
        queue(stream, 2, "gmail")
        queue(stream, 1, "x.example")
        claim()
        url = reverse("dispatch:transport-panel", args=[transport.pk])
        page = " ".join(logged_in(viewer).get(url).content.decode().split())
        assert "Everybody</th>" in page
        assert "2 of 8" in page
        assert "Gmail 2, other domains 1" in page
        assert "as fast as the warm-up and the limits allow" in page
        assert "/warm-ups/" not in page

    def test_it_says_that_nothing_counts_that_left_before_it(self, viewer, logged_in, transport):
        stream = make_stream(transport=transport)
        queue(stream, 1, "gmail")
        claim()
        warm(transport)
        url = reverse("dispatch:transport-panel", args=[transport.pk])
        page = " ".join(logged_in(viewer).get(url).content.decode().split())
        assert "Sent today under it" in page
        assert "What was sent before it was begun does not count." in page

    def test_one_that_is_over_counts_nothing_more(self, viewer, logged_in, transport):
        warm(transport, days_ago=300)
        url = reverse("dispatch:transport-panel", args=[transport.pk])
        page = logged_in(viewer).get(url).content.decode()
        assert "no longer counted" in page
        assert "as fast as the limits allow" in page

    @pytest.mark.parametrize(
        ("others", "words"), [([], "for everybody."), (["gmail"], "for everybody else.")]
    )
    def test_says_for_whom_it_is(self, admin, logged_in, transport, others, words):
        for provider in others:
            warm(transport, provider)
        client = logged_in(admin)
        self.add(client, transport, mailbox_provider="")
        url = reverse("transports:detail", args=[transport.pk])
        assert f"{transport} is now being warmed up {words}" in client.get(url).content.decode()
