from datetime import timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import urlencode

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.incidents import handling
from mailops.incidents.detection import detect
from mailops.incidents.evidence import LOOK_BACK
from mailops.incidents.forms import ChannelForm
from mailops.incidents.models import Incident, Notice, NotificationChannel, Threshold
from mailops.lib.templatetags.numbers import units
from mailops.outbox.ledger import bucket_of
from mailops.reports.periods import QUARTER_HOUR
from mailops.transports.models import PauseCause, Route, Stream, Transport
from tests.factories import (
    make_campaign,
    make_identity,
    make_incident,
    make_stream,
    make_transport,
)
from tests.incidents.conftest import count

HTMX = {"HX-Request": "true"}


def url(name, *args):
    return reverse(f"incidents:{name}", args=args)


@pytest.fixture
def incident(stream):
    count(stream, "accepted", 94)
    count(stream, "bounced", 6, mailbox_provider="gmail.com")
    NotificationChannel.objects.create(name="chat", kind="webhook", host="hooks.example.com")
    detect()
    return Incident.objects.get()


@pytest.fixture
def channel(incident):
    return NotificationChannel.objects.get()


class TestEveryPage:
    @pytest.fixture
    def seen(self, incident):
        return [
            url("list"),
            url("export"),
            url("attention"),
            url("detail", incident.pk),
            url("thresholds"),
            url("channels"),
        ]

    @pytest.fixture
    def configured(self, bounces, channel):
        return [
            url("threshold", bounces.pk),
            url("channel-add", "webhook"),
            url("channel-add", "mail"),
            url("channel", channel.pk),
            url("channel-delete", channel.pk),
        ]

    @pytest.fixture
    def operated(self, incident, channel):
        acts = ["acknowledge", "assign", "note", "pause", "resume", "close"]
        return [*(url(act, incident.pk) for act in acts), url("channel-test", channel.pk)]

    def test_works(self, seen, configured, admin, logged_in):
        client = logged_in(admin)
        for page in seen + configured:
            assert client.get(page).status_code == 200, page

    def test_sends_the_anonymous_to_log_in(self, seen, configured, operated, client):
        for page in seen + configured:
            assert client.get(page).status_code == 302, page
        for page in operated:
            assert client.post(page).status_code == 401, page

    def test_lets_a_viewer_see_and_do_nothing(self, seen, configured, operated, viewer, logged_in):
        client = logged_in(viewer)
        for page in seen:
            response = client.get(page)
            assert response.status_code == 200, page
            if not response.streaming:
                assert 'method="post" action="/incidents' not in response.content.decode()
        for page in configured:
            assert client.get(page).status_code == 403, page
        for page in operated:
            assert client.post(page).status_code == 403, page

    def test_does_nothing_on_get(self, operated, oncall, logged_in):
        client = logged_in(oncall)
        for page in operated:
            assert client.get(page).status_code == 405, page

    def test_asks_the_database_a_fixed_number_of_questions(
        self, seen, incident, viewer, logged_in, django_assert_max_num_queries
    ):
        for n in range(20):
            other = make_stream(name=f"S{n}")
            count(other, "accepted", 94)
            count(other, "bounced", 6)
        detect()
        client = logged_in(viewer)
        for page in seen:
            with django_assert_max_num_queries(12):
                client.get(page)


class TestList:
    def test_shows_the_worst_first(self, incident, viewer, logged_in):
        closed = make_stream(name="Old")
        count(closed, "accepted", 94)
        count(closed, "bounced", 6)
        detect()
        Incident.objects.filter(subject_label="Old").update(state="closed")
        page = logged_in(viewer).get(url("list")).content.decode()
        assert page.index("Bounce rate: News") < page.index("Bounce rate: Old")

    def test_shows_what_must_stop_before_what_must_be_seen_to(self, db):
        now = timezone.now()
        for n, level in enumerate(("stop", "act", "warn")):
            make_incident(level=level, opened_at=now + timedelta(minutes=n))
        assert [one.level for one in Incident.objects.worst_first()] == ["stop", "act", "warn"]

    def test_shows_what_is_well_again(self, incident, viewer, logged_in):
        client = logged_in(viewer)
        assert "still open" in client.get(url("list")).text
        Incident.objects.update(calm_since_at=timezone.now())
        page = client.get(url("list")).text
        assert "still open" not in page
        assert "all well again" in page

    def test_filters(self, incident, viewer, logged_in):
        client = logged_in(viewer)
        page = client.get(url("list"), {"state": "closed"}, headers=HTMX).content.decode()
        assert "Nothing matches" in page
        assert "<html" not in page
        assert client.get(url("list"), {"state": "odd"}).status_code == 422

    def test_shows_a_way_on_where_there_is_none(self, db, viewer, logged_in):
        assert "No incident yet" in logged_in(viewer).get(url("list")).content.decode()


