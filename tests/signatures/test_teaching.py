"""A person teaches what replies mean: the future and the past follow, and it can be taken back."""

from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import Mock
from uuid import uuid4

import psycopg
import pytest
from django.db import OperationalError, connection
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.dispatch import conversation
from mailops.lib.chunks import MAX_FAILURES
from mailops.outbox import taught
from mailops.outbox.ledger import draw_fence
from mailops.outbox.models import (
    Event,
    EventKind,
    Message,
    QueueEntry,
    Sighting,
    Signature,
    SignatureCount,
    Status,
)
from mailops.outbox.recording import Outcome, record
from mailops.outbox.sightings import fold_sightings
from mailops.outbox.taught import forget_taught, load_taught, understood
from mailops.protocol.classification import classify
from mailops.reports.attention import matters
from mailops.reports.folding import fold_tallies
from mailops.reports.models import Figure, Seal
from mailops.reports.verifying import differences
from mailops.reports.verifying_replies import reply_differences
from mailops.signatures import reclassifying, tasks
from mailops.signatures.models import Lesson
from mailops.signatures.reclassifying import note_failure, recheck_chunk, reclassify_chunk, settled
from mailops.signatures.teaching import TaughtMeanwhile, Word, foresee, teach, word_of
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress, unsuppress
from tests.factories import (
    make_message,
    make_stream,
    make_suppression,
    make_suppression_import,
)
from tests.outbox.answers import NO_SUCH, ODD, OK, answer, make_refused

pytestmark = pytest.mark.django_db

GONE = Word(name="The moon", cause="They closed the mailbox.", reason="mailbox_disabled")
OURS = Word(reason="low_reputation", fix="Warm up.")


@pytest.fixture(autouse=True)
def _nothing_taught():
    forget_taught()
    yield
    forget_taught()


def signature_of(message):
    return Signature.objects.get(pk=message.signature_id)


def say(actor, message, word=GONE, **given):
    signature = signature_of(message)
    return teach(
        **{
            "key": uuid4(),
            "signature": signature,
            "word": word,
            "revision": signature.revision,
            "actor": actor,
            **given,
        }
    )


def finish(lesson, **given):
    while reclassify_chunk(lesson_id=lesson.pk, **given):
        pass
    lesson.refresh_from_db()
    return lesson


def learn(actor, message, word=GONE, **given):
    return finish(say(actor, message, word, **given))


def take_back(actor, lesson):
    return finish(
        teach(
            key=uuid4(),
            signature=lesson.signature,
            word=Word(**lesson.before),
            revision=lesson.revision,
            actor=actor,
            undoes=lesson,
        )
    )


def assert_counts_are_true():
    while fold_tallies():
        pass
    while fold_sightings():
        pass
    # a message that a test made was never counted as queued
    assert [one for one in differences() if one.key["kind"] != "queued"] == []
    assert reply_differences() == []


