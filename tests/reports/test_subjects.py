"""The numbers of one domain, stream, transport, campaign or mailbox provider."""

import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.incidents.models import SubjectKind, Threshold
from mailops.outbox.ledger import bucket_of
from mailops.outbox.slots import slot_of
from mailops.reports.charting import BEFORE, Chart, Line, said
from mailops.reports.charts import CHARTS, draw
from mailops.reports.composing import numbers_of
from mailops.reports.models import Objective, QueueSample
from mailops.reports.periods import QUARTER_HOUR, Step, between, fitting_step, hour_of, last_days
from mailops.reports.subjects import find_subject
from mailops.schedule import EVERY
from tests.factories import make_campaign, make_domain, make_incident, make_stream, make_transport
from tests.reports.test_pages import count

pytestmark = pytest.mark.django_db
MAKERS = {
    "domain": make_domain,
    "stream": make_stream,
    "transport": make_transport,
    "campaign": make_campaign,
}


class TestEach:
    @pytest.mark.parametrize("name", MAKERS)
    def test_shows_its_own_numbers_only(self, logged_in, viewer, name):
        row = MAKERS[name]()
        count("accepted", 93, **{f"{name}_id": row.pk})
        count("bounced", 7, reason="unknown_mailbox", **{f"{name}_id": row.pk})
        count("accepted", 1000, **{f"{name}_id": row.pk + 1})
        client = logged_in(viewer)
        for address in (name, f"{name}-panel"):
            page = client.get(reverse(f"reports:{address}", args=[row.pk])).content.decode()
            assert "7 of 100" in page
            assert str(row) in page

    def test_of_a_mailbox_provider_needs_no_row(self, logged_in, viewer):
        count("accepted", 9, mailbox_provider="gmail")
        count("bounced", 1, mailbox_provider="gmail", reason="policy")
        page = logged_in(viewer).get(reverse("reports:provider", args=["gmail"]))
        assert "Numbers of Gmail" in page.content.decode()
        assert "1 of 10" in page.content.decode()

    def test_of_a_mailbox_provider_is_found_however_it_is_typed(self, logged_in, viewer):
        count("accepted", 9, mailbox_provider="gmail")
        page = logged_in(viewer).get(reverse("reports:reports"), {"mailbox_provider": " Gmail "})
        assert page.context["tiles"][0].note == "9 of 9"
        assert "mailbox_provider=gmail" in page.context["messages_url"]

    def test_exports_the_split_that_it_shows(self, logged_in, viewer):
        stream, campaign = make_stream(name="Letters"), make_campaign(state="running")
        count("accepted", 9, mailbox_provider="gmail", stream_id=stream.pk, campaign_id=campaign.pk)
        client = logged_in(viewer)
        for name, value in (("provider", "gmail"), ("stream", stream.pk)):
            page = client.get(reverse(f"reports:{name}", args=[value]))
            address = reverse("reports:export-split")
            (query,) = re.findall(rf'href="{address}(\?[^"]+)"', page.content.decode())
            header, *rows = (
                b"".join(client.get(address + html.unescape(query)).streaming_content)
                .decode("utf-8-sig")
                .splitlines()
            )
            assert header.startswith(f"{page.context['form'].cleaned_data['by']},accepted")
            assert [row.split(",")[0] for row in rows] == [
                share.label for share, _ in page.context["shares"]
            ]

    @pytest.mark.parametrize("name", MAKERS)
    def test_is_not_there_for_nobody(self, logged_in, viewer, name):
        client = logged_in(viewer)
        for address in (name, f"{name}-panel"):
            assert client.get(reverse(f"reports:{address}", args=[987654])).status_code == 404

    def test_says_why_it_is_paused(self, logged_in, viewer):
        transport = make_transport(
            state="paused", pause_cause="fault", pause_sentence="The log-in was refused (535)."
        )
        page = logged_in(viewer).get(reverse("reports:transport", args=[transport.pk]))
        assert "The log-in was refused (535)." in page.content.decode()

    def test_refuses_nonsense_and_keeps_it(self, logged_in, viewer):
        path = reverse("reports:stream", args=[make_stream().pk])
        response = logged_in(viewer).get(path, {"since": "noon"})
        assert response.status_code == 422
        assert 'value="noon"' in response.content.decode()

    def test_takes_as_many_queries_with_much(
        self, logged_in, viewer, django_assert_max_num_queries
    ):
        stream = make_stream()
        for day in range(8):
            for n in range(20):
                count("accepted", 5, days_ago=day, stream_id=stream.pk, mailbox_provider=f"p{n}")
                count("bounced", 1, days_ago=day, stream_id=stream.pk, reason=f"r{n}")
        client = logged_in(viewer)
        with django_assert_max_num_queries(21):
            client.get(reverse("reports:stream", args=[stream.pk]))

    def test_of_a_campaign_begins_with_its_launch(self, logged_in, viewer):
        start = hour_of(timezone.now(), UTC) - timedelta(days=40)
        campaign = make_campaign(
            state="completed", started_at=start, finished_at=start + timedelta(hours=1)
        )
        count("accepted", 50, days_ago=40, campaign_id=campaign.pk)
        client = logged_in(viewer)
        page = client.get(reverse("reports:campaign", args=[campaign.pk])).content.decode()
        assert "50 of 50" in page
        assert "Whole campaign" in page

    @pytest.mark.parametrize(
        ("finished", "now", "end"),
        [(None, 5, 5), (3, 5, 5), (3, 700, 60), (500, 700, 500), (None, -1, 0)],
        ids=["begun", "over at once", "over for long", "a long one", "by a clock that is behind"],
    )
    def test_of_a_campaign_end_where_its_last_mail_left_and_never_in_the_time_to_come(
        self, finished, now, end
    ):
        start = datetime(2026, 3, 2, 10, 10, tzinfo=UTC)

        def after(minutes):
            return start + timedelta(minutes=minutes)

        over = None if finished is None else after(finished)
        row = make_campaign(started_at=start, finished_at=over)
        subject = find_subject({"campaign_id": row.pk})
        since, until = subject.lifetime(after(now))
        assert since == datetime(2026, 3, 2, 10, tzinfo=UTC)
        assert until - after(end) <= timedelta(microseconds=1)
        last = bucket_of(after(max(now, 0)))
        assert between(since, until, UTC).end <= last + QUARTER_HOUR

    def test_of_a_campaign_tell_what_they_count_and_of_no_period_before(self, logged_in, viewer):
        start = hour_of(timezone.now(), UTC) - timedelta(days=2)
        campaign = make_campaign(state="running", started_at=start)
        for days_ago in (1, 3):
            for kind in ("accepted", "bounced", "returned", "deferred"):
                count(kind, 9, days_ago=days_ago, campaign_id=campaign.pk)
        client, args = logged_in(viewer), [campaign.pk]
        panel = client.get(reverse("reports:campaign-panel", args=args))
        whole = client.get(reverse("reports:campaign", args=args))
        assert "counts as accepted and as bounced" in panel.content.decode()
        for page in (panel, whole):
            assert "period before" not in page.content.decode().lower()
            assert [tile.value for tile in page.context["tiles"]][:2] == ["50.0 %", "100.0 %"]
            assert not any(tile.trend for tile in page.context["tiles"])
        other = client.get(reverse("reports:stream-panel", args=[campaign.stream_id]))
        assert "in the period before" in other.content.decode()
        assert "counts as accepted and as bounced" not in other.content.decode()


