from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.audiences.deleting import delete_audience
from mailops.audiences.models import Contact
from mailops.campaigns import rehearsing, views
from mailops.campaigns.drafting import change_campaign
from mailops.campaigns.forms import ScheduleForm
from mailops.campaigns.models import Campaign
from mailops.lib.templatetags.times import at as told_at
from mailops.outbox.canceling import cancel_campaign
from mailops.rollouts.launching import gates_of
from mailops.transports.models import PauseCause
from tests.factories import (
    make_audience,
    make_campaign,
    make_identity,
    make_stream,
    make_version,
)
from tests.reports.test_pages import count

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def url(name, campaign=None):
    return reverse(f"campaigns:{name}", args=[campaign.pk] if campaign else [])


def plan(**fields):
    stream = make_stream()
    return {
        "name": "Spring",
        "stream": stream.pk,
        "identity": make_identity(domain=stream.domain).pk,
        "version": make_version().pk,
        "audience": make_audience("a@example.com").pk,
        **fields,
    }


class TestWhoMay:
    SEE = ("detail", "preflight")
    SEND = ("edit", "delete", "schedule")
    SEND_POSTS = ("preflight", "duplicate", "unschedule")
    OPERATE = ("campaigns:pause", "outbox:campaign-resume")

    def test_everyone_with_a_role_sees(self, viewer, logged_in):
        campaign = make_campaign()
        for address in [url("list"), url("export"), *(url(name, campaign) for name in self.SEE)]:
            assert logged_in(viewer).get(address).status_code == 200, address

    def test_only_who_may_send_plans(self, operator, oncall, logged_in):
        campaign = make_campaign(state="scheduled", scheduled_at=timezone.now())
        assert logged_in(operator).get(url("add")).status_code == 200
        for name in self.SEND:
            assert logged_in(oncall).get(url(name, campaign)).status_code == 403, name
        for name in (*self.SEND, *self.SEND_POSTS):
            assert logged_in(oncall).post(url(name, campaign)).status_code == 403, name

    def test_on_call_may_pause_and_resume_and_a_viewer_may_not(self, oncall, viewer, logged_in):
        campaign = make_campaign(state="running", started_at=timezone.now())
        for address in (reverse(name, args=[campaign.pk]) for name in self.OPERATE):
            assert logged_in(viewer).post(address).status_code == 403
            assert logged_in(oncall).post(address).status_code == 302
            assert logged_in(oncall).get(address).status_code == 405

    def test_the_anonymous_are_sent_to_log_in(self, client):
        campaign = make_campaign()
        names = (*self.SEE, *self.SEND, *self.SEND_POSTS)
        acts = [reverse(name, args=[campaign.pk]) for name in self.OPERATE]
        for address in [url("list"), url("add"), *(url(name, campaign) for name in names), *acts]:
            response = client.post(address)
            assert response.status_code == 401, address
            assert "/accounts/login/" in response.text

    def test_buttons_are_shown_to_those_who_may(self, operator, oncall, viewer, logged_in):
        campaign = make_campaign(state="running", started_at=timezone.now())
        texts = [
            logged_in(user).get(url("detail", campaign)).text for user in (operator, oncall, viewer)
        ]
        assert [url("pause", campaign) in text for text in texts] == [True, True, False]
        assert [url("duplicate", campaign) in text for text in texts] == [True, False, False]


