"""Objectives: budgets, burn rates, and the incident that comes before a promise is broken."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.incidents.burning import burning
from mailops.incidents.detection import detect
from mailops.incidents.models import Incident, Threshold
from mailops.lib.templatetags.numbers import NBSP
from mailops.outbox.models import QueueEntry, Tally
from mailops.outbox.slots import slot_of
from mailops.reports.models import Objective
from mailops.reports.objectives import (
    Score,
    Standing,
    objective_of,
    promise,
    standing,
    take_back,
)
from tests.factories import make_message, make_stream

pytestmark = pytest.mark.django_db


@pytest.fixture
def promised():
    stream = make_stream()
    return Objective.objects.create(stream=stream, percent=Decimal(99), seconds=60)


def sent(stream, n, *, seconds=1.0, minutes_ago=0, kind="accepted"):
    at = timezone.now() - timedelta(minutes=minutes_ago)
    at = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
    took = [slot_of(round(seconds * 1000))] * n if kind == "accepted" else None
    Tally.objects.create(
        bucket_at=at, cohort_at=at, measure="event", kind=kind, stream_id=stream.pk,
        domain_id=stream.domain_id, n=n, took=took,
    )  # fmt: skip


class TestStanding:
    def test_tells_what_is_left_and_how_fast_it_goes(self, promised):
        sent(promised.stream, 995)
        sent(promised.stream, 3, seconds=60)
        sent(promised.stream, 2, kind="failed")
        sent(promised.stream, 500, kind="bounced")
        found = standing(promised, timezone.now())
        assert (found.budget.kept, found.budget.whole) == (995, 1000)
        assert found.budget.left == pytest.approx(0.5)
        assert found.hour.burn == pytest.approx(0.5)

    @pytest.mark.parametrize(("broken", "words"), [(1, ">99 % left"), (997, "<1 % left")])
    def test_of_a_budget_reads_neither_full_nor_empty_where_it_is_not(
        self, promised, broken, words
    ):
        few = Score(100_000 - broken, 100_000, 0.01)
        assert Standing(promised, few, few, few).left_words == words

    def test_of_an_hour_leaves_out_what_was_before(self, promised):
        sent(promised.stream, 10, seconds=100, minutes_ago=240)
        sent(promised.stream, 10)
        found = standing(promised, timezone.now())
        assert (found.hour.broken, found.six_hours.broken) == (0, 10)

    def test_counts_what_is_overdue_before_it_ends(self, promised):
        message = make_message(stream=promised.stream)
        QueueEntry.objects.filter(message=message).update(
            owed_at=timezone.now() - timedelta(minutes=2)
        )
        assert standing(promised, timezone.now()).hour.broken == 1
        QueueEntry.objects.update(is_held=True)
        assert standing(promised, timezone.now()).hour.broken == 0

    def test_of_nothing_is_all_well(self, promised):
        found = standing(promised, timezone.now())
        assert (found.budget.percent, found.budget.left, found.tone) == (None, 1, "ok")
        assert Score(0, 10, 0.01).left == pytest.approx(-99)


class TestBurning:
    def test_opens_an_incident_where_both_windows_burn(self, promised):
        threshold = Threshold.objects.get(measure="burn")
        sent(promised.stream, 100, minutes_ago=30)
        sent(promised.stream, 60, seconds=600)
        (found,) = burning(threshold, timezone.now())
        assert found.level == "act"
        detect()
        incident = Incident.objects.get(threshold=threshold)
        assert "60" in incident.sentence
        assert incident.subject() == promised.stream

    def test_warns_of_a_slow_fire_and_lets_a_past_one_be(self, promised):
        threshold = Threshold.objects.get(measure="burn")
        sent(promised.stream, 100, minutes_ago=300)
        sent(promised.stream, 100, seconds=600, minutes_ago=200)
        assert list(burning(threshold, timezone.now())) == []
        sent(promised.stream, 100)
        sent(promised.stream, 12, seconds=600)
        assert [one.level for one in burning(threshold, timezone.now())] == ["warn"]

    def test_says_nothing_of_a_handful(self, promised):
        sent(promised.stream, 5, seconds=600)
        assert list(burning(Threshold.objects.get(measure="burn"), timezone.now())) == []


class TestPages:
    def test_form_sets_changes_and_takes_back(self, admin, logged_in):
        stream, client = make_stream(), logged_in(admin)
        address = reverse("reports:objective", args=[stream.pk])
        assert client.get(address).status_code == 200
        client.post(address, {"percent": "99.5", "seconds": "30"})
        assert str(objective_of(stream.pk)) == "99.5 % accepted in 30 s"
        assert client.post(address, {"percent": "100", "seconds": "30"}).status_code == 422
        assert client.post(address, {"percent": "99", "seconds": "31"}).status_code == 422
        client.post(address, {"remove": "1"})
        assert objective_of(stream.pk) is None
        verbs = AuditEntry.objects.order_by("id").values_list("verb", flat=True)
        assert list(verbs) == ["objective.set", "objective.remove"]

    def test_form_replaces_no_promise_that_was_not_seen(self, admin, logged_in):
        stream, client = make_stream(), logged_in(admin)
        address = reverse("reports:objective", args=[stream.pk])
        seen = {"seen": client.get(address).context["form"]["seen"].value()}  # it promises nothing
        for _ in range(2):  # the same once more is no conflict
            given = {"percent": "99.5", "seconds": "30"} | seen
            assert client.post(address, given).status_code == 302
        assert AuditEntry.objects.filter(verb="objective.set").count() == 1
        mine = {"percent": "95", "seconds": "60"}
        stopped = client.post(address, mine | seen)
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        assert stopped.context["meanwhile"].facts == [("It promises", "99.5 % accepted in 30 s")]
        assert 'value="95"' in stopped.text
        assert str(objective_of(stream.pk)) == "99.5 % accepted in 30 s"
        seen = {"seen": stopped.context["form"]["seen"].value()}
        client.post(address, {"remove": "1"})
        stopped = client.post(address, mine | seen)
        assert stopped.context["meanwhile"].facts == [("It promises", "nothing")]
        seen = {"seen": stopped.context["form"]["seen"].value()}
        assert client.post(address, mine | seen).status_code == 302
        assert objective_of(stream.pk).percent == 95

    def test_form_takes_back_no_promise_that_was_not_seen(self, admin, logged_in, promised):
        stream, client = promised.stream, logged_in(admin)
        address = reverse("reports:objective", args=[stream.pk])
        pressed = {"remove": "1", "seen": client.get(address).context["form"]["seen"].value()}
        promise(stream=stream, percent=Decimal(90), seconds=5, actor=admin)
        stopped = client.post(address, pressed)
        assert stopped.status_code == 422
        assert stopped.context["meanwhile"].facts == [("It promises", "90 % accepted in 5 s")]
        pressed["seen"] = stopped.context["form"]["seen"].value()
        for _ in range(2):  # the second press finds nothing to take back
            assert client.post(address, pressed).status_code == 302
        assert objective_of(stream.pk) is None

    def test_are_for_whom_they_are_for(self, client, viewer, logged_in, promised):
        addresses = [
            reverse("reports:objectives"),
            reverse("reports:objective-panel", args=[promised.pk]),
            reverse("reports:objective", args=[promised.pk]),
        ]
        assert {client.get(address).status_code for address in addresses} == {302}
        viewing = logged_in(viewer)
        assert [viewing.get(address).status_code for address in addresses] == [200, 200, 403]
        assert addresses[2] not in viewing.get(addresses[1]).content.decode()

    def test_panel_is_a_fragment_and_tells_the_numbers(
        self, viewer, logged_in, promised, django_assert_max_num_queries
    ):
        sent(promised.stream, 990)
        sent(promised.stream, 10, seconds=600)
        client = logged_in(viewer)
        address = reverse("reports:objective-panel", args=[promised.pk])
        with django_assert_max_num_queries(18):
            page = client.get(address, headers={"HX-Request": "true"}).content.decode()
        assert page.strip().startswith('<div id="objective"')
        assert f"99.0{NBSP}%" in page
        assert "1.0 in the last hour" in page
        listed = client.get(reverse("reports:objectives")).content.decode()
        assert str(promised.stream) in listed

    def test_promise_twice_is_one(self, admin, promised):
        promise(stream=promised.stream, percent=Decimal(90), seconds=5, actor=admin)
        assert Objective.objects.get().seconds == 5
        assert take_back(stream=promised.stream, actor=admin)
        assert not take_back(stream=promised.stream, actor=admin)

    @pytest.mark.django_db(transaction=True)
    def test_the_same_promise_by_two_presses_at_once_is_told_of_once(self, admin, meanwhile):
        given = {"stream": make_stream(), "percent": Decimal(99), "seconds": 30, "actor": admin}
        with transaction.atomic():
            promise(**given)
            second = meanwhile(promise, **given)
        assert second.result() == Objective.objects.get()
        assert AuditEntry.objects.filter(verb="objective.set").count() == 1