class TestCharts:
    def period(self):
        return last_days(timezone.now(), 7, UTC)

    def charts(self, **choices):
        return {chart.key: chart for chart in draw(numbers_of(choices, self.period()))}

    def test_all_say_what_will_be_here(self, logged_in, viewer):
        page = logged_in(viewer).get(reverse("reports:reports")).content.decode()
        charts = self.charts()
        assert set(charts) == set(CHARTS)
        for chart in charts.values():
            assert chart.is_empty
            assert chart.empty in page.replace("&#x27;", "'")

    def test_without_data_are_named_in_one_place(self, logged_in, viewer):
        make_incident()
        path, client = reverse("reports:reports"), logged_in(viewer)
        nothing = client.get(path).content.decode()
        assert nothing.count("data-chart=") == 0
        assert nothing.count("No mail in this time") == 2  # and none to split
        assert "triangle" not in nothing
        count("accepted", 3)
        page = client.get(path).content.decode()
        assert 'data-chart="volume"' in page
        assert 'data-chart="reasons"' not in page
        assert "Nothing to draw in this time: " in page
        assert "triangle over the charts" in page

    def test_lay_the_period_before_beside(self):
        count("accepted", 3)
        count("accepted", 8, days_ago=7)
        (before,) = [line for line in self.charts()["volume"].lines if line.is_before]
        assert (before.name, before.values[-1]) == (BEFORE, 8)

    def test_tell_bounces_by_reason_and_by_fault(self):
        count("bounced", 2, reason="unknown_mailbox")
        count("returned", 3, reason="mailbox_full")
        count("failed", 4, reason="login_failed")
        charts = self.charts()
        assert [line.name for line in charts["reasons"].lines] == [
            "Login failed",
            "Mailbox full",
            "Unknown mailbox",
        ]
        sums = {line.name: sum(line.values) for line in charts["faults"].lines}
        assert sums == {"The recipient's": 5, "Our authentication": 4}

    def test_sum_up_what_colors_cannot_tell_apart(self):
        for n in range(12):
            count("deferred", n + 1, reason=f"reason_{n}")
        names = [line.name for line in self.charts()["deferrals"].lines]
        assert names[-2:] == ["Others (6)", BEFORE]

    def test_of_one_reason_keep_the_rates_of_all(self):
        count("accepted", 90)
        count("bounced", 4, reason="policy")
        count("bounced", 6, reason="mailbox_full")
        numbers = numbers_of({}, self.period(), reason="policy")
        assert (numbers.total.all_bounced, numbers.total.answered) == (4, 100)

    def test_draw_the_thresholds_that_people_set(self, logged_in, viewer):
        Threshold.objects.filter(measure="bounces", subject_kind=SubjectKind.STREAM).update(
            warn=Decimal("1.5"), act=None, stop=7
        )
        drawn = self.charts()["bounces"].drawn["thresholds"]
        assert [line["label"] for line in drawn] == ["warn at 1.5 %", "stop at 7 %"]

    def test_have_a_table_without_the_empty_steps_and_a_csv_with_them(self, logged_in, viewer):
        count("accepted", 1234)
        count("bounced", 1)
        chart = self.charts()["bounces"]
        (row,) = chart.table["rows"]
        assert row[1:4] == ["1", "1,235", "0.081 %"]
        response = logged_in(viewer).get(
            reverse("reports:export"), {"chart": "bounces", "range": "7d"}
        )
        lines = b"".join(response.streaming_content).decode().splitlines()
        assert lines[0] == '\ufefftime,bounced,of,"bounced, rate",the period before'
        assert len(lines) == 1 + 7 * 8
        assert sum(",1,1235,0.081," in line for line in lines) == 1

    def test_tell_how_long_it_took_and_what_was_promised(self):
        stream = make_stream()
        Objective.objects.create(stream=stream, seconds=60)
        for seconds, n in ((2, 90), (600, 10)):
            count(str(slot_of(seconds * 1000)), n, measure="accept", stream_id=stream.pk)
        count(str(slot_of(3000)), 5, measure="accept", stream_id=stream.pk, days_ago=7)
        chart = self.charts(stream_id=stream.pk)["time_to_accept"]
        median, longest, before = (line.values[-1] for line in chart.lines)
        assert (round(median), round(longest, -2), round(before)) == (2, 600, 3)
        assert chart.thresholds == ((60, "99 % within 1 min", "bad"),)
        assert "of 100" in chart.summary

    def test_tell_what_waits_in_the_streams_concerned(self):
        stream, other = make_stream(), make_stream()
        for one, depth, age in ((stream, 7, 90), (other, 5, 3000)):
            QueueSample.objects.create(
                bucket_at=bucket_of(timezone.now()), stream_id=one.pk, samples=2, depth_sum=depth,
                depth_max=depth, held_max=1, age_sum=age, age_max=age,
            )  # fmt: skip
        for choices, depth, age in (
            ({}, 12, 3000),
            ({"stream_id": stream.pk}, 7, 90),
            ({"domain_id": other.domain_id}, 5, 3000),
            ({"transport_id": stream.routes.get().transport_id}, 7, 90),
        ):
            charts = self.charts(**choices)
            assert charts["queue_depth"].lines[0].values[-1] == depth
            assert charts["queue_age"].lines[0].values[-1] == age
            assert charts["queue_age"].lines[0].values[0] is None
        assert self.charts(mailbox_provider="gmail")["queue_depth"].is_empty

    def test_add_up_what_waits_but_not_for_how_long(self):
        at = bucket_of(timezone.now())
        for n, (samples, age) in enumerate(((60, 10), (60, 30), (20, 20))):
            QueueSample.objects.create(
                bucket_at=at, stream_id=n, samples=samples, depth_sum=2 * samples,
                depth_max=2, held_max=0, age_sum=age * samples, age_max=age + 5,
            )  # fmt: skip
        charts = self.charts()
        oldest, mean = (
            [value for value in line.values if value is not None]
            for line in charts["queue_age"].lines
        )
        assert (oldest, mean) == ([35], [30])
        assert f"looked at every {EVERY['reports.sample']} seconds" in charts["queue_depth"].empty


