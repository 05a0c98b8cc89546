"""The visual editor: what it takes, what it refuses, and that its own policy holds."""

import re

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from mailops.content import desk
from mailops.content.checking import look_over
from mailops.content.enclosing import add_file
from mailops.content.forms import DraftForm
from mailops.content.models import MailTemplate
from mailops.content.starters import STARTERS
from mailops.content.visual import Inexpressible, open_visually
from tests.browser import assert_clean, go_on_to, log_in_in_another_tab
from tests.conftest import PASSWORD
from tests.content.previews import kept
from tests.content.some_files import png
from tests.content.test_pages import url

LETTER = STARTERS["mjml"]


FRAME = """<mjml lang="en"><mj-head><mj-attributes><mj-all color="#112233" /></mj-attributes></mj-head>
<mj-body>
  <mj-section><mj-column><mj-image src="cid:logo.png" alt="Acme" /></mj-column></mj-section>
  {{ content }}
  {% render 'Foot' %}
</mj-body></mjml>
"""
# Word's, Gmail's and worse, put into the clipboard as a program does
FOREIGN = """<html><head><style>p {color: red}</style></head><body><p class=MsoNormal style='mso-x:y'><b><span
style='color:red'>Big<o:p></o:p></span></b> news 😀</p><!--x--><div dir="rtl">שלום</div><ul style="x:y"><li>one</li></ul>
<a href="https://example.org/?a=1&amp;b=2" onclick="top.ran=1">two</a> <a href="javascript:top.ran=2">three</a>
<img src="file:///x.png" onerror="top.ran=3"><script>top.ran=4</script><iframe srcdoc="<script>top.ran=5</script>"></iframe>
<svg onload="top.ran=6"></svg><table><tr><td>four</td></tr></table></body></html>"""
PASTE = """(element, html) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/html", html);
    const event = new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true});
    element.dispatchEvent(event);
}"""
WORDS = "<mj-section><mj-column><mj-text>Dear {{ name }}, <b>hello</b></mj-text></mj-column></mj-section>"


def template(html=LETTER.html, **fields):
    return MailTemplate(name="Spring", syntax="mjml", draft_html=html, **fields)


def saved(html=LETTER.html, **fields):
    draft = template(html, **fields)
    draft.save()
    return draft


def refusal(html):
    with pytest.raises(Inexpressible) as error:
        open_visually(template(), html)
    return str(error.value)


def look(source):
    return look_over(subject="x", html=source, text="", sample=LETTER.sample, syntax="mjml")


@pytest.mark.django_db
class TestWhatItTakes:
    def test_is_a_letter_with_values_in_texts_and_addresses(self):
        draft = saved()
        assert open_visually(draft, draft.draft_html).source == LETTER.html

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("<mj-column>", "<mj-column>\n{% if a %}", "In line 9 a Liquid tag"),
            ("<mj-column>", "<mj-column><mj-raw><b>x</b></mj-raw>", "raw HTML"),
            ("<mj-column>", "<mj-column><mj-table><tr><td>1</td></tr></mj-table>", "a table"),
            ("<mj-colum", "<mj-colun", "errors"),
            ("Write what", "<iFrame src='https://x.example/'></iFrame>", "a frame"),
        ],
    )
    def test_is_nothing_that_it_would_lose(self, old, new, words):
        assert words in refusal(LETTER.html.replace(old, new, 1))

    def test_is_nothing_but_mjml_made_of_sections(self):
        assert "made of sections" in refusal("<mj-text>Hello</mj-text>")
        with pytest.raises(Inexpressible, match="written in MJML"):
            open_visually(MailTemplate(name="x"), "<p>")

    def test_is_a_mail_of_which_nothing_is_written_yet(self):
        draft = saved("")
        opened = open_visually(draft, " \n")
        assert not opened.is_fragment
        assert look(opened.source).errors == []
        draft.kind = "block"
        assert open_visually(draft, "").is_fragment
        layout = MailTemplate.objects.create(name="Frame", kind="layout", draft_html=FRAME)
        draft.kind, draft.layout = "mail", layout
        assert open_visually(draft, "").is_fragment

    def test_leaves_the_head_alone_and_says_so(self):
        draft = saved(
            LETTER.html.replace("</mj-head>", "<!-- x --><mj-attributes></mj-attributes></mj-head>")
        )
        (note,) = open_visually(draft, draft.draft_html).notes
        assert "mj-attributes" in note

    def test_shows_a_layouts_content_and_blocks_as_boxes(self):
        draft = saved(FRAME, kind="layout")
        opened = open_visually(draft, draft.draft_html)
        assert opened.parts == ["{{ content }}", "{% render 'Foot' %}"]
        assert "{" not in opened.source
        assert opened.source.count("css-class") == 2
        assert "left alone" in opened.notes[0]

    def test_leaves_liquid_in_texts_as_text(self):
        draft = saved(WORDS.replace("{{ name }}", "{% render 'Name' %}"))
        opened = open_visually(draft, draft.draft_html)
        assert opened.is_fragment
        assert opened.parts == []
        assert "{% render 'Name' %}" in opened.source


