from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.incidents.measuring import Rate, rates
from tests.factories import make_stream
from tests.incidents.conftest import count


class TestRates:
    def since(self, minutes=60):
        return timezone.now() - timedelta(minutes=minutes)

    def test_adds_what_is_folded_and_what_waits(self, stream, bounces):
        count(stream, "accepted", 90, folded=True)
        count(stream, "accepted", 5)
        count(stream, "bounced", 3, folded=True, reason="no_such_mailbox")
        count(stream, "bounced", 2, reason="policy")
        assert rates(bounces, since=self.since()) == {stream.pk: Rate(5, 100)}

    def test_counts_a_later_bounce_once(self, stream, bounces):
        count(stream, "accepted", 100)
        count(stream, "returned", 4)
        assert rates(bounces, since=self.since())[stream.pk] == Rate(4, 100)

    def test_keeps_streams_apart(self, stream, bounces):
        other = make_stream()
        count(stream, "accepted", 10)
        count(other, "bounced", 1)
        assert rates(bounces, since=self.since()) == {
            stream.pk: Rate(0, 10),
            other.pk: Rate(1, 1),
        }

    def test_leaves_out_what_lies_before_the_window(self, stream, bounces):
        count(stream, "bounced", 1, minutes_ago=120)
        assert rates(bounces, since=self.since()) == {}

    def test_counts_neither_statuses_nor_other_events(self, stream, bounces):
        count(stream, "bounced", 7, measure="status")
        count(stream, "opened", 7)
        count(stream, "failed", 7)
        assert rates(bounces, since=self.since()) == {}

    def test_takes_complaints_of_what_was_accepted(self, stream, complaints):
        count(stream, "accepted", 1000)
        count(stream, "bounced", 500)
        count(stream, "complained", 2)
        assert rates(complaints, since=self.since()) == {stream.pk: Rate(2, 1000)}


class TestRate:
    @pytest.mark.parametrize(
        ("rate", "words"),
        [
            (Rate(143, 11902), "1.2 % (143 of 11,902)"),
            (Rate(1, 1000), "0.10 % (1 of 1,000)"),
            (Rate(0, 0), "0.00 % (0 of 0)"),
        ],
    )
    def test_is_shown_with_its_count(self, rate, words):
        assert str(rate) == words
