"""What an open page says in a real browser while mailops can't answer it."""

import pytest
from playwright.sync_api import expect

AWAY = "The database does not answer. What this page shows may be old"
POLL = """() => {
  const part = document.createElement("div");
  part.id = "polled";
  part.setAttribute("hx-get", "/accounts/polled/");
  part.setAttribute("hx-trigger", "asked");
  document.querySelector("main").append(part);
  htmx.process(part);
}"""
ASK = "() => htmx.trigger('#polled', 'asked')"


@pytest.mark.broad
@pytest.mark.needs("chromium")
def test_a_page_that_asks_by_itself_says_that_it_may_be_old_until_it_is_answered(open_page, viewer):
    page = open_page("/", viewer)
    page.route("**/polled/", lambda route: route.fulfill(status=503, body="away"))
    page.evaluate(POLL)
    notice = page.locator("#toasts .toast", has_text=AWAY)
    page.evaluate(ASK)
    page.evaluate(ASK)
    expect(notice).to_have_count(1)

    page.unroute("**/polled/")
    page.route("**/polled/", lambda route: route.fulfill(status=200, body="<p>here</p>"))
    page.evaluate(ASK)
    expect(notice).to_have_count(0)
