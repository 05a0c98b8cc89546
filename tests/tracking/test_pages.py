"""Pages tell people's looks from machines', where a stream asks for them, and show nothing where none does."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse
from django.utils import timezone

from mailops.outbox.models import EventKind
from mailops.outbox.recording import Outcome, record
from mailops.outbox.submission import submit
from mailops.reports.folding import fold_tallies
from mailops.tracking.models import LookCount
from mailops.transports.models import Stream
from tests.factories import make_campaign, make_identity, make_version
from tests.tracking.conftest import PHONE
from tests.tracking.mails import HTML, click_path, picture_path, tracking_stream
from tests.tracking.test_reading import call, make_sent  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign():
    return make_campaign(stream=tracking_stream(), state="running", started_at="2026-01-01T00:00Z")


@pytest.fixture
def message(campaign):
    return make_sent(stream=campaign.stream, campaign=campaign)


@pytest.fixture
def looked(call, read, message):  # noqa: F811
    call(picture_path(message))
    call(click_path(message))
    read()
    call(click_path(message), "curl/8")
    read()


@pytest.fixture(params=["campaign", "stream", "message"])
def panel(request, campaign, message):
    """The address of each panel."""
    return {
        "campaign": reverse("reports:campaign-looks", args=[campaign.pk]),
        "stream": reverse("reports:stream-looks", args=[campaign.stream_id]),
        "message": reverse("tracking:message-looks", args=[message.public_id]),
    }[request.param]


class TestPanels:
    def test_tell_links_people_and_machines(self, panel, looked, viewer, logged_in):
        page = logged_in(viewer).get(panel)
        assert page.status_code == 200
        assert "https://example.com/sale?a=1&amp;b=2" in page.text
        assert "scanner" in page.text.lower()

    def test_say_so_where_nobody_looked(self, panel, viewer, logged_in):
        text = logged_in(viewer).get(panel).text
        assert "seen to" in text
        assert "<table" not in text

    def test_are_a_fragment_for_htmx(self, panel, looked, viewer, logged_in):
        text = logged_in(viewer).get(panel, headers={"HX-Request": "true"}).text
        assert "<html" not in text
        assert 'id="looks"' in text

    def test_are_for_the_team(self, panel, client, stranger, logged_in):
        assert client.get(panel).status_code == 302
        assert logged_in(stranger).get(panel).status_code == 403

    def test_cost_few_queries(
        self, panel, looked, viewer, logged_in, django_assert_max_num_queries
    ):
        browser = logged_in(viewer)
        with django_assert_max_num_queries(11):
            browser.get(panel)


class TestWhereNobodyAsks:
    def test_nothing_is_shown(self, campaign, message, viewer, logged_in):
        browser = logged_in(viewer)
        pages = [reverse("campaigns:detail", args=[campaign.pk]), reverse("transports:stream-detail", args=[campaign.stream_id]),
                 reverse("outbox:detail", args=[message.public_id])]  # fmt: skip
        assert all("looks/" in browser.get(page).text for page in pages)
        Stream.objects.update(tracks_opens=False, tracks_clicks=False)
        assert not any("looks/" in browser.get(page).text for page in pages)

    def test_no_chart_is_drawn(self, campaign, viewer, logged_in):
        text = logged_in(viewer).get(reverse("reports:campaign", args=[campaign.pk])).text
        assert 'id="opens"' not in text
        assert ">Clicked<" not in text


class TestCharts:
    def test_tell_people_and_machines_apart(self, looked, campaign, viewer, logged_in):
        text = (
            logged_in(viewer)
            .get(reverse("reports:campaign", args=[campaign.pk]) + "?range=24h")
            .text
        )
        assert 'id="opens"' in text
        assert 'id="clicks"' in text
        assert "Scanners" in text

    def test_counts_agree_with_a_recount(self, call, read, capsys):  # noqa: F811
        stream = tracking_stream()
        identity, version = make_identity(domain=stream.domain), make_version(html=HTML)
        message = submit(
            stream=stream,
            identity=identity,
            recipient="a@example.net",
            version=version,
            merge_data={},
        )
        taken = Outcome(
            message_id=message.pk, kind=EventKind.ACCEPTED, source="dispatch", external_id="1",
            occurred_at=timezone.now() - timedelta(hours=2),
        )  # fmt: skip
        record([taken])
        for user_agent in (PHONE, "curl/8"):
            call(click_path(message), user_agent)
            call(picture_path(message), user_agent)
        assert read() == 4
        call_command("verify_counts")
        fold_tallies()
        call_command("verify_counts")
        LookCount.objects.filter(link=0).update(people=7)
        with pytest.raises(CommandError):
            call_command("verify_counts")
        assert "counted 7" in capsys.readouterr().err


class TestTimeline:
    def test_says_who_it_was(self, looked, message, viewer, logged_in):
        text = logged_in(viewer).get(reverse("outbox:detail", args=[message.public_id])).text
        assert "By a machine, since its program names itself curl." in text
        assert "Pictures and links" in text


class TestForm:
    def test_says_what_is_kept_and_refuses_sensitive_streams(self, campaign, admin, logged_in):
        url = reverse("transports:stream-edit", args=[campaign.stream_id])
        browser = logged_in(admin)
        page = browser.get(url)
        assert "Forgotten after 92 days" in page.text
        form = page.context["form"]
        given = {
            name: form.get_initial_for_field(field, name) or ""
            for name, field in form.fields.items()
        }
        given |= {"is_sensitive": "on", "tracks_opens": "on", "tracks_clicks": ""}
        given["domain"] = campaign.stream.domain_id
        answer = browser.post(url, given)
        assert answer.status_code == 422
        assert "Links in sensitive mail stay with its recipient." in answer.text
        answer = browser.post(url, {**given, "is_sensitive": "", "tracks_opens": ""})
        assert answer.status_code == 302
        campaign.stream.refresh_from_db()
        assert (campaign.stream.tracks_opens, campaign.stream.tracks_clicks) == (False, False)