class TestList:
    def test_the_stopped_come_first_and_queries_are_fixed(
        self, viewer, logged_in, django_assert_max_num_queries
    ):
        for state in ("completed", "running", "paused", "draft"):
            make_campaign(state=state)
        client = logged_in(viewer)
        with django_assert_max_num_queries(6):
            response = client.get(url("list"))
        assert response.context["page"][0].state == "paused"

    def test_filters_by_state_and_name(self, viewer, logged_in):
        make_campaign(name="Spring sale", state="draft")
        make_campaign(name="Autumn sale", state="completed")
        response = logged_in(viewer).get(url("list"), {"state": "draft"}, headers=HTMX)
        assert "Spring sale" in response.text
        assert "Autumn sale" not in response.text
        assert "<html" not in response.text
        assert "Autumn" in logged_in(viewer).get(url("list"), {"search": "autumn"}).text

    def test_a_nonsense_state_is_422(self, viewer, logged_in):
        assert logged_in(viewer).get(url("list"), {"state": "x"}).status_code == 422

    def test_says_what_a_campaign_is(self, viewer, logged_in):
        assert "one published template to one audience" in logged_in(viewer).get(url("list")).text

    def test_an_empty_page_holds_the_first_action(self, operator, viewer, logged_in):
        assert "New campaign" in logged_in(operator).get(url("list")).text
        assert "New campaign" not in logged_in(viewer).get(url("list")).text

    def test_list_and_export_tell_the_hours(self, viewer, logged_in):
        make_campaign(name="Always")
        make_campaign(
            name="Mornings",
            has_own_hours=True,
            window_from="09:00",
            window_to="11:30",
            window_days=[1, 2, 3, 4, 5],
            time_zone="Europe/Paris",
        )
        client = logged_in(viewer)
        assert client.get(url("list")).content.decode().count("Mon–Fri 09:00–11:30") == 1
        rows = client.get(url("export")).getvalue().decode().splitlines()
        assert rows[0].endswith(",hours,time_zone")
        ends = sorted(row.split(",", 10)[10] for row in rows[1:])
        assert ends == ["Mon–Fri 09:00–11:30,Europe/Paris", "at any time,UTC"]

    def test_exports_what_is_filtered(self, viewer, logged_in):
        make_campaign(name="=1+1", state="draft")
        make_campaign(name="Other", state="completed")
        text = logged_in(viewer).get(url("export"), {"state": "draft"}).getvalue().decode()
        assert "'=1+1" in text
        assert "Other" not in text

    def test_exports_nothing_by_a_filter_that_is_none(self, viewer, logged_in):
        assert logged_in(viewer).get(url("export"), {"state": "asleep"}).status_code == 422