class TestDetail:
    def period_of_charts(self, incident, client):
        page = client.get(url("detail", incident.pk)).content.decode()
        report = reverse("reports:stream", args=[incident.subject_id])
        address = unescape(page.split(f'href="{report}?')[1].split('"')[0])
        charts = client.get(f"{report}?{address}")
        assert charts.status_code == 200
        return charts.context["period"]

    def test_leads_to_the_charts_of_its_time(self, incident, viewer, logged_in):
        period = self.period_of_charts(incident, logged_in(viewer))
        assert period.start <= incident.opened_at - LOOK_BACK
        assert period.end >= incident.opened_at

    def test_leads_to_the_charts_of_a_quarter_hour_that_has_just_begun(
        self, incident, viewer, logged_in
    ):
        began = bucket_of(timezone.now())
        Incident.objects.update(
            opened_at=began + timedelta(seconds=3), closed_at=began + timedelta(seconds=9)
        )
        period = self.period_of_charts(incident, logged_in(viewer))
        assert period.end == began + QUARTER_HOUR

    def test_shows_what_broke_and_the_evidence(self, incident, oncall, logged_in):
        page = logged_in(oncall).get(url("detail", incident.pk)).content.decode()
        for words in [
            units(incident.sentence),
            "gmail.com",
            "6 of 100",
            "Pause News",
            "Acknowledge",
        ]:
            assert words in page, words

    def test_says_whom_a_transport_hurts_that_is_not_reached(self, stream, oncall, logged_in):
        count(stream, "queued", 3, measure="status")
        Transport.objects.update(breaker="open", failures=3)
        detect()
        client, at = logged_in(oncall), url("detail", Incident.objects.get().pk)
        facts = client.get(at).text.partition('id="facts"')[2].partition("</dl>")[0]
        assert "3 messages wait for it, of News." in facts
        assert "Running" not in facts
        Route.objects.create(stream=stream, transport=make_transport(), position=1)
        facts = client.get(at).text.partition('id="facts"')[2].partition("</dl>")[0]
        assert "Nobody is hurt" in facts

    def test_says_whom_it_hurts_that_no_process_sends(self, stream, oncall, logged_in):
        count(stream, "queued", 3, measure="status")
        unserved = Threshold.objects.get(measure=Threshold.Measure.UNSERVED)
        incident = make_incident(threshold=unserved, stream=stream)
        client, at = logged_in(oncall), url("detail", incident.pk)
        facts = client.get(at).text.partition('id="facts"')[2].partition("</dl>")[0]
        assert "No process sends it. 3 messages wait." in facts
        Incident.objects.update(calm_since_at=timezone.now())
        facts = client.get(at).text.partition('id="facts"')[2].partition("</dl>")[0]
        assert "No process" not in facts

    def test_says_what_to_do_while_there_is_something(self, incident, oncall, logged_in):
        client, at = logged_in(oncall), url("detail", incident.pk)
        assert "What to do:</strong> See what servers answered" in client.get(at).text
        Incident.objects.update(calm_since_at=timezone.now())
        assert "What to do:" not in client.get(at).text

    def test_says_that_its_trouble_is_over_before_it_closes(self, incident, oncall, logged_in):
        client, at = logged_in(oncall), url("detail", incident.pk)
        assert "What is wrong" in client.get(at).text
        Incident.objects.update(calm_since_at=timezone.now())
        page = client.get(at).text
        assert "What is wrong" not in page
        assert page.index("All well again") < page.index("What was wrong")

    def test_says_when_a_calm_one_closes(self, incident, stream, oncall, logged_in):
        fault = make_incident(threshold=Threshold.objects.get(measure="unserved"), stream=stream)
        Incident.objects.update(calm_since_at=timezone.now())
        client = logged_in(oncall)
        assert "It closes by itself <time" in client.get(url("detail", fault.pk)).text
        # a rate's waits for as long as its stream stands still
        assert "It closes by itself if it stays so." in client.get(url("detail", incident.pk)).text

    def test_shows_a_calm_one_where_it_matters_without_alarm(
        self, incident, stream, oncall, logged_in
    ):
        client, at = logged_in(oncall), url("stream-panel", stream.pk)
        alarm = "the level to act is"
        assert alarm in client.get(at).text
        Incident.objects.update(calm_since_at=timezone.now())
        page = client.get(at).text
        assert "all well again" in page
        assert alarm not in page

    @pytest.mark.parametrize("name", ["detail", "list", "attention"])
    def test_shows_no_red_pill_of_one_that_is_over(self, name, incident, oncall, logged_in):
        client = logged_in(oncall)
        at = url(name, incident.pk) if name == "detail" else url(name)
        pill = '<span class="pill bad">'
        assert pill in client.get(at).text
        Incident.objects.update(calm_since_at=timezone.now(), state="acknowledged")
        page = client.get(at).text
        assert pill not in page
        assert "Well again" in page
        assert "Was critical" in page

    def test_says_that_who_acknowledges_takes_it_over(self, incident, oncall, logged_in):
        client, at = logged_in(oncall), url("detail", incident.pk)
        assert "Acknowledge and take over" in client.get(at).text
        handling.assign(incident=incident, owner=oncall, actor=oncall)
        assert "and take over" not in client.get(at).text

    def test_is_acknowledged(self, incident, oncall, logged_in):
        logged_in(oncall).post(url("acknowledge", incident.pk))
        incident.refresh_from_db()
        assert incident.is_acknowledged

    def test_pressed_twice_says_so(self, incident, oncall, logged_in):
        client = logged_in(oncall)
        client.post(url("acknowledge", incident.pk))
        page = client.post(url("acknowledge", incident.pk), follow=True).content.decode()
        assert "acknowledged already" in page

    def test_pauses_and_resumes(self, incident, stream, oncall, logged_in):
        client = logged_in(oncall)
        page = client.post(url("pause", incident.pk), follow=True).content.decode()
        assert "Resume News" in page
        client.post(url("resume", incident.pk))
        stream.refresh_from_db()
        assert not stream.is_paused

    def test_leads_to_what_must_be_mended_before_it_is_resumed(
        self, incident, stream, oncall, logged_in
    ):
        client = logged_in(oncall)
        stream.pause("person", "A wrong price.")
        assert "Mend News" not in client.get(url("detail", incident.pk)).text
        stream.resume()
        stream.pause("fault", "The key can't be opened.")
        page = client.get(url("detail", incident.pk)).text
        assert page.index("Mend News") < page.index("Resume News")

    def test_leads_to_the_domain_that_a_stream_was_stopped_for(
        self, incident, stream, oncall, logged_in
    ):
        stream.pause("domain", "SPF has been broken for more than 72 hours.")
        page = logged_in(oncall).get(url("detail", incident.pk)).text
        assert f'href="{reverse("domains:detail", args=[stream.domain_id])}"' in page
        assert page.index(f"Mend {stream.domain}") < page.index("Resume News")

    def test_resumes_no_pause_that_the_page_did_not_show(self, incident, stream, oncall, logged_in):
        client = logged_in(oncall)
        stream.pause("person", "A wrong price.")
        seen = {"seen": stream.pause_mark}
        assert (
            f'name="seen" value="{stream.pause_mark}"'
            in client.get(url("detail", incident.pk)).text
        )
        stream.resume()
        stream.pause("guardrail", "Complaints rise.")
        page = client.post(url("resume", incident.pk), seen, follow=True)
        assert "paused anew since you looked" in page.text
        stream.refresh_from_db()
        assert stream.is_paused

    def test_takes_an_owner(self, incident, oncall, operator, viewer, logged_in):
        client = logged_in(oncall)
        client.post(url("assign", incident.pk), {"owner": operator.pk})
        incident.refresh_from_db()
        assert incident.owner == operator
        response = client.post(url("assign", incident.pk), {"owner": viewer.pk})
        assert response.status_code == 422

    def test_an_owner_who_was_not_seen_stays(self, incident, oncall, operator, logged_in):
        client = logged_in(oncall)
        page = client.get(url("detail", incident.pk))
        seen = {"seen": page.context["owner_form"]["seen"].value()}
        for said in ("The owner is set.", "Nothing was changed"):  # the same again is no conflict
            page = client.post(
                url("assign", incident.pk), {"owner": operator.pk, **seen}, follow=True
            )
            assert said in page.text
        page = client.post(url("assign", incident.pk), {"owner": oncall.pk, **seen}, follow=True)
        assert f"{operator} is the owner by now" in page.text
        incident.refresh_from_db()
        assert incident.owner == operator
        seen = {"seen": page.context["owner_form"]["seen"].value()}
        client.post(url("assign", incident.pk), {"owner": oncall.pk, **seen})
        incident.refresh_from_db()
        assert incident.owner == oncall

    def test_takes_a_note_once_that_is_pressed_twice(self, incident, oncall, operator, logged_in):
        for person in (oncall, oncall, operator):
            logged_in(person).post(url("note", incident.pk), {"text": "Looked at it."})
        notes = incident.notes.filter(text="Looked at it.")
        assert [note.author for note in notes.order_by("pk")] == [oncall, operator]
        notes.update(at=timezone.now() - timedelta(hours=1))
        logged_in(oncall).post(url("note", incident.pk), {"text": "Looked at it."})
        assert notes.count() == 3

    def test_takes_notes(self, incident, oncall, logged_in):
        client = logged_in(oncall)
        client.post(url("note", incident.pk), {"text": "looked <b>at</b> it"})
        page = client.get(url("detail", incident.pk)).content.decode()
        assert "looked &lt;b&gt;at&lt;/b&gt; it" in page
        assert client.post(url("note", incident.pk), {"text": ""}).status_code == 422

    def test_is_closed_with_a_reason(self, incident, oncall, logged_in):
        client = logged_in(oncall)
        assert client.post(url("close", incident.pk), {"reason": " "}).status_code == 422
        client.post(url("close", incident.pk), {"reason": "a bad list"})
        page = client.get(url("detail", incident.pk)).content.decode()
        assert "a bad list" in page
        assert "Pause News" not in page

    def test_keeps_the_reason_of_a_close_that_is_refused(self, stream, oncall, logged_in):
        stream.pause(PauseCause.FAULT, "Three people were refused.")
        detect()
        incident, client = Incident.objects.get(), logged_in(oncall)
        page = client.post(url("close", incident.pk), {"reason": "A key was changed."})
        assert page.status_code == 422
        assert "It is still there, and would open again at once." in page.text
        assert ">\nA key was changed.</textarea>" in page.text

    def test_keeps_the_reason_where_it_was_closed_meanwhile(self, incident, oncall, logged_in):
        handling.close(incident=incident, reason="a bad list", actor=oncall)
        page = logged_in(oncall).post(url("close", incident.pk), {"reason": "An old list."})
        assert "This incident is closed already." in page.text
        assert ">\nAn old list.</textarea>" in page.text

    def test_follows_what_happens_until_it_is_closed(self, incident, oncall, logged_in):
        client, at = logged_in(oncall), url("detail", incident.pk)
        follows = f'hx-get="{at}" hx-trigger="every 10s"'
        page = client.get(at, headers=HTMX).text
        assert follows in page
        for part in ("heading", "actions", "standing", "facts", "timeline"):
            assert f'id="{part}"' in page  # what the browser takes out of it
        handling.close(incident=incident, reason="a bad list", actor=oncall)
        page = client.get(at, headers=HTMX).text
        assert follows not in page
        assert "What was wrong" in page
        assert units(incident.sentence) in page

    def test_says_once_it_is_closed_what_is_still_paused(self, incident, oncall, logged_in):
        client, at = logged_in(oncall), url("detail", incident.pk)
        handling.pause(incident=incident, actor=oncall)
        assert "is still paused" not in client.get(at).text
        handling.close(incident=incident, reason="a bad list", actor=oncall)
        assert "News is still paused: resume it on its page" in client.get(at).text
        Stream.objects.get(name="News").resume()
        assert "is still paused" not in client.get(at).text

    def test_leads_to_its_messages(self, incident, viewer, logged_in):
        page = logged_in(viewer).get(url("detail", incident.pk))
        ((words, address),) = page.context["message_lists"]
        assert words == "bounced"
        assert address.startswith(f"{reverse('outbox:list')}?stream={incident.subject_id}&")
        assert "status=bounced" in address
        assert logged_in(viewer).get(address).status_code == 200
        assert "Its bounced messages" in page.text

    def test_of_mail_given_up_speaks_of_the_day_before_it_opened(self, db, viewer, logged_in):
        threshold = Threshold.objects.get(measure="given_up", subject_kind="stream")
        incident = make_incident(threshold=threshold, evidence={})
        page = logged_in(viewer).get(url("detail", incident.pk))
        day_ago = urlencode({"since": (incident.opened_at - timedelta(days=1)).isoformat()})
        assert day_ago in page.context["signatures_url"]
        assert [words for words, _ in page.context["message_lists"]] == ["expired", "failed"]
        assert all(f"answered_{day_ago}" in address for _, address in page.context["message_lists"])

    def test_outlives_its_subject(self, incident, stream, oncall, logged_in):
        stream.routes.all().delete()
        stream.delete()
        response = logged_in(oncall).get(url("detail", incident.pk))
        assert response.status_code == 200
        assert "(deleted)" in response.content.decode()
        assert logged_in(oncall).post(url("pause", incident.pk), follow=True).status_code == 200


