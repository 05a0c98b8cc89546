"""Charts in a real browser: a change is opened by its mark, a point opens its own time, and all of it prints."""

import re

import pytest
from playwright.sync_api import expect

from mailops.accounts.auditing import audit
from tests.browser import MARK, assert_clean, press_the_mark
from tests.factories import make_transport
from tests.reports.test_pages import count

ACCENT = """() => {
  const probe = document.createElement("span");
  probe.style.color = "var(--accent)";
  document.body.append(probe);
  const accent = getComputedStyle(probe).color;
  probe.remove();
  return accent;
}"""

# what htmx does with a part of the page that it asked for anew
REPLACE = """() => {
  for (const chart of document.querySelectorAll("[data-chart]")) {
    const anew = chart.cloneNode(false);
    chart.replaceWith(anew);
  }
  document.dispatchEvent(new Event("htmx:afterSettle"));
}"""
NEXT_FRAMES = (
    "() => new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))"
)


@pytest.mark.broad
@pytest.mark.needs("chromium")
class TestCharts:
    def test_lead_on(self, open_page, admin, viewer):
        transport = make_transport(name="Relay")
        count("accepted", 90, transport_id=transport.pk)
        count("bounced", 10, transport_id=transport.pk, reason="policy")
        audit(
            actor=admin,
            verb="transport.change",
            subject=transport,
            before={"rate_per_minute": 100},
            after={"rate_per_minute": 5},
        )
        page = open_page(f"/reports/transports/{transport.pk}/?range=6h", viewer)
        page.wait_for_selector("#volume + .chart svg")
        told = page.locator(".change-told")
        assert not told.is_visible()
        press_the_mark(page)
        assert admin.email in told.inner_text()
        expect(page.locator(MARK).first).to_have_css("fill", page.evaluate(ACCENT))
        assert page.url.endswith(f"#{told.get_attribute('id')}")
        assert_clean(page)

        page.emulate_media(media="print", color_scheme="dark")
        page.set_viewport_size({"width": 1024, "height": 900})
        assert not page.locator(".side").is_visible()
        assert not page.locator(".filters").first.is_visible()
        widths = page.evaluate(
            "[...document.querySelectorAll('.chart svg')].map((svg) => svg.clientWidth)"
        )
        assert all(0 < width <= 680 for width in widths)

        page.emulate_media(media="screen")
        chart = page.locator("#bounces + .chart")
        chart.focus()
        for _ in range(30):
            chart.press("ArrowLeft")
            if "10 of 100" in page.locator("#bounces ~ [aria-live]").inner_text():
                break
        with page.expect_navigation():
            chart.press("Enter")
        assert re.search(r"since=.*&until=", page.url)
        assert "10 of 100" in page.locator(".stats").inner_text()
        assert page.complaints == []

    def test_are_drawn_anew_where_their_part_of_the_page_is(self, open_page, viewer):
        count("accepted", 90)
        page = open_page("/reports/?range=6h", viewer)
        page.wait_for_selector("#volume + .chart svg")
        page.evaluate(REPLACE)
        page.wait_for_selector("#volume + .chart svg")
        page.evaluate(NEXT_FRAMES)
        assert page.complaints == []

    def test_are_a_table_without_script(self, open_page, viewer):
        count("accepted", 90)
        page = open_page("/reports/?range=6h", viewer, javascript=False, width=375)
        assert not page.locator(".chart").first.is_visible()
        page.get_by_text("The same numbers as a table").first.click()
        assert "90" in page.locator("figure table").first.inner_text()


@pytest.mark.broad
@pytest.mark.needs("chromium")
class TestFilters:
    def test_stand_in_line_whatever_is_wrong(self, open_page, viewer):
        page = open_page("/reports/?until=2026-99", viewer)
        expect(page.locator(".field-errors")).to_be_visible()
        labels = [page.locator(f"label[for=id_{name}]") for name in ("since", "until", "by")]
        assert len({round(label.bounding_box()["y"]) for label in labels}) == 1
        fields = [page.locator(f"#id_{name}") for name in ("since", "until", "by")]
        assert len({round(field.bounding_box()["y"]) for field in fields}) == 1

    def test_show_that_there_are_more(self, open_page, viewer):
        page = open_page("/reports/", viewer)
        summary = page.locator(".more-filters > summary")
        expect(summary).to_have_css("display", "list-item")  # else its arrow is gone
        summary.click()
        expect(page.get_by_label("Steps")).to_contain_text("Automatic")