@pytest.mark.django_db
class TestWordsThatAreNotSaved:
    @pytest.fixture
    def draft(self, logged_in, editor):
        """Return a draft, in which the editor typed something and did not save it."""
        draft = saved()
        words = DraftForm.initial_for(draft) | {"html": LETTER.html.replace("Write what", "Mine:")}
        logged_in(editor).post(url("preview", draft), words, headers={"HX-Request": "true"})
        return draft

    def test_are_what_opens(self, logged_in, editor, draft):
        page = logged_in(editor).get(url("visual", draft))
        assert "Mine:" in page.context["opened"].source
        assert "kept as you typed them" in page.content.decode()

    def test_are_nobody_elses(self, logged_in, operator, draft):
        page = logged_in(operator).get(url("visual", draft))
        assert "Mine:" not in page.context["opened"].source

    def test_come_with_the_revision_and_the_page_they_were_left_on(self, logged_in, editor, draft):
        client = logged_in(editor)
        MailTemplate.objects.update(draft_revision=7)
        assert client.get(url("visual", draft)).context["draft"]["revision"] == "0"
        first, second = (client.get(url("visual", draft)).context["draft"] for _ in "12")
        assert first["page"] == second["page"]


@pytest.mark.broad
@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
class TestInTheBrowser:
    @pytest.fixture
    def open_editor(self, open_page, editor):
        """Return a function that opens the editor of a draft and waits until it takes what is typed."""

        def opened(draft):
            page = open_page(url("visual", draft), editor)
            wait_until_ready(page)
            return page

        return opened

    def test_opens_and_saves_the_same_source(self, open_page, editor):
        draft = saved(draft_subject=LETTER.subject, sample=LETTER.sample)
        page = open_page(url("visual", draft), editor)
        canvas = canvas_of(page)
        canvas.get_by_text("Write what there is to say.").wait_for()
        assert page.complaints == []
        self.write(page, canvas.get_by_text("Write what there is to say."), "Now: ")
        self.save(page)
        draft.refresh_from_db()
        before, after = (look(source) for source in (LETTER.html, draft.draft_html))
        assert after.errors == []
        assert after.rendered.text.replace("Now: ", "") == before.rendered.text
        assert "\n    <mj-section>\n      <mj-column>\n" in draft.draft_html
        assert after.rendered.html.count("<table") == before.rendered.html.count("<table")
        assert after.rendered.html.count("font-size:14px") == 1
        assert "{{ first_name | default: 'there' }}" in draft.draft_html
        assert '<a href="{{ unsubscribe_url }}"' in draft.draft_html
        assert draft.draft_revision == 1
        assert page.url.endswith("/visual/")
        self.write(page, canvas.get_by_text("Now: Write what"), "Right ")
        self.save(page)
        draft.refresh_from_db()
        assert "Right Now: Write" in draft.draft_html
        go_on_to(page, url("visual", draft))
        wait_until_ready(page)
        assert_clean(page)

    def test_has_fields_for_the_language_and_the_preheader_and_keeps_all_else_of_the_head(
        self, open_editor
    ):
        note = "<!-- <mj-preview>an old one</mj-preview> -->"
        draft = saved(LETTER.html.replace("<mj-head>", f"<mj-head>{note}"))
        page = open_editor(draft)
        preheader, language = page.get_by_label("Preheader"), page.get_by_label("Language")
        expect(preheader).to_have_value("One sentence that makes them open it.")
        expect(language).to_have_value("en")
        with kept(page, "Words"):
            preheader.fill('Words & <more> for {{ first_name | default: "you" }}')
        language.fill("pt-BR")
        self.save(page)
        draft.refresh_from_db()
        assert draft.draft_html.startswith('<mjml lang="pt-BR">\n')
        preview = '<mj-preview>Words &amp; &lt;more&gt; for {{ first_name | default: "you" }}</mj-preview>'
        assert draft.draft_html.count(preview) == 1
        head = LETTER.html[LETTER.html.index("<mj-head>") : LETTER.html.index("</mj-head>")]
        for line in [note, *head.splitlines()[1:]]:
            assert line in draft.draft_html or "<mj-preview>" in line
        assert look(draft.draft_html).errors == []
        preheader.fill("")
        self.save(page)
        draft.refresh_from_db()
        assert "Words" not in draft.draft_html
        assert note in draft.draft_html

    def test_says_the_language_of_a_mail_that_has_no_head(self, open_editor):
        draft = saved(f"<mjml><mj-body>{WORDS}</mj-body></mjml>")
        page = open_editor(draft)
        page.get_by_label("Language").fill('e"n')
        page.get_by_label("Preheader").fill("First words")
        self.save(page)
        draft.refresh_from_db()
        assert draft.draft_html.startswith(
            '<mjml lang="e&quot;n">\n  <mj-head>\n    <mj-preview>First words</mj-preview>\n  </mj-head>\n'
        )
        go_on_to(page, url("visual", draft))
        wait_until_ready(page)
        expect(page.get_by_label("Language")).to_have_value('e"n')

    def test_what_stands_in_a_layout_has_no_head(self, open_editor):
        page = open_editor(saved(WORDS))
        expect(page.get_by_label("Preheader")).to_have_count(0)

    def test_a_part_is_chosen_and_written_in_by_keyboard(self, open_editor):
        draft = saved(f"<mjml><mj-body>{WORDS}</mj-body></mjml>")
        page = open_editor(draft)
        page.get_by_role("button", name="Layers").press("Enter")
        for part in ("Body", "Section", "Column"):
            page.get_by_role("button", name=f"What is in {part}").press("Enter")
        text = page.get_by_role("button", name="Text", exact=True)
        text.press("Enter")
        expect(canvas_of(page).locator(".gjs-selected")).to_contain_text("Dear")
        text.press("Enter")
        with kept(page, "Hello"):
            page.keyboard.press("Home")
            page.keyboard.type("Hello ")
        self.save(page)
        draft.refresh_from_db()
        assert "Hello Dear {{ name }}" in draft.draft_html
        assert_clean(page)

    def write(self, page, text, words):
        """Type at the beginning of a text of the mail, and stay in it until the server has kept that."""
        text.dblclick()
        page.keyboard.press("Home")
        with kept(page, words.split()[-1].strip(",:")):
            page.keyboard.type(words)

    def save(self, page, told="The draft is saved."):
        with page.expect_response(lambda response: response.url.endswith("/edit/")):
            page.get_by_role("button", name="Save draft").click()
        page.get_by_text(told).last.wait_for()

    def test_makes_a_mail_of_nothing_and_sends_it_as_a_test(self, open_editor):
        draft = saved("")
        page = open_editor(draft)
        checks = page.locator("#checks")
        expect(checks).to_contain_text("There is nothing to send yet")
        page.get_by_label("Subject").fill("Ahoy")
        page.get_by_role("button", name="Text", exact=True).press("Enter")
        words = canvas_of(page).get_by_text("Write here.")
        words.dblclick()
        page.keyboard.press("Control+a")
        page.keyboard.type("going and/or coming? {% if a %}")
        expect(checks).to_contain_text("Error")
        for _ in "{% if a %}":
            page.keyboard.press("Backspace")
        expect(checks).not_to_contain_text("Error")
        page.get_by_role("button", name="Save and send a test").click()
        page.wait_for_url("**version=**")
        draft.refresh_from_db()
        assert draft.draft_subject == "Ahoy"
        assert "going and/or coming?" in draft.draft_html
        assert look(draft.draft_html).errors == []

    def test_saves_a_source_that_nobody_changed_as_it_was(self, open_editor):
        draft = saved(LETTER.html.replace("<mj-column>", "<mj-column   >"))
        page = open_editor(draft)
        self.save(page, "Nothing was changed")
        before = draft.draft_html
        draft.refresh_from_db()
        assert draft.draft_html == before

    def test_keeps_words_while_the_cursor_is_still_among_them(self, open_editor, editor):
        draft = saved()
        page = open_editor(draft)
        canvas = canvas_of(page)
        self.write(page, canvas.get_by_text("You get this mail as"), "1 < 2 & go/come? Ahoy, ")
        source = desk.unsaved(draft, editor, "")["html"]
        assert "1 &lt; 2 &amp; go/come? Ahoy, You get this mail as {{ email }}. <a " in source
        assert look(source).errors == []

    def test_opens_with_what_was_typed_after_a_look_elsewhere(self, open_editor):
        draft = saved()
        page = open_editor(draft)
        canvas = canvas_of(page)
        self.write(page, canvas.get_by_text("Write what"), "Mine: ")
        page.goto(url("detail", draft))
        page.go_back()
        expect(canvas.get_by_text("Mine: Write what")).to_be_visible()

    def test_asks_once_whether_a_value_was_meant_to_go(self, open_editor):
        draft = saved()
        page = open_editor(draft)
        canvas = canvas_of(page)
        canvas.get_by_text("Hello").click()
        page.keyboard.press("Delete")
        page.get_by_role("button", name="Save draft").click()
        page.get_by_text("Not saved yet: {{ first_name | default: 'there' }} is gone").wait_for()
        self.save(page)
        expect(page.locator("#visual-told")).to_be_hidden()
        draft.refresh_from_db()
        assert "first_name" not in draft.draft_html
        assert draft.draft_revision == 1

    def test_takes_of_a_paste_its_words_alone(self, open_editor, editor):
        draft = saved()
        page = open_editor(draft)
        text = canvas_of(page).get_by_text("Write what")
        text.dblclick()
        page.keyboard.press("End")
        with kept(page, "news"):
            text.evaluate(PASTE, FOREIGN)
        source = " ".join(desk.unsaved(draft, editor, "")["html"].split())
        assert (
            'say.<b>Big</b> news 😀<p dir="rtl">שלום</p><ul><li>one</li></ul> '
            '<a href="https://example.org/?a=1&amp;b=2">two</a> three <p>four </p></mj-text>'
            in source
        )
        assert page.evaluate("window.ran") is None

    def test_adds_a_picture_as_a_file_of_the_draft(self, open_editor, editor):
        draft = saved()
        page = open_editor(draft)
        canvas = canvas_of(page)
        page.locator(".gjs-pn-btn", has_text="Parts").click()
        with kept(page, "choose-a-picture"):
            page.locator(".gjs-block", has_text="Image").click()
        chosen = page.locator("#gjs-am-uploadFile")
        chosen.set_input_files({"name": "a.svg", "mimeType": "", "buffer": b"<svg/>"})
        page.get_by_role("alert").get_by_text("Not added. a.svg: Most mail programs").wait_for()
        canvas.locator("img").dblclick()
        chosen.set_input_files({"name": "my logo.png", "mimeType": "", "buffer": png(40, 30)})
        with kept(page, "logo.png"):
            page.locator(".gjs-am-preview-cont").dblclick()
        assert '<mj-image src="cid:my%20logo.png" />' in desk.unsaved(draft, editor, "")["html"]
        assert not [complaint for complaint in page.complaints if "left the machine" in complaint]

    def test_says_its_choices_in_words(self, open_page, editor):
        draft = saved()
        page = open_page(url("visual", draft), editor)
        canvas = canvas_of(page)
        canvas.get_by_text("Write what there is to say.").click()
        page.get_by_text("Typography", exact=True).click()
        page.get_by_text("Justify", exact=True).wait_for()
        assert all(page.locator(".gjs-radio-item-label").all_text_contents())

    def test_opens_layouts_and_what_stands_in_them(self, open_page, editor):
        layout = saved(FRAME, kind="layout")
        add_file(template=layout, name="logo.png", content=png(40, 30), actor=None)
        page = open_page(url("visual", layout), editor)
        canvas = canvas_of(page)
        canvas.get_by_text("The block “Foot”").wait_for()
        canvas.get_by_text("The mail's own words go here.").wait_for()
        picture = canvas.locator("img[alt=Acme]").first
        expect(picture).to_have_js_property("naturalWidth", 40)
        picture.click()
        page.keyboard.press("Control+c")
        page.keyboard.press("Control+v")
        expect(canvas.locator("img[alt=Acme]")).to_have_count(2)
        self.save(page)
        layout.refresh_from_db()
        image = '<mj-image src="cid:logo.png" alt="Acme" />'
        assert plain(layout.draft_html) == plain(FRAME.replace(image, image * 2))
        mail = MailTemplate.objects.create(
            name="Mail", syntax="mjml", draft_html=WORDS, layout=layout
        )
        go_on_to(page, url("visual", mail))
        canvas.get_by_text("Dear").wait_for()
        expect(page.get_by_text("It stands in the layout")).to_be_visible()
        self.write(page, canvas.get_by_text("Dear"), "My ")
        self.save(page)
        mail.refresh_from_db()
        assert plain(mail.draft_html) == plain(WORDS.replace("Dear", "My Dear"))

    def test_keeps_what_is_typed_while_nobody_is_logged_in(self, open_editor, editor):
        draft = saved(draft_subject=LETTER.subject, sample=LETTER.sample)
        page = open_editor(draft)
        canvas = canvas_of(page)
        canvas.get_by_text("Write what there is to say.").dblclick()
        page.keyboard.press("Home")
        page.keyboard.type("Mine: ")
        with kept(page, "Mine: "):
            canvas.get_by_text("Hello").click()
        assert "Mine: Write" in desk.unsaved(draft, editor, "")["html"]

        Session.objects.all().delete()
        canvas.get_by_text("Mine: Write").dblclick()
        page.keyboard.press("Home")
        page.keyboard.type("Really ")
        page.evaluate("document.getElementById('save').click()")
        page.get_by_text("Your log-in has ended. Log in in another tab").wait_for()
        log_in_in_another_tab(page, editor.email, PASSWORD)
        page.get_by_role("button", name="Save draft").click()
        page.get_by_text("The draft is saved.").wait_for()
        draft.refresh_from_db()
        assert "Really Mine: Write" in draft.draft_html
        assert desk.unsaved(draft, editor, "") is None

    def test_saves_nothing_where_it_could_not_read_all(self, open_page, editor):
        draft = saved(LETTER.html.replace("Write what", "<td>Write</td> what"))
        page = open_page(url("visual", draft), editor)
        page.get_by_text("The visual editor can't express <td>").wait_for()
        wait_until_ready(page)
        said = []
        page.on("request", lambda request: said.append(request.method))
        page.get_by_role("button", name="Save draft").click()
        page.evaluate("fetch('/healthz/')")  # whatever the press sent left before this
        assert said == ["GET"]
        assert page.url.endswith("/visual/")
        draft.refresh_from_db()
        assert draft.draft_revision == 0


def canvas_of(page):
    return page.frame_locator("#visual-canvas iframe.gjs-frame")


def wait_until_ready(page):
    page.locator("form[data-ready]").wait_for(state="attached")


def plain(source):
    """Return a source without what says nothing: space between elements, and how empty ones are closed."""
    source = re.sub(r"<(mj-[a-z]+)([^<>]*[^/<> ])></\1>", r"<\1\2 />", source)
    return re.sub(r"(?<=[>}])\s+|\s+(?=[<{])", "", source)