class TestACampaignThatStopped:
    def test_leads_to_its_page_where_one_can_press(self, stream, oncall, logged_in):
        campaign = make_campaign(name="Spring", stream=stream, state="scheduled")
        campaign.pause(PauseCause.GATE, "Its domain is broken.")
        detect()
        incident, client = Incident.objects.get(), logged_in(oncall)
        page = client.get(url("detail", incident.pk)).text
        assert f'href="{reverse("campaigns:detail", args=[campaign.pk])}"' in page
        assert "Go to Spring" in page
        assert "(deleted)" not in page
        assert "Pause News" not in page
        page = client.post(url("resume", incident.pk), follow=True).text
        assert "see the page of Spring" in page
        stream.refresh_from_db()
        assert not stream.is_paused


class TestOfACampaign:
    @pytest.mark.parametrize("state", ["running", "paused"])
    def test_leads_from_a_campaign_that_goes_on_to_those_of_its_stream(
        self, incident, stream, viewer, logged_in, state
    ):
        campaign = make_campaign(stream=stream, state=state, started_at=timezone.now())
        at, client = url("campaign-panel", campaign.pk), logged_in(viewer)
        assert at in client.get(reverse("campaigns:detail", args=[campaign.pk])).text
        panel = client.get(at, headers=HTMX)
        assert panel.status_code == 200
        assert f'href="{url("detail", incident.pk)}"' in panel.text

    def test_tells_a_campaign_that_goes_on_what_is_wrong_with_its_domain(
        self, stream, viewer, logged_in
    ):
        records = Threshold.objects.get(measure="records")
        records.incidents.create(
            subject_kind="domain", subject_id=stream.domain_id, level="act", sentence="DKIM broke."
        )
        client = logged_in(viewer)
        over = timezone.now() - timedelta(days=9)
        running = make_campaign(stream=stream, state="running")
        completed = make_campaign(stream=stream, state="completed", finished_at=over)
        assert "DKIM broke." in client.get(url("campaign-panel", running.pk)).text
        assert "DKIM broke." not in client.get(url("campaign-panel", completed.pk)).text

    def test_shows_a_campaign_that_is_over_its_own_alone(self, incident, stream, viewer, logged_in):
        over = timezone.now() - timedelta(days=9)
        campaign = make_campaign(stream=stream, state="completed", finished_at=over)
        other = make_campaign(name="Other", stream=stream, state="completed", finished_at=over)
        given_up = Threshold.objects.get(measure="given_up", subject_kind="campaign")
        given_up.incidents.create(subject_kind="campaign", subject_id=campaign.pk, level="act")
        client = logged_in(viewer)
        page = client.get(url("campaign-panel", campaign.pk))
        assert [one.threshold for one in page.context["incidents"]] == [given_up]
        panel = client.get(url("campaign-panel", other.pk), headers=HTMX)
        assert panel.status_code == 286
        assert "callout" not in panel.text

    def test_tells_of_none_that_is_closed(self, incident, stream, oncall, logged_in):
        handling.close(incident=incident, reason="x", actor=oncall)
        campaign = make_campaign(stream=stream, state="running")
        assert "No open incident." in logged_in(oncall).get(url("campaign-panel", campaign.pk)).text