@contextmanager
def killed_amid_a_chunk(monkeypatch):
    """Let what is done in here end its process once half of it is written."""
    with monkeypatch.context() as patch:
        patch.setattr(reclassifying, "suppress_by", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            yield


class TestFuture:
    def test_replies_mean_what_was_taught(self, operator):
        say(operator, make_refused(ODD))
        load_taught()
        meant = understood(classify(ODD, "rcpt"), ODD, "rcpt", recipient="x@example.net")
        assert (meant.reason, meant.suppress) == ("mailbox_disabled", True)
        assert meant.sentence == "They closed the mailbox."

    def test_a_process_hears_of_it_within_seconds(self, operator, monkeypatch):
        load_taught()
        message = make_refused(ODD)
        said = signature_of(message)
        Signature.objects.filter(pk=said.pk).update(taught_reason="policy", taught_fault="message")
        load_taught()
        assert understood(classify(ODD, "rcpt"), ODD, "rcpt", recipient="").reason == "unexplained"
        monkeypatch.setattr(taught, "KEPT_SECONDS", 0)
        load_taught()
        assert understood(classify(ODD, "rcpt"), ODD, "rcpt", recipient="").reason == "policy"

    def test_dispatch_asks_what_was_taught(self):
        assert conversation.understood is understood


class TestPast:
    def test_is_understood_anew_with_evidence_on_each_timeline(self, operator):
        messages = [make_refused(ODD) for _ in range(3)]
        other = make_refused(NO_SUCH)
        lesson = learn(operator, messages[0])
        assert (lesson.state, lesson.changed, lesson.planned) == ("completed", 3, 3)
        for message in messages:
            message.refresh_from_db()
            assert (message.reason, message.status) == ("mailbox_disabled", Status.BOUNCED)
            told = message.events.get(kind=EventKind.RECLASSIFIED)
            assert told.data["before"]["reason"] == "unexplained"
            assert operator.email in told.sentence
            assert not told.came_too_late
        other.refresh_from_db()
        assert other.reason == "unknown_mailbox"
        assert_counts_are_true()

    def test_tells_failures_of_ours_from_bounces(self, operator):
        message = make_refused(ODD)
        lesson = learn(operator, message, OURS)
        message.refresh_from_db()
        assert (message.status, message.reason, lesson.moved) == ("failed", "low_reputation", 1)
        assert message.events.get(source="dispatch").kind == EventKind.FAILED
        assert_counts_are_true()

    def test_of_sealed_days_is_understood_anew_and_their_counts_stay(
        self, operator, logged_in, viewer
    ):
        message = make_refused(ODD)
        assert_counts_are_true()
        before = Figure.objects.events().summed("kind", "reason")
        today = timezone.now().date()
        Seal.objects.create(day=today, rows=1, total=1, digest="")
        lesson = learn(operator, message, OURS)
        fold_tallies()
        assert (lesson.changed, lesson.sealed) == (1, 1)
        assert Figure.objects.events().summed("kind", "reason") == before
        assert Figure.objects.statuses().by_kind()["failed"] == 1
        page = logged_in(viewer).get(reverse("signatures:lesson", args=[lesson.pk]))
        assert "charts of those days stay as they were" in page.content.decode()

    def test_is_missed_where_its_count_is_not_what_happened(self):
        make_refused(ODD)
        assert reply_differences() == []
        SignatureCount.objects.update(n=5)
        (found,) = reply_differences()
        assert (found.recount, found.count) == (1, 5)

    def test_told_long_after_it_happened_is_moved_where_it_was_counted(self, operator):
        message = make_message()
        answer(message, ODD, at=timezone.now() - timedelta(days=120))
        fold_sightings()
        message.refresh_from_db()
        assert learn(operator, message, OURS).changed == 1
        assert_counts_are_true()

    def test_leaves_the_status_of_what_went_on_since(self, operator):
        message = make_message()
        answer(message, ODD, EventKind.DEFERRED)
        answer(message, OK, EventKind.ACCEPTED)
        fold_sightings()
        message.refresh_from_db()
        learn(operator, message, OURS)
        message.refresh_from_db()
        assert (message.status, message.reason) == (Status.ACCEPTED, "")
        assert_counts_are_true()

    def test_leaves_the_words_of_what_was_put_off_and_not_kept(self, operator):
        message = make_message(stream=make_stream(is_sensitive=True))
        told = {"fence": draw_fence(), "source": "dispatch", "message_id": message.pk}
        QueueEntry.objects.update(fence=told["fence"], worker_id=0, marked_at=timezone.now())
        record([Outcome(kind=EventKind.UNCERTAIN, external_id="doubt", **told)])
        record([Outcome(kind=EventKind.DEFERRED, external_id="late", reply=ODD, **told)])
        fold_sightings()
        message.refresh_from_db()
        learn(operator, message, OURS)
        message.refresh_from_db()
        assert (message.status, message.reason) == (Status.FAILED, "content_not_kept")
        assert Event.objects.get(external_id="late").reason == OURS.reason
        assert_counts_are_true()

    def test_of_a_report_is_counted_where_its_mail_was_sent(self, operator):
        message = make_message()
        answer(message, OK, EventKind.ACCEPTED, at=timezone.now() - timedelta(hours=2))
        answer(message, ODD, EventKind.RETURNED, fence=None, transport_id=None, source="dsn")
        fold_sightings()
        message.refresh_from_db()
        learn(operator, message)
        message.refresh_from_db()
        assert (message.status, message.reason) == (Status.BOUNCED, "mailbox_disabled")
        assert_counts_are_true()

    def test_goes_on_where_it_was_cut_off(self, operator, monkeypatch):
        messages = [make_refused(ODD) for _ in range(5)]
        lesson = say(operator, messages[0])
        assert reclassify_chunk(lesson_id=lesson.pk, most=2)
        with killed_amid_a_chunk(monkeypatch):
            reclassify_chunk(lesson_id=lesson.pk, most=2)
        lesson = finish(lesson)
        assert (lesson.changed, lesson.looked_at) == (5, 5)
        assert Event.objects.filter(kind=EventKind.RECLASSIFIED).count() == 5
        assert_counts_are_true()

    def test_is_gone_through_twice_without_a_trace(self, operator):
        message = make_refused(ODD)
        lesson = learn(operator, message)
        Lesson.objects.filter(pk=lesson.pk).update(state="running", cursor=0)
        lesson = finish(lesson)
        assert lesson.changed == 1
        assert_counts_are_true()

    def test_has_what_was_recorded_while_it_began_looked_at_once_more(self, operator, monkeypatch):
        first = make_refused(ODD)
        lesson = learn(operator, first)
        late = make_refused(ODD)  # by a process that had not heard of it
        assert settled() == []
        monkeypatch.setattr(reclassifying, "SETTLED", timedelta(seconds=-1))
        assert settled() == [lesson.pk]
        tasks.recheck_lesson(lesson.pk)
        late.refresh_from_db()
        assert late.reason == "mailbox_disabled"
        assert settled() == []
        lesson.refresh_from_db()
        assert lesson.changed == 2
        assert_counts_are_true()

    @pytest.mark.parametrize(("taught", "reason"), [(ODD, "unknown_mailbox"), (NO_SUCH, "policy")])
    def test_of_a_delay_told_behind_its_bounce_is_not_what_the_message_shows(
        self, operator, taught, reason
    ):
        message = make_message()
        answer(message, OK, EventKind.ACCEPTED)
        for kind, reply in ((EventKind.RETURNED, NO_SUCH), (EventKind.DELAYED, ODD)):
            answer(message, reply, kind, source="feedback", fence=None)
        fold_sightings()
        message.refresh_from_db()
        assert (message.status, message.reason) == (Status.BOUNCED, "unknown_mailbox")
        signature = message.events.get(reply_text=taught.text).signature_id
        message.signature_id = signature
        learn(operator, message, Word(reason="policy"))
        message.refresh_from_db()
        assert (message.status, message.reason) == (Status.BOUNCED, reason)
        assert_counts_are_true()

    def test_takes_the_second_look_in_chunks_and_goes_on_where_it_was_cut_off(
        self, operator, monkeypatch
    ):
        lesson = learn(operator, make_refused(ODD))
        late = [make_refused(ODD) for _ in range(4)]
        assert recheck_chunk(lesson_id=lesson.pk, most=2)
        understood = Message.objects.filter(reason="mailbox_disabled")
        assert understood.count() == 2  # the first one and one more
        with killed_amid_a_chunk(monkeypatch):
            recheck_chunk(lesson_id=lesson.pk, most=2)
        assert recheck_chunk(lesson_id=lesson.pk, most=2)
        assert recheck_chunk(lesson_id=lesson.pk, most=2)
        assert not recheck_chunk(lesson_id=lesson.pk, most=2)
        assert understood.count() == 1 + len(late)
        lesson.refresh_from_db()
        assert lesson.rechecked_at
        assert_counts_are_true()

    def test_stays_where_only_words_are_said(self, operator):
        message = make_refused(ODD)
        lesson = learn(operator, message, Word(name="The moon", owner="provider"))
        assert (lesson.state, lesson.changed) == ("completed", 0)
        assert signature_of(message).title == "The moon"
        assert not Event.objects.filter(kind=EventKind.RECLASSIFIED).exists()


class TestSuppressions:
    def test_follow_what_is_taught(self, operator):
        message = make_refused(ODD)
        lesson = learn(operator, message)
        entry = Suppression.objects.get(address_key=message.address_key)
        assert entry.evidence_event_id == message.events.get(source="dispatch").pk
        assert operator.email in entry.evidence_text
        assert lesson.suppressed == 1

    def test_spare_whom_mail_reached_since(self, operator):
        message = make_refused(ODD)
        later = make_message(recipient=message.recipient)
        answer(later, OK, EventKind.ACCEPTED)
        assert learn(operator, message).suppressed == 0

    def test_spare_whom_a_person_let_on_since(self, operator):
        message = make_refused(ODD)
        entry = suppress(address=message.recipient, stream=None, reason="manual")
        unsuppress(suppression=entry, reason="He called.", actor=operator)
        assert learn(operator, message).suppressed == 0

    def test_spare_whom_a_person_let_on_however_the_address_was_written(self, operator):
        message = make_refused(ODD)
        entry = suppress(address=message.recipient.upper(), stream=None, reason="manual")
        unsuppress(suppression=entry, reason="He called.", actor=operator)
        AuditEntry.objects.filter(verb="suppression.remove").update(actor=None)  # who left since
        assert learn(operator, message).suppressed == 0

    def test_confirm_what_an_import_alone_says(self, operator):
        message = make_refused(ODD)
        entry = make_suppression(
            address=message.recipient, reason="imported", brought_by=make_suppression_import()
        )
        assert learn(operator, message).suppressed == 1
        entry.refresh_from_db()
        assert (entry.reason, entry.confirmed_as) == ("imported", "hard_bounce")

    def test_are_withdrawn_where_their_evidence_means_something_else(self, operator):
        message = make_refused(NO_SUCH)
        event = message.events.get()
        suppress(
            address=message.recipient, stream=None, reason="hard_bounce", evidence_event_id=event.pk
        )
        lesson = learn(operator, message, OURS)
        assert not Suppression.objects.exists()
        assert lesson.withdrawn == 1
        removed = AuditEntry.objects.get(verb="suppression.remove")
        assert f"lesson {lesson.pk}" in removed.reason
        take_back(operator, lesson)
        assert Suppression.objects.get().address_key == message.address_key
        assert_counts_are_true()

    def test_stay_where_something_else_speaks_against_the_address(self, operator):
        message = make_refused(NO_SUCH)
        other = make_refused(
            type(NO_SUCH)(550, "5.1.1 User unknown", "5.1.1", "RCPT"), recipient=message.recipient
        )
        suppress(
            address=message.recipient,
            stream=None,
            reason="hard_bounce",
            evidence_event_id=message.events.get().pk,
        )
        learn(operator, message, OURS)
        assert Suppression.objects.get().evidence_event_id == other.events.get().pk

    def test_that_a_recipient_asked_for_are_never_withdrawn(self, operator):
        message = make_refused(NO_SUCH)
        suppress(
            address=message.recipient,
            stream=None,
            reason="unsubscribe",
            evidence_event_id=message.events.get().pk,
        )
        learn(operator, message, OURS)
        assert Suppression.objects.exists()


class TestTakingBack:
    def test_leaves_everything_as_it_was(self, operator):
        message = make_refused(ODD)
        before = (message.reason, message.sentence, message.status)
        event = Event.objects.filter(message=message).values(
            "kind", "reason", "fault", "sentence", "data"
        )[0]
        lesson = learn(operator, message, OURS)
        undone = take_back(operator, lesson)
        message.refresh_from_db()
        assert (message.reason, message.sentence, message.status) == before
        assert (
            Event.objects.filter(message=message, source="dispatch").values(
                "kind", "reason", "fault", "sentence", "data"
            )[0]
            == event
        )
        assert undone.changed == 1
        assert not signature_of(message).is_taught
        assert message.events.filter(kind=EventKind.RECLASSIFIED).count() == 2
        assert_counts_are_true()

    def test_goes_back_to_what_was_taught_before(self, operator):
        message = make_refused(ODD)
        learn(operator, message)
        second = learn(operator, message, OURS)
        take_back(operator, second)
        message.refresh_from_db()
        assert (message.reason, message.status) == ("mailbox_disabled", Status.BOUNCED)
        assert word_of(signature_of(message)).name == "The moon"
        assert_counts_are_true()

    def test_takes_the_suppressions_back_too(self, operator):
        message = make_refused(ODD)
        lesson = learn(operator, message)
        assert Suppression.objects.exists()
        take_back(operator, lesson)
        assert not Suppression.objects.exists()

    @pytest.mark.parametrize("word", [GONE, OURS])
    def test_keeps_who_was_suppressed_by_the_word_of_a_provider(self, word, operator):
        message = make_message()
        answer(message, ODD, reason="bad_address", fault="recipient")
        fold_sightings()
        message.refresh_from_db()
        event = message.events.get()
        suppress(
            address=message.recipient, stream=None, reason="hard_bounce", evidence_event_id=event.pk
        )
        take_back(operator, learn(operator, message, word))
        assert Suppression.objects.get().evidence_event_id == event.pk
        message.refresh_from_db()
        assert message.reason == "bad_address"

    def test_understands_by_itself_what_came_in_between(self, operator):
        lesson = learn(operator, make_refused(ODD))
        late = make_message()
        answer(late, ODD, reason="mailbox_disabled", fault="recipient", sentence="They closed it.")
        take_back(operator, lesson)
        late.refresh_from_db()
        assert late.reason == "unexplained"
        assert_counts_are_true()


class TestTwoPeople:
    def test_the_second_is_told(self, operator, admin):
        message = make_refused(ODD)
        seen = signature_of(message)
        say(operator, message)
        with pytest.raises(TaughtMeanwhile, match=operator.email):
            teach(key=uuid4(), signature=seen, word=OURS, revision=seen.revision, actor=admin)

    def test_one_press_is_one_lesson(self, operator):
        message, key = make_refused(ODD), uuid4()
        first = say(operator, message, key=key)
        assert say(operator, message, key=key) == first
        assert AuditEntry.objects.filter(verb="signature.teach").count() == 1

    def test_a_later_lesson_ends_one_that_still_runs(self, operator, admin):
        message = make_refused(ODD)
        first = say(operator, message)
        learn(admin, message, OURS)
        first.refresh_from_db()
        message.refresh_from_db()
        assert first.state == first.State.STOPPED
        assert message.reason == "low_reputation"
        assert not reclassify_chunk(lesson_id=first.pk)

    def test_gives_up_after_some_failures(self, operator):
        lesson = say(operator, make_refused(ODD))
        for _ in range(MAX_FAILURES):
            note_failure(lesson_id=lesson.pk, error=ValueError("no"))
        lesson.refresh_from_db()
        assert lesson.has_failed


class TestSecondLookThatFails:
    @pytest.fixture
    def failed(self, operator, monkeypatch):
        """Return a lesson whose second look the database broke off too often, and the message it should have met."""
        lesson = learn(operator, make_refused(ODD))
        late = make_refused(ODD)
        with monkeypatch.context() as patch:
            patch.setattr(reclassifying, "suppress_by", self.be_broken_off)
            for _ in range(MAX_FAILURES):
                assert not Lesson.objects.get().has_failed
                with pytest.raises(OperationalError):
                    tasks.recheck_lesson(lesson.pk)
        lesson.refresh_from_db()
        return lesson, late

    def be_broken_off(self, *_):
        with connection.cursor() as cursor:
            cursor.execute(
                "DO $$ BEGIN RAISE EXCEPTION 'it took too long' USING ERRCODE = 'query_canceled'; END $$"
            )

    def test_fails_and_says_why_and_what_to_press(self, failed, operator, logged_in, monkeypatch):
        lesson, _ = failed
        assert lesson.has_failed
        page = logged_in(operator).get(reverse("signatures:lesson", args=[lesson.pk])).text
        assert "could not be looked at once more in 5 tries" in page
        assert "it took too long" in page
        assert "Press “Try again”" in page
        assert [one.sentence for one in matters() if one.since == lesson.finished_at] == [
            lesson.sentence
        ]
        monkeypatch.setattr(reclassifying, "SETTLED", timedelta(seconds=-1))
        assert settled() == []

    def test_goes_on_where_it_was_when_a_person_presses(self, failed, operator, logged_in):
        lesson, late = failed
        url, client = reverse("signatures:lesson-retry", args=[lesson.pk]), logged_in(operator)
        for _ in range(2):
            assert client.post(url)["Location"] == reverse("signatures:lesson", args=[lesson.pk])
        finish(lesson)
        while recheck_chunk(lesson_id=lesson.pk):
            pass
        lesson.refresh_from_db()
        late.refresh_from_db()
        assert (lesson.is_completed, lesson.sentence) == (True, "")
        assert lesson.rechecked_at
        assert lesson.looked_at <= lesson.planned
        assert late.reason == "mailbox_disabled"
        assert_counts_are_true()

    def test_is_not_tried_again_once_something_else_was_taught(self, failed, operator, logged_in):
        lesson, late = failed
        say(operator, late, OURS)
        client = logged_in(operator)
        client.post(reverse("signatures:lesson-retry", args=[lesson.pk]))
        lesson.refresh_from_db()
        assert lesson.has_failed
        page = client.get(reverse("signatures:lesson", args=[lesson.pk])).text
        assert "something else was taught since" in page
        assert "Try again" not in page

    def test_a_database_that_is_away_fails_nothing(self, operator, monkeypatch):
        lesson = learn(operator, make_refused(ODD))
        make_refused(ODD)

        def be_away(*_):
            raise OperationalError from psycopg.errors.AdminShutdown()

        monkeypatch.setattr(reclassifying, "suppress_by", be_away)
        for _ in range(MAX_FAILURES + 1):
            with pytest.raises(OperationalError):
                tasks.recheck_lesson(lesson.pk)
        lesson.refresh_from_db()
        assert (lesson.is_completed, lesson.failures) == (True, 0)


class TestForesight:
    def test_says_what_comes_true(self, operator):
        stream = make_stream()
        messages = [make_refused(ODD, stream=stream) for _ in range(3)]
        seen = foresee(signature_of(messages[0]), GONE)
        lesson = learn(operator, messages[0])
        assert (seen.replies, seen.messages) == (lesson.changed, 3)
        assert seen.suppressed == lesson.suppressed == 3
        seen = foresee(signature_of(messages[0]), OURS)
        lesson = learn(operator, messages[0], OURS)
        assert (seen.moved, seen.withdrawn) == (lesson.moved, lesson.withdrawn) == (3, 3)
        assert Message.objects.filter(status=Status.FAILED).count() == 3
        fold_sightings()
        assert not Sighting.objects.exists()


class TestPages:
    @pytest.fixture(autouse=True)
    def _message(self):
        self.message = make_refused(ODD)
        self.url = reverse("signatures:teach", args=[self.message.signature_id])
        self.given = {
            "name": "The moon",
            "cause": "<b>They</b> closed.",
            "reason": "mailbox_disabled",
            "revision": 0,
        }

    def test_show_first_and_teach_on_the_second_press(self, operator, logged_in):
        client = logged_in(operator)
        assert client.get(self.url).status_code == 200
        seen = client.post(self.url, self.given)
        assert "suppresses the recipient at once" in seen.text
        assert not Lesson.objects.exists()
        for _ in range(2):
            pressed = client.post(self.url, {**self.given, "key": seen.context["key"]})
        lesson = Lesson.objects.get()
        assert pressed["Location"] == reverse("signatures:lesson", args=[lesson.pk])
        page = client.get(pressed["Location"]).text
        assert "&lt;b&gt;They" in page
        assert "Take it back" in page
        assert "As mailops reads it" in page
        assert "Mailbox disabled" in page

    def test_let_one_change_what_was_said(self, operator, logged_in):
        page = logged_in(operator).post(self.url, {**self.given, "key": uuid4(), "edit": "1"})
        assert 'value="The moon"' in page.text
        assert not Lesson.objects.exists()

    def test_take_it_back(self, operator, logged_in):
        lesson, client = say(operator, self.message), logged_in(operator)
        url = reverse("signatures:lesson-undo", args=[lesson.pk])
        form = client.get(url).context["form"]
        for _ in range(2):
            pressed = client.post(url, {"key": form.initial["key"]})
        undone = Lesson.objects.get(undoes=lesson)
        assert pressed["Location"] == reverse("signatures:lesson", args=[undone.pk])
        assert client.get(url).status_code == 302  # not the newest any more
        assert client.post(url, {"key": "x"}).status_code == 302

    @pytest.mark.parametrize(
        "wrong",
        [{"reason": "nonsense"}, {"kind": "permanent", "reason": ""}, {"name": "x" * 101}, {"revision": ""},
         {"fault": "recipient", "reason": ""}, {"owner": "nobody"}],
    )  # fmt: skip
    def test_refuse_nonsense(self, operator, logged_in, wrong):
        assert logged_in(operator).post(self.url, {**self.given, **wrong}).status_code == 422

    def test_keep_line_ends_and_nothing_that_can_not_be_seen(self, operator, logged_in):
        typed = {
            "name": "The\x07 moon\u202e",
            "cause": "They\x1b closed.\r\nFor good.",
            "fix": "\0",
        }
        logged_in(operator).post(self.url, {**self.given, **typed, "key": uuid4()})
        after = Lesson.objects.get().after
        assert after["name"] == "The moon"
        assert after["cause"] == "They  closed.\nFor good."
        assert after["fix"] == ""

    def test_tell_who_was_first(self, operator, logged_in):
        say(operator, self.message)
        page = logged_in(operator).post(self.url, {**self.given, "key": uuid4()})
        assert page.status_code == 422
        assert "just now" in page.text

    def test_are_not_for_those_who_may_not_send(self, viewer, logged_in, client):
        assert logged_in(viewer).get(self.url).status_code == 403
        lesson = Lesson.objects.create(
            key=uuid4(), signature=signature_of(self.message), revision=1, before={}, after={}
        )
        page = logged_in(viewer).get(reverse("signatures:lesson", args=[lesson.pk]))
        assert page.status_code == 200
        assert "Take it back" not in page.text

    def test_have_nothing_to_teach_of_all_others(self, operator, logged_in):
        Signature.objects.create(pk=0, first_at=timezone.now(), last_at=timezone.now())
        assert logged_in(operator).get("/signatures/0/teach/").status_code == 404