class TestDraft:
    def test_says_what_must_be_there_first(self, operator, logged_in):
        page = logged_in(operator).get(url("add")).content.decode()
        assert "First, a stream" in page
        stream = make_stream()
        make_identity(domain=stream.domain)
        make_version()
        assert "First, an audience" in logged_in(operator).get(url("add")).content.decode()
        make_audience()
        assert 'name="audience"' in logged_in(operator).get(url("add")).content.decode()

    def test_stands_under_campaigns_while_it_is_launched(self, operator, logged_in):
        campaign = make_campaign()
        page = logged_in(operator).get(reverse("rollouts:launch", args=[campaign.pk]))
        assert 'href="/campaigns/" data-key="c" aria-current="page"' in page.content.decode()

    def test_is_made_and_rehearsed(self, operator, logged_in):
        response = logged_in(operator).post(url("add"), plan())
        campaign = Campaign.objects.get()
        assert response["Location"] == url("detail", campaign)
        assert campaign.created_by == operator
        assert campaign.preflights.get().is_running
        assert AuditEntry.objects.filter(verb="campaign.add").exists()

    def test_pressed_twice_is_one(self, operator, logged_in):
        client, given = logged_in(operator), plan()
        for _ in range(2):
            answer = client.post(url("add"), given)
            assert answer["Location"] == url("detail", Campaign.objects.get())
        assert client.post(url("add"), given | {"name": "Another"}).status_code == 302
        first = Campaign.objects.earliest("pk")
        for _ in range(2):
            answer = client.post(url("duplicate", first))
            copy = Campaign.objects.get(name=f"Copy of {first.name}")
            assert answer["Location"] == url("edit", copy)
        assert AuditEntry.objects.filter(verb="campaign.add").count() == 2
        assert AuditEntry.objects.filter(verb="campaign.duplicate").count() == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""},
            {"audience": "0"},
            {"audience": "x"},
            {"version": ""},
            {"name": "n" * 151},
            {"name": "\0"},
        ],
    )
    def test_nonsense_is_422_and_kept(self, operator, logged_in, wrong):
        response = logged_in(operator).post(url("add"), plan(**wrong))
        assert response.status_code == 422
        assert not Campaign.objects.exists()

    def test_the_sender_must_be_of_the_streams_domain(self, operator, logged_in):
        response = logged_in(operator).post(url("add"), plan(identity=make_identity().pk))
        assert response.status_code == 422
        assert "not of this stream" in response.text

    def test_a_transactional_stream_is_refused(self, operator, logged_in):
        stream = make_stream(kind="transactional")
        form = plan(stream=stream.pk, identity=make_identity(domain=stream.domain).pk)
        response = logged_in(operator).post(url("add"), form)
        assert response.status_code == 422
        assert "bulk streams" in response.text

    def test_only_the_newest_version_of_a_template_is_offered(self, operator, logged_in):
        old = make_version()
        new = make_version(template=old.template, number=2)
        offered = logged_in(operator).get(url("add")).context["form"].fields["version"].queryset
        assert list(offered) == [new]

    def test_editing_changes_the_plan_and_rehearses_again(self, operator, logged_in):
        campaign = make_campaign()
        typed = plan(name="Summer", revision=campaign.revision)
        logged_in(operator).post(url("edit", campaign), typed)
        campaign.refresh_from_db()
        assert campaign.name == "Summer"
        assert AuditEntry.objects.get(verb="campaign.change").after["name"] == "Summer"
        assert campaign.preflights.exists()

    def test_editing_replaces_no_change_that_was_not_seen(self, operator, logged_in):
        campaign, client = make_campaign(), logged_in(operator)
        page = client.get(url("edit", campaign))
        opened = {field.html_name: field.value() for field in page.context["form"]}
        everyone = make_audience(name="Everyone")
        assert client.post(url("edit", campaign), {**opened, "audience": everyone.pk})["Location"]
        typed = {**opened, "name": "Summer"}
        stopped = client.post(url("edit", campaign), typed)
        assert stopped.status_code == 422
        assert "changed while you wrote" in stopped.text
        assert "<dd>Everyone</dd>" in stopped.text
        assert f"Last saved by {operator}, " in stopped.text
        assert 'value="Summer"' in stopped.text
        campaign.refresh_from_db()
        assert (campaign.name, campaign.audience) == (opened["name"], everyone)
        seen = {**typed, "revision": stopped.context["form"]["revision"].value()}
        assert client.post(url("edit", campaign), seen).status_code == 302
        campaign.refresh_from_db()
        assert (campaign.name, campaign.audience_id) == ("Summer", opened["audience"])

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("verb", ["add", "edit"])
    def test_what_is_deleted_while_it_is_saved_is_told_at_its_field(
        self, operator, logged_in, monkeypatch, meanwhile, verb
    ):
        campaign = make_campaign(name="Spring")
        typed = plan(name="Summer", revision=campaign.revision)
        name = {"add": "add_campaign", "edit": "change_campaign"}[verb]
        save = getattr(views, name)

        def delete_and_save(**given):
            meanwhile(delete_audience, audience=given["audience"], actor=operator).result()
            return save(**given)

        monkeypatch.setattr(views, name, delete_and_save)
        address = url("add") if verb == "add" else url("edit", campaign)
        response = logged_in(operator).post(address, typed)
        assert response.status_code == 422
        assert list(response.context["form"].errors) == ["audience"]
        assert 'value="Summer"' in response.text
        assert list(Campaign.objects.values_list("name", flat=True)) == ["Spring"]

    @pytest.mark.django_db(transaction=True)
    def test_one_that_is_started_while_it_is_saved_starts_behind_that(
        self, operator, logged_in, monkeypatch, meanwhile
    ):
        campaign, starting = make_campaign(name="Spring"), []

        def change_while_it_is_started(**given):
            is_changed = change_campaign(**given)
            starting.append(meanwhile(campaign.start, actor=None))
            return is_changed

        monkeypatch.setattr(views, "change_campaign", change_while_it_is_started)
        monkeypatch.setattr("mailops.campaigns.tasks.continue_preflight.delay", lambda _: None)
        typed = plan(name="Summer", revision=campaign.revision)
        assert logged_in(operator).post(url("edit", campaign), typed).status_code == 302
        assert starting[0].result()
        assert campaign.preflights.exists()

    def test_editing_alike_is_no_conflict(self, operator, logged_in):
        campaign, client = make_campaign(), logged_in(operator)
        typed = plan(name="Summer", revision=campaign.revision)
        for _ in range(2):
            assert client.post(url("edit", campaign), typed).status_code == 302

    @pytest.mark.parametrize("state", ["scheduled", "running", "paused", "completed", "canceled"])
    def test_only_a_draft_is_edited_or_deleted(self, operator, logged_in, state):
        campaign = make_campaign(state=state, name="Fixed")
        client = logged_in(operator)
        for name in ("edit", "delete"):
            for call in (client.get, client.post):
                assert call(url(name, campaign)).status_code == 302
        campaign.refresh_from_db()
        assert campaign.name == "Fixed"

    def test_deleting_asks_first(self, operator, logged_in):
        campaign = make_campaign()
        client = logged_in(operator)
        assert "nothing of it was sent" in client.get(url("delete", campaign)).text
        assert Campaign.objects.exists()
        client.post(url("delete", campaign))
        assert not Campaign.objects.exists()

    def test_a_copy_is_a_draft_without_history(self, operator, logged_in):
        campaign = make_campaign(state="completed", planned=5, name="Spring")
        response = logged_in(operator).post(url("duplicate", campaign))
        copy = Campaign.objects.latest("id")
        assert response["Location"] == url("edit", copy)
        assert (copy.name, copy.state, copy.planned) == ("Copy of Spring", "draft", None)