class TestOfASubject:
    def panel(self, name, value, client):
        """Return what the panel shows, once the page of the thing itself leads to it."""
        pages = {
            "stream": "transports:stream-detail",
            "transport": "transports:detail",
            "domain": "domains:detail",
            "provider": "reports:provider",
        }
        at = url(f"{name}-panel", value)
        assert f'hx-get="{at}"' in client.get(reverse(pages[name], args=[value])).text
        panel = client.get(at, headers=HTMX)
        assert panel.status_code == 200
        assert "<html" not in panel.text
        return panel.text

    def test_leads_to_a_streams_own_and_those_of_its_domain_and_providers(
        self, incident, stream, viewer, logged_in
    ):
        client, link = logged_in(viewer), f'href="{url("detail", incident.pk)}"'
        for name, value in (
            ("stream", stream.pk),
            ("domain", stream.domain_id),
            ("provider", "gmail.com"),
        ):
            assert link in self.panel(name, value, client)
        other = make_stream(name="Other")
        for name, value in (
            ("stream", other.pk),
            ("domain", other.domain_id),
            ("provider", "example.org"),
        ):
            assert "callout" not in self.panel(name, value, client)

    def test_leads_from_a_stream_to_what_may_stop_it(self, stream, viewer, logged_in):
        (route,) = stream.routes.all()
        route.transport.pause(PauseCause.FAULT, "Refused.")
        campaign = make_campaign(name="Spring", stream=stream, state="scheduled")
        campaign.pause(PauseCause.GATE, "Its domain is broken.")
        detect()
        of_transport = f"Stopped by itself: {route.transport}"
        of_campaign = "Stopped by itself: Spring"
        client = logged_in(viewer)
        panel = self.panel("stream", stream.pk, client)
        assert of_transport in panel
        assert of_campaign in panel
        panel = self.panel("transport", route.transport_id, client)
        assert of_transport in panel
        assert of_campaign not in panel
        panel = self.panel("domain", stream.domain_id, client)
        assert of_transport not in panel
        assert of_campaign in panel

    def test_names_the_worst_and_says_how_many_more_there_are(
        self, stream, viewer, logged_in, django_assert_max_num_queries
    ):
        for n in range(12):
            campaign = make_campaign(name=f"Spring {n}", stream=stream, state="scheduled")
            campaign.pause(PauseCause.GATE, "Its domain is broken.")
        detect()
        client = logged_in(viewer)
        with django_assert_max_num_queries(8):
            panel = client.get(url("stream-panel", stream.pk), headers=HTMX)
        assert panel.text.count("<section") == 10
        assert "2 more open incidents" in panel.text

    def test_is_a_page_without_script(self, incident, stream, viewer, logged_in):
        client = logged_in(viewer)
        page = client.get(url("provider-panel", "gmail.com"))
        assert f'<a href="{reverse("reports:provider", args=["gmail.com"])}">' in page.text
        assert "No open incident." in client.get(url("provider-panel", "example.org")).text
        assert client.get(url("stream-panel", 987654)).status_code == 404


