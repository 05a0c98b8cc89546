import re

import pytest
from playwright.sync_api import expect

from tests.browser import started


@pytest.fixture(scope="module")
def chromium():
    """A browser that keeps the last pages as they stood, as people's do; those of tests don't by themselves."""
    with started(ignore_default_args=["--disable-back-forward-cache"]) as browser:
        yield browser


@pytest.mark.broad
@pytest.mark.needs("chromium")
class TestBack:
    @pytest.fixture
    def page(self, open_page, admin):
        page = open_page("/settings/users/", admin)
        page.evaluate("addEventListener('pageshow', event => { isKept = event.persisted })")
        return page

    def test_shows_a_page_as_it_stood(self, page):
        page.goto("/settings/")
        page.evaluate("history.back()")
        page.wait_for_function("window.isKept")
        expect(page.get_by_role("heading", name="Users")).to_be_visible()

    def test_shows_none_of_before_a_log_out(self, page, admin):
        with page.expect_navigation():
            page.evaluate("document.querySelector('form[action$=\"/logout/\"]').requestSubmit()")
        page.evaluate("history.back()")
        page.wait_for_url(re.compile("/accounts/login/.next="), timeout=10_000)
        assert admin.email not in page.content()