class TestDetail:
    def test_says_why_it_stopped_and_what_to_do(self, viewer, logged_in):
        campaign = make_campaign(
            state="paused",
            pause_cause="fault",
            pause_sentence="The login failed.",
            pause_detail="535 5.7.8",
            paused_at=timezone.now(),
            started_at=timezone.now(),
        )
        text = logged_in(viewer).get(url("detail", campaign)).text
        for words in ("A fault stopped it", "The login failed.", "What to do", "535 5.7.8"):
            assert words in text

    @pytest.mark.parametrize(
        ("state", "words"),
        [("draft", "nothing of it would leave"), ("running", "It stands because its stream")],
    )
    def test_says_what_a_paused_stream_means_for_it(self, viewer, logged_in, state, words):
        campaign = make_campaign(state=state)
        campaign.stream.pause("person", "New prices.")
        text = logged_in(viewer).get(url("detail", campaign)).text
        assert words in text
        assert "New prices." in text

    def test_says_how_much_of_its_audience_was_read(self, viewer, logged_in):
        client = logged_in(viewer)
        campaign = make_campaign(
            state="running", started_at=timezone.now(), expansion_cursor=1, expansion_end=2
        )
        progress = reverse("reports:campaign-progress", args=[campaign.pk])
        assert "is being read" in client.get(progress).text
        assert "still reading" in client.get(url("detail", campaign)).text
        campaign.pause("person")
        assert "read on when the campaign is resumed" in client.get(progress).text
        assert "is read when it is resumed" in client.get(url("detail", campaign)).text
        cancel_campaign(campaign=campaign, actor=None)
        told = client.get(progress).text
        assert "canceled before its whole audience was read: 0 messages were made." in told
        assert "being read" not in told
        assert "was never read" in client.get(url("detail", campaign)).text

    def test_costs_a_fixed_number_of_queries(
        self, viewer, logged_in, django_assert_max_num_queries
    ):
        campaign = make_campaign()
        client = logged_in(viewer)
        with django_assert_max_num_queries(8):
            client.get(url("detail", campaign))

    def test_an_unknown_one_is_404(self, viewer, logged_in):
        address = reverse("campaigns:detail", args=[10**25])
        assert logged_in(viewer).get(address).status_code == 404


