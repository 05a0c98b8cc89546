"""An import is taken back: what nothing else says goes, all else stays, and the account says which."""

import io
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.lib.chunks import MAX_FAILURES
from mailops.suppressions import taking_back, tasks
from mailops.suppressions.importing import import_chunk, start_import
from mailops.suppressions.models import ProviderRemoval, Suppression, SuppressionImport, TakingBack
from mailops.suppressions.suppressing import suppress, suppress_all, unsuppress
from mailops.suppressions.taking_back import (
    plan,
    start_taking_back,
    stop_taking_back,
    take_back_chunk,
)
from tests.factories import make_stream

pytestmark = pytest.mark.django_db
WHY = "The wrong file."


def brought_in(actor, *addresses, header=b"address", **options):
    content = b"\n".join([header, *(address.encode() for address in addresses)])
    given = {"file_name": "list.csv", "stream": None, "reason": "imported", **options}
    run = start_import(file=io.BytesIO(content), actor=actor, **given)
    while import_chunk(run_id=run.pk):
        pass
    run.refresh_from_db()
    return run


def take_back(run, actor):
    """Do all of it; return how many have left the list so far."""
    start_taking_back(run=run, reason=WHY, actor=actor)
    while take_back_chunk(run_id=run.pk):
        pass
    run.refresh_from_db()
    return TakingBack.objects.get(run=run).removed


def listed():
    return set(Suppression.objects.values_list("address_key", flat=True))


class TestWhatGoes:
    def test_is_what_the_import_alone_says_in_each_stream(self, operator):
        news = make_stream(name="News")
        suppress(address="a@x.example", stream=None, reason="manual")
        lines = ("a@x.example,News", "b@x.example,", "b@x.example,News")
        run = brought_in(operator, *lines, header=b"address,stream")
        assert plan(run).removes == 3
        assert take_back(run, operator) == 3
        assert [(one.address, one.stream) for one in Suppression.objects.all()] == [
            ("a@x.example", None)
        ]
        assert run.numbers == {"taken_back": 3}
        assert run.rows.filter(outcome="taken_back").count() == 3
        assert news.pk

    def test_is_what_it_brought_in_as_asked_for_by_the_recipient_too(self, operator):
        run = brought_in(operator, "a@x.example", reason="unsubscribe")
        assert take_back(run, operator) == 1
        assert not Suppression.objects.exists()

    def test_is_an_entry_that_had_expired_and_that_the_import_revived(self, operator):
        past = timezone.now() - timedelta(days=1)
        suppress(address="a@x.example", stream=None, reason="complaint", expires_at=past)
        run = brought_in(operator, "a@x.example")
        assert run.numbers == {"added": 1}
        assert take_back(run, operator) == 1

    def test_is_told_no_provider(self, operator):
        take_back(brought_in(operator, "a@x.example"), operator)
        assert not ProviderRemoval.objects.exists()


class TestWhatStays:
    @pytest.mark.parametrize("imported", ["imported", "unsubscribe", "complaint"])
    @pytest.mark.parametrize(
        "told", ["soft_bounces", "hard_bounce", "manual", "unsubscribe", "complaint"]
    )
    def test_is_what_anything_else_said_since_however_weakly(self, imported, told, operator):
        run = brought_in(operator, "a@x.example", "b@x.example", reason=imported)
        suppress(address="A@x.example", stream=None, reason=told)
        suppress_all([Suppression(address="b@x.example", address_key="b@x.example", reason=told)])
        assert plan(run).confirmed == [(Suppression.Reason(told).label, 2)]
        assert take_back(run, operator) == 0
        assert listed() == {"a@x.example", "b@x.example"}

    def test_is_named_by_the_strongest_of_what_was_said(self, operator):
        run = brought_in(operator, "a@x.example")
        for told in ("hard_bounce", "unsubscribe", "soft_bounces"):
            suppress(address="a@x.example", stream=None, reason=told)
        assert plan(run).confirmed == [("Unsubscribed", 1)]

    def test_is_what_stood_there_before(self, operator):
        suppress(address="a@x.example", stream=None, reason="soft_bounces")
        suppress(address="b@x.example", stream=None, reason="manual")
        run = brought_in(operator, "a@x.example", "b@x.example", "c@x.example")
        assert (plan(run).removes, plan(run).stood_before) == (1, 2)
        assert take_back(run, operator) == 1
        assert listed() == {"a@x.example", "b@x.example"}

    def test_is_what_was_taken_off_and_put_on_again(self, operator):
        run = brought_in(operator, "a@x.example", "b@x.example")
        for entry in Suppression.objects.all():
            unsuppress(suppression=entry, reason="by mistake", actor=operator)
        suppress(address="a@x.example", stream=None, reason="manual", actor=operator)
        assert (plan(run).removes, plan(run).gone) == (0, 2)
        take_back(run, operator)
        assert listed() == {"a@x.example"}

    def test_is_what_another_import_names_until_that_is_taken_back_too(self, operator):
        wrong = brought_in(operator, "a@x.example", "b@x.example")
        right = brought_in(operator, "a@x.example")
        brought_in(operator, "z@x.example")
        assert (plan(wrong).removes, plan(wrong).named_again) == (1, 1)
        assert plan(wrong).others == [right]
        assert take_back(wrong, operator) == 1
        assert listed() == {"a@x.example", "z@x.example"}
        assert take_back(right, operator) == 0
        assert take_back(wrong, operator) == 2
        assert listed() == {"z@x.example"}

    def test_is_not_what_an_import_names_that_was_over_before_it_began(self, operator):
        first = brought_in(operator, "a@x.example")
        unsuppress(suppression=Suppression.objects.get(), reason="wrong", actor=operator)
        second = brought_in(operator, "a@x.example")
        assert first.finished_at < second.created_at
        assert take_back(second, operator) == 1