class TestAttention:
    def test_is_a_panel_for_the_overview(self, incident, viewer, logged_in):
        page = logged_in(viewer).get(url("attention"), headers=HTMX).content.decode()
        assert "Bounce rate: News" in page
        assert "<html" not in page

    def test_says_how_many_more_there_are(self, db, viewer, logged_in):
        for n in range(12):
            make_transport(name=f"Relay {n:02}").pause(PauseCause.FAULT, "Refused.")
        detect()
        page = logged_in(viewer).get(url("attention")).text
        assert "2 more open incidents" in page

    def test_says_what_is_well_again(self, incident, viewer, logged_in):
        client = logged_in(viewer)
        assert "all well again" not in client.get(url("attention")).text
        Incident.objects.update(calm_since_at=timezone.now())
        assert "all well again" in client.get(url("attention")).text

    def test_tells_who_is_on_it_from_who_owns_it(self, incident, oncall, logged_in):
        client = logged_in(oncall)
        assert "nobody is on it" in client.get(url("attention")).text
        handling.assign(incident=incident, owner=oncall, actor=oncall)
        assert f"{oncall} owns it, not acknowledged yet" in client.get(url("attention")).text
        handling.acknowledge(incident=incident, actor=oncall)
        assert f"{oncall} is on it" in client.get(url("attention")).text

    def test_leaves_out_what_is_closed(self, incident, oncall, logged_in):
        handling.close(incident=incident, reason="x", actor=oncall)
        page = logged_in(oncall).get(url("attention")).content.decode()
        assert "No open incident." in page


