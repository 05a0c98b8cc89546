from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.dispatch.carriers import usable_carriers
from mailops.lib.secrets import Secret
from mailops.transports.credentials import add_credential
from mailops.transports.kinds import open_session, open_sessions
from mailops.transports.models import PATIENCE, Route, Stream, Transport
from mailops.transports.sessions import SessionFault
from tests.factories import make_stream, make_transport

pytestmark = pytest.mark.django_db


def rest_over(transport):
    Transport.objects.filter(pk=transport.pk).update(
        backoff_until=timezone.now() - timedelta(seconds=1)
    )


class TestPause:
    @pytest.mark.parametrize("make", [make_transport, make_stream])
    def test_stops_and_lets_go_again_once_each_with_a_trail(self, make, operator):
        subject = make()
        assert subject.pause("person", "Looking into bounces.", "x", actor=operator)
        assert not subject.pause("fault", "The login failed.")
        assert (subject.is_paused, subject.pause_cause) == (True, "person")
        assert subject.paused_at is not None
        assert subject.resume(actor=operator)
        assert not subject.resume(actor=operator)
        assert (subject.is_paused, subject.pause_sentence, subject.paused_at) == (False, "", None)
        kind = type(subject).__name__.lower()
        trail = AuditEntry.objects.order_by("id").values_list("verb", "actor", "reason")
        assert list(trail) == [
            (f"{kind}.pause", operator.pk, "Looking into bounces."),
            (f"{kind}.resume", operator.pk, ""),
        ]

    def test_of_two_that_read_it_running_only_one_pauses(self):
        transport = make_transport()
        same = Transport.objects.get(pk=transport.pk)
        assert transport.pause("fault", "One.")
        assert not same.pause("fault", "Two.")

    def test_an_unknown_cause_is_refused(self):
        with pytest.raises(ValueError):
            make_transport().pause("whim", "Just so.")

    def test_resuming_a_transport_closes_its_breaker(self):
        transport = make_transport(
            state="paused",
            pause_cause="fault",
            breaker="open",
            failures=4,
            backoff_until=timezone.now(),
        )
        transport.resume()
        assert (transport.breaker, transport.failures) == ("closed", 0)


class TestBreaker:
    def test_backs_off_longer_each_round_and_opens_after_three(self):
        transport = make_transport()
        waits, opened = [], []
        for _ in range(4):
            rest_over(transport)
            opened.append(transport.record_failure("Refused.", "port 25"))
            waits.append(round((transport.backoff_until - timezone.now()).total_seconds()))
        assert waits == [1, 5, 30, 120]
        assert opened == [False, False, True, False]
        assert transport.breaker == "open"
        assert transport.breaker_sentence == "Refused."
        assert AuditEntry.objects.get().verb == "transport.breaker_open"

    def test_sessions_that_fail_together_count_once(self):
        transport = make_transport()
        for _ in range(5):
            transport.record_failure("Refused.")
        assert transport.failures == 1

    def test_an_end_set_by_a_clock_that_was_ahead_holds_nothing_back(self):
        tomorrow = timezone.now() + timedelta(days=1)
        transport = make_transport(breaker="open", failures=3, backoff_until=tomorrow)
        make_stream(transport=transport)
        assert transport.next_try_at is None
        assert [one.transport_id for one in usable_carriers("bulk")] == [transport.pk]
        transport.record_failure("Refused.")
        assert transport.failures == 4
        assert transport.backoff_until < tomorrow
        assert usable_carriers("bulk") == []

    def test_a_try_that_fails_keeps_it_open_and_one_that_works_closes_it(self):
        transport = make_transport(breaker="open", failures=3)
        assert not transport.record_failure("Refused.")
        assert (transport.breaker, transport.failures) == ("open", 4)
        rest_over(transport)
        assert transport.record_success()
        assert (transport.breaker, transport.failures, transport.backoff_until) == (
            "closed",
            0,
            None,
        )

    def test_a_success_forgets_failures_before_it(self):
        transport = make_transport()
        transport.record_failure("Refused.")
        assert not transport.record_success()
        assert transport.failures == 0


