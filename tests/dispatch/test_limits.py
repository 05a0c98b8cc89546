"""Limits: buckets by themselves, and their rows under two workers at once."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from mailops.dispatch import limits
from mailops.dispatch.limits import Bucket, Limit, close_buckets, open_buckets, scaled
from mailops.dispatch.models import Allowance

NEWS, RESETS = 3, 7


def bucket(rate=None, per_day=None, *, shares=None, levels=None, spent=0):
    limit = Limit("t1", rate, per_day, shares or {})
    return Bucket(limit, levels=levels or {}, spent=spent)


def drain(bucket, stream=NEWS):
    taken = bucket.room(stream)
    bucket.take(stream, taken)
    return taken


class TestRates:
    @pytest.mark.parametrize("rate", [1, 2, 7, 60, 90, 600, 6000])
    @pytest.mark.parametrize("shares", [{}, {RESETS: 0.3}])
    def test_no_minute_sees_more_than_the_rate(self, rate, shares):
        one = bucket(rate, shares=shares)
        passed = [drain(one, RESETS) + drain(one)]
        for _ in range(599):
            one.refill(0.1)
            passed.append(drain(one, RESETS) + drain(one))
        assert rate / 3 <= sum(passed) <= rate

    def test_a_long_quiet_saves_up_a_second(self):
        one = bucket(6000)
        one.refill(3600)
        assert one.room(NEWS) == 100

    def test_a_lower_rate_holds_at_once(self):
        assert bucket(60, levels={"": 100.0}).room(NEWS) == 1


class TestReserves:
    def test_leave_a_part_to_their_stream_however_much_the_others_want(self):
        one = bucket(600, shares={RESETS: 0.3})
        assert drain(one, NEWS) == 7
        assert drain(one, RESETS) == 3

    def test_cost_nothing_where_nobody_uses_them(self):
        one = bucket(600, shares={RESETS: 0.3})
        passed = 0
        for _ in range(600):
            one.refill(0.1)
            passed += drain(one, NEWS)
        assert passed >= 580

    def test_never_starve_the_others(self):
        one = bucket(600, shares={RESETS: 0.5})
        passed = 0
        for _ in range(600):
            one.refill(0.1)
            passed += drain(one, NEWS)
            drain(one, RESETS)
        assert passed >= 200

    def test_come_back_where_they_were_taken_and_not_used(self):
        one = bucket(600, shares={RESETS: 0.3})
        one.take(RESETS, 10)
        one.take(RESETS, -10)
        assert (drain(one, NEWS), drain(one, RESETS)) == (7, 3)

    def test_keep_the_end_of_a_day_s_number(self):
        one = bucket(per_day=100, shares={RESETS: 0.3})
        assert (drain(one, NEWS), drain(one, RESETS)) == (70, 30)

    def test_leave_something_to_the_others_in_any_case(self):
        assert sum(scaled({1: 0.8, 2: 0.8, 3: 0}).values()) == pytest.approx(0.9)


@pytest.mark.django_db
class TestRows:
    def take(self, want, rate=600, per_day=None):
        with transaction.atomic():
            buckets = open_buckets([Limit("t1", rate, per_day)])
            taken = min(want, buckets["t1"].room(NEWS))
            buckets["t1"].take(NEWS, taken)
            close_buckets(buckets)
        return taken

    def test_a_rate_holds_over_all_takers(self):
        assert self.take(8) == 8
        assert sum(self.take(8) for _ in range(2)) <= 3

    def test_time_refills_them(self):
        self.take(10)
        Allowance.objects.update(
            levels={"": 0.0}, refilled_at=timezone.now() - timedelta(seconds=0.5)
        )
        assert self.take(10) in {4, 5}

    def test_a_clock_that_was_set_back_stops_nothing_for_long(self):
        self.take(10)
        Allowance.objects.update(levels={"": 0.0}, refilled_at=timezone.now() + timedelta(hours=1))
        assert self.take(10) == 0
        assert Allowance.objects.get().refilled_at < timezone.now()

    def test_a_day_s_number_begins_anew_each_day(self):
        assert self.take(10, rate=None, per_day=5) == 5
        assert self.take(10, rate=None, per_day=5) == 0
        Allowance.objects.update(day=F("day") - timedelta(days=1))
        assert self.take(10, rate=None, per_day=5) == 5

    def test_what_was_taken_over_midnight_leaves_the_new_day_its_number(self, monkeypatch):
        self.take(3, rate=None, per_day=5)
        with transaction.atomic():
            buckets = open_buckets([Limit("t1", None, 5)])
            buckets["t1"].take(NEWS, 1)
            monkeypatch.setattr(limits, "_TODAY", "DATE '2026-03-02'")
            close_buckets(buckets)
        assert self.take(10, rate=None, per_day=5) == 5