@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
def test_the_page_fits_a_phone_whatever_the_stream_is_called(incident, stream, oncall, open_page):
    stream.name = "\N{SPOOL OF THREAD}" * 30 + "x" * 60
    stream.save()
    page = open_page(url("detail", incident.pk), oncall, width=375)
    assert page.get_by_role("button", name="Pause").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


class TestThresholds:
    GIVEN = {
        "is_enabled": "on",
        "window_minutes": "60",
        "sample_floor": "50",
        "warn": "1",
        "act": "3.5",
        "stop": "",
        "why": "we are careful",
    }

    def test_show_numbers_that_read_alike_everywhere(self, bounces, admin, logged_in):
        bounces.stop = Decimal("10.000")
        bounces.save()
        page = logged_in(admin).get(url("threshold", bounces.pk)).content.decode()
        assert 'value="10"' in page

    def test_replace_no_change_that_was_not_seen(self, bounces, admin, logged_in):
        client, at = logged_in(admin), url("threshold", bounces.pk)
        seen = {"seen": client.get(at).context["form"]["seen"].value()}
        for _ in range(2):  # the same once more is no conflict
            assert client.post(at, {**self.GIVEN, **seen}).status_code == 302
        late = client.post(at, {**self.GIVEN, "act": "4", "sample_floor": "90", **seen})
        assert late.status_code == 422
        assert f"Last saved by {admin}, " in late.text
        assert dict(late.context["meanwhile"].facts) == {
            "Least number of messages": "50",
            "Act at, in percent": "3.5",
        }
        bounces.refresh_from_db()
        assert bounces.sample_floor == 50
        seen = {"seen": late.context["form"]["seen"].value()}
        assert client.post(at, {**self.GIVEN, "act": "4", **seen}).status_code == 302
        bounces.refresh_from_db()
        assert str(bounces.act) == "4.000"

    def test_are_changed_and_audited(self, bounces, admin, logged_in):
        logged_in(admin).post(url("threshold", bounces.pk), self.GIVEN)
        bounces.refresh_from_db()
        assert (str(bounces.act), bounces.stop, bounces.pauses) == ("3.500", None, False)
        entry = AuditEntry.objects.get()
        assert (entry.before["act"], entry.after["act"]) == ("5.000", "3.500")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"warn": "6"},
            {"act": "-1"},
            {"act": "101"},
            {"warn": "many"},
            {"window_minutes": "5"},
            {"window_minutes": "20000"},
            {"sample_floor": "0"},
        ],
    )
    def test_must_make_sense(self, wrong, bounces, admin, logged_in):
        response = logged_in(admin).post(url("threshold", bounces.pk), {**self.GIVEN, **wrong})
        assert response.status_code == 422
        assert "we are careful" in response.content.decode()
        bounces.refresh_from_db()
        assert str(bounces.act) == "5.000"

    def test_of_faults_have_no_numbers(self, db, admin, logged_in):
        fault = Threshold.objects.get(measure="fault", subject_kind="transport")
        client = logged_in(admin)
        assert "window" not in client.get(url("threshold", fault.pk)).content.decode().lower()
        client.post(url("threshold", fault.pk), {"why": "no"})
        fault.refresh_from_db()
        assert not fault.is_enabled

    @pytest.mark.parametrize("measure", ["given_up", "burn"])
    def test_that_count_messages_say_and_change_from_how_many_on(
        self, db, admin, logged_in, measure
    ):
        threshold = Threshold.objects.get(measure=measure, subject_kind="stream")
        client, at = logged_in(admin), url("threshold", threshold.pk)
        assert "window_minutes" not in client.get(at).context["form"].fields
        given = {"is_enabled": "on", "sample_floor": "1234", "why": "we send much"}
        assert client.post(at, given).status_code == 302
        threshold.refresh_from_db()
        assert threshold.sample_floor == 1234
        assert "1,234 messages or more" in client.get(url("thresholds")).text

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("window_minutes", "Give 15 minutes to 7 days (10,080 minutes)."),
            ("sample_floor", "Give one message or more, at most 2,147,483,647."),
            ("warn", "Give more than 0 and at most 100 percent, with at most 3 digits behind the point."),
        ],
    )  # fmt: skip
    def test_say_which_numbers_they_take(self, bounces, admin, logged_in, name, told):
        client, at = logged_in(admin), url("threshold", bounces.pk)
        for nonsense in ("-9223372036854775808", "9223372036854775808", "many"):
            answer = client.post(at, {**self.GIVEN, name: nonsense})
            assert answer.status_code == 422
            assert answer.context["form"].errors[name] == [told]
            assert f'value="{nonsense}"' in answer.text

    def test_tell_an_incident_from_a_pause(self, bounces, oncall, logged_in):
        client, at = logged_in(oncall), url("thresholds")
        assert "opens an incident, pauses at stop" in client.get(at).text
        Threshold.objects.update(stop=None)  # a level that is never reached pauses nothing
        assert "pauses at stop" not in client.get(at).text

    def test_are_an_admins_to_change(self, bounces, oncall, logged_in):
        client = logged_in(oncall)
        assert ">Edit" not in client.get(url("thresholds")).content.decode()
        assert client.post(url("threshold", bounces.pk), self.GIVEN).status_code == 403


