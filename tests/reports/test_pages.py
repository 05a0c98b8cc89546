"""The overview, the reports and the search."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.dispatch.limits import utc_today
from mailops.dispatch.models import Allowance, Worker
from mailops.dispatch.seats import SeatKeeper
from mailops.feedback.models import Mailbox
from mailops.lib.moments import NOT_LATER, YET_TO_COME
from mailops.outbox.models import Tally
from mailops.reports.attention import matters
from mailops.reports.folding import fold_tallies
from mailops.reports.models import Count
from mailops.reports.outcomes import BOUNCE_THRESHOLDS, Outcome, state_of
from mailops.transports.models import Route, Stream, Transport
from tests.factories import (
    make_campaign,
    make_domain,
    make_message,
    make_stream,
    make_transport,
    make_version,
)

PAGES = ["overview", "matters", "running", "reports", "search"]


def count(kind, n, *, days_ago=0, **key):
    at = timezone.now() - timedelta(days=days_ago)
    at = at.replace(minute=0, second=0, microsecond=0)
    Tally.objects.create(
        **{
            "bucket_at": at,
            "cohort_at": at,
            "measure": "event",
            "kind": kind,
            "stream_id": 1,
            "domain_id": 1,
            "n": n,
            **key,
        }
    )


class TestAccess:
    @pytest.mark.parametrize("name", [*PAGES, "export", "export-split", "search-json"])
    def test_is_for_every_role_that_sees(self, logged_in, viewer, stranger, client, name):
        path = reverse(f"reports:{name}")
        assert logged_in(viewer).get(path).status_code == 200
        assert logged_in(stranger).get(path).status_code == 403
        assert client.get(path).status_code == 302


class TestReports:
    def test_shows_rates_and_counts_together(self, logged_in, viewer):
        count("accepted", 980)
        count("bounced", 20)
        count("returned", 30)
        page = logged_in(viewer).get(reverse("reports:reports")).content.decode()
        assert "5.0 %" in page
        assert "50 of 1,000" in page
        assert "over: act at 5\N{NO-BREAK SPACE}%" in page

    def test_compares_with_the_period_before(self, logged_in, viewer):
        count("accepted", 99)
        count("bounced", 1)
        count("accepted", 90, days_ago=20)
        count("bounced", 10, days_ago=20)
        page = logged_in(viewer).get(reverse("reports:reports")).content.decode()
        assert "9.0\N{NO-BREAK SPACE}points" in page

    def test_tells_of_mail_that_nobody_answered_for(self, logged_in, viewer):
        count("accepted", 90)
        count("expired", 8)
        count("failed", 2)
        page = logged_in(viewer).get(reverse("reports:reports")).content.decode()
        assert "10 of 100" in page
        assert "8 expired, 2 failed" in page

    def test_tells_what_of_a_campaign_is_given_up_still(self, logged_in, viewer):
        campaign = make_campaign(state="running", started_at=timezone.now() - timedelta(hours=2))
        path = reverse("reports:campaign-panel", args=[campaign.pk])
        count("accepted", 90, campaign_id=campaign.pk)
        count("expired", 10, campaign_id=campaign.pk)
        count("expired", 10, measure="status", campaign_id=campaign.pk)
        page = logged_in(viewer).get(path).text
        assert "10 of 100" in page
        assert "10 expired" in page
        count("expired", -8, measure="status", campaign_id=campaign.pk)
        assert "2 of 92; 8 more sent again since" in logged_in(viewer).get(path).text
        count("expired", -2, measure="status", campaign_id=campaign.pk)
        page = logged_in(viewer).get(path).text
        assert "0 of 90; 10 sent again since" in page
        assert "10 expired" not in page

    def test_says_nothing_of_mail_given_up_where_there_is_none(self, logged_in, viewer):
        count("accepted", 90)
        assert "Given up" not in logged_in(viewer).get(reverse("reports:reports")).content.decode()

    def test_lays_a_campaign_beside_those_before_it(self, logged_in, viewer):
        stream, now = make_stream(), timezone.now()
        for n, name in enumerate(("Spring", "Summer", "Autumn")):
            campaign = make_campaign(
                name=name, stream=stream, started_at=now - timedelta(days=9 - n)
            )
            key = {"campaign_id": campaign.pk, "stream_id": stream.pk, "days_ago": 9 - n}
            count("accepted", 100 * (n + 1), **key)
            count("unsubscribed", n, **key)
        summer = reverse("reports:campaign", args=[campaign.pk - 1])
        page = logged_in(viewer).get(summer).content.decode()
        beside = page.split('id="beside-title"')[1].split("</table>")[0]
        assert "Autumn" not in beside
        assert beside.index("Summer") < beside.index("Spring")
        assert "0.50\N{NO-BREAK SPACE}%" in beside

    def test_a_first_campaign_is_beside_nothing(self, logged_in, viewer):
        campaign = make_campaign(started_at=timezone.now())
        page = logged_in(viewer).get(reverse("reports:campaign", args=[campaign.pk]))
        assert b"beside-title" not in page.content

    def test_sums_all_but_the_largest_twenty(self, logged_in, viewer):
        for n in range(30):
            count("accepted", 100 - n, mailbox_provider=f"provider{n:02}")
        page = logged_in(viewer).get(reverse("reports:reports")).content.decode()
        assert "provider19" in page
        assert "provider20" not in page.split('id="split-title"')[1].split("</table>")[0]
        assert "Others (10)" in page

    @pytest.mark.parametrize("by", ["domain", "stream", "transport", "campaign"])
    def test_names_what_it_splits_by(self, logged_in, viewer, by):
        row = {
            "domain": make_domain,
            "stream": make_stream,
            "transport": make_transport,
            "campaign": make_campaign,
        }[by]()
        count("accepted", 5, **{f"{by}_id": row.pk})
        page = logged_in(viewer).get(reverse("reports:reports"), {"by": by}).content.decode()
        assert f'<a href="/reports/{by}s/{row.pk}/?">{row}</a>' in page

    def test_filters_by_the_address(self, logged_in, viewer):
        stream = make_stream()
        count("accepted", 7, stream_id=stream.pk)
        count("accepted", 1000, stream_id=stream.pk + 1)
        page = logged_in(viewer).get(reverse("reports:reports"), {"stream": stream.pk})
        assert "7 of 7" in page.content.decode()

    @pytest.mark.parametrize(
        "query",
        [
            {"range": "year"},
            {"until": "2026-02-01"},
            {"since": "2026-02-01", "until": "2026-01-01"},
            {"since": "2026-02-01T14:00", "until": "2026-02-01T14:00"},
            {"since": "1026-02-01", "until": "2026-01-01"},
            {"since": "2020-02-01", "until": "2026-01-01"},
            {"since": "yesterday"},
            {"since": "2999-01-01"},
            {"since": "2026-02-30T25:00"},
            {"range": "90d", "step": "15m"},
            {"step": "1s"},
            {"reason": "no such reason"},
            {"chart": "no such chart"},
            {"version": "x"},
            {"stream": "999999"},
            {"campaign": "9" * 30},
            {"by": "password"},
        ],
    )
    def test_refuses_nonsense_and_keeps_the_form(self, logged_in, viewer, query):
        for name in ("reports", "export", "export-split"):
            response = logged_in(viewer).get(reverse(f"reports:{name}"), query)
            page = response.content.decode()
            assert response.status_code == 422
            assert "<form" in page
            assert "field-errors" in page
            for field in ("since", "until"):
                assert query.get(field, "") in page

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"since": "2026-02-01T14:00", "until": "2026-02-01T14:00"}, "until"),
            ({"since": "2099-01-01"}, "since"),
        ],
    )
    def test_says_at_the_field_why_no_time_is_left(self, query, field, logged_in, viewer):
        page = logged_in(viewer).get(reverse("reports:reports"), query)
        words = {"until": NOT_LATER, "since": YET_TO_COME}[field]
        assert page.context["form"].errors == {field: [words]}

    def test_gives_htmx_the_report_alone(self, logged_in, viewer):
        response = logged_in(viewer).get(reverse("reports:reports"), headers={"HX-Request": "true"})
        assert "<html" not in response.content.decode()

    def test_exports_both_tables(self, logged_in, viewer):
        count("accepted", 7, mailbox_provider="=HYPERLINK()")
        client = logged_in(viewer)
        over_time = b"".join(client.get(reverse("reports:export")).streaming_content).decode()
        assert over_time.startswith("\ufefftime,accepted")
        assert ",7," in over_time
        parts = b"".join(client.get(reverse("reports:export-split")).streaming_content).decode()
        assert "'=HYPERLINK()" in parts

    def test_asks_the_database_as_often_with_much(
        self, logged_in, viewer, django_assert_max_num_queries
    ):
        for day in range(10):
            for n in range(20):
                count("accepted", 5, days_ago=day, mailbox_provider=f"p{n}")
        fold_tallies()
        assert Count.objects.count() == 200
        client = logged_in(viewer)
        with django_assert_max_num_queries(20):
            client.get(reverse("reports:reports"))


class TestOverview:
    def test_leads_to_a_first_campaign_and_then_is_done(self, logged_in, viewer):
        client = logged_in(viewer)
        assert "Getting started" in client.get("/").content.decode()
        make_campaign(state="completed", started_at=timezone.now())
        page = client.get("/").content.decode()
        assert "Getting started" not in page
        assert "nothing is paused" in page

    def test_leads_each_to_the_steps_that_are_theirs(self, logged_in, admin, editor, viewer):
        words = ("Make a stream</a>", "Write a template and publish it</a>", "(an operator)")
        seen = {
            user.role: [word in logged_in(user).get("/").text for word in words]
            for user in (admin, editor, viewer)
        }
        assert seen == {
            "admin": [True, True, False],
            "editor": [False, True, True],
            "viewer": [False, False, True],
        }

    def test_says_why_something_stopped_and_where_to_press(self, logged_in, viewer, db):
        transport = make_transport(
            state="paused", pause_cause="fault", pause_sentence="The log-in was refused (535)."
        )
        page = logged_in(viewer).get("/").content.decode()
        assert "The log-in was refused (535)." in page
        assert reverse("transports:detail", args=[transport.pk]) in page

    def test_tells_what_stopped_while_the_page_stands_open(self, logged_in, viewer):
        make_campaign(state="completed", started_at=timezone.now())
        client, path = logged_in(viewer), reverse("reports:matters")
        page = client.get("/").text
        assert "Apart from incidents, nothing is paused, broken or waiting" in page
        assert f'hx-get="{path}"' in page
        make_transport(name="Relay").pause("fault", "The log-in was refused.")
        part = client.get(path, headers={"HX-Request": "true"}).text
        assert "Transport Relay is paused" in part
        assert "<html" not in part

    def test_names_a_campaign_whose_mail_was_given_up_until_it_is_sent_again(self, db):
        campaign = make_campaign(state="running")
        for kind, n in (("accepted", 90), ("expired", 10)):
            count(kind, n, campaign_id=campaign.pk, stream_id=campaign.stream_id)
        count("expired", 10, campaign_id=campaign.pk, measure="status")
        (matter,) = matters()
        assert matter.title == f"Campaign {campaign}: 10 messages given up"
        assert matter.sentence.startswith("10 expired in the last day, of 100. ")
        retry = reverse("outbox:campaign-retry", args=[campaign.pk])
        assert matter.url == f"{retry}?status=expired"
        count("expired", -10, campaign_id=campaign.pk, measure="status")
        assert matters() == []

    def test_names_a_stream_whose_single_messages_were_given_up(self, db):
        stream = make_stream()
        for kind, n in (("accepted", 90), ("failed", 10)):
            count(kind, n, stream_id=stream.pk)
        (matter,) = matters()
        assert matter.title == f"Stream {stream}: 10 messages given up"

    def test_names_no_campaign_of_which_a_few_were_given_up_days_after_the_others_arrived(self, db):
        campaign = make_campaign(state="completed")
        count("expired", 10, campaign_id=campaign.pk, stream_id=campaign.stream_id)
        for kind, n in (("accepted", 1990), ("expired", 10)):
            count(kind, n, campaign_id=campaign.pk, measure="status")
        assert matters() == []

    def test_says_how_much_waits_for_what_stands_still(self, db):
        stream = make_stream(name="Resets", kind="transactional")
        paused = make_campaign(stream=stream, state="paused")
        for kind, n, campaign in (
            ("queued", 2, None),
            ("deferred", 1, None),
            ("queued", 9, paused.pk),
        ):
            count(kind, n, stream_id=stream.pk, campaign_id=campaign, measure="status")
        stream.transport.pause("fault", "The log-in was refused.")
        matter, _ = matters()
        assert matter.sentence == "The log-in was refused. 3 messages wait for it, of Resets."
        stream.transport.resume()
        stream.pause("fault", "Three people were refused.")
        matter, _ = matters()
        assert matter.sentence == "Three people were refused. 3 messages wait."

    def test_names_of_the_streams_of_what_stands_still_those_whose_mail_waits(self, db):
        stream = make_stream(name="Letters")
        make_stream(name="Orders", kind="transactional", transport=stream.transport)
        count("queued", 3, stream_id=stream.pk, measure="status")
        stream.transport.pause("fault", "The log-in was refused.")
        matter, *_ = matters()
        assert matter.sentence == "The log-in was refused. 3 messages wait for it, of Letters."

    @pytest.mark.parametrize(("kind", "tone"), [("transactional", "bad"), ("bulk", "warn")])
    def test_names_a_quota_that_is_spent_while_mail_waits(self, db, kind, tone):
        transport = make_transport(name="Relay", daily_quota=3)
        stream = make_stream(name="Resets", kind=kind, transport=transport, expiry_seconds=86400)
        count("queued", 2, stream_id=stream.pk, measure="status")
        assert matters() == []
        Allowance.objects.create(
            key=f"t{transport.pk}", day=utc_today(), spent=3, refilled_at=timezone.now()
        )
        (matter,) = matters()
        assert (matter.title, matter.tone) == ("Transport Relay has sent its 3 of today", tone)
        assert matter.sentence.startswith("2 messages wait until midnight UTC, of Resets. A higher")
        Stream.objects.update(expiry_seconds=1)
        (matter,) = matters()
        assert "given up before that where its stream waits no longer: Resets." in matter.sentence
        Route.objects.create(stream=stream, transport=make_transport(), position=1)
        assert matters() == []

    def test_says_how_many_more_there_are_of_a_sort(self, db):
        stream = make_stream()
        for _ in range(12):
            make_campaign(state="paused", stream=stream)
        told = matters()
        assert len(told) == 11
        assert told[0].title == "2 more campaigns are paused"
        Campaign.objects.filter(pk__in=Campaign.objects.all()[:1]).update(state="canceled")
        assert matters()[0].title == "1 more campaign is paused"
        assert told[0].url.endswith("?state=paused")

    def test_says_what_it_means_that_a_mailbox_can_not_be_read(self, db):
        mailbox = Mailbox.objects.create(name="Bounces", host="imap.example.com", cause="refused")
        (matter,) = matters()
        assert "bounces in it" not in matter.sentence
        Mailbox.objects.update(failures=1)
        (matter,) = matters()
        assert matter.title == f"Mailbox {mailbox} can't be read"
        assert matter.sentence.endswith("bounces in it are not known here; they stay there.")

    def test_says_that_nobody_is_hurt_where_another_transport_carries_the_mail(self, db):
        stream = make_stream(name="Resets", kind="transactional")
        count("queued", 2, stream_id=stream.pk, measure="status")
        other = make_transport(daily_quota=3)
        Route.objects.create(stream=stream, transport=other, position=1)
        stream.transport.pause("fault", "The log-in was refused.")
        (matter,) = matters()
        assert matter.sentence == (
            "The log-in was refused. Nobody is hurt: other transports carry its mail meanwhile."
        )
        Allowance.objects.create(
            key=f"t{other.pk}", day=utc_today(), spent=3, refilled_at=timezone.now()
        )
        matter, *_ = matters()
        assert matter.sentence == "The log-in was refused. 2 messages wait for it, of Resets."

    @pytest.mark.parametrize("what", ["a stream", "a quota", "a campaign"])
    def test_costs_the_same_with_many(self, db, what):
        """It is asked for each half a minute by each overview that stands open."""
        relay = make_transport(name="Relay")
        relay.pause("fault", "The log-in was refused.")
        stream = make_stream()

        def make_one():
            if what == "a stream":
                make_stream(transport=relay)
            elif what == "a quota":
                make_transport(daily_quota=1000)
            else:
                campaign = make_campaign(stream=stream, state="completed")
                count("expired", 10, campaign_id=campaign.pk, stream_id=stream.pk)
                for kind, n in (("accepted", 1990), ("expired", 10)):
                    count(kind, n, campaign_id=campaign.pk, measure="status")

        make_one()
        with CaptureQueriesContext(connection) as with_one:
            matters()
        for _ in range(3):
            make_one()
        with CaptureQueriesContext(connection) as with_many:
            matters()
        assert len(with_many) == len(with_one)

    def test_says_since_when_a_transport_can_not_be_reached(self, db):
        transport = make_transport()
        for _ in range(3):
            Transport.objects.update(backoff_until=None)
            transport.record_failure("The connection was refused.")
        (matter,) = matters()
        assert matter.since == AuditEntry.objects.get(verb="transport.breaker_open").at

    @pytest.mark.parametrize(("expired", "days_ago"), [(2, 0), (10, 3)], ids=["few", "long ago"])
    def test_names_nothing_that_is_usual_or_over(self, db, expired, days_ago):
        stream = make_stream()
        count("accepted", 98, stream_id=stream.pk, days_ago=days_ago)
        count("expired", expired, stream_id=stream.pk, days_ago=days_ago)
        assert matters() == []

    def test_names_the_campaigns_that_wait_for_a_stopped_transport(self, logged_in, viewer):
        now = timezone.now()
        stream = make_stream(transport=make_transport(name="Relay"))
        campaign = make_campaign(name="Spring", state="running", stream=stream, started_at=now)
        count("queued", 1, campaign_id=campaign.pk, measure="status")
        stream.transport.pause("fault", "The log-in was refused.")
        (matter,) = matters()
        assert matter.sentence == "The log-in was refused. A campaign waits for it: Spring."
        progress = reverse("reports:campaign-progress", args=[campaign.pk])
        page = logged_in(viewer).get(progress).text
        assert "Waits for its transport" in page
        assert "waits for Relay to go on" in page
        stream.transport.resume()
        page = logged_in(viewer).get(progress).text
        assert "Waits for its transport" not in page

    def test_says_that_a_campaign_waits_for_a_server_that_answers_nothing(self, logged_in, viewer):
        now = timezone.now()
        stream = make_stream(transport=make_transport(name="Relay", last_used_at=now))
        campaign = make_campaign(state="running", stream=stream, started_at=now)
        count("queued", 1, campaign_id=campaign.pk, measure="status")
        worker = Worker.objects.create(lane="bulk", host="test", pid=1)
        key = f"t{stream.transport.pk}"
        SeatKeeper(worker.pk, is_urgent=False).seats(key, held=1, wanted=1, most=4)
        progress = reverse("reports:campaign-progress", args=[campaign.pk])
        assert "to answer" not in logged_in(viewer).get(progress).text
        Transport.objects.update(last_used_at=now - timedelta(seconds=40))
        assert "waits for Relay to answer" in logged_in(viewer).get(progress).text

    def test_puts_the_bad_first(self, db):
        make_message(status="uncertain", with_entry=False)
        make_domain(status="error")
        assert [matter.tone for matter in matters()] == ["bad", "warn"]

    def test_asks_the_database_as_often_with_many_running(
        self, logged_in, viewer, django_assert_max_num_queries
    ):
        for _ in range(8):
            make_campaign(state="running", started_at=timezone.now(), planned=1)
        client = logged_in(viewer)
        with django_assert_max_num_queries(59):
            client.get("/")


class TestPanels:
    def test_poll_until_the_campaign_is_done(self, logged_in, viewer):
        campaign = make_campaign(state="running", started_at=timezone.now(), planned=0)
        client, path = (
            logged_in(viewer),
            reverse("reports:campaign-progress", args=[campaign.pk]),
        )
        live = client.get(path, headers={"HX-Request": "true"})
        assert live.status_code == 200
        assert "every 2s" in live.content.decode()
        campaign.state = "completed"
        campaign.save()
        done = client.get(path, headers={"HX-Request": "true"})
        assert done.status_code == 286
        assert "every 2s" not in done.content.decode()
        assert client.get(path).status_code == 200

    def test_say_how_many_more_campaigns_run_than_they_show(self, logged_in, viewer):
        path, client = reverse("reports:running"), logged_in(viewer)
        for _ in range(5):
            make_campaign(state="running", started_at=timezone.now())
        assert "more running" not in client.get(path).text
        for _ in range(2):
            make_campaign(state="running", started_at=timezone.now())
        page = client.get(path).text
        assert (
            f'<a href="{reverse("campaigns:list")}?state=running">2 more running campaigns' in page
        )

    def test_are_asked_for_seldom_while_nothing_runs(self, logged_in, viewer):
        path, client = reverse("reports:running"), logged_in(viewer)
        assert "every 30s" in client.get(path, headers={"HX-Request": "true"}).content.decode()
        make_campaign(state="running", started_at=timezone.now())
        assert "every 2s" in client.get(path, headers={"HX-Request": "true"}).content.decode()


class TestSearch:
    def find(self, client, words):
        return client.get(reverse("reports:search-json"), {"q": words}).json()["results"]

    def test_finds_things_by_a_part_of_the_name(self, logged_in, viewer):
        client = logged_in(viewer)
        campaign = make_campaign(name="Spring news")
        make_domain(name="spring.example")
        version = make_version()
        version.template.name = "A spring letter"
        version.template.save()
        found = {one["kind"]: one for one in self.find(client, "SPRING")}
        assert set(found) == {"Campaign", "Domain", "Template"}
        assert found["Campaign"]["url"] == reverse("campaigns:detail", args=[campaign.pk])

    def test_finds_a_recipient_and_a_message_id(self, logged_in, viewer):
        message = make_message(recipient="Bob@Example.com", address_key="bob@example.com")
        client = logged_in(viewer)
        url = reverse("outbox:detail", args=[message.public_id])
        for words in ("bob@example.com", str(message.public_id)):
            assert [one["url"] for one in self.find(client, words)] == [url]

    @pytest.mark.parametrize("words", ["", "x", "@", "a@", "\x00", "%", "x" * 500])
    def test_survives_nonsense(self, logged_in, viewer, words):
        client = logged_in(viewer)
        for name in ("search", "search-json"):
            assert client.get(reverse(f"reports:{name}"), {"q": words}).status_code in {200, 422}

    def test_page_works_without_the_palette(self, logged_in, viewer):
        make_domain(name="spring.example")
        page = logged_in(viewer).get(reverse("reports:search"), {"q": "spring"}).content.decode()
        assert "spring.example" in page


class TestOutcome:
    def test_counts_what_came_back_later_once(self):
        outcome = Outcome(accepted=98, bounced=2, returned=3)
        assert (outcome.answered, outcome.all_bounced, outcome.stayed) == (100, 5, 95)

    def test_has_no_rate_of_nothing(self):
        assert Outcome().bounce_rate is None

    @pytest.mark.parametrize(("rate", "tone"), [(1.9, "ok"), (2.0, "warn"), (5.0, "bad")])
    def test_has_the_tone_of_the_highest_threshold_it_reached(self, rate, tone):
        assert state_of(rate, BOUNCE_THRESHOLDS)[0] == tone