class TestRehearsal:
    def test_polls_until_it_is_done(self, operator, logged_in):
        campaign = make_campaign(audience=make_audience("a@example.com"))
        client = logged_in(operator)
        client.post(url("preflight", campaign))
        running = client.get(url("preflight", campaign), headers=HTMX)
        assert running.status_code == 200
        assert "every 1s" in running.text
        assert "<html" not in running.text
        rehearsing.check_chunk(preflight_id=campaign.preflights.get().pk)
        done = client.get(url("preflight", campaign), headers=HTMX)
        assert done.status_code == 286
        assert "first_name" in done.text
        assert client.get(url("preflight", campaign)).status_code == 200

    @pytest.mark.parametrize(
        ("addresses", "words"),
        [
            (["a@example.com", "b@example.com"], "it can be launched only with a reason"),
            (["a@example.com"], "It can't be launched as it is"),
        ],
    )
    def test_says_what_a_reason_is_enough_for(self, addresses, words, operator, logged_in):
        audience = make_audience(*addresses)
        Contact.objects.filter(address="a@example.com").update(attributes={"share": 0})
        Contact.objects.filter(address="b@example.com").update(attributes={"share": 1})
        version = make_version(html="{{ 1 | divided_by: share }}")
        campaign, client = make_campaign(audience=audience, version=version), logged_in(operator)
        client.post(url("preflight", campaign))
        rehearsing.check_chunk(preflight_id=campaign.preflights.get().pk)
        page = client.get(url("detail", campaign)).text
        assert words in page
        gate = gates_of(campaign)[0]
        assert gate.may_be_overridden is ("with a reason" in words)

    def test_of_a_running_campaign_is_refused_with_a_sentence(self, operator, logged_in):
        campaign = make_campaign(state="running")
        response = logged_in(operator).post(url("preflight", campaign), follow=True)
        assert "This campaign is running" in response.text


class TestPause:
    def test_keeps_the_reason(self, oncall, logged_in):
        campaign = make_campaign(state="running", started_at=timezone.now())
        logged_in(oncall).post(url("pause", campaign), {"reason": "wrong subject"})
        campaign.refresh_from_db()
        assert campaign.pause_sentence == "Oncall paused it: wrong subject"

    def test_tells_whoever_pressed_it_that_they_did_and_others_whom_to_ask(
        self, oncall, viewer, logged_in
    ):
        campaign = make_campaign(state="running", started_at=timezone.now())
        logged_in(oncall).post(url("pause", campaign))
        for reader, words in (
            (oncall, "You paused it: resume or cancel."),
            (viewer, "Ask whoever"),
        ):
            assert words in logged_in(reader).get(url("detail", campaign)).content.decode()
        assert campaign.resume()
        assert campaign.pause("person", actor=viewer)
        assert "Ask whoever" in logged_in(oncall).get(url("detail", campaign)).content.decode()

    def test_pressed_twice_changes_nothing_more(self, oncall, logged_in):
        campaign = make_campaign(state="running", started_at=timezone.now())
        for _ in range(2):
            response = logged_in(oncall).post(url("pause", campaign), follow=True)
        assert "is not running" in response.text
        assert AuditEntry.objects.filter(verb="campaign.pause").count() == 1

    def resume(self, client, campaign, **given):
        address = reverse("outbox:campaign-resume", args=[campaign.pk])
        page = client.post(address, given, follow=True).text
        campaign.refresh_from_db()
        return page

    def test_resumes_what_the_page_showed(self, oncall, logged_in):
        campaign = make_campaign(state="running", started_at=timezone.now())
        campaign.pause(PauseCause.PERSON, "a wrong price", actor=oncall)
        client = logged_in(oncall)
        assert f'value="{campaign.pause_mark}"' in client.get(url("detail", campaign)).text
        assert "runs again" in self.resume(client, campaign, seen=campaign.pause_mark)
        assert campaign.is_running

    def test_a_pause_that_the_page_did_not_show_stays(self, oncall, logged_in):
        campaign = make_campaign(state="running", started_at=timezone.now())
        campaign.pause(PauseCause.PERSON, "a wrong price", actor=oncall)
        seen = campaign.pause_mark
        campaign.pause(PauseCause.RESTORED, "Up to 9 would be sent twice.")
        page = self.resume(logged_in(oncall), campaign, seen=seen)
        assert "paused anew since you looked" in page
        assert "Up to 9 would be sent twice." in page
        assert campaign.was_restored

    def test_the_page_is_told_that_the_cause_of_a_pause_is_another(self, viewer, logged_in):
        campaign = make_campaign(state="running", started_at=timezone.now())
        campaign.pause(PauseCause.PERSON, "x")
        seen = campaign.stage
        campaign.pause(PauseCause.RESTORED, "y")
        address = reverse("reports:campaign-progress", args=[campaign.pk])
        answer = logged_in(viewer).get(address, {"seen": seen}, headers=HTMX)
        assert answer["HX-Trigger"] == "campaign-moved"


