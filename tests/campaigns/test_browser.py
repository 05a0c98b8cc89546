"""A campaign's page in a real browser: all of it follows what happens, and it lets who reads it read."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from mailops.campaigns.models import Campaign
from mailops.reports.folding import fold_tallies
from tests.browser import assert_clean
from tests.factories import make_campaign, make_message
from tests.reports.test_pages import count

PATIENCE = 30_000  # milliseconds: nothing here is asked more seldom than every ten seconds


@pytest.fixture
def running(db):
    return make_campaign(state="running", started_at=timezone.now() - timedelta(hours=2))


def path_of(campaign):
    return reverse("campaigns:detail", args=[campaign.pk])


def complete(campaign):
    """Let one message of `campaign` bounce and end it, as sending would."""
    make_message(campaign=campaign, stream=campaign.stream, status="bounced", reason="mailbox")
    count("bounced", 1, campaign_id=campaign.pk)
    fold_tallies()
    now = timezone.now()
    Campaign.objects.filter(pk=campaign.pk).update(state="completed", planned=1, finished_at=now)


@pytest.mark.broad
@pytest.mark.needs("chromium")
class TestFollowing:
    def test_all_of_the_page_follows_its_end(self, open_page, operator, running):
        page = open_page(path_of(running), operator)
        heading, failures = page.locator("#heading"), page.locator("#failures")
        expect(heading).to_contain_text("Running")
        expect(failures).to_contain_text("Nothing failed so far")
        expect(page.locator("#expansion")).to_contain_text("still reading the audience")
        page.locator("#messages").focus()

        complete(running)

        expect(heading).to_contain_text("Completed", timeout=PATIENCE)
        expect(page.locator("#pause")).to_have_count(0)
        expect(page.locator("#cancel")).to_have_count(0)
        expect(page.locator("#messages")).to_be_focused()
        expect(page.locator("#expansion")).not_to_contain_text("still reading")
        expect(page.locator("#plan")).to_contain_text("Finished")
        expect(failures).to_contain_text("Bounced", timeout=PATIENCE)
        expect(page.locator("#numbers .stats")).to_contain_text("1 of 1", timeout=PATIENCE)
        assert_clean(page)

    def test_parts_with_nothing_to_say_take_no_room(self, open_page, viewer, running):
        page = open_page(path_of(running), viewer)
        expect(page.get_by_role("link", name="What holds its mail back")).to_have_count(0)
        expect(page.locator("#sending-again")).to_be_attached()
        gap = page.locator("#main").evaluate("main => parseFloat(getComputedStyle(main).rowGap)")
        heading = page.locator("#main > header").bounding_box()
        progress = page.get_by_role("region", name="Progress and balance").bounding_box()
        assert progress["y"] - heading["y"] - heading["height"] == pytest.approx(gap, abs=1)

    def test_a_stop_is_told_on_the_page(self, open_page, oncall, running):
        page = open_page(path_of(running), oncall)
        expect(page.locator("#heading")).to_contain_text("Running")
        running.pause("guardrail", "Too many of its mails bounced.")
        expect(page.locator("#standing")).to_contain_text("Too many", timeout=PATIENCE)
        expect(page.locator("#resume")).to_be_visible()

    def test_what_somebody_reads_is_left_alone(self, open_page, viewer, running):
        count("accepted", 1, campaign_id=running.pk)
        page = open_page(path_of(running), viewer)
        table = page.locator("#numbers details").first
        table.locator("summary").click()
        complete(running)
        expect(page.locator("#heading")).to_contain_text("Completed", timeout=PATIENCE)
        expect(page.locator("#failures")).to_contain_text("Bounced", timeout=PATIENCE)
        expect(table).to_have_attribute("open", "")