class TestChunks:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(taking_back, "CHUNK", 2)

    @pytest.fixture
    def run(self, operator):
        return brought_in(operator, *(f"a{n}@x.example" for n in range(5)))

    def test_go_on_where_they_were_cut_off(self, run, operator):
        start_taking_back(run=run, reason=WHY, actor=operator)
        assert take_back_chunk(run_id=run.pk)
        with transaction.atomic():
            take_back_chunk(run_id=run.pk)
            transaction.set_rollback(True)  # killed before it was committed
        assert Suppression.objects.count() == 3
        while take_back_chunk(run_id=run.pk):
            pass
        taking = TakingBack.objects.get()
        assert (taking.removed, taking.planned, taking.state) == (5, 5, "completed")
        assert not Suppression.objects.exists()

    def test_leave_what_was_confirmed_while_they_ran(self, run, operator):
        start_taking_back(run=run, reason=WHY, actor=operator)
        take_back_chunk(run_id=run.pk)
        suppress(address="a4@x.example", stream=None, reason="hard_bounce")
        while take_back_chunk(run_id=run.pk):
            pass
        assert listed() == {"a4@x.example"}
        run.refresh_from_db()
        assert run.numbers == {"added": 1, "taken_back": 4}

    def test_are_begun_once_however_often_it_is_pressed(self, run, operator):
        assert start_taking_back(run=run, reason=WHY, actor=operator)
        assert not start_taking_back(run=run, reason="again", actor=operator)
        take_back(run, operator)
        assert not start_taking_back(run=run, reason="again", actor=operator)
        trail = AuditEntry.objects.filter(verb__startswith="taking_back").order_by("pk")
        assert [(one.verb, one.after) for one in trail] == [
            ("taking_back.start", {"addresses": 5}),
            ("taking_back.complete", {"removed": 5}),
        ]
        assert trail[0].reason == WHY

    def test_stop_when_told_to_and_go_on_when_told_to(self, run, operator):
        start_taking_back(run=run, reason=WHY, actor=operator)
        take_back_chunk(run_id=run.pk)
        assert stop_taking_back(run=run, actor=operator)
        assert not stop_taking_back(run=run, actor=operator)
        assert not take_back_chunk(run_id=run.pk)
        assert TakingBack.objects.get().sentence == f"{operator} stopped it after 2 of 5 addresses."
        assert take_back(run, operator) == 5

    def test_that_fail_are_given_up_and_say_why(self, run, operator, monkeypatch):
        def break_off(*_):
            raise ValueError("a bug of ours")

        start_taking_back(run=run, reason=WHY, actor=operator)
        monkeypatch.setattr(taking_back, "_remove", break_off)
        for _ in range(MAX_FAILURES):
            with pytest.raises(ValueError, match="a bug"):
                tasks.continue_taking_back(run.pk)
        taking = TakingBack.objects.get()
        assert (taking.state, taking.detail) == ("failed", "ValueError: a bug of ours")
        assert "could not be taken off the list, in 5 tries; 0 of 5 addresses are" in (
            taking.sentence
        )

    def test_are_picked_up_by_the_tick(self, run, operator, monkeypatch):
        start_taking_back(run=run, reason=WHY, actor=operator)
        monkeypatch.setattr(tasks.continue_taking_back, "delay", tasks.continue_taking_back)
        tasks.continue_suppression_imports()
        assert not Suppression.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestMeanwhile:
    def test_a_complaint_that_is_committed_as_the_chunk_looks_is_kept(self, operator, meanwhile):
        run = brought_in(operator, "a@x.example", "b@x.example")
        start_taking_back(run=run, reason=WHY, actor=operator)
        with transaction.atomic():
            suppress(address="a@x.example", stream=None, reason="complaint")
            done = meanwhile(take_back_chunk, run_id=run.pk)
        done.result()
        assert listed() == {"a@x.example"}