class TestSchedule:
    def test_is_read_in_the_viewers_zone(self, operator, logged_in):
        operator.time_zone = "America/New_York"
        operator.save()
        campaign = make_campaign(state="scheduled", scheduled_at=timezone.now())
        at = (timezone.now() + timedelta(days=30)).replace(hour=15, minute=0, second=0)
        response = logged_in(operator).post(
            url("schedule", campaign), {"at": f"{at:%Y-%m-%d}T10:00"}
        )
        assert response.status_code == 302
        campaign.refresh_from_db()
        assert campaign.scheduled_at.hour in {14, 15}

    @pytest.mark.parametrize("at", ["", "yesterday", "2001-01-01T10:00", "2999-01-01T10:00"])
    def test_nonsense_is_422(self, operator, logged_in, at):
        campaign = make_campaign(state="scheduled", scheduled_at=timezone.now())
        response = logged_in(operator).post(url("schedule", campaign), {"at": at})
        assert response.status_code == 422

    def test_a_time_of_a_clock_that_nobody_has_is_422(self, operator, logged_in):
        campaign = make_campaign(state="scheduled", scheduled_at=timezone.now())
        at = f"{timezone.now() + timedelta(days=30):%Y-%m-%dT10:00}+23:59"
        response = logged_in(operator).post(url("schedule", campaign), {"at": at})
        assert response.status_code == 422
        assert "No clock is that far from UTC" in response.text

    def test_replaces_no_time_that_was_not_seen(self, operator, logged_in):
        campaign = make_campaign(state="scheduled", scheduled_at=timezone.now())
        client, at = logged_in(operator), url("schedule", campaign)
        theirs, mine = (
            f"{timezone.now() + timedelta(days=days):%Y-%m-%dT10:00}" for days in (30, 40)
        )
        seen = client.get(at).context["form"]["seen"].value()
        for _ in range(2):  # the same once more is no conflict
            assert client.post(at, {"at": theirs, "seen": seen}).status_code == 302
        late = client.post(at, {"at": mine, "seen": seen})
        assert late.status_code == 422
        assert f"Last saved by {operator}, " in late.text
        shown = told_at(Campaign.objects.get().scheduled_at)
        assert late.context["meanwhile"].facts == [("Start at", shown)]
        assert f'value="{mine}"' in late.text
        seen = late.context["form"]["seen"].value()
        assert client.post(at, {"at": mine, "seen": seen}).status_code == 302
        assert f'value="{mine}"' in client.get(at).text

    def test_a_draft_has_no_time_to_change(self, operator, logged_in):
        campaign = make_campaign()
        response = logged_in(operator).get(url("schedule", campaign), follow=True)
        assert "not scheduled" in response.text

    @pytest.mark.parametrize("verb", ["start", "unschedule"])
    def test_says_so_where_it_left_that_state_meanwhile(
        self, operator, logged_in, monkeypatch, verb
    ):
        campaign = make_campaign(state="scheduled", scheduled_at=timezone.now())
        is_valid = ScheduleForm.is_valid

        def leave_and_ask(form):
            getattr(Campaign.objects.get(), verb)(actor=None)
            return is_valid(form)

        monkeypatch.setattr(ScheduleForm, "is_valid", leave_and_ask)
        at = f"{timezone.now() + timedelta(days=30):%Y-%m-%dT10:00}"
        response = logged_in(operator).post(url("schedule", campaign), {"at": at}, follow=True)
        left = Campaign.objects.get()
        assert left.state == {"start": "running", "unschedule": "draft"}[verb]
        assert f"is {left.state} by now" in response.text
        assert "The new time is set" not in response.text

    def test_goes_back_to_draft(self, operator, logged_in):
        campaign = make_campaign(state="scheduled", scheduled_at=timezone.now())
        logged_in(operator).post(url("unschedule", campaign))
        campaign.refresh_from_db()
        assert (campaign.state, campaign.scheduled_at) == ("draft", None)


