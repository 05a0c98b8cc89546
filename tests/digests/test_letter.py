"""What a digest says: the numbers of the reports, in lines that no name can break."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import AuditEntry
from mailops.digests import stopping
from mailops.digests.letter import _days
from mailops.digests.sending import data_of
from mailops.digests.stopping import stops
from mailops.digests.telling import tell
from mailops.digests.template import render
from mailops.digests.weeks import last_whole_week, week_of
from mailops.lib.time_zones import zone
from mailops.outbox.models import Signature, SignatureCount
from mailops.outbox.slots import slot_of
from mailops.reports.models import Objective
from mailops.transports.models import PauseCause
from tests.digests.conftest import count
from tests.factories import (
    make_campaign,
    make_domain,
    make_incident,
    make_stream,
    make_transport,
)

pytestmark = pytest.mark.django_db
COLUMNS = ("accepted", "delivered", "bounced", "returned", "complained", "uncertain")


def mail_of(week, zone_name="UTC"):
    return render(
        data_of(week.start.astimezone(week.zone).date(), zone_name), email="a@example.com"
    )


def rows(data):
    return {row["label"]: row for row in data["numbers"]}


class TestNumbers:
    ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu")

    @pytest.mark.parametrize("zone_name", ZONES)
    def test_are_those_of_the_report_of_the_week(self, zone_name, stream, logged_in, viewer):
        where = zone(zone_name)
        monday = last_whole_week(timezone.now(), where)
        week = week_of(monday, where)
        moments = [
            week.previous.start, week.start - timedelta(minutes=15), week.start,
            week.start + timedelta(days=3), week.end - timedelta(minutes=15), week.end,
        ]  # fmt: skip
        for n, at in enumerate(moments, start=1):
            for more, kind in enumerate(COLUMNS):
                count(stream, kind, 10**n + more, at)
        data = data_of(monday, zone_name)
        viewer.time_zone = zone_name
        viewer.save()
        client = logged_in(viewer)
        page = client.get(self.path(data["report_url"]))
        tiles = {tile.label: tile for tile in page.context["tiles"]}
        told = rows(data)
        assert told["Sent"]["value"] == tiles["Sent"].value
        assert f"{told['Sent']['before']} in the period before" == tiles["Sent"].note
        for label, whole in (("Accepted", "Sent"), ("Bounced", "Sent"), ("Complained", "Accepted")):
            assert f"{told[label]['value']} of {told[whole]['value']}" == tiles[label].note
            assert told[label]["note"].split(",")[0].replace("\N{NO-BREAK SPACE}", " ") == tiles[label].value  # fmt: skip
        for url, column in (("report_url", "value"), ("compare_url", "before")):
            sums = self.sums(client, data[url])
            assert told["Delivered"][column] == f"{sums['delivered']:,}"
            assert told["Uncertain"][column] == f"{sums['uncertain']:,}"
            assert told["Bounced"][column] == f"{sums['bounced'] + sums['returned']:,}"
            assert told["Accepted"][column] == f"{sums['accepted']:,}"
        assert told["Uncertain"]["value"] == f"{10**3 + 10**4 + 10**5 + 15:,}"

    @staticmethod
    def path(url):
        return "/" + url.partition("//")[2].partition("/")[2]

    def sums(self, client, url):
        path = self.path(url).replace(reverse("reports:reports"), reverse("reports:export"))
        text = b"".join(client.get(path)).decode("utf-8-sig")
        found = list(csv.DictReader(io.StringIO(text)))
        return {column: sum(int(row[column]) for row in found) for column in COLUMNS}

    def test_of_each_stream_are_those_of_its_page(self, stream, week, logged_in, viewer):
        silent = make_stream(name="Silent")
        count(stream, "accepted", 90, week.start)
        count(stream, "bounced", 10, week.start)
        count(silent, "accepted", 700, week.previous.start)
        told = data_of(week.start.date(), "UTC")["streams"]
        page = logged_in(viewer).get(TestNumbers.path(told[0]["url"]))
        tiles = {tile.label: tile.value for tile in page.context["tiles"]}
        said = told[0]["numbers"].replace("\N{NO-BREAK SPACE}", " ")
        assert said.startswith(f"{tiles['Sent']} sent")
        assert f"{tiles['Accepted']} accepted" in said
        assert f"{tiles['Bounced']} bounced" in said
        assert told[1]["numbers"] == "Nothing was sent; 700 the week before."

    def test_tell_what_is_left_of_a_promise(self, stream, week):
        Objective.objects.create(stream=stream, percent=Decimal(90), seconds=60)
        count(stream, "accepted", 95, week.start, took=[slot_of(1000)] * 95)
        count(stream, "failed", 5, week.start)
        (told,) = data_of(week.start.date(), "UTC")["streams"]
        words = told["promise"].replace("\N{NO-BREAK SPACE}", " ")
        assert "kept for 95.0 %; 50 % of the error budget is left." in words


class TestWords:
    def test_a_week_in_which_nothing_happened_is_one_line(self, week):
        AuditEntry.objects.all().delete()
        mail = mail_of(week)
        assert mail.subject == f"mailops, {_days(week)}: nothing happened"
        assert "Nothing was sent, nothing changed and nothing needs you." in mail.html
        assert "FIRST" not in mail.text
        assert '<table class="numbers' not in mail.html

    def test_the_subject_names_the_days_in_short(self):
        found = [_days(week_of(date(2026, *day), zone("UTC"))) for day in ((11, 9), (10, 26))]
        assert found == ["9-15 Nov", "26 Oct-1 Nov"]

    def test_say_what_stands_still_before_all_else(self, stream, week):
        count(stream, "accepted", 10, week.start)
        stream.pause(PauseCause.PERSON, "The list is wrong.")
        mail = mail_of(week)
        assert "FIRST: Stream News is paused: see why, then resume it." in mail.text
        assert "The list is wrong." in mail.html
        assert f"/transports/streams/{stream.pk}/" in mail.text
        assert "1 needs you" in mail.subject

    def test_say_that_nothing_needs_one(self, stream, week):
        count(stream, "accepted", 10, week.start)
        assert "FIRST: Nothing needs you." in mail_of(week).text

    def test_name_incidents_and_their_numbers(self, stream, week):
        count(stream, "accepted", 10, week.start)
        at = week.start + timedelta(days=2)
        make_incident(stream=stream, opened_at=at, state="closed", closed_at=at + timedelta(hours=2), close_reason="Old list.")  # fmt: skip
        make_incident(opened_at=at)
        make_incident(opened_at=week.end)
        mail = mail_of(week)
        assert "INCIDENTS: 2 opened, 1 closed, 2 open now" in mail.text
        assert "lasted 2\N{NO-BREAK SPACE}h" in mail.text
        assert "Old list." in mail.html

    def test_name_campaigns_that_ended_with_the_numbers_of_all_their_time(self, stream, week):
        campaign = make_campaign(stream=stream, name="Spring", state="completed", started_at=week.start - timedelta(days=2), finished_at=week.start)  # fmt: skip
        count(stream, "accepted", 40, week.start - timedelta(days=1), campaign_id=campaign.pk)
        mail = mail_of(week)
        assert "Spring (completed Mon" in mail.text
        assert "40 sent, 100.0" in mail.text

    def test_name_answers_that_are_new_or_came_oftener(self, stream, week):
        count(stream, "accepted", 100, week.start)
        count(stream, "accepted", 100, week.previous.start)
        for pk, pattern, first, n, before in (
            (1, "brand new", week.start, 3, 0),
            (2, "came oftener", week.previous.start, 20, 10),
            (3, "as always", week.previous.start, 12, 10),
        ):
            Signature.objects.create(id=pk, code=550, pattern=pattern, first_at=first, last_at=week.start, n=n)  # fmt: skip
            for at, number in ((week.start, n), (week.previous.start, before)):
                SignatureCount.objects.create(signature_id=pk, bucket_at=at, kind="bounced", stream_id=stream.pk, n=number, first_at=at, last_at=at)  # fmt: skip
        text = mail_of(week).text
        assert "550 brand new: 3 times (new)." in text
        assert "550 came oftener: 20 times (10 the week before)." in text
        assert "as always" not in text


class TestInjection:
    NAME = "Spring <img src=x onerror=alert(1)> {{ 7 | times: 1003 }}\r\nBcc: eve@evil.example\u2028\u202eFIRST: pay"

    def test_a_name_is_text_and_nothing_else(self, stream, week):
        make_campaign(stream=stream, name=self.NAME, state="completed", started_at=week.start, finished_at=week.start)  # fmt: skip
        stream.name = self.NAME[:100]
        stream.save()
        count(stream, "accepted", 5, week.start)
        stream.pause(PauseCause.PERSON, self.NAME)
        audit(actor=None, verb="transport.change", subject=stream.transport, reason=self.NAME)
        mail = mail_of(week)
        assert "<img" not in mail.html
        assert "&lt;img" in mail.html
        assert "7021" not in mail.text
        assert not [
            line for line in mail.text.splitlines() if line.startswith(("Bcc", "FIRST: pay"))
        ]
        assert "\u202e" not in mail.text + mail.html
        assert "\n" not in mail.subject
        assert "Spring" not in mail.subject


class TestStops:
    def entry(self, verb, subject, at):
        made = audit(actor=None, verb=verb, subject=subject, reason="Because.")
        AuditEntry.objects.filter(pk=made.pk).update(at=at)

    def test_say_how_often_and_how_long(self, stream, week):
        transport, hour = stream.transport, timedelta(hours=1)
        for n in (1, 5):
            self.entry("transport.breaker_open", transport, week.start + n * hour)
            self.entry("transport.breaker_close", transport, week.start + (n + 2) * hour)
        self.entry("stream.pause", stream, week.start - 2 * hour)
        self.entry("stream.resume", stream, week.start + hour)
        self.entry("domain.stop_bulk", stream.domain, week.end - hour)
        self.entry("campaign.pause", stream, week.previous.start)
        self.entry("campaign.resume", stream, week.start - hour)
        found = {stop.title: stop for stop in stops(week)}
        reached = found[f"Transport {transport} could not be reached"]
        assert (reached.times, reached.lasted, reached.is_over) == (2, 4 * hour, True)
        assert found["Stream News was paused"].lasted == hour
        assert not found[f"Bulk mail from {stream.domain} was stopped"].is_over
        assert len(found) == 3

    @pytest.mark.parametrize("verb", ["start", "schedule", "unschedule", "cancel"])
    def test_end_for_a_campaign_that_was_paused_before_its_start(self, verb, stream, week):
        campaign, hour = make_campaign(stream=stream), timedelta(hours=1)
        self.entry("campaign.pause", campaign, week.start + hour)
        self.entry(f"campaign.{verb}", campaign, week.start + 3 * hour)
        (stop,) = stops(week)
        assert (stop.lasted, stop.is_over) == (2 * hour, True)

    def test_end_for_a_transport_out_of_reach_when_it_is_resumed(self, stream, week):
        transport, hour = stream.transport, timedelta(hours=1)
        for verb, n in (("breaker_open", 1), ("pause", 2), ("resume", 4)):
            self.entry(f"transport.{verb}", transport, week.start + n * hour)
        assert {(stop.title, stop.lasted, stop.is_over) for stop in stops(week)} == {
            (f"Transport {transport} could not be reached", 3 * hour, True),
            (f"Transport {transport} was paused", 2 * hour, True),
        }

    def test_are_hidden_by_no_other_sort_that_comes_often(self, stream, week, monkeypatch):
        monkeypatch.setattr(stopping, "MOST", 4)
        transport, hour = stream.transport, timedelta(hours=1)
        self.entry("stream.pause", stream, week.start - hour)
        for n in range(9):
            verb = "breaker_close" if n % 2 else "breaker_open"
            self.entry(f"transport.{verb}", transport, week.start + n * hour)
        titles = {stop.title for stop in stops(week)}
        assert titles == {
            f"Transport {transport} could not be reached",
            f"Stream {stream} was paused",
        }

    def test_end_for_what_is_deleted(self, stream, week):
        begun = {
            "transport.pause": stream.transport,
            "transport.breaker_open": stream.transport,
            "stream.pause": stream,
            "campaign.pause": make_campaign(stream=stream),
            "domain.stop_bulk": stream.domain,
        }
        for verb, subject in begun.items():
            kind = verb.partition(".")[0]
            self.entry(verb, subject, week.start - timedelta(days=3))
            self.entry(f"{kind}.delete", subject, week.start - timedelta(days=1))
        assert stops(week) == []


class TestDeleted:
    """What was deleted is named without a link, since its page is gone."""

    def mail(self, week, hidden):
        mail = mail_of(week)
        assert hidden not in mail.html
        assert hidden not in mail.text
        return mail

    @pytest.mark.parametrize("what", ["transport", "stream", "campaign", "domain"])
    def test_that_stood_still_in_the_week(self, what, week):
        make, verb, page = {
            "transport": (make_transport, "transport.pause", "transports:detail"),
            "stream": (make_stream, "stream.pause", "transports:stream-detail"),
            "campaign": (make_campaign, "campaign.pause", "campaigns:detail"),
            "domain": (make_domain, "domain.stop_bulk", "domains:detail"),
        }[what]
        row, at = make(), week.start + timedelta(hours=1)
        TestStops().entry(verb, row, at)
        path = reverse(page, args=[row.pk])
        assert path in mail_of(week).html
        TestStops().entry(f"{what}.delete", row, at + timedelta(hours=2))
        row.delete()
        mail = self.mail(week, path)
        assert str(row) in mail.html
        assert 'href=""' not in mail.html

    def test_stream_is_named_and_not_asked_after(self, stream, week):
        count(stream, "accepted", 700, week.previous.start)
        path = reverse("reports:stream", args=[stream.pk])
        assert "News sent nothing" in mail_of(week).text
        gone = stream.pk
        stream.delete()
        mail = self.mail(week, path)
        assert f"deleted ({gone})" in mail.html
        assert "sent nothing, after" not in mail.text
        assert 'href=""' not in mail.html


def test_asks_as_many_questions_however_much_was_sent(stream, week, django_assert_max_num_queries):
    for n in range(30):
        count(make_stream(), "accepted", n + 1, week.start)
    with django_assert_max_num_queries(60), time_machine.travel(timezone.now(), tick=False):
        assert tell(week, timezone.now()).more_streams > 0
