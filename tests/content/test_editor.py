"""The editor in a real browser, from the first mistake to the roll-back."""

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from mailops.content import desk, picturing
from mailops.content.differing import State
from mailops.content.limits import MAX_SOURCE
from mailops.content.models import MailTemplate, Picture
from mailops.outbox.models import Message
from tests.browser import assert_clean, log_in_in_another_tab
from tests.conftest import PASSWORD
from tests.content.previews import kept
from tests.content.some_files import png
from tests.content.test_pages import url
from tests.factories import make_identity, make_stream

GOOD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Spring</title>
<meta name="color-scheme" content="light dark">
<style>p { color: #222222; background: #ffffff }
@media (prefers-color-scheme: dark) { p { color: #eeeeee; background: #111111 } }</style></head>
<body><div style="display: none">What is new</div>
<p>Hello {{ first_name | default: 'there' }}</p>
<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>"""


def write(page, source):
    """Put `source` into the code editor, and wait until the server has looked at it."""
    with kept(page, source):
        page.locator(".code-editor-html .cm-content").fill(source)
    # not wait_for_function: it asks a second time by eval, and the page's policy forbids that
    expect(page.locator(".htmx-request")).to_have_count(0)


@pytest.mark.broad
@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
class TestEditor:
    def test_from_a_mistake_to_a_roll_back(  # noqa: PLR0915 - one way, one window
        self, open_page, editor, operator, settings
    ):
        settings.MAILOPS_CHROMIUM = ""  # pictures are drawn below, not by a worker
        stream = make_stream()
        identity = make_identity(domain=stream.domain)
        template = MailTemplate.objects.create(
            name="Spring", draft_subject="Spring is here", needs_approval=True
        )
        page = open_page(url("edit", template), editor)

        write(page, GOOD.replace("{{ unsubscribe_url }}", "{% if x %}{{ unsubscribe_url }}"))
        page.wait_for_selector(".code-editor-html .cm-lintRange-error")
        marked = page.locator(".code-editor-html .cm-gutter-lint .cm-lint-marker-error")
        expect(marked).to_have_count(1)
        expect(page.locator("#preview")).to_contain_text("HTML, line 7")

        page.complaints.clear()  # Chromium's console tells of the 422

        write(page, GOOD)
        page.wait_for_selector(".code-editor-html .cm-lintRange-error", state="detached")
        frame = page.frame_locator("#preview iframe")
        expect(frame.locator("body")).to_contain_text("Hello there")
        expect(frame.locator("p").first).to_have_css("color", "rgb(34, 34, 34)")
        with page.expect_response(lambda response: "scheme=dark" in response.url):
            page.get_by_label("Dark").check()
        expect(frame.locator("p").first).to_have_css("color", "rgb(238, 238, 238)")

        page.get_by_role("button", name="Save and send a test").click()
        page.get_by_label("Recipient").fill("accept+spring@inbox.example")
        page.get_by_label("Stream").select_option(str(stream.pk))
        page.get_by_label("From").select_option(str(identity.pk))
        page.get_by_role("button", name="Send").click()
        page.wait_for_url("**/messages/**")
        assert Message.objects.get().version.template.test_of == template

        page.goto(url("publish", template))
        with page.expect_navigation():
            page.get_by_role("button", name="Ask for approval").click()
        approval = page.url.removeprefix(page.url.split("/templates")[0])
        reviewer = open_page(approval, operator)
        reviewer.get_by_role("button", name="Approve exactly this").click()
        reviewer.get_by_text("approved it").wait_for()
        page.goto(url("publish", template))
        if page.get_by_label("I have seen").count():
            page.get_by_label("I have seen").check()
        page.get_by_role("button", name="Publish").click()
        page.get_by_role("heading", name="Version 1").wait_for()

        page.goto(url("edit", template))
        write(page, GOOD.replace("Hello", "Good morning"))
        page.get_by_role("button", name="Save draft").click()
        page.get_by_text("The draft is saved.").wait_for()
        settings.MAILOPS_CHROMIUM = django_settings.MAILOPS_CHROMIUM or "chromium"
        self.draw(template)
        page.goto(f"{url('pictures', template)}?old=1&new=draft")
        assert page.get_by_text("they differ").count() == 1
        assert_clean(page)
        settings.MAILOPS_CHROMIUM = ""

        page.set_viewport_size({"width": 1440, "height": 900})
        MailTemplate.objects.filter(pk=template.pk).update(needs_approval=False)
        page.goto(url("publish", template))
        if page.get_by_label("I have seen").count():
            page.get_by_label("I have seen").check()
        page.get_by_role("button", name="Publish").click()
        page.get_by_role("heading", name="Version 2").wait_for()
        page.goto(url("roll-back", template, 1))
        page.get_by_role("button", name="Roll back").click()
        page.get_by_role("heading", name="Version 3").wait_for()
        assert template.latest_version.restores == 1
        assert page.complaints == []

    def draw(self, template):
        """Draw one shape of both states, as a worker would draw all; each is a start of Chromium."""
        template.refresh_from_db()
        shapes, picturing.SHAPES = picturing.SHAPES, [("dark", 600)]
        try:
            for state in (State.of_version(template.latest_version), State.of_draft(template)):
                picturing.draw(picturing.html_of(state, template.sample))
        finally:
            picturing.SHAPES = shapes
        assert Picture.objects.count() == 2


@pytest.mark.broad
@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
class TestSaving:
    def test_that_comes_to_nothing_leaves_the_words_where_they_are(
        self, open_page, editor, settings
    ):
        template = MailTemplate.objects.create(name="Spring", draft_subject="Spring is here")
        page = open_page(url("edit", template), editor)
        save, told = page.get_by_role("button", name="Save draft"), page.locator("#toasts")

        def refused(words):
            save.click()
            told.get_by_text(words).wait_for()
            assert "Mine" in page.locator(".code-editor-html .cm-content").inner_text()

        def away(status):
            page.route("**/edit/", lambda route: route.fulfill(status=status))
            refused("mailops does not answer" if status == 502 else "What you typed is still here")
            page.unroute("**/edit/")

        write(page, GOOD.replace("Hello", "Mine"))
        away(500)
        away(502)
        page.route("**/edit/", lambda route: route.abort())
        refused("mailops can't be reached")
        page.unroute("**/edit/")
        most, settings.DATA_UPLOAD_MAX_MEMORY_SIZE = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, 200
        refused("That is larger than 200")
        with page.expect_response(lambda response: response.status == 413):
            save.click()
        expect(page.locator(".htmx-request")).to_have_count(0)
        expect(told.get_by_text("That is larger than 200")).to_have_count(1)
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = most

        Session.objects.all().delete()
        refused("Your log-in has ended. Log in in another tab, then press again")
        page.locator(".code-editor-html .cm-content").press("Control+End")
        page.keyboard.type("<!-- mine -->")
        assert page.url.endswith("/edit/")
        log_in_in_another_tab(page, editor.email, PASSWORD)
        page.keyboard.press("Control+s")
        told.get_by_text("The draft is saved.").wait_for()
        template.refresh_from_db()
        assert "<!-- mine -->" in template.draft_html

    def test_keeps_what_was_typed_as_soon_as_mailops_answers_again(self, open_page, editor):
        template = MailTemplate.objects.create(name="Spring", draft_subject="Spring is here")
        page = open_page(url("edit", template), editor)
        page.route("**/preview/", lambda route: route.abort())
        page.locator(".code-editor-html .cm-content").fill(GOOD)
        told = page.locator("#toasts").get_by_text("What you type stays on this page")
        told.wait_for()
        with kept(page, GOOD):
            page.unroute("**/preview/")
        assert "Hello" in desk.unsaved(template, editor, "")["html"]
        expect(told).to_have_count(0)

    def test_goes_on_with_what_was_typed_after_a_look_elsewhere(self, open_page, editor):
        template = MailTemplate.objects.create(name="Spring", draft_subject="Spring is here")
        page = open_page(url("edit", template), editor)
        write(page, "<p>One</p>")
        page.goto(url("detail", template))
        page.go_back()
        source = page.locator(".code-editor-html .cm-content")
        expect(source).to_have_text("<p>One</p>")
        with kept(page, " Two"):
            source.press("Control+End")
            page.keyboard.type(" Two")
        assert desk.unsaved(template, editor, "")["html"] == "<p>One</p> Two"

    def test_leaves_the_page_as_it_is(self, open_page, editor):
        template = MailTemplate.objects.create(name="Spring", draft_subject="Spring is here")
        page = open_page(url("edit", template), editor)
        write(page, GOOD)
        page.evaluate("window.isTheSame = true")
        told = page.get_by_text("The draft is saved.")
        for number, words in enumerate(["one", "two"], start=1):
            page.keyboard.type(words)
            with page.expect_response(lambda response: response.url.endswith("/preview/")):
                page.keyboard.press("Control+s")
                told.last.wait_for()
            expect(page.locator("#id_revision")).to_have_value(str(number))
            expect(page.locator(".code-editor-html .cm-content")).to_be_focused()
        template.refresh_from_db()
        assert template.draft_html.endswith("</html>onetwo")
        page.keyboard.press("Control+z")
        assert "two" not in page.locator(".code-editor-html .cm-content").inner_text()
        assert page.evaluate("window.isTheSame")

    def test_searches_by_a_bar_that_can_be_read_in_the_dark(self, open_page, editor):
        template = MailTemplate.objects.create(name="Spring", draft_subject="Hi", draft_html=GOOD)
        page = open_page(url("edit", template), editor, theme="dark")
        page.locator(".code-editor-html .cm-content").click()
        page.keyboard.press("Control+f")
        surface = page.locator(".code-editor-html").evaluate(
            "e => getComputedStyle(e).backgroundColor"
        )
        for part in (".cm-search .cm-button", ".cm-search .cm-textfield"):
            expect(page.locator(part).first).to_have_css("background-color", surface)
            expect(page.locator(part).first).to_have_css("background-image", "none")
        assert_clean(page)

    def test_shows_why_words_are_refused(self, open_page, editor):
        template = MailTemplate.objects.create(name="Spring", sample={"a": 1})
        page = open_page(url("edit", template), editor)
        page.locator(".code-editor-json .cm-content").fill("{")
        page.get_by_label("Subject").fill("Mine")
        page.get_by_label("Subject").press("Enter")
        page.locator(".field-errors", has_text="This is not JSON").wait_for()
        expect(page.get_by_label("Subject")).to_have_value("Mine")
        template.refresh_from_db()
        assert template.draft_revision == 0

    def test_cuts_nothing_off_a_source_that_is_too_long(self, open_page, editor):
        template = MailTemplate.objects.create(name="Spring")
        page = open_page(url("edit", template), editor, javascript=False)
        source = page.locator("textarea[name=html]")
        source.focus()
        page.keyboard.insert_text("x" * (MAX_SOURCE + 1))  # as if pasted
        with page.expect_navigation():
            page.get_by_role("button", name="Save draft").click()
        expect(page.locator(".has-errors")).to_contain_text("The source is longer than 256 KB.")
        assert len(source.input_value()) == MAX_SOURCE + 1


@pytest.mark.broad
@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
class TestFiles:
    def test_are_added_shown_removed_and_brought_back(self, open_page, editor):
        template = MailTemplate.objects.create(
            name="Spring", draft_subject="Spring is here", draft_html=GOOD
        )
        page = open_page(url("edit", template), editor)
        panel = page.locator("#files")
        panel.locator("summary").click()
        page.set_input_files(
            "#id_file", {"name": "logo.png", "mimeType": "", "buffer": png(40, 30)}
        )
        panel.get_by_text("nowhere shown yet").wait_for()
        with page.expect_response(lambda response: response.url.endswith("/preview/")):
            panel.get_by_role("button", name="Insert").click()
        shown = page.frame_locator("#preview iframe").locator("img")
        expect(shown).to_be_visible()
        expect(shown).to_have_js_property("naturalWidth", 40)
        page.get_by_role("button", name="Save draft").click()
        page.get_by_text("The draft is saved.").wait_for()
        template.refresh_from_db()
        assert '<img src="cid:logo.png" alt="" width="40"></body>' in template.draft_html
        page.reload()
        panel.locator("summary").click()
        expect(panel.get_by_text("shown in it")).to_be_visible()
        assert_clean(page)
        page.set_viewport_size({"width": 1440, "height": 900})
        panel.get_by_role("button", name="Remove").click()
        page.locator("#preview").get_by_text("There is no file “logo.png”").wait_for()
        with page.expect_response(lambda response: response.url.endswith("/preview/")):
            panel.get_by_role("button", name="Undo").click()
        page.locator("#preview").get_by_text("There is no file").wait_for(state="detached")

    def test_are_added_without_script_and_no_word_is_lost(self, open_page, editor):
        template = MailTemplate.objects.create(name="Spring", draft_html="<p>Saved</p>")
        page = open_page(url("edit", template), editor, javascript=False)
        page.locator("textarea[name=html]").fill("<p>Not saved</p>")
        page.locator("#files summary").click()
        page.set_input_files("#id_file", {"name": "logo.png", "mimeType": "", "buffer": png()})
        with page.expect_navigation():
            page.get_by_role("button", name="Add", exact=True).click()
        assert page.locator("textarea[name=html]").input_value() == "<p>Not saved</p>"
        page.locator("#files summary").click()
        with page.expect_navigation():
            page.get_by_role("button", name="Remove").click()
        assert template.files.get().removed_at
        assert page.locator("textarea[name=html]").input_value() == "<p>Not saved</p>"

    def test_two_people_at_one_draft_lose_no_word(self, open_page, editor, operator, settings):
        settings.MAILOPS_CHROMIUM = ""
        template = MailTemplate.objects.create(name="Spring", draft_subject="Spring is here")
        hers, his = (open_page(url("edit", template), user) for user in (editor, operator))
        write(hers, GOOD.replace("Hello", "Hers"))
        write(his, GOOD.replace("Hello", "His"))
        assert "is writing on this draft too" in his.locator("#preview").inner_text()
        hers.get_by_role("button", name="Save draft").click()
        hers.get_by_text("The draft is saved.").wait_for()

        write(his, GOOD.replace("Hello", "His own"))
        assert "This draft was saved meanwhile" in his.locator("#preview").inner_text()
        his.get_by_role("button", name="Save draft").click()
        his.get_by_text("Somebody else saved this draft meanwhile").wait_for()
        differing = his.locator("pre.diff").first.inner_text()
        assert "Hers" in differing
        assert "His own" in differing
        template.refresh_from_db()
        assert "Hers" in template.draft_html
        assert "His own" in his.locator(".code-editor-html .cm-content").inner_text()

        write(his, GOOD.replace("Hello", "Hers and his"))
        his.get_by_role("button", name="Save draft").click()
        his.get_by_text("The draft is saved.").wait_for()
        template.refresh_from_db()
        assert "Hers and his" in template.draft_html
        # Chromium's console tells of the 422 that the conflict answers with, and of nothing else
        assert hers.complaints == []
        assert all("422" in complaint for complaint in his.complaints)