class TestOpenSession:
    def test_notes_the_use_of_transport_and_credential_once_a_minute(
        self,
    ):
        transport = make_transport()
        credential = add_credential(
            transport=transport, label="x", username="u", secret=Secret("s"), actor=None
        )
        for _ in range(2):
            open_session(transport)
        transport.refresh_from_db()
        credential.refresh_from_db()
        assert transport.last_used_at is not None
        assert credential.last_used_at is not None

    def test_many_are_made_of_one_reading(self, django_assert_num_queries):
        transport = make_transport()
        add_credential(transport=transport, label="x", username="u", secret=Secret("s"), actor=None)
        sessions = open_sessions(transport)
        first = next(sessions)
        with django_assert_num_queries(0):
            assert next(sessions).login_id == first.login_id is not None

    def test_needs_no_database_once_it_is_made(self, django_assert_num_queries):
        transport = make_transport(host="10.9.8.7", security="starttls")
        session = open_session(transport)
        with django_assert_num_queries(0), pytest.raises(SessionFault):
            session.open()


class TestStream:
    def test_its_transport_is_the_first_route(self):
        stream = make_stream()
        first = stream.transport
        Route.objects.create(stream=stream, transport=make_transport(), position=1)
        assert stream.transport == first

    def test_without_a_route_it_has_none(self):
        stream = make_stream()
        stream.routes.all().delete()
        assert stream.transport is None

    @pytest.mark.parametrize(("attempts", "step"), [(0, 60), (1, 60), (2, 300), (9, 300)])
    def test_waits_somewhere_within_the_step_and_the_last_one_repeats(self, attempts, step):
        stream = Stream(backoff_seconds=[60, 300])
        waits = [stream.backoff_after(attempts, random=Random(n)) for n in range(200)]
        assert all(timedelta(seconds=1) <= wait <= timedelta(seconds=step) for wait in waits)
        assert max(waits) - min(waits) > timedelta(seconds=step * 0.8)

    def test_a_longer_wish_of_the_peer_wins(self):
        stream = Stream(backoff_seconds=[5])
        assert stream.backoff_after(1, retry_after=90) == timedelta(seconds=90)

    def test_without_steps_it_has_those_of_its_kind(self):
        stream = Stream(kind="transactional")
        assert stream.backoff_after(1) <= timedelta(seconds=5)

    def test_the_presets_are_as_the_promise_has_them(self):
        assert PATIENCE["bulk"].backoff_seconds[:4] == (60, 300, 900, 3600)
        assert PATIENCE["bulk"].expiry_seconds == 72 * 3600
        assert PATIENCE["transactional"].backoff_seconds[:5] == (5, 30, 120, 600, 1800)

    def test_whoever_watches_the_demo_sees_it_try_again_and_nothing_expires_on_a_slow_machine(self):
        assert sum(PATIENCE["demo"].backoff_seconds[:3]) < 10
        assert PATIENCE["demo"].expiry_seconds >= 3600


class TestRampsOfAPausedTransport:
    NOW = datetime(2026, 3, 21, 12, tzinfo=UTC)

    @pytest.fixture
    def resume(self, monkeypatch, operator):
        """Resume a transport that was paused on a day of March; return the ramp that began on another, as it is then."""
        monkeypatch.setattr("mailops.transports.models.transport.database_now", lambda: self.NOW)

        def resume(*, begun, paused):
            transport = make_transport()
            ramp = transport.warm_ups.create(started_on=begun, first_day=4, full_volume=10_000)
            transport.pause("person")
            Transport.objects.update(paused_at=datetime(2026, 3, paused, 23, 59, tzinfo=UTC))
            assert transport.resume(actor=operator)
            assert not transport.resume(actor=operator)
            ramp.refresh_from_db()
            return ramp

        return resume

    @pytest.mark.parametrize(
        ("begun", "paused", "day"),
        [
            (date(2026, 3, 11), 14, 5),  # on its fourth day something left still
            (date(2026, 3, 11), 20, 11),
            (date(2026, 3, 11), 21, 11),
            (date(2026, 3, 18), 14, 1),  # none of its days saw mail
            (date(2026, 3, 25), 14, 1),  # it is yet to begin
            (date(2026, 1, 1), 14, 80),  # it was warm
        ],
    )
    def test_go_on_where_they_were_when_it_is_resumed(self, resume, begun, paused, day):
        ramp = resume(begun=begun, paused=paused)
        assert ramp.day(self.NOW.date()) == day
        told = AuditEntry.objects.filter(verb="transport.change_warm_up")
        assert told.count() == (ramp.started_on != begun)

    def test_are_told_of_with_the_days_on_which_nothing_left(self, resume):
        resume(begun=date(2026, 3, 11), paused=19)
        told = AuditEntry.objects.get(verb="transport.change_warm_up")
        assert told.reason.startswith("Nothing left for 1 day, since it was paused")