class TestChannels:
    WEBHOOK = {
        "name": "chat",
        "least_level": "warn",
        "url": "https://hooks.example.com/T0/secret",
        "is_enabled": "on",
    }

    def mail(self, stream, identity):
        return {
            "name": "mail",
            "least_level": "act",
            "recipient": "oncall@example.net",
            "stream": stream.pk,
            "identity": identity.pk,
            "is_enabled": "on",
        }

    def test_keep_a_webhooks_address_to_themselves(self, admin, logged_in):
        client = logged_in(admin)
        assert client.post(url("channel-add", "webhook"), self.WEBHOOK).status_code == 302
        channel = NotificationChannel.objects.get()
        assert channel.url() == self.WEBHOOK["url"]
        for page in [url("channels"), url("channel", channel.pk)]:
            shown = client.get(page).content.decode()
            assert "hooks.example.com" in shown
            assert "T0/secret" not in shown
        assert "secret" not in str(AuditEntry.objects.get().after)

    def test_replace_no_change_that_was_not_seen(self, stream, admin, logged_in):
        given = self.mail(stream, make_identity(domain=stream.domain))
        client = logged_in(admin)
        client.post(url("channel-add", "mail"), given)
        channel = NotificationChannel.objects.get()
        at = url("channel", channel.pk)
        given["seen"] = client.get(at).context["form"]["seen"].value()
        for _ in range(2):  # the same once more is no conflict
            assert client.post(at, {**given, "recipient": "night@example.net"}).status_code == 302
        late = client.post(at, {**given, "name": "pager"})
        assert late.status_code == 422
        assert dict(late.context["meanwhile"].facts) == {
            "Name": "mail",
            "Recipient": "night@example.net",
        }
        channel.refresh_from_db()
        assert (channel.name, channel.recipient) == ("mail", "night@example.net")

    def test_keep_the_address_that_somebody_gives_while_the_rest_is_saved(
        self, admin, logged_in, monkeypatch
    ):
        client = logged_in(admin)
        client.post(url("channel-add", "webhook"), self.WEBHOOK)
        channel, is_valid = NotificationChannel.objects.get(), ChannelForm.is_valid

        def give_and_ask(form):
            theirs = NotificationChannel.objects.get()
            theirs.set_url("https://other.example.com/T1", "other.example.com")
            theirs.save()
            return is_valid(form)

        monkeypatch.setattr(ChannelForm, "is_valid", give_and_ask)
        client.post(url("channel", channel.pk), {**self.WEBHOOK, "url": "", "name": "talk"})
        channel.refresh_from_db()
        assert (channel.name, channel.url()) == ("talk", "https://other.example.com/T1")

    def test_keep_the_address_where_none_is_given_again(self, admin, logged_in):
        client = logged_in(admin)
        client.post(url("channel-add", "webhook"), self.WEBHOOK)
        channel = NotificationChannel.objects.get()
        client.post(url("channel", channel.pk), {**self.WEBHOOK, "url": "", "name": "talk"})
        channel.refresh_from_db()
        assert (channel.name, channel.url()) == ("talk", self.WEBHOOK["url"])

    @pytest.mark.parametrize(
        "wrong",
        [
            {"url": ""},
            {"url": "http://hooks.example.com/"},
            {"url": "https://user:pass@hooks.example.com/"},
            {"url": "https://:pass@hooks.example.com/"},
            {"url": f"https://{'a' * 250}.com/"},
            {"url": "https://hooks.example.com/a b"},
            {"url": "https://hooks.example.com/a\tb"},
            {"url": "https://[bad/"},
            {"url": "https://x:99999999/"},
            {"name": ""},
            {"least_level": "loud"},
        ],
    )
    def test_say_what_is_wrong(self, wrong, admin, logged_in):
        given = {**self.WEBHOOK, **wrong}
        response = logged_in(admin).post(url("channel-add", "webhook"), given)
        assert response.status_code == 422
        assert ("Not saved yet: type it again" in response.text) == bool(given["url"])
        assert "T0/secret" not in response.text
        assert not NotificationChannel.objects.exists()

    def test_of_mail_need_an_identity_of_the_streams_domain(self, stream, admin, logged_in):
        given = self.mail(stream, make_identity())
        client = logged_in(admin)
        assert client.post(url("channel-add", "mail"), given).status_code == 422
        given["identity"] = make_identity(domain=stream.domain).pk
        assert client.post(url("channel-add", "mail"), given).status_code == 302

    def test_of_mail_leave_on_the_trail_from_whom_they_tell(self, stream, admin, logged_in):
        old, new = (make_identity(domain=stream.domain) for _ in range(2))
        given = {
            "name": "mail",
            "least_level": "act",
            "recipient": "oncall@example.net",
            "stream": stream.pk,
            "is_enabled": "on",
        }
        client = logged_in(admin)
        client.post(url("channel-add", "mail"), {**given, "identity": old.pk})
        channel = NotificationChannel.objects.get()
        client.post(url("channel", channel.pk), {**given, "identity": new.pk})
        entry = AuditEntry.objects.get(verb="channel.change")
        assert (entry.before["identity_id"], entry.after["identity_id"]) == (old.pk, new.pk)

    @pytest.mark.parametrize(
        "wrong", [{"recipient": "nobody"}, {"recipient": ""}, {"stream": ""}, {"identity": "7777"}]
    )
    def test_of_mail_say_what_is_wrong(self, wrong, stream, admin, logged_in):
        given = {
            "name": "mail",
            "least_level": "act",
            "recipient": "oncall@example.net",
            "stream": stream.pk,
            "identity": make_identity(domain=stream.domain).pk,
        }
        response = logged_in(admin).post(url("channel-add", "mail"), {**given, **wrong})
        assert response.status_code == 422

    def test_have_two_kinds(self, admin, logged_in):
        assert logged_in(admin).get(url("channel-add", "pigeon")).status_code == 404

    def test_show_a_strange_host_as_text(self, channel, admin, logged_in):
        NotificationChannel.objects.update(host="a<img", sealed_url=b"sealed")
        page = logged_in(admin).get(url("channel", channel.pk)).text
        assert "a&lt;img/…; empty: stays as it is." in page

    def test_are_tested_by_who_is_on_call(self, channel, oncall, logged_in):
        logged_in(oncall).post(url("channel-test", channel.pk))
        assert Notice.objects.filter(occasion="test", incident=None).count() == 1

    def test_are_deleted(self, channel, admin, logged_in):
        logged_in(admin).post(url("channel-delete", channel.pk))
        assert not NotificationChannel.objects.exists()

    def test_refresh_what_was_told(self, channel, viewer, logged_in):
        page = logged_in(viewer).get(url("channels"), headers=HTMX).content.decode()
        assert 'id="notices"' in page
        assert "<html" not in page
