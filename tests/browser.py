"""A real browser for page tests: Chromium against the live server, with what every page must hold."""

import contextlib
import os
import shutil
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from playwright.sync_api import TimeoutError as TookTooLong
from playwright.sync_api import sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
BUNDLE = settings.BASE_DIR / "static" / "dist" / "app.js"
PRESSES = 5
MARK = "svg path[d='M0 -1L1 1L-1 1Z']"  # the triangle of a change
# Its middle in a chart, as soon as it is drawn: 9 pixels wide and high, and a tenth more under the mouse.
TRIANGLE = """async (element, mark) => {
    const isTriangle = ({width, height}) => Math.abs(width - 9) < 1 && Math.abs(height - 9) < 1;
    for (let frame = 0; frame < 300; frame++) {
        const drawn = [...element.querySelectorAll(mark)].map(path => path.getBoundingClientRect()).find(isTriangle);
        if (drawn) {
            const box = element.getBoundingClientRect();
            return [drawn.left + drawn.width / 2 - box.left, drawn.top + drawn.height / 2 - box.top];
        }
        await new Promise(requestAnimationFrame);
    }
    throw new Error("this chart shows no change");
}"""
AXE = {
    "resultTypes": ["violations"],
    "iframes": False,  # mail in a frame is not ours to mend
    "rules": {"target-size": {"enabled": True}},  # of WCAG 2.2, which axe leaves off
}


@contextlib.contextmanager
def started(**options):
    """Start Chromium for one module: its event loop must not outlive it, other tests run loops of their own."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the loop belongs to the browser, not to Django
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS, **options
        )
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="module")
def chromium():
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def windows(chromium):
    """The windows that no test has open, at most one with JavaScript and one without: a new one costs a second."""
    return {}


@pytest.fixture
def open_page(chromium, windows, live_server, logged_in):
    """Return a function that opens a path of the live server, as a user or as nobody."""
    if not BUNDLE.exists():
        pytest.skip("needs the bundles in static/dist")
    opened = []

    def open_(path, user=None, *, theme="light", width=1440, javascript=True):
        page = windows.pop(javascript, None)
        if page is None:
            page = _open_window(chromium, live_server.url, javascript=javascript)
        opened.append((javascript, page))
        if user:
            session = logged_in(user).cookies[settings.SESSION_COOKIE_NAME].value
            cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session}
            page.context.add_cookies([{**cookie, "url": live_server.url}])
        go_on_to(page, path, theme=theme, width=width)
        return page

    yield open_
    for javascript, page in opened:
        if javascript in windows:
            page.context.close()
        else:
            _leave(page)
            windows[javascript] = page


def _open_window(chromium, url, *, javascript):
    page = chromium.new_context(base_url=url, java_script_enabled=javascript).new_page()
    page.complaints = []
    page.on("console", lambda message: _note(page, message))
    page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
    page.on("request", lambda request: _note_foreign(page, request.url))
    return page


def _leave(page):
    """Forget all that a test left in the window, and ask its server nothing more."""
    for other in page.context.pages:
        if other is not page:
            other.close()
    page.unroute_all()
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.goto("about:blank")
    page.context.clear_cookies()


def go_on_to(page, path, *, theme="light", width=1440):
    """Open another path in the window of `page`: quicker than a new one."""
    page.emulate_media(media="screen", color_scheme=theme, forced_colors="none")
    page.set_viewport_size({"width": width, "height": 900 if width > 500 else 760})
    page.complaints.clear()
    page.goto(path, wait_until="load")


def log_in_in_another_tab(page, email, password):
    """Log in anew, as somebody does whose page says that the log-in has ended."""
    other = page.context.new_page()
    other.goto("/accounts/login/")
    other.get_by_label("E-mail address").fill(email)
    other.get_by_label("Password").fill(password)
    with other.expect_navigation():
        other.get_by_role("button", name="Log in", exact=True).click()


def _note(page, message):
    if message.type in {"error", "warning"}:
        page.complaints.append(f"{message.type}: {message.text}")


def _note_foreign(page, url):
    place = urlsplit(url)
    if place.scheme in {"http", "https", "ws"} and place.hostname not in {"127.0.0.1", "localhost"}:
        page.complaints.append(f"left the machine: {url}")


def assert_clean(page):
    """Assert that axe finds nothing, the console is silent, nothing left the machine, and the page fits the window.

    Looks twice: as the page was opened, and then in the dark on a phone.
    """
    page.evaluate(Axe().axe_script)
    _assert_clean_now(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 375, "height": 760})
    _assert_clean_now(page)


def _assert_clean_now(page):
    found = AxeResults(page.evaluate("options => axe.run(document, options)", AXE))
    assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"
    assert page.complaints == [], page.url
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen, f"{page.url} is {wide} px wide in a window of {seen}"


def press_the_mark(page):
    """Press the triangle over the first chart, as a hand would, and return what it opens.

    As a hand would, too, once more where the chart was drawn anew between the look and the press.
    """
    chart, told = page.locator("[data-chart]").first, page.locator(".change-told:visible")
    for _ in range(PRESSES):
        x, y = chart.evaluate(TRIANGLE, MARK)
        chart.click(position={"x": x, "y": y})
        with contextlib.suppress(TookTooLong):
            told.wait_for(timeout=3000)
            break
    return told.locator("xpath=..").inner_text()
