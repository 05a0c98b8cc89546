"""The habits people expect of every page, in a real browser: keys, palette, theme; and all of it without JavaScript."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from mailops.accounts.auditing import audit
from tests.browser import assert_clean
from tests.conftest import PASSWORD
from tests.examples import make_file
from tests.factories import make_captured, make_message, make_stream, make_transport

# notes in the page how often its notices changed behind its opening
COUNT_CHANGES = """addEventListener("DOMContentLoaded", () => {
    const toasts = document.getElementById("toasts");
    const note = () => (toasts.dataset.changed = Number(toasts.dataset.changed ?? 0) + 1);
    if (toasts) new MutationObserver(note).observe(toasts, {childList: true, subtree: true});
});"""

pytestmark = pytest.mark.needs("chromium")


class TestPalette:
    def test_goes_to_a_place_by_its_name(self, open_page, admin):
        page = open_page("/settings/profile/", admin)
        page.keyboard.press("Control+k")
        page.keyboard.type("audit")
        expect(page.get_by_role("option", name="Audit trail")).to_be_visible()
        assert_clean(page)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("/settings/audit/$"))

    def test_offers_what_was_visited_last(self, open_page, admin):
        page = open_page("/settings/profile/", admin)
        page.goto("/settings/audit/")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("option", name="Profile").first).to_be_visible()

    def test_shows_a_viewer_no_act_it_may_not_do(self, open_page, viewer):
        page = open_page("/settings/", viewer)
        page.keyboard.press("Control+k")
        page.keyboard.type("invite")
        expect(page.get_by_text("Nothing with this name.")).to_be_visible()

    def test_says_aloud_that_there_is_nothing(self, open_page, viewer):
        page = open_page("/settings/", viewer)
        page.keyboard.press("Control+k")
        expect(page.get_by_role("combobox")).to_have_attribute(
            "aria-activedescendant", re.compile("palette-")
        )
        page.keyboard.type("nowhere")
        expect(page.get_by_role("status")).to_have_text("Nothing with this name.")
        expect(page.get_by_role("combobox")).not_to_have_attribute(
            "aria-activedescendant", re.compile(".")
        )
        assert_clean(page)


class TestFocus:
    def test_stays_on_what_was_pressed_where_its_part_is_exchanged(self, open_page, viewer):
        captured = make_captured(b"Subject: Hello\r\n\r\nWords\r\n")
        page = open_page(reverse("sandbox:message", args=[captured.pk]), viewer)
        page.get_by_role("link", name="Source").press("Enter")
        expect(page.get_by_role("link", name="Source")).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("link", name="Source")).to_be_focused()

    def test_goes_to_the_part_where_what_was_pressed_is_gone(self, open_page, editor):
        file = make_file()
        page = open_page(reverse("content:edit", args=[file.template_id]), editor)
        page.locator("#files > summary").click()
        page.get_by_role("button", name=f"Remove {file}").press("Enter")
        expect(page.get_by_role("button", name="Undo")).to_be_visible()
        expect(page.locator("#files > summary")).to_be_focused()

    def test_goes_to_what_is_wrong_first_in_a_form(self, open_page, admin):
        page = open_page(reverse("domains:add"), admin)
        page.get_by_label("Domain", exact=True).fill("no domain")
        with page.expect_navigation():
            page.get_by_role("button", name="Add and check").click()
        expect(page.get_by_label("Domain", exact=True)).to_be_focused()


class TestNotices:
    def test_are_told_of_a_page_that_opens_with_one(self, open_page, admin):
        """A screen reader says only what changes in a live region once the page is there."""
        page = open_page("/settings/profile/", admin)
        page.add_init_script(COUNT_CHANGES)
        with page.expect_navigation():
            page.get_by_role("button", name="Save").click()
        expect(page.locator("#toasts")).to_have_attribute("data-changed", "1")
        expect(page.locator("#toasts p")).to_have_count(1)


class TestTargets:
    def test_links_below_each_other_are_24_pixels_apart(self, open_page, viewer):
        transport = make_transport()
        for _ in range(3):
            make_stream(transport=transport)
        page = open_page(reverse("transports:list"), viewer)
        expect(page.locator("[data-label=Streams] a")).to_have_count(3)
        assert_clean(page)


class TestForcedColors:
    def test_what_is_chosen_is_outlined(self, open_page, admin):
        page = open_page("/settings/", admin)
        page.emulate_media(forced_colors="active")
        page.keyboard.press("Control+k")
        chosen = page.get_by_role("option", selected=True)
        expect(chosen).to_have_css("outline-style", "solid")


class TestKeys:
    def test_slash_goes_to_the_search_field(self, open_page, admin):
        page = open_page("/settings/audit/", admin)
        page.keyboard.press("/")
        expect(page.get_by_label("Who or what")).to_be_focused()

    def test_fire_nothing_while_one_types(self, open_page, admin):
        page = open_page("/settings/audit/", admin)
        page.get_by_label("Who or what").fill("")
        page.keyboard.type("gs?/")
        expect(page.get_by_label("Who or what")).to_have_value("gs?/")
        assert page.locator("dialog[open]").count() == 0

    def test_g_and_a_letter_go_to_a_place(self, open_page, admin):
        page = open_page("/settings/audit/", admin)
        page.keyboard.press("g")
        page.keyboard.press("s")
        expect(page).to_have_url(re.compile("/settings/$"))

    def test_question_mark_lists_them(self, open_page, admin):
        page = open_page("/settings/", admin)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        assert_clean(page)

    def test_that_are_pressed_alone_can_be_switched_off(self, open_page, admin):
        page = open_page("/settings/", admin)
        page.keyboard.press("?")
        page.get_by_label("Keys that are pressed alone").uncheck()
        page.keyboard.press("Escape")
        for key in "?/gt":
            page.keyboard.press(key)
        page.reload()
        page.keyboard.press("?")
        expect(page.locator("dialog")).to_have_count(0)
        assert page.url.endswith("/settings/")
        page.keyboard.press("Control+k")
        page.keyboard.type("keyb")
        page.get_by_role("option", name="Keyboard").click()
        page.get_by_label("Keys that are pressed alone").check()
        page.get_by_role("button", name="Close").click()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()


class TestTheme:
    def test_choice_holds_over_a_reload(self, open_page, admin):
        page = open_page("/settings/", admin)
        page.get_by_role("button", name="Theme: system").click()
        page.get_by_role("button", name="Theme: light").click()
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert_clean(page)


class TestFilters:
    def test_replace_the_list_only_and_keep_the_address(self, open_page, admin):
        audit(actor=admin, verb="campaign.pause", subject=admin)
        audit(actor=admin, verb="user.change", subject=admin)
        page = open_page("/settings/audit/", admin)
        page.get_by_label("Act").select_option("user.change")
        expect(page.locator("#entries tbody tr")).to_have_count(1)
        assert "verb=user.change" in page.url
        page.go_back()
        expect(page.locator("#entries tbody tr")).to_have_count(2)


class TestWithoutJavaScript:
    def test_one_logs_in_filters_and_logs_out(self, open_page, admin):
        audit(actor=admin, verb="campaign.pause")
        page = open_page("/settings/audit/", javascript=False)
        page.get_by_label("E-mail address").fill(admin.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in", exact=True).click()
        page.get_by_label("Act").select_option("campaign.pause")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("#entries tbody tr")).to_have_count(1)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()

    def test_lists_fold_on_a_phone(self, open_page, operator):
        message = make_message(recipient=f"{'a' * 60}@example.net")
        page = open_page("/messages/", operator, width=375)
        for words in (message.recipient, "Queued"):
            box = page.locator("tbody").get_by_text(words).first.bounding_box()
            assert box["x"] + box["width"] <= 375

    def test_navigation_opens_on_a_phone(self, open_page, admin):
        page = open_page("/settings/", admin, width=375, javascript=False)
        expect(page.get_by_role("link", name="Settings")).to_be_hidden()
        page.get_by_text("Menu").click()
        expect(page.get_by_role("link", name="Settings")).to_be_visible()

    def test_buttons_that_need_it_are_not_shown(self, open_page, admin):
        page = open_page("/settings/", admin, javascript=False)
        expect(page.get_by_role("button", name=re.compile("Theme"))).to_be_hidden()
        expect(page.get_by_role("button", name=re.compile("Copy"))).to_have_count(0)
