"""The fold, rule by rule (states.md, W1 to W7) and over every pair of evidence and event."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.outbox.fold import RULES, Entry, Standing, Told, fold
from mailops.outbox.models import CLOSED_STATUSES, EventKind, Evidence, Status
from mailops.transports.models import Stream

ASK, LEAVE, RESEND = Stream.Guarantee.ASK, Stream.Guarantee.LEAVE, Stream.Guarantee.RESEND

POSITIVE = {
    EventKind.ACCEPTED: (Evidence.ACCEPTED, Status.ACCEPTED),
    EventKind.DELIVERED: (Evidence.DELIVERED, Status.DELIVERED),
    EventKind.DELAYED: (Evidence.ACCEPTED, Status.ACCEPTED),
    EventKind.OPENED: (Evidence.ACCEPTED, Status.ACCEPTED),
    EventKind.CLICKED: (Evidence.ACCEPTED, Status.ACCEPTED),
    EventKind.COMPLAINED: (Evidence.ACCEPTED, Status.ACCEPTED),
    EventKind.UNSUBSCRIBED: (Evidence.ACCEPTED, Status.ACCEPTED),
}
STATUS_OF = {
    Evidence.ACCEPTED: Status.ACCEPTED,
    Evidence.DELIVERED: Status.DELIVERED,
    Evidence.RETURNED: Status.BOUNCED,
}


def transmitting(fence=7, **fields):
    return Standing(status=Status.QUEUED, entry=Entry(fence=fence, is_marked=True), **fields)


def closed(status, **fields):
    return Standing(status=status, **fields)


def tell(message, *kinds, fence=7, round=None):  # noqa: A002 - the word of the house
    return [
        fold(message, Told(kind, round, None if kind == EventKind.REQUEUED else fence))
        for kind in kinds
    ]


class TestEvidence:
    @pytest.mark.parametrize("kind", POSITIVE)
    @pytest.mark.parametrize("before", list(Evidence))
    def test_keeps_the_maximum(self, kind, before):
        evidence, status = POSITIVE[kind]
        message = closed(STATUS_OF.get(before, Status.BOUNCED), evidence=before)
        assert tell(message, kind) == [True]
        assert message.evidence == max(before, evidence)
        assert message.status == STATUS_OF.get(message.evidence, status)

    @pytest.mark.parametrize("status", list(Status))
    def test_takes_a_250_from_every_status_and_never_asks_for_its_fence(self, status):
        entry = None if status in CLOSED_STATUSES else Entry(fence=99)
        message = Standing(status=status, entry=entry, evidence=Evidence.NONE)
        assert fold(message, Told(EventKind.ACCEPTED, None, 7))
        assert (message.status, message.entry) == (Status.ACCEPTED, None)

    def test_ignores_a_late_deferral_after_delivery(self):
        message = closed(Status.DELIVERED, evidence=Evidence.DELIVERED)
        assert tell(message, EventKind.DEFERRED) == [False]
        assert message.status == Status.DELIVERED

    def test_a_return_outranks_delivery_whatever_comes_first(self):
        for order in permutations([EventKind.ACCEPTED, EventKind.DELIVERED, EventKind.RETURNED]):
            message = transmitting()
            tell(message, *order)
            assert (message.status, message.evidence) == (Status.BOUNCED, Evidence.RETURNED)

    @given(
        st.lists(
            st.sampled_from([*POSITIVE, EventKind.RETURNED]), min_size=1, max_size=7, unique=True
        ),
        st.randoms(),
    )
    def test_shuffled_and_doubled_feedback_ends_the_same(self, kinds, random):
        once, shuffled = transmitting(), transmitting()
        tell(once, *kinds)
        again = kinds * 2
        random.shuffle(again)
        tell(shuffled, *again)
        assert (once.status, once.evidence) == (shuffled.status, shuffled.evidence)


class TestFences:
    """W1: 4yz, 5yz and no reply act only for the claim that holds the entry."""

    NEGATIVE = (
        EventKind.DEFERRED,
        EventKind.BOUNCED,
        EventKind.FAILED,
        EventKind.UNCERTAIN,
        EventKind.SESSION_LOST,
    )

    @pytest.mark.parametrize("kind", NEGATIVE)
    @pytest.mark.parametrize("fence", [6, None])
    def test_a_foreign_fence_is_history_only(self, kind, fence):
        message = transmitting(fence=7)
        assert not fold(message, Told(kind, None, fence))
        assert message.entry == Entry(fence=7, is_marked=True)
        assert message.status == Status.QUEUED

    def test_its_own_fence_acts(self):
        for kind, status in [
            (EventKind.DEFERRED, Status.DEFERRED),
            (EventKind.BOUNCED, Status.BOUNCED),
            (EventKind.FAILED, Status.FAILED),
            (EventKind.UNCERTAIN, Status.UNCERTAIN),
        ]:
            message = transmitting()
            assert tell(message, kind) == [True]
            assert message.status == status

    def test_an_unmarked_message_is_never_uncertain(self):
        message = Standing(status=Status.QUEUED, entry=Entry(fence=7))
        assert tell(message, EventKind.UNCERTAIN) == [False]
        assert message.status == Status.QUEUED

    def test_a_late_5yz_settles_what_was_uncertain_through_that_fence(self):
        message = transmitting()
        tell(message, EventKind.UNCERTAIN)
        assert not fold(message, Told(EventKind.BOUNCED, None, 8))
        assert fold(message, Told(EventKind.BOUNCED, None, 7))
        assert message.status == Status.BOUNCED

    def test_a_late_4yz_reopens_what_was_uncertain(self):
        message = transmitting()
        tell(message, EventKind.UNCERTAIN)
        assert tell(message, EventKind.DEFERRED) == [True]
        assert message.status == Status.DEFERRED
        assert message.was_reopened
        assert message.entry is not None
        assert message.entry.backs_off

    def test_a_late_4yz_fails_what_is_not_kept(self):
        message = transmitting(is_sensitive=True)
        tell(message, EventKind.UNCERTAIN)
        assert tell(message, EventKind.DEFERRED) == [True]
        assert (message.status, message.was_reopened) == (Status.FAILED, False)

    def test_a_late_4yz_defers_what_is_kept_to_ask_a_person(self):
        message = transmitting(is_sensitive=True, guarantee=ASK)
        tell(message, EventKind.UNCERTAIN)
        assert tell(message, EventKind.DEFERRED) == [True]
        assert message.status == Status.DEFERRED

    def test_a_late_250_settles_what_was_uncertain(self):
        message = transmitting()
        tell(message, EventKind.UNCERTAIN, EventKind.ACCEPTED)
        assert message.status == Status.ACCEPTED


class TestGuarantee:
    def test_leave_rests_in_uncertain(self):
        message = transmitting(guarantee=LEAVE)
        tell(message, EventKind.UNCERTAIN)
        assert (message.status, message.entry, message.settling_fence) == (
            Status.UNCERTAIN,
            None,
            7,
        )

    def test_resend_queues_a_new_round_once_ever(self):
        message = transmitting(guarantee=RESEND)
        tell(message, EventKind.UNCERTAIN)
        assert (message.status, message.round, message.was_resent) == (Status.QUEUED, 1, True)
        message.entry = Entry(fence=8, is_marked=True)
        tell(message, EventKind.UNCERTAIN, fence=8)
        assert (message.status, message.round) == (Status.UNCERTAIN, 1)

    def test_ask_holds_the_message_open_for_a_person(self):
        message = transmitting(guarantee=ASK)
        tell(message, EventKind.UNCERTAIN)
        assert message.status == Status.HELD
        assert message.entry is not None
        assert message.entry.is_held
        assert tell(message, EventKind.RELEASED) == [False]

    @pytest.mark.parametrize("kind", [EventKind.SUPPRESSED, EventKind.CANCELED, EventKind.EXPIRED])
    def test_what_a_person_is_asked_about_may_have_left_and_is_not_stopped(self, kind):
        message = transmitting(guarantee=ASK)
        tell(message, EventKind.UNCERTAIN)
        assert tell(message, kind) == [False]
        assert (message.status, message.settling_fence) == (Status.HELD, 7)

    @pytest.mark.parametrize("kind", [EventKind.SUPPRESSED, EventKind.CANCELED, EventKind.EXPIRED])
    def test_what_was_sent_again_from_a_doubt_and_is_stopped_is_in_doubt_again(self, kind):
        message = transmitting(guarantee=RESEND)
        tell(message, EventKind.UNCERTAIN)
        message.entry = Entry(fence=8, is_marked=True)
        tell(message, EventKind.DEFERRED, fence=8)
        assert tell(message, kind) == [True]
        assert (message.status, message.settling_fence) == (Status.UNCERTAIN, 7)

    def test_a_doubt_that_was_answered_is_none_in_the_next_round(self):
        message = transmitting()
        tell(message, EventKind.UNCERTAIN, EventKind.RETURNED, EventKind.REQUEUED)
        tell(message, EventKind.EXPIRED)
        assert message.status == Status.EXPIRED

    @pytest.mark.parametrize("kind", [EventKind.ACCEPTED, EventKind.BOUNCED, EventKind.DEFERRED])
    def test_a_reply_read_late_settles_what_a_person_is_asked_about(self, kind):
        message = transmitting(guarantee=ASK)
        tell(message, EventKind.UNCERTAIN)
        assert tell(message, kind) == [True]
        assert message.status in {Status.ACCEPTED, Status.BOUNCED, Status.DEFERRED}
        if message.entry is not None:
            assert not message.entry.is_held


class TestRounds:
    """W3: a bounce counts for its round only, good news for any but those before an out-of-band bounce."""

    def test_a_bounce_of_an_earlier_round_is_history(self):
        message = closed(Status.UNCERTAIN, settling_fence=7)
        tell(message, EventKind.REQUEUED)
        assert tell(message, EventKind.RETURNED, round=0) == [False]
        assert message.status == Status.QUEUED

    def test_good_news_of_an_earlier_round_counts(self):
        message = closed(Status.UNCERTAIN, settling_fence=7)
        tell(message, EventKind.REQUEUED)
        assert tell(message, EventKind.DELIVERED, round=0) == [True]
        assert (message.status, message.entry) == (Status.DELIVERED, None)

    def test_good_news_from_before_a_retried_return_is_void(self):
        message = closed(Status.BOUNCED, evidence=Evidence.RETURNED)
        tell(message, EventKind.REQUEUED)
        assert tell(message, EventKind.DELIVERED, round=0) == [False]
        assert message.status == Status.QUEUED

    @pytest.mark.parametrize("status", list(Status))
    def test_only_what_ended_badly_can_be_sent_again(self, status):
        entry = None if status in CLOSED_STATUSES else Entry()
        message = Standing(status=status, entry=entry)
        may = status in {
            Status.BOUNCED,
            Status.FAILED,
            Status.EXPIRED,
            Status.UNCERTAIN,
            Status.CANCELED,
        }
        assert tell(message, EventKind.REQUEUED) == [may]


class TestImpliedAcceptance:
    """What proves that an attempt without an answer arrived says that it was taken."""

    PROOFS = (*(set(POSITIVE) - {EventKind.ACCEPTED}), EventKind.RETURNED)

    def implied(self, message, kind, **told):
        tell(message, kind, **told)
        return message.implies_acceptance

    @pytest.mark.parametrize("guarantee", list(Stream.Guarantee))
    @pytest.mark.parametrize("kind", PROOFS)
    def test_of_a_doubt_once(self, kind, guarantee):
        message = transmitting(guarantee=guarantee)
        tell(message, EventKind.UNCERTAIN)
        assert [self.implied(message, kind) for _ in range(2)] == [True, False]

    @pytest.mark.parametrize("kind", PROOFS)
    def test_of_a_body_on_its_way_once(self, kind):
        message = transmitting()
        assert [self.implied(message, kind) for _ in range(2)] == [True, False]

    @pytest.mark.parametrize("kind", PROOFS)
    def test_of_no_other_message(self, kind):
        assert not self.implied(Standing(status=Status.QUEUED, entry=Entry(fence=7)), kind)

    @pytest.mark.parametrize("kind", [EventKind.ACCEPTED, EventKind.BOUNCED, EventKind.DEFERRED])
    def test_by_no_answer(self, kind):
        message = transmitting()
        tell(message, EventKind.UNCERTAIN)
        assert not self.implied(message, kind)

    @pytest.mark.parametrize("kind", PROOFS)
    def test_by_nothing_after_an_answer(self, kind):
        for answer in (EventKind.ACCEPTED, EventKind.BOUNCED, EventKind.DEFERRED):
            message = transmitting()
            tell(message, EventKind.UNCERTAIN, answer)
            assert not self.implied(message, kind)

    @pytest.mark.parametrize("kind", [EventKind.BOUNCED, EventKind.DEFERRED, EventKind.UNCERTAIN])
    def test_by_no_word_of_the_body_s_own(self, kind):
        assert not self.implied(transmitting(), kind)


class TestSessionAttempts:
    def test_three_lost_sessions_defer_a_message_alone(self):
        message = Standing(status=Status.QUEUED, entry=Entry(fence=7))
        deferrals = []
        for fence in range(7, 13):
            assert message.entry is not None
            message.entry.fence = fence
            assert tell(message, EventKind.SESSION_LOST, fence=fence) == [True]
            deferrals.append(message.entry.attempts)
        assert message.status == Status.DEFERRED
        assert deferrals == [0, 0, 1, 1, 1, 2]

    def test_a_deferral_does_not_forget_them_and_a_new_round_does(self):
        message = Standing(status=Status.QUEUED, entry=Entry(fence=7))
        tell(message, EventKind.SESSION_LOST, fence=7)
        assert message.entry is not None
        message.entry.fence = 8
        tell(message, EventKind.DEFERRED, fence=8)
        assert (message.entry.session_attempts, message.entry.attempts) == (1, 1)
        message.start_round()
        assert (message.entry.session_attempts, message.entry.attempts) == (0, 0)


class TestPeople:
    def test_a_hold_is_refused_once_a_body_may_be_on_its_way(self):
        assert tell(transmitting(), EventKind.HELD) == [False]

    def test_a_hold_clears_the_claim(self):
        message = Standing(status=Status.QUEUED, entry=Entry(fence=7))
        assert tell(message, EventKind.HELD) == [True]
        assert message.entry is not None
        assert message.entry.fence is None

    @pytest.mark.parametrize("kind", [EventKind.CANCELED, EventKind.SUPPRESSED, EventKind.EXPIRED])
    def test_a_marked_message_is_neither_canceled_nor_suppressed_nor_expired(self, kind):
        assert tell(transmitting(), kind) == [False]

    def test_settling_counts_an_uncertain_message_as_accepted(self):
        message = closed(Status.UNCERTAIN, settling_fence=7)
        assert tell(message, EventKind.SETTLED) == [True]
        assert message.status == Status.ACCEPTED
        assert message.implies_acceptance


@given(
    st.sampled_from(list(Stream.Guarantee)),
    st.lists(
        st.tuples(st.sampled_from(list(EventKind)), st.integers(5, 9), st.integers(0, 2)),
        max_size=25,
    ),
)
def test_any_history_leaves_a_sound_message(guarantee, history):
    message = transmitting(guarantee=guarantee)
    for kind, fence, round_ in history:
        before = message.evidence, message.round
        fold(message, Told(kind, round_, fence))
        assert (message.entry is None) == (message.status in CLOSED_STATUSES)
        if message.round == before[1]:
            assert message.evidence >= before[0]
        if message.entry is not None and message.entry.fence is None:
            message.entry.fence = fence


def test_every_event_kind_has_a_rule():
    assert set(RULES) == set(EventKind)


class TestActOnMany:
    """A person's act on many names each by the fence through which it became doubtful."""

    @pytest.mark.parametrize("kind", [EventKind.REQUEUED, EventKind.SETTLED])
    @pytest.mark.parametrize("status", [Status.UNCERTAIN, Status.HELD])
    def test_takes_the_doubt_it_saw(self, kind, status):
        message = Standing(status=status, settling_fence=7, entry=_entry_of(status))
        assert fold(message, Told(kind, None, 7))

    @pytest.mark.parametrize("kind", [EventKind.REQUEUED, EventKind.SETTLED])
    @pytest.mark.parametrize("status", [Status.UNCERTAIN, Status.HELD])
    def test_leaves_a_newer_doubt_alone(self, kind, status):
        message = Standing(status=status, settling_fence=8, entry=_entry_of(status))
        assert not fold(message, Told(kind, None, 7))

    @pytest.mark.parametrize("status", [Status.BOUNCED, Status.ACCEPTED, Status.CANCELED])
    def test_leaves_what_was_settled_since_alone(self, status):
        message = closed(status, settling_fence=7)
        assert not fold(message, Told(EventKind.REQUEUED, None, 7))
        assert not fold(message, Told(EventKind.SETTLED, None, 7))
        assert message.status == status


def _entry_of(status):
    return None if status in CLOSED_STATUSES else Entry(is_held=True)
