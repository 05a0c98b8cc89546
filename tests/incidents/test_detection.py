from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.incidents import detection, handling, measuring
from mailops.incidents.detection import detect
from mailops.incidents.models import Incident, Notice, NotificationChannel, Threshold
from mailops.outbox.models import Tally
from mailops.transports.models import PauseCause
from tests.factories import make_campaign, make_message, make_transport
from tests.incidents.conftest import count


def bounce(stream, bad, whole, **fields):
    count(stream, "accepted", whole - bad, **fields)
    count(stream, "bounced", bad, reason="no_such_mailbox", mailbox_provider="gmail.com", **fields)


def sent(stream, kind, n, *, ago, of=None):
    """Let `n` events have happened `ago` minutes ago, to mail that was sent `of` minutes ago."""
    then = timezone.now() - timedelta(minutes=ago if of is None else of)
    cohort = then.replace(minute=then.minute // 15 * 15, second=0, microsecond=0)
    count(stream, kind, n, minutes_ago=ago, cohort_at=cohort)


def the_incident():
    return Incident.objects.get()


class TestOpening:
    def test_needs_a_level_reached(self, stream):
        bounce(stream, 1, 100)
        assert detect() == 0

    def test_needs_the_sample_floor(self, stream):
        bounce(stream, 20, 99)
        assert detect() == 0

    @pytest.mark.parametrize(
        ("bad", "level", "severity"),
        [
            (2, "warn", "warning"),
            (5, "act", "critical"),
            (9, "act", "critical"),
            (10, "stop", "critical"),
        ],
    )
    def test_takes_the_highest_level_reached(self, stream, bad, level, severity):
        bounce(stream, bad, 100)
        assert detect() == 1
        assert (the_incident().level, the_incident().severity) == (level, severity)

    def test_says_what_is_wrong_with_rate_and_count(self, stream):
        bounce(stream, 6, 100)
        detect()
        assert the_incident().sentence == (
            "6.0 % (6 of 100) of the mail of News bounced within 1 hour; the level to act is 5 %."
        )

    def test_is_not_for_the_last_bounces_of_much_that_was_sent_before(self, stream):
        sent(stream, "accepted", 100_000, ago=240)
        sent(stream, "returned", 300, ago=20, of=240)
        sent(stream, "accepted", 120, ago=20)
        assert detect() == 0
        sent(stream, "bounced", 12, ago=20)  # of what leaves now
        assert detect() == 1
        assert "9.1 % (12 of 132)" in the_incident().sentence

    @pytest.mark.parametrize("later", [0, 15, 240])
    def test_is_for_what_comes_back_late_of_mail_like_that_of_now(self, stream, later):
        for ago in range(20, 700, 15):
            sent(stream, "accepted", 1000, ago=ago)
            if ago - later >= 20:
                sent(stream, "returned", 150, ago=ago - later, of=ago)
        assert detect() == 1
        assert the_incident().level == "stop"

    def test_is_for_what_comes_back_late_of_a_burst(self, stream):
        sent(stream, "accepted", 10_000, ago=200)
        sent(stream, "returned", 1_200, ago=20, of=200)
        sent(stream, "accepted", 150, ago=20)
        detect()
        assert "12.0 % (1,200 of 10,000)" in the_incident().sentence

    @pytest.mark.parametrize("now", [0, 1, 99])
    def test_is_for_what_comes_back_late_while_hardly_anything_leaves(self, stream, now):
        sent(stream, "accepted", 10_000, ago=200)
        sent(stream, "returned", 1_200, ago=20, of=200)
        sent(stream, "bounced", now, ago=20)
        assert detect() == 1
        assert f"({1_200 + now:,} of 10,000)" in the_incident().sentence

    def test_is_for_complaints_about_what_was_sent_the_day_before(self, stream, complaints):
        sent(stream, "accepted", 100_000, ago=30 * 60)
        sent(stream, "complained", 500, ago=20, of=30 * 60)
        assert detect() == 1
        assert (the_incident().threshold, the_incident().level) == (complaints, "stop")

    def test_is_not_for_what_comes_back_late_of_few(self, stream):
        sent(stream, "accepted", 90, ago=200)
        sent(stream, "returned", 20, ago=20, of=200)
        assert detect() == 0

    def test_reads_little_for_what_comes_back_months_late(self, stream, monkeypatch):
        day = 24 * 60
        for ago in range(1, 60):
            sent(stream, "accepted", 1000, ago=ago * day)
        sent(stream, "returned", 300, ago=20, of=59 * day)
        sent(stream, "returned", 300, ago=20, of=day)
        sent(stream, "accepted", 150, ago=20)
        summed, rows = measuring.summed, []

        def counted(*asked):
            rows.append(found := summed(*asked))
            return found

        monkeypatch.setattr(measuring, "summed", counted)
        detect()
        assert "60.0 % (600 of 1,000)" in the_incident().sentence
        assert max(map(len, rows)) == 2

    def test_happens_once_however_often_it_is_looked(self, stream):
        bounce(stream, 6, 100)
        for _ in range(3):
            assert detect() == 1
        assert the_incident().notes.count() == 1

    def test_finds_its_owner_in_the_streams(self, stream, operator):
        stream.owner = operator
        stream.save()
        bounce(stream, 6, 100)
        detect()
        assert the_incident().owner == operator

    def test_keeps_the_evidence(self, stream, operator):
        campaign = make_campaign(stream=stream, name="Spring")
        count(stream, "accepted", 94, campaign_id=campaign.pk)
        count(
            stream,
            "bounced",
            5,
            campaign_id=campaign.pk,
            mailbox_provider="gmail.com",
            reason="unknown_mailbox",
        )
        count(stream, "bounced", 1, campaign_id=campaign.pk, mailbox_provider="gmail.com")
        count(stream, "accepted", 200, minutes_ago=80)
        for n in range(4):  # the last one long before the window
            make_message(
                stream=stream,
                status="bounced",
                reply_code=550,
                reply_text=f"5.1.1 <r{n}@example.net> unknown, id 4f9a8c7b6d5e{n}",
                sentence="The mailbox does not exist.",
                settled_at=timezone.now() - timedelta(days=1 if n == 3 else 0),
            )
        AuditEntry.objects.create(verb="template.publish", subject_label="Welcome", actor=operator)
        AuditEntry.objects.create(verb="suppression.add", subject_label="x@example.net")
        detect()
        told = the_incident().evidence
        assert told["numbers"]["bad"] == 6
        assert told["campaigns"] == [{"id": campaign.pk, "name": "Spring", "n": 6}]
        assert told["providers"] == [{"name": "gmail.com", "n": 6}]
        assert told["reasons"] == [{"name": "unknown_mailbox", "n": 5}]
        assert told["replies"] == [
            {
                "code": 550,
                "text": "5.1.1 … unknown, id …",
                "sentence": "The mailbox does not exist.",
                "n": 3,
            }
        ]
        changed = [change["of"] for change in told["changes"]]
        assert "Welcome" in changed
        assert "x@example.net" not in changed

    def test_is_left_alone_where_a_threshold_is_off(self, stream, bounces):
        Threshold.objects.update(is_enabled=False)
        bounce(stream, 50, 100)
        assert detect() == 0

    def test_is_not_for_what_another_version_measures(self, stream):
        make_transport(breaker="open")
        Threshold.objects.filter(measure="breaker").delete()
        Threshold.objects.create(measure="later", subject_kind="stream")
        assert detect() == 0

    def test_sees_a_rate_that_is_exactly_the_limit(self, stream, complaints):
        count(stream, "accepted", 1000)
        count(stream, "complained", 3)
        detect()
        stream.refresh_from_db()
        assert (the_incident().level, stream.is_paused) == ("stop", True)

    def test_sees_complaints(self, stream, complaints):
        count(stream, "accepted", 2000)
        count(stream, "complained", 2)
        detect()
        assert (the_incident().threshold, the_incident().level) == (complaints, "act")

    def test_asks_few_questions(self, stream, django_assert_max_num_queries):
        bounce(stream, 6, 100)
        detect()
        with django_assert_max_num_queries(75):  # two for each threshold put it apart
            detect()

    def test_is_one_processes_work_at_a_time(self, stream, monkeypatch):
        bounce(stream, 6, 100)
        with connection.cursor() as cursor:  # a lock of this very session does not keep itself out
            cursor.execute("SELECT 1")
        monkeypatch.setattr(detection, "advisory_lock", _taken)
        assert detect() == 0


class _taken:  # noqa: N801
    def __init__(self, name):
        pass

    def __enter__(self):
        return False

    def __exit__(self, *args):
        pass


class TestGettingWorse:
    def test_raises_the_level_and_says_so(self, stream):
        bounce(stream, 3, 100)
        detect()
        count(stream, "bounced", 5)
        detect()
        assert the_incident().level == "act"
        assert list(the_incident().notes.values_list("kind", flat=True)) == ["opened", "raised"]

    def test_never_lowers_it(self, stream):
        bounce(stream, 6, 100)
        detect()
        count(stream, "accepted", 100)
        detect()
        assert the_incident().level == "act"

    def test_says_which_level_it_reached_before(self, stream):
        bounce(stream, 6, 100)
        detect()
        count(stream, "accepted", 100)
        Incident.objects.update(last_seen_at=timezone.now() - timedelta(minutes=2))
        detect()
        assert the_incident().level == "act"
        assert the_incident().sentence.endswith(
            "the level to warn is 2 %. It was over the level to act before."
        )

    def test_writes_its_numbers_anew_each_minute(self, stream):
        bounce(stream, 6, 100)
        detect()
        count(stream, "accepted", 50)
        detect()
        assert the_incident().evidence["numbers"]["whole"] == 100
        Incident.objects.update(last_seen_at=timezone.now() - timedelta(minutes=2))
        detect()
        assert the_incident().evidence["numbers"]["whole"] == 150


class TestPausing:
    def test_stops_the_stream_at_the_level_to_stop(self, stream):
        bounce(stream, 10, 100)
        detect()
        stream.refresh_from_db()
        assert (stream.is_paused, stream.pause_cause) == (True, PauseCause.GUARDRAIL)
        assert stream.pause_sentence.startswith("10.0 % (10 of 100)")
        assert the_incident().notes.filter(kind="paused").count() == 1

    def test_stops_nothing_below_it(self, stream):
        bounce(stream, 9, 100)
        detect()
        stream.refresh_from_db()
        assert not stream.is_paused

    def test_stops_nothing_where_it_is_told_not_to(self, stream, bounces):
        Threshold.objects.filter(pk=bounces.pk).update(pauses=False)
        bounce(stream, 10, 100)
        detect()
        stream.refresh_from_db()
        assert not stream.is_paused

    def test_does_not_stop_again_what_a_person_resumed(self, stream, oncall):
        bounce(stream, 10, 100)
        detect()
        handling.resume(incident=the_incident(), actor=oncall)
        detect()
        stream.refresh_from_db()
        assert not stream.is_paused

    @pytest.mark.parametrize("kind", ["stream", "campaign"])
    def test_does_not_stop_again_what_a_person_resumes_while_it_looks(
        self, stream, oncall, monkeypatch, kind
    ):
        Threshold.objects.exclude(measure="bounces", subject_kind=kind).update(is_enabled=False)
        Threshold.objects.filter(measure="bounces").update(pauses=True)
        Threshold.objects.filter(measure="bounces", subject_kind=kind).update(is_enabled=True)
        bounce(stream, 10, 100, campaign_id=make_campaign(stream=stream).pk)
        detect()
        fresh_starts = detection._fresh_starts

        def then_resume(*asked):
            found = fresh_starts(*asked)
            handling.resume(incident=the_incident(), actor=oncall)
            return found

        monkeypatch.setattr(detection, "_fresh_starts", then_resume)
        detect()
        stream.refresh_from_db()
        assert not stream.is_paused

    def test_does_not_stop_again_what_a_person_resumed_because_of_a_campaign(self, stream, oncall):
        Threshold.objects.update(is_enabled=False)
        Threshold.objects.filter(measure="bounces", subject_kind="campaign").update(
            is_enabled=True, pauses=True
        )
        bounce(stream, 10, 100, campaign_id=make_campaign(stream=stream).pk)
        detect()
        handling.resume(incident=the_incident(), actor=oncall)
        detect()
        stream.refresh_from_db()
        assert not stream.is_paused

    def test_stops_again_what_mailops_itself_resumed(self, stream):
        Threshold.objects.filter(measure="fault").update(is_enabled=False)
        stream.pause(PauseCause.DOMAIN, "DKIM of the domain is broken.")
        bounce(stream, 10, 100)
        detect()
        stream.resume(reason="It authenticates again.")
        assert detect() == 1
        stream.refresh_from_db()
        assert (stream.is_paused, stream.pause_cause) == (True, "guardrail")
        assert the_incident().calm_since_at is None

    def test_stops_again_when_it_goes_on_after_that(self, stream, oncall):
        bounce(stream, 10, 100)
        detect()
        handling.resume(incident=the_incident(), actor=oncall)
        AuditEntry.objects.update(at=timezone.now() - timedelta(minutes=31))
        bounce(stream, 20, 100, minutes_ago=0)
        detect()
        stream.refresh_from_db()
        assert stream.is_paused


class TestClosing:
    def later(self, **fields):
        Incident.objects.update(**fields)

    def test_waits_until_all_was_well_for_a_while(self, stream):
        bounce(stream, 6, 100)
        detect()
        Tally.objects.all().delete()
        assert detect() == 1
        self.later(calm_since_at=timezone.now() - timedelta(minutes=29))
        assert detect() == 1
        self.later(calm_since_at=timezone.now() - timedelta(minutes=31))
        assert detect() == 0
        assert the_incident().close_reason == "Not seen for 30 minutes."

    def test_begins_to_wait_anew_when_it_comes_back(self, stream):
        bounce(stream, 6, 100)
        detect()
        self.later(calm_since_at=timezone.now() - timedelta(minutes=29))
        detect()
        assert the_incident().calm_since_at is None

    def test_never_closes_what_is_paused_because_of_it(self, stream):
        bounce(stream, 10, 100)
        detect()
        Tally.objects.all().delete()
        self.later(calm_since_at=timezone.now() - timedelta(hours=5))
        assert detect() == 1

    def test_by_a_person_judges_the_same_numbers_once(self, stream, oncall):
        bounce(stream, 6, 100)
        detect()
        handling.close(incident=the_incident(), reason="a bad list, removed", actor=oncall)
        assert detect() == 0

    def test_by_a_person_is_no_other_where_they_are_called_mailops(self, stream, oncall):
        oncall.name = "mailops"
        bounce(stream, 6, 100)
        detect()
        handling.close(incident=the_incident(), reason="a bad list, removed", actor=oncall)
        assert detect() == 0

    @pytest.mark.django_db(transaction=True)
    def test_by_a_person_waits_for_a_look_that_judges_it(self, stream, bounces, monkeypatch):
        Threshold.objects.exclude(pk=bounces.pk).update(is_enabled=False)
        bounce(stream, 6, 100)
        detect()
        held, read = [], detection.read

        def read_beside_a_person(*asked):
            with ThreadPoolExecutor(1) as person:
                held.append(person.submit(_is_held).result())
            return read(*asked)

        monkeypatch.setattr(detection, "read", read_beside_a_person)
        detect()
        assert held == [True]

    def test_by_a_person_lets_a_new_one_open_when_it_goes_on(self, stream, oncall):
        bounce(stream, 6, 100)
        detect()
        handling.close(incident=the_incident(), reason="done", actor=oncall)
        self.later(closed_at=timezone.now() - timedelta(minutes=31))
        bounce(stream, 6, 100, minutes_ago=0)
        assert detect() == 1
        assert Incident.objects.count() == 2

    def test_by_itself_judges_nothing(self, stream):
        bounce(stream, 3, 100)
        detect()
        Tally.objects.all().delete()
        detect()
        self.later(calm_since_at=timezone.now() - timedelta(minutes=31))
        assert detect() == 0
        bounce(stream, 5000, 5000)
        assert detect() == 1
        stream.refresh_from_db()
        assert stream.is_paused

    def test_closes_what_is_about_something_deleted(self, stream):
        transport = make_transport()
        transport.pause(PauseCause.FAULT, "The password was refused.")
        detect()
        transport.delete()
        detect()
        self.later(calm_since_at=timezone.now() - timedelta(hours=1))
        assert detect() == 0


def _is_held():
    """Tell, over a connection of its own, whether the incident's row is locked."""
    try:
        with transaction.atomic():
            return not list(Incident.objects.select_for_update(skip_locked=True))
    finally:
        connection.close()


class TestSwitchingOff:
    def test_closes_what_nobody_looks_at_any_more(self, stream, bounces):
        bounce(stream, 10, 100)
        detect()
        Threshold.objects.filter(pk=bounces.pk).update(is_enabled=False)
        assert detect() == 0
        assert the_incident().close_reason == "Its threshold was switched off."

    def test_closes_a_fault_that_is_still_there(self, db):
        make_transport().pause(PauseCause.FAULT, "The password was refused.")
        detect()
        Threshold.objects.update(is_enabled=False)
        assert detect() == 0

    def test_judges_nothing_for_when_it_is_on_again(self, stream, bounces):
        bounce(stream, 6, 100)
        detect()
        for is_enabled in (False, True):
            Threshold.objects.filter(pk=bounces.pk).update(is_enabled=is_enabled)
            detect()
        assert sorted(one.state for one in Incident.objects.all()) == ["closed", "open"]


class TestTransports:
    def test_paused_by_a_fault_is_an_incident_at_once(self, db):
        transport = make_transport(name="Relay")
        transport.pause(PauseCause.FAULT, "The password was refused.", "535 5.7.8 no")
        assert detect() == 1
        assert the_incident().sentence == "Relay is paused by a fault. The password was refused."
        assert the_incident().evidence["technical"] == "535 5.7.8 no"

    def test_paused_by_a_person_is_none(self, db):
        make_transport().pause(PauseCause.PERSON, "Maintenance.")
        assert detect() == 0

    def test_out_of_reach_is_an_incident(self, db):
        transport = make_transport(name="Relay")
        transport.breaker, transport.failures = "open", 5
        transport.breaker_sentence = "The connection was refused."
        transport.save()
        assert detect() == 1
        assert the_incident().sentence == (
            "Relay can't be reached: 5 rounds of sessions failed. The connection was refused."
        )

    def test_out_of_reach_that_comes_and_goes_is_told_of_once(self, db):
        NotificationChannel.objects.create(name="chat", kind="webhook")
        transport = make_transport(name="Relay")
        for breaker in ("open", "closed", "open"):
            transport.breaker = breaker
            transport.save()
            detect()
        assert [one.kind for one in the_incident().notes.order_by("id")] == [
            *("opened", "calmed", "returned")
        ]
        assert Notice.objects.get().occasion == "opened"

    def test_out_of_reach_says_whose_mail_waits_for_it(self, stream):
        campaign = make_campaign(
            name="Spring", state="running", stream=stream, started_at=timezone.now()
        )
        count(stream, "queued", 1913, measure="status", campaign_id=campaign.pk)
        transport = stream.transport
        transport.breaker, transport.failures = "open", 3
        transport.breaker_sentence = "The connection was refused."
        transport.save()
        detect()
        assert the_incident().sentence.endswith(
            "The connection was refused. 1,913 messages wait for it, of News. A campaign waits for it: Spring."
        )

    def test_that_runs_again_closes_it_after_five_minutes(self, db):
        transport = make_transport()
        transport.pause(PauseCause.FAULT, "The password was refused.")
        detect()
        transport.resume()
        assert detect() == 1
        Incident.objects.update(calm_since_at=timezone.now() - timedelta(minutes=6))
        assert detect() == 0


class TestWhatStopsByItself:
    def test_says_how_much_of_a_stream_waits(self, stream):
        count(stream, "queued", 2, measure="status")
        stream.pause(PauseCause.FAULT, "The sender was refused.")
        detect()
        assert the_incident().sentence == (
            "News is paused by a fault. The sender was refused. 2 messages wait."
        )

    @pytest.mark.parametrize("cause", [PauseCause.FAULT, PauseCause.DOMAIN])
    def test_is_an_incident_of_its_stream(self, cause, stream, operator):
        NotificationChannel.objects.create(name="chat", kind="webhook")
        stream.owner = operator
        stream.save()
        stream.pause(cause, "Three people were refused.", "550 5.7.1 no")
        assert detect() == 1
        incident = the_incident()
        assert (incident.subject(), incident.level, incident.owner) == (stream, "stop", operator)
        assert incident.sentence.startswith("News is paused by a ")
        assert incident.sentence.endswith(" Three people were refused.")
        assert incident.evidence["technical"] == "550 5.7.1 no"
        assert Notice.objects.get().occasion == "opened"

    @pytest.mark.parametrize(
        ("state", "cause"),
        [
            ("running", PauseCause.FAULT),
            ("running", PauseCause.RESTORED),
            ("scheduled", PauseCause.GATE),
            ("scheduled", PauseCause.STALE),
        ],
    )
    def test_is_an_incident_of_its_campaign(self, state, cause, stream, operator):
        stream.owner = operator
        stream.save()
        started_at = timezone.now() if state == "running" else None
        campaign = make_campaign(name="Spring", stream=stream, state=state, started_at=started_at)
        campaign.pause(cause, "It waits for you.")
        assert detect() == 1
        incident = the_incident()
        assert (incident.subject(), incident.level, incident.owner) == (campaign, "act", operator)
        assert str(the_incident()) == "Stopped by itself: Spring"
        assert the_incident().sentence.startswith("Spring is paused by a ")
        assert the_incident().sentence.endswith(" It waits for you.")

    def test_is_over_once_it_goes_on(self, stream):
        campaign = make_campaign(stream=stream, state="running", started_at=timezone.now())
        campaign.pause(PauseCause.FAULT, "Gmail turns us away.")
        detect()
        campaign.resume()
        detect()
        Incident.objects.update(calm_since_at=timezone.now() - timedelta(minutes=6))
        assert detect() == 0

    @pytest.mark.parametrize("is_seen_well", [True, False])
    def test_that_stops_again_is_told_of_each_time(self, is_seen_well, stream):
        NotificationChannel.objects.create(name="chat", kind="webhook")
        stream.transport.pause(PauseCause.FAULT, "The connection is not encrypted.")
        detect()
        for sentence in ("The log-in was refused.", "The sender was refused."):
            stream.transport.resume()
            if is_seen_well:
                detect()
            stream.transport.pause(PauseCause.FAULT, sentence)
            detect()
            detect()
            assert sentence in the_incident().sentence
            last = the_incident().notes.order_by("-id").first()
            assert (last.kind, sentence in last.text) == ("returned", True)
        told = list(Notice.objects.order_by("id").values_list("occasion", flat=True))
        assert told == ["opened", "again", "again"]

    def test_of_a_campaign_says_how_many_of_its_messages_wait(self, stream):
        campaign = make_campaign(
            name="Spring", stream=stream, state="running", started_at=timezone.now()
        )
        counted = {"measure": "status", "campaign_id": campaign.pk}
        for kind, n in (("accepted", 3982), ("queued", 1000), ("deferred", 18)):
            count(stream, kind, n, **counted)
        campaign.pause(PauseCause.FAULT, "Gmail turns us away.")
        detect()
        assert the_incident().sentence == (
            "Spring is paused by a fault. Gmail turns us away. 1,018 messages wait, of 5,000."
        )

    @pytest.mark.parametrize("cause", [PauseCause.PERSON, PauseCause.GUARDRAIL])
    def test_is_not_what_somebody_or_an_incident_paused(self, cause, stream):
        campaign = make_campaign(stream=stream, state="running", started_at=timezone.now())
        campaign.pause(cause, "Wait.")
        stream.pause(cause, "Wait.")
        stream.transport.pause(cause, "Wait.")
        assert detect() == 0


class TestTelling:
    def test_makes_a_notice_for_each_channel_that_wants_it(self, stream):
        make = NotificationChannel.objects.create
        early = make(name="early", kind="webhook", least_level="warn")
        late = make(name="late", kind="webhook", least_level="stop")
        make(name="off", kind="webhook", is_enabled=False)
        bounce(stream, 6, 100)
        detect()
        detect()
        assert [notice.channel for notice in Notice.objects.all()] == [early]
        count(stream, "bounced", 20)
        detect()
        told = set(Notice.objects.values_list("channel", "occasion"))
        assert told == {(early.pk, "opened"), (early.pk, "raised"), (late.pk, "raised")}
