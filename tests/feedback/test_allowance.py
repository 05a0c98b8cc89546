"""A day's mail is bounded for each address and for all strangers, and a new day begins with nothing taken."""

import pytest

from mailops.feedback.allowance import ROW, Allowance, Shares
from mailops.lib.daily_counts import DAY


@pytest.fixture
def now():
    return [5.0]


@pytest.fixture
def allowance(now):
    shares = Shares(signed=10 * ROW, sender=20 * ROW, strangers=30 * ROW)
    return Allowance(shares, clock=lambda: now[0])


def test_each_mail_weighs_more_than_its_octets(allowance):
    assert [allowance.take_signed("b+a@x.example", 0) for _ in range(11)] == [True] * 10 + [False]


def test_case_makes_no_other_address(allowance):
    assert allowance.take_signed("b+a@x.example", 9 * ROW)
    assert not allowance.take_signed("B+A@x.example", 0)


def test_what_is_refused_takes_nothing(allowance):
    assert not allowance.take_strange("198.51.100.1", 20 * ROW)
    assert allowance.take_strange("198.51.100.1", 19 * ROW)


def test_strangers_take_nothing_from_what_we_signed(allowance):
    for number in range(40):
        allowance.take_strange(number, 9 * ROW)
    assert not allowance.take_strange("198.51.100.1", 0)
    assert allowance.take_signed("b+a@x.example", 0)


def test_a_day_later_there_is_room_again(allowance, now):
    assert allowance.take_signed("b+a@x.example", 9 * ROW)
    now[0] += DAY - 1
    assert not allowance.take_signed("b+a@x.example", 0)
    now[0] += 1
    assert allowance.take_signed("b+a@x.example", 0)
