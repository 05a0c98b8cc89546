"""A stream that routes by weight: each transport takes its share, and who can't leaves it to the others."""

from collections import Counter
from datetime import timedelta

import pytest

from mailops.dispatch import carriers
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.models import Worker
from mailops.dispatch.weighing import EVERYTHING, Share, _share
from mailops.lib.clock import ClockTimestamp
from mailops.outbox.models import Message, QueueEntry
from mailops.transports.models import Route, Transport
from tests.factories import make_message, make_stream, make_transport, make_version


@pytest.fixture
def three(db):
    """A stream whose first transport carries half of its mail, the others a quarter each."""
    stream = make_stream(routing="weight")
    stream.routes.update(weight=2)
    for position in (1, 2):
        Route.objects.create(stream=stream, transport=make_transport(), position=position)
    return stream


@pytest.fixture
def messages(three):
    version = make_version()
    return [make_message(stream=three, version=version) for _ in range(40)]


def claim(claimer=None):
    """Claim all there is, each transport in turn; return how many each took."""
    claimer = claimer or Claimer(Worker.objects.create(lane="bulk", host="here", pid=1).pk)
    taken = Counter()
    for carrier in usable_carriers("bulk"):
        taken[carrier.transport_id] += len(claimer.claim(carrier, 100))
    return taken


def ids(stream):
    return list(stream.routes.order_by("position").values_list("transport", flat=True))


class TestShare:
    def test_divides_by_weight_and_leaves_nothing_out(self):
        weights = [(7, 2), (8, 1), (9, 1)]
        shares = [_share(one, weights) for one, _ in weights]
        assert shares == [Share(0, 1, 4), Share(2, 2, 4), Share(3, 3, 4)]
        assert all(
            sum(low <= n % total <= high for low, high, total in shares) == 1 for n in range(9)
        )

    def test_one_alone_takes_everything(self):
        assert _share(7, [(7, 3)]) == EVERYTHING

    def test_one_that_is_not_among_them_probes_with_anything(self):
        assert _share(7, [(8, 1)]) == EVERYTHING


class TestClaim:
    def test_gives_each_its_share(self, three, messages):
        first, second, third = ids(three)
        assert claim() == {first: 20, second: 10, third: 10}
        assert QueueEntry.objects.filter(worker_id=None).count() == 0

    @pytest.mark.parametrize(
        "state",
        [
            {"state": "paused", "pause_cause": "fault"},
            {"state": "paused", "pause_cause": "person"},
            {"environment": "staging"},
            {"breaker": "open", "backoff_until": ClockTimestamp() + timedelta(minutes=5)},
        ],
    )
    def test_who_stands_still_leaves_its_share_to_the_others(self, three, messages, state):
        first, second, third = ids(three)
        Transport.objects.filter(pk=first).update(**state)
        taken = claim()
        assert set(taken) == {second, third}
        assert taken.total() == 40

    def test_who_was_paused_by_a_guardrail_keeps_its_mail(self, three, messages):
        first, *_ = ids(three)
        Transport.objects.filter(pk=first).update(state="paused", pause_cause="guardrail")
        assert claim().total() == 20

    def test_an_open_breaker_is_probed_with_any_message(self, three, messages):
        first, *_ = ids(three)
        Transport.objects.filter(pk=first).update(breaker="open", failures=3)
        carrier = next(one for one in usable_carriers("bulk") if one.transport_id == first)
        assert carrier.is_probed
        assert claim().total() == 40

    def test_who_has_sent_its_number_of_today_leaves_the_rest(self, three, messages):
        first, *_ = ids(three)
        Transport.objects.filter(pk=first).update(daily_quota=4)
        claimer = Claimer(Worker.objects.create(lane="bulk", host="here", pid=1).pk)
        assert claim(claimer)[first] == 4
        claimer._known.clear()
        claim(claimer)
        assert not QueueEntry.objects.filter(worker_id=None).exists()

    def test_no_share_where_mail_would_not_pass_dmarc(self, three, messages, monkeypatch):
        first, second, third = ids(three)
        monkeypatch.setattr(
            carriers, "unable", lambda one, streams: set(streams) if one == second else set()
        )
        assert set(claim()) == {first, third}
        assert not QueueEntry.objects.filter(worker_id=None).exists()

    def test_what_may_have_been_taken_goes_the_same_way_again(self, three, messages):
        first, second, third = ids(three)
        Message.objects.update(was_resent=True, transport_id=third)
        assert claim() == {first: 0, second: 0, third: 40}

    def test_what_may_have_been_taken_waits_for_who_stands_still(self, three, messages):
        *_, third = ids(three)
        Message.objects.update(was_resent=True, transport_id=third)
        Transport.objects.filter(pk=third).update(state="paused", pause_cause="person")
        assert claim().total() == 0

    def test_what_goes_again_and_was_never_tried_goes_as_any(self, three, messages):
        first, second, third = ids(three)
        Message.objects.update(was_resent=True)
        assert claim() == {first: 20, second: 10, third: 10}

    def test_what_one_may_have_taken_that_is_left_out_now_goes_as_any(self, three, messages):
        first, second, third = ids(three)
        Message.objects.update(was_resent=True, transport_id=third)
        three.routes.filter(transport=third).delete()
        assert claim() == pytest.approx({first: 27, second: 13}, abs=1)