class TestFollowing:
    PANELS = ("reports:campaign-progress", "reports:campaign-panel", "outbox:campaign-failures")

    def progress(self, client, campaign, **query):
        return client.get(
            reverse("reports:campaign-progress", args=[campaign.pk]), query, headers=HTMX
        )

    def test_the_page_is_told_when_its_campaign_got_on(self, viewer, logged_in):
        campaign, client = (
            make_campaign(state="running", started_at=timezone.now()),
            logged_in(viewer),
        )
        seen = campaign.stage
        assert "HX-Trigger" not in self.progress(client, campaign)
        assert "HX-Trigger" not in self.progress(client, campaign, seen=seen)
        Campaign.objects.update(planned=3)
        assert self.progress(client, campaign, seen=seen)["HX-Trigger"] == "campaign-moved"

    def test_the_progress_of_several_may_stand_on_one_page(self, viewer, logged_in):
        """The list shows that of each that runs: what is named by an id may be there once."""
        campaign = make_campaign(state="running", started_at=timezone.now())
        text = self.progress(logged_in(viewer), campaign).text
        assert f"Progress and balance of {campaign}" in text
        assert 'id="progress' not in text
        assert "0 of 0" not in text

    def test_the_page_is_told_of_the_first_that_failed(self, viewer, logged_in):
        campaign, client = (
            make_campaign(state="running", started_at=timezone.now()),
            logged_in(viewer),
        )
        count("accepted", 1, measure="status", campaign_id=campaign.pk)
        before = self.progress(client, campaign, seen=campaign.stage)
        assert "HX-Trigger" not in before
        count("bounced", 1, measure="status", campaign_id=campaign.pk)
        after = self.progress(client, campaign, seen=before.context["shown"])
        assert after["HX-Trigger"] == "campaign-moved"
        assert "HX-Trigger" not in self.progress(client, campaign, seen=after.context["shown"])

    @pytest.mark.parametrize(
        ("ended", "status"),
        [(None, 200), (timedelta(seconds=59), 200), (timedelta(minutes=1), 286)],
    )
    def test_it_asks_until_the_last_answers_are_counted(
        self, ended, status, viewer, logged_in, time_machine
    ):
        now = timezone.now()
        time_machine.move_to(now, tick=False)
        end = (
            {"state": "running"}
            if ended is None
            else {"state": "completed", "finished_at": now - ended}
        )
        campaign = make_campaign(started_at=now - timedelta(hours=2), **end)
        client = logged_in(viewer)
        for name in self.PANELS:
            asked = client.get(reverse(name, args=[campaign.pk]), headers=HTMX)
            assert asked.status_code == status, name
            # numbers that move say of when they are
            assert ("As of" in asked.text) == (status == 200), name
        is_followed = "every 10s" in client.get(url("detail", campaign)).text
        assert is_followed is (status == 200)