def url(name, run):
    return reverse(f"suppressions:{name}", args=[run.pk])


class TestPage:
    @pytest.fixture(autouse=True)
    def hints(self, monkeypatch):
        """Keep the hints to Celery, which has no worker here."""
        kept = []
        name = "mailops.suppressions.taking_back_views.continue_taking_back.delay"
        monkeypatch.setattr(name, kept.append)
        return kept

    @pytest.fixture
    def run(self, operator):
        return brought_in(operator, "a@x.example", "b@x.example", "c@x.example")

    def test_is_offered_on_the_imports_page_to_those_who_may(
        self, run, operator, viewer, logged_in
    ):
        at = url("take-back", run)
        assert at in logged_in(operator).get(url("import", run)).text
        assert at not in logged_in(viewer).get(url("import", run)).text
        for page in (at, url("take-back-stop", run)):
            assert logged_in(viewer).post(page, {"reason": WHY}).status_code == 403
        assert logged_in(viewer).get(at).status_code == 403

    def test_is_not_offered_while_the_import_runs_nor_after_a_quarter(
        self, run, operator, logged_in
    ):
        client = logged_in(operator)
        for changed, sentence in (
            ({"finished_at": timezone.now() - timedelta(days=91)}, "kept for 90 days"),
            ({"finished_at": None, "state": "running"}, "The import still runs"),
        ):
            SuppressionImport.objects.update(**changed)
            assert url("take-back", run) not in client.get(url("import", run)).text
            assert sentence in client.get(url("take-back", run)).text
            client.post(url("take-back", run), {"reason": WHY})
            assert not TakingBack.objects.exists()

    def test_says_what_would_happen_before_it_does(self, run, operator, logged_in):
        suppress(address="a@x.example", stream=None, reason="hard_bounce")
        unsuppress(
            suppression=Suppression.objects.get(address="b@x.example"),
            reason="they called",
            actor=operator,
        )
        page = logged_in(operator).get(url("take-back", run)).text
        assert "Take back 1 address<" in page
        assert "<dt>Hard bounce since</dt>" in page
        assert "1 was taken off one by one" in page
        assert Suppression.objects.count() == 2

    def test_needs_a_reason_and_begins_once(
        self, run, operator, logged_in, hints, django_capture_on_commit_callbacks
    ):
        client, at = logged_in(operator), url("take-back", run)
        assert client.post(at, {"reason": " "}).status_code == 422
        with django_capture_on_commit_callbacks(execute=True):
            assert client.post(at, {"reason": WHY})["Location"] == at
            client.post(at, {"reason": WHY})
        assert hints == [run.pk]
        headers = {"HX-Request": "true", "HX-Target": "progress"}
        assert client.get(at, headers=headers).status_code == 200
        while take_back_chunk(run_id=run.pk):
            pass
        ended = client.get(at, headers=headers)
        assert ended.status_code == 286
        assert "Nothing is left to take back" in ended.text
        assert "3 addresses left the list" in client.get(url("import", run)).text

    def test_costs_the_same_for_many(self, run, operator, logged_in):
        client = logged_in(operator)
        with CaptureQueriesContext(connection) as with_few:
            client.get(url("take-back", run))
        many = brought_in(operator, *(f"m{n}@x.example" for n in range(40)))
        with CaptureQueriesContext(connection) as with_many:
            client.get(url("take-back", many))
        assert len(with_many) <= len(with_few) + 2  # another import may name them

    @pytest.mark.needs("chromium")
    @pytest.mark.django_db(transaction=True)
    def test_shows_how_far_it_is_and_how_it_ended(self, operator, open_page):
        run = brought_in(operator, "a@x.example", "b@x.example")
        page = open_page(url("import", run), operator)
        page.get_by_role("link", name="Take it back").click()
        page.get_by_label("Why is this import taken back?").fill(WHY)
        page.get_by_role("button", name="Take back 2 addresses").click()
        page.get_by_role("button", name="Stop").wait_for()
        while take_back_chunk(run_id=run.pk):
            pass
        page.get_by_text("Nothing is left to take back").wait_for()
        assert "2 addresses" in page.locator("#progress").inner_text()
        assert page.complaints == []
