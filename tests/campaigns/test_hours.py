"""The hours of campaigns and streams: set on their pages, told before the launch, moved when they are changed."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from mailops.accounts.models import AuditEntry
from mailops.audiences.models import Contact
from mailops.campaigns import act_views
from mailops.campaigns.drafting import change_hours, duplicate_campaign
from mailops.campaigns.leaving import Leaving, Wave, leaving
from mailops.campaigns.models import Campaign, Preflight
from mailops.campaigns.preflight import start_preflight
from mailops.campaigns.rehearsing import check_chunk
from mailops.dispatch.expansion import expand_running
from mailops.dispatch.sweeping import keep_hours_for_a_while
from mailops.outbox.models import QueueEntry
from mailops.transports.models import Stream
from tests.factories import make_audience, make_campaign, make_stream

pytestmark = pytest.mark.django_db

OFFICE = {"window_from": time(9), "window_to": time(18), "window_days": [1, 2, 3, 4, 5]}
# five in the afternoon in Berlin, one at night in Tokyo
FRIDAY = datetime(2026, 11, 20, 16, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
FORM = {
    "whose": "own",
    "window_from": "09:00",
    "window_to": "18:00",
    "window_days": ["1", "2", "3", "4", "5"],
    "quiet_from": "",
    "quiet_to": "",
    "time_zone": "Europe/Berlin",
}


def save(client, url, typed):
    """Save the form as one who sees it."""
    seen = client.get(url).context["form"]["revision"].value()
    return client.post(url, {**typed, "revision": seen})


def rehearse(campaign):
    found = start_preflight(campaign=campaign, actor=None)
    while check_chunk(preflight_id=found.pk):
        pass
    return Preflight.objects.get(pk=found.pk)


class TestWords:
    @pytest.mark.parametrize(
        ("hours", "words"),
        [
            ({}, "at any time"),
            (OFFICE, "Mon–Fri 09:00–18:00"),
            ({"window_days": [1, 3, 6]}, "Mon, Wed, Sat"),
            ({"window_days": [6, 7]}, "Sat, Sun"),
            ({"quiet_from": time(22), "quiet_to": time(7)}, "never 22:00–07:00"),
            (
                {**OFFICE, "quiet_from": time(12), "quiet_to": time(13)},
                "Mon–Fri 09:00–18:00, never 12:00–13:00",
            ),
        ],
    )
    def test_say_when_mail_may_leave(self, hours, words):
        assert Stream(**hours).hours_in_words == words

    @pytest.mark.parametrize(
        "hours",
        [
            {"window_from": time(9)},
            {"quiet_to": time(9)},
            {"window_from": time(9), "window_to": time(9)},
        ],
    )
    def test_the_database_refuses_half_a_span(self, hours):
        for make in (make_stream, make_campaign):
            with pytest.raises(IntegrityError), transaction.atomic():
                make(**hours)


class TestLeaving:
    @pytest.fixture
    def campaign(self):
        audience = make_audience(*(f"{name}@x.example" for name in ("a", "b", "c", "d", "e")))
        for name, zone in (("b", "Asia/Tokyo"), ("c", "Asia/Tokyo"), ("d", "America/New_York")):
            Contact.objects.filter(address=f"{name}@x.example").update(
                time_zone=zone, attributes={"first_name": "x"}
            )
        return make_campaign(
            audience=audience, has_own_hours=True, time_zone="Europe/Berlin", **OFFICE
        )

    def test_counts_the_zones_of_those_who_get_it(self, campaign):
        Contact.objects.filter(address="e@x.example").update(address_key="é@x.example")
        found = rehearse(campaign)
        assert found.zones == {"": 1, "Asia/Tokyo": 2, "America/New_York": 1}

    def test_tells_who_leaves_at_once_and_until_when_the_others_wait(self, campaign):
        told = leaving(campaign, rehearse(campaign), now=FRIDAY)
        assert (told.at_once, told.waiting, told.unknown) == (3, 2, 2)
        (wave,) = told.waves
        assert wave.at == datetime(2026, 11, 23, 0, tzinfo=UTC)
        assert (wave.mails, wave.zone_name, wave.clock) == (2, "Asia/Tokyo", "Mon 09:00")

    def test_of_a_scheduled_campaign_at_its_time(self, campaign):
        campaign.scheduled_at = FRIDAY + timedelta(days=1)
        told = leaving(campaign, rehearse(campaign), now=FRIDAY)
        assert told.at_once == 0
        assert [wave.mails for wave in told.waves] == [2, 2, 1]
        assert told.last_at == datetime(2026, 11, 23, 14, tzinfo=UTC)

    def test_without_hours_all_leave_at_once(self, campaign):
        campaign.window_from = campaign.window_to = None
        campaign.window_days = []
        told = leaving(campaign, rehearse(campaign), now=FRIDAY)
        assert (told.at_once, told.waves) == (5, ())

    @pytest.mark.parametrize(
        ("at_once", "waiting", "words"),
        [
            (1, 0, "It may leave as soon as the campaign starts."),
            (2, 0, "All 2 may leave as soon as the campaign starts."),
            (0, 1, "starts: it waits for its hours"),
            (2, 1, "starts, 1 waits for its hours"),
            (1, 2, "starts, 2 wait for their hours"),
        ],
    )
    def test_is_said_of_one_in_the_singular(self, at_once, waiting, words):
        waves = (Wave(FRIDAY, waiting, "Europe/Berlin", 1),) if waiting else ()
        told = {"leaving": Leaving(FRIDAY, at_once, waves, 0, "")}
        assert words in strip_tags(render_to_string("campaigns/_leaving.html", told))

    def test_the_page_says_so(self, campaign, operator, logged_in):
        rehearse(campaign)
        Campaign.objects.update(scheduled_at=timezone.now(), window_from=None, window_to=None)
        Campaign.objects.update(window_days=[timezone.now().isoweekday() % 7 + 1])
        text = logged_in(operator).get(reverse("campaigns:detail", args=[campaign.pk])).text
        assert "wait for their hours" in text
        assert "The time zone of 2 of them is not known: Europe/Berlin counts." in text


class TestCampaignPage:
    @pytest.fixture
    def campaign(self):
        return make_campaign(audience=make_audience("a@x.example"))

    @pytest.fixture
    def url(self, campaign):
        return reverse("campaigns:hours", args=[campaign.pk])

    def test_sets_hours_of_its_own(self, campaign, url, operator, logged_in):
        client = logged_in(operator)
        assert "the hours of its stream" in client.get(url).text
        assert client.post(url, FORM).status_code == 302
        campaign.refresh_from_db()
        assert campaign.has_own_hours
        assert campaign.hours_in_words == "Mon–Fri 09:00–18:00"
        entry = AuditEntry.objects.get(verb="campaign.hours")
        assert entry.before == {"hours": "at any time", "time_zone": ""}
        assert entry.after == {"hours": "Mon–Fri 09:00–18:00", "time_zone": "Europe/Berlin"}
        page = client.get(reverse("campaigns:detail", args=[campaign.pk])).text
        assert "Mon–Fri 09:00–18:00" in page
        assert "Europe/Berlin where it is not known" in page

    def test_gives_it_the_stream_s_again(self, campaign, url, operator, logged_in):
        client = logged_in(operator)
        save(client, url, FORM)
        save(client, url, {**FORM, "whose": "stream", "window_to": ""})
        campaign.refresh_from_db()
        assert not campaign.has_own_hours
        assert campaign.window_from is None

    STREAM_S = {**FORM, "whose": "stream", "window_to": "20:00"}
    STARTED = "started meanwhile and keeps the hours of its start: Mon–Fri 09:00–18:00"

    def test_keeps_the_hours_of_a_start_that_came_first(self, campaign, url, operator, logged_in):
        Campaign.objects.update(has_own_hours=True, **OFFICE)
        Campaign.objects.get().start(actor=operator)
        client = logged_in(operator)
        response = client.post(url, self.STREAM_S)
        assert response.status_code == 422
        assert self.STARTED in response.text
        assert 'value="20:00"' in response.text
        assert 'name="whose"' not in response.text
        campaign.refresh_from_db()
        assert campaign.hours_in_words == "Mon–Fri 09:00–18:00"
        assert save(client, url, {**FORM, "window_to": "20:00"}).status_code == 302
        campaign.refresh_from_db()
        assert campaign.hours_in_words == "Mon–Fri 09:00–20:00"

    def test_keeps_the_hours_of_a_start_it_waited_for(
        self, campaign, url, operator, logged_in, monkeypatch
    ):
        Stream.objects.update(**OFFICE)

        def wait_for_the_row(**asked):
            Campaign.objects.get().start(actor=operator)
            change_hours(**asked)

        monkeypatch.setattr(act_views, "change_hours", wait_for_the_row)
        response = logged_in(operator).post(url, self.STREAM_S)
        assert response.status_code == 422
        assert self.STARTED in response.text
        campaign.refresh_from_db()
        assert campaign.hours_in_words == "Mon–Fri 09:00–18:00"
        assert campaign.rehours_from is None

    @pytest.mark.parametrize("is_started", [False, True])
    def test_replaces_no_hours_that_were_not_seen(
        self, campaign, url, operator, logged_in, is_started
    ):
        client = logged_in(operator)
        save(client, url, FORM)
        seen = client.get(url).context["form"]["revision"].value()
        if is_started:
            Campaign.objects.get().start(actor=operator)
        typed = {**FORM, "window_to": "12:00", "revision": seen}
        assert client.post(url, typed).status_code == 302
        late = client.post(url, {**FORM, "window_to": "20:00", "revision": seen})
        assert late.status_code == 422
        assert "Mon–Fri 09:00–12:00" in late.text
        assert 'value="20:00"' in late.text
        assert late.text.count("checked") == 5 + (not is_started)
        campaign.refresh_from_db()
        assert campaign.hours_in_words == "Mon–Fri 09:00–12:00"
        seen = late.context["form"]["revision"].value()
        client.post(url, {**FORM, "window_to": "20:00", "revision": seen})
        campaign.refresh_from_db()
        assert campaign.hours_in_words == "Mon–Fri 09:00–20:00"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"window_to": ""}, "Give both ends of the window"),
            ({"quiet_from": "22:00"}, "Give both ends of the quiet hours"),
            ({"window_to": "09:00"}, "It ends where it begins"),
            ({"window_from": "25:00"}, "Enter a valid time"),
            ({"window_days": ["8"]}, "Select a valid choice"),
            ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
            ({"quiet_from": "08:00", "quiet_to": "19:00"}, "no mail would ever leave"),
            ({"whose": "nobody"}, "Select a valid choice"),
        ],
    )
    def test_nonsense_is_422_and_kept(self, campaign, operator, logged_in, change, words):
        url = reverse("campaigns:hours", args=[campaign.pk])
        response = logged_in(operator).post(url, {**FORM, **change})
        assert response.status_code == 422
        assert words in response.text
        assert 'value="3" id="id_window_days_2" checked' in response.text or "window_days" in change
        campaign.refresh_from_db()
        assert not campaign.has_own_hours

    def test_who_may_not_send_sees_no_way_there(self, campaign, url, oncall, logged_in, client):
        page = logged_in(oncall).get(reverse("campaigns:detail", args=[campaign.pk])).text
        assert url not in page
        assert logged_in(oncall).get(url).status_code == 403
        assert logged_in(oncall).post(url, FORM).status_code == 403

    def test_the_anonymous_log_in_first(self, url, client):
        assert client.get(url).status_code == 302

    def test_one_that_is_over_is_not_changed(self, campaign, url, operator, logged_in):
        Campaign.objects.update(state="completed")
        assert logged_in(operator).post(url, FORM).status_code == 302
        assert not AuditEntry.objects.filter(verb="campaign.hours").exists()

    def test_a_copy_has_the_same_hours(self, campaign, url, operator, logged_in):
        logged_in(operator).post(url, FORM)
        copy = duplicate_campaign(campaign=Campaign.objects.get(), actor=operator)
        copy.refresh_from_db()
        assert (copy.has_own_hours, copy.time_zone) == (True, "Europe/Berlin")

    def test_a_copy_keeps_the_hours_that_it_was_given_since(
        self, campaign, url, operator, logged_in
    ):
        logged_in(operator).post(url, FORM)
        campaign.refresh_from_db()
        first, again = (duplicate_campaign(campaign=campaign, actor=operator) for _ in range(2))
        assert first == again
        hours = {name: getattr(campaign, name) for name in campaign.HOURS}
        changed = {**hours, "time_zone": "Asia/Tokyo"}
        change_hours(campaign=first, hours=changed, has_own_hours=True, actor=operator)
        another = duplicate_campaign(campaign=campaign, actor=operator)
        first.refresh_from_db()
        assert (first.time_zone, another.time_zone) == ("Asia/Tokyo", "Europe/Berlin")

    def test_a_copy_that_was_given_hours_is_none_of_one_that_keeps_its_stream_s(
        self, campaign, operator
    ):
        first = duplicate_campaign(campaign=campaign, actor=operator)
        hours = {name: getattr(first, name) for name in first.HOURS} | OFFICE
        change_hours(campaign=first, hours=hours, has_own_hours=True, actor=operator)
        assert not duplicate_campaign(campaign=campaign, actor=operator).has_own_hours


class TestChangedWhileItRuns:
    @pytest.fixture
    def running(self):
        """Return a running campaign whose one message waits for another day of the week."""
        tomorrow = timezone.now().isoweekday() % 7 + 1
        campaign = make_campaign(
            audience=make_audience("a@x.example"), has_own_hours=True, window_days=[tomorrow]
        )
        campaign.start(actor=None)
        expand_running()
        return campaign

    @pytest.fixture
    def url(self, running):
        return reverse("campaigns:hours", args=[running.pk])

    OPEN = {**FORM, "window_from": "", "window_to": "", "window_days": []}

    def test_lets_what_waits_leave_at_once(self, running, url, operator, logged_in):
        before = QueueEntry.objects.get()
        assert before.due_at > timezone.now()
        page = logged_in(operator).get(url).text
        assert "moved into the new hours within seconds" in page
        assert "the hours of its stream" not in page
        save(logged_in(operator), url, self.OPEN)
        assert not keep_hours_for_a_while()
        after = QueueEntry.objects.get()
        assert after.due_at <= timezone.now()
        assert after.closes_at is None
        assert after.expires_at - after.due_at == before.expires_at - before.due_at
        running.refresh_from_db()
        assert running.rehours_from is None

    def test_lets_what_was_deferred_wait_for_its_time(self, running, url, operator, logged_in):
        QueueEntry.objects.update(attempts=1, due_at=timezone.now() + timedelta(minutes=7))
        before = QueueEntry.objects.get().due_at
        save(logged_in(operator), url, self.OPEN)
        keep_hours_for_a_while()
        assert QueueEntry.objects.get().due_at == before

    def test_lets_what_is_due_wait_for_new_hours(self, running, url, operator, logged_in):
        save(logged_in(operator), url, self.OPEN)
        keep_hours_for_a_while()
        today = timezone.localdate(timezone=BERLIN)
        tomorrow = str(today.isoweekday() % 7 + 1)
        save(logged_in(operator), url, {**self.OPEN, "window_days": [tomorrow]})
        keep_hours_for_a_while()
        entry = QueueEntry.objects.get()
        opens, closes = (at.astimezone(BERLIN) for at in (entry.due_at, entry.closes_at))
        midnights = [today + timedelta(days=days) for days in (1, 2)]
        assert [opens, closes] == [datetime.combine(day, time(), BERLIN) for day in midnights]

    def test_moves_a_large_one_in_chunks(self, operator, monkeypatch):
        from mailops.outbox import keeping_hours

        audience = make_audience(*(f"p{n}@x.example" for n in range(5)))
        tomorrow = timezone.now().isoweekday() % 7 + 1
        campaign = make_campaign(audience=audience, has_own_hours=True, window_days=[tomorrow])
        campaign.start(actor=None)
        expand_running()
        Campaign.objects.update(window_days=[], rehours_from=0)
        assert [keeping_hours.move_changed(chunk=2) for _ in range(4)] == [2, 2, 1, 0]
        assert not QueueEntry.objects.filter(due_at__gt=timezone.now()).exists()


class TestStreamPage:
    def test_sets_what_its_campaigns_keep(self, admin, operator, logged_in):
        stream = make_stream()
        url = reverse("transports:stream-hours", args=[stream.pk])
        page = reverse("transports:stream-detail", args=[stream.pk])
        assert "at any time" in logged_in(admin).get(page).text
        assert logged_in(admin).post(url, FORM).status_code == 302
        text = logged_in(admin).get(page).text
        assert "Mon–Fri 09:00–18:00" in text
        assert AuditEntry.objects.get(verb="stream.hours").after["time_zone"] == "Europe/Berlin"
        campaign = make_campaign(stream=stream)
        text = logged_in(operator).get(reverse("campaigns:detail", args=[campaign.pk])).text
        assert "as its stream says" in text
        assert logged_in(admin).get(url).context["form"].initial["window_to"] == time(18)

    def test_replaces_no_hours_that_were_not_seen(self, admin, logged_in):
        stream, client = make_stream(), logged_in(admin)
        url = reverse("transports:stream-hours", args=[stream.pk])
        seen = {"revision": client.get(url).context["form"]["revision"].value()}
        for _ in range(2):  # the same once more is no conflict
            assert client.post(url, {**FORM, **seen}).status_code == 302
        late = client.post(url, {**FORM, "window_to": "12:00", **seen})
        assert late.status_code == 422
        assert "Mon–Fri 09:00–18:00" in late.text
        assert f"Last saved by {admin}, " in late.text
        assert 'value="12:00"' in late.text
        assert late.text.count("checked") == 5
        stream.refresh_from_db()
        assert stream.window_to == time(18)
        seen = {"revision": late.context["form"]["revision"].value()}
        assert client.post(url, {**FORM, "window_to": "12:00", **seen}).status_code == 302
        stream.refresh_from_db()
        assert stream.window_to == time(12)

    def test_nonsense_is_422(self, admin, logged_in):
        url = reverse("transports:stream-hours", args=[make_stream().pk])
        assert logged_in(admin).post(url, {**FORM, "window_to": "9"}).status_code == 422

    def test_transactional_mail_has_none(self, admin, logged_in):
        stream = make_stream(kind="transactional")
        url = reverse("transports:stream-hours", args=[stream.pk])
        assert logged_in(admin).post(url, FORM).status_code == 302
        stream.refresh_from_db()
        assert not stream.hours.are_set
        assert url not in logged_in(admin).get(f"/transports/streams/{stream.pk}/").text

    def test_only_who_configures_may(self, operator, logged_in, client):
        url = reverse("transports:stream-hours", args=[make_stream().pk])
        assert logged_in(operator).post(url, FORM).status_code == 403
        assert client.get(url).status_code == 302