class TestTimes:
    def test_steps_fit_the_range(self):
        now = datetime(2026, 5, 1, tzinfo=UTC)
        fitting = {hours: fitting_step(now - timedelta(hours=hours), now) for hours in (1, 25, 96, 168, 336, 720, 9000)}  # fmt: skip
        assert list(fitting.values()) == [
            Step.QUARTER,
            Step.QUARTER,
            Step.HOUR,
            Step.THREE_HOURS,
            Step.SIX_HOURS,
            Step.DAY,
            Step.WEEK,
        ]

    def test_of_an_address_may_be_days_or_moments_with_an_offset(self, logged_in, viewer):
        viewer.time_zone = "Europe/Berlin"
        viewer.save()
        client, path = logged_in(viewer), reverse("reports:reports")
        page = client.get(path, {"since": "2026-10-25", "until": "2026-10-25"}).content.decode()
        assert "25 Oct 2026</strong>" in page
        twice = {"since": "2026-10-25T02:00+01:00", "until": "2026-10-25T02:30+01:00"}
        page = client.get(path, twice).content.decode()
        assert "25 Oct 2026, 02:00" in page
        assert '"2026-10-25T01:00:00+00:00", "2026-10-25T01:15:00+00:00"' in page

    def test_of_an_address_that_clocks_skip_begins_where_they_are_changed(self, logged_in, viewer):
        viewer.time_zone = "Europe/Berlin"
        viewer.save()
        skipped = {"since": "2026-03-29T02:30", "until": "2026-03-29T03:15"}
        page = logged_in(viewer).get(reverse("reports:reports"), skipped)
        period = page.context["period"]
        assert period.start == datetime(2026, 3, 29, 1, tzinfo=UTC)
        assert period.end == datetime(2026, 3, 29, 1, 15, tzinfo=UTC)

    def test_each_point_opens_its_own_time(self, logged_in, viewer):
        stream = make_stream()
        count("accepted", 5, stream_id=stream.pk)
        page = logged_in(viewer).get(
            reverse("reports:stream", args=[stream.pk]), {"range": "24h", "reason": "policy"}
        )
        opens = page.context["axis"]["opens"]
        period = page.context["period"]
        assert len(opens) == len(list(period.steps()))
        narrowed = logged_in(viewer).get(reverse("reports:stream", args=[stream.pk]) + opens[3])
        assert narrowed.context["period"].start == period.edges[3]
        assert narrowed.context["period"].end == period.edges[4]
        assert "reason=policy" in opens[3]

    def test_before_has_as_many_steps_whatever_the_clocks_do(self):
        for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
            for step in Step:
                period = between(day - timedelta(hours=5), day + timedelta(days=2), UTC, step)
                assert len(period.previous.edges) == len(period.edges)
                assert period.previous.end == period.start


class TestChart:
    @pytest.mark.parametrize(
        ("rate", "words"),
        [
            (99.97, "99.97 %"),
            (99.9996, ">99.99 %"),
            (100, "100.0 %"),
            (99.9, "99.9 %"),
            (0.0999, "0.100 %"),
            (0.0001, "<0.001 %"),
            (0, "0 %"),
        ],
    )
    def test_says_no_rate_that_was_not_reached(self, rate, words):
        assert said(rate) == words

    def test_with_zeros_only_is_empty_but_a_rate_of_zero_is_told(self):
        period = last_days(timezone.now(), 1, UTC)
        none = Chart("x", "X", period, [Line("A", [0])])
        rate = Chart("x", "X", period, [Line("A", [0.0], counts=[(0, 10)])])
        assert (none.is_empty, rate.is_empty) == (True, False)
