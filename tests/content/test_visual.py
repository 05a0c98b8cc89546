"""The visual editor: what it takes, what it refuses, and that its own policy holds."""

import pytest

from mailops.content.checking import look_over
from mailops.content.models import MailTemplate
from mailops.content.starters import STARTERS
from mailops.content.visual_views import why_not
from tests.browser import assert_clean
from tests.content.test_pages import url

LETTER = STARTERS["mjml"]


def template(html=LETTER.html):
    return MailTemplate(name="Spring", syntax="mjml", draft_html=html)


def look(source):
    return look_over(subject="x", html=source, text="", sample=LETTER.sample, syntax="mjml")


class TestWhatItTakes:
    def test_is_a_letter_with_values_in_texts_and_addresses(self):
        assert why_not(template()) == ""

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("<mj-column>", "<mj-column>\n{% if a %}", "In line 9 a Liquid tag"),
            ("<mj-column>", "<mj-column><mj-raw><b>x</b></mj-raw>", "raw HTML"),
            ("<mj-column>", "<mj-column>{% render 'Footer' %}", "blocks"),
            ("<mj-column>", "<mj-colum>", "errors"),
            ("</mj-head>", "<mj-attributes></mj-attributes></mj-head>", "defaults"),
        ],
    )
    def test_is_nothing_that_it_would_lose(self, old, new, words):
        assert words in why_not(template(LETTER.html.replace(old, new, 1)))


@pytest.mark.broad
@pytest.mark.needs("chromium")
@pytest.mark.django_db(transaction=True)
class TestInTheBrowser:
    def test_opens_and_saves_the_same_source(self, open_page, editor):
        draft = template()
        draft.draft_subject, draft.sample = LETTER.subject, LETTER.sample
        draft.save()
        page = open_page(url("visual", draft), editor)
        canvas = page.frame_locator("#visual-canvas iframe.gjs-frame")
        canvas.get_by_text("Write what there is to say.").wait_for()
        assert page.complaints == []
        page.get_by_role("button", name="Save draft").click()
        page.wait_for_url("**/edit/")
        draft.refresh_from_db()
        before, after = (look(source) for source in (LETTER.html, draft.draft_html))
        assert after.errors == []
        assert after.rendered.text == before.rendered.text
        assert after.rendered.html.count("<table") == before.rendered.html.count("<table")
        assert after.rendered.html.count("font-size:14px") == 1
        assert "{{ first_name | default: 'there' }}" in draft.draft_html
        assert '<a href="{{ unsubscribe_url }}"' in draft.draft_html
        assert draft.draft_revision == 1
        assert_clean(page)
