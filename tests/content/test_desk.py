"""What a person typed and did not save: kept whatever it is, and whatever became of the draft meanwhile."""

import pytest

from mailops.content import desk
from mailops.content.drafting import DraftConflict, add_language, remove_language, save_draft
from mailops.content.models import MailTemplate, Preview
from tests.content.test_pages import draft, url

pytestmark = pytest.mark.django_db
GONE = "These words were removed"


@pytest.fixture
def template():
    return MailTemplate.objects.create(name="Spring", draft_subject="Hi", draft_html="<p>own</p>")


@pytest.fixture
def typed(template, operator):
    """Return what is typed in Portuguese, which somebody removes before it is saved."""
    add_language(template=template, language="pt", also_for="", actor=operator)
    template.refresh_from_db()
    words = draft(template, language="pt", subject="Olá", html="<p>palavras</p>")
    remove_language(template=template, language="pt", actor=operator)
    return words


def preview(client, template, words):
    return client.post(url("preview", template), words, headers={"HX-Request": "true"})


def opened(client, template, language=""):
    return client.get(url("edit", template), {"language": language} if language else {})


class TestRemovedLanguage:
    def test_refuses_its_words_and_keeps_them(self, logged_in, editor, template, typed):
        response = logged_in(editor).post(url("edit", template), typed)
        page = response.content.decode()
        assert response.status_code == 422
        assert GONE in page
        assert "&lt;p&gt;palavras&lt;/p&gt;" in page
        assert f"{url('languages', template)}?language=pt" in page
        assert desk.unsaved(template, editor, "pt")["html"] == "<p>palavras</p>"

    def test_refuses_them_with_a_mistake_in_them_too(self, logged_in, editor, template, typed):
        response = logged_in(editor).post(url("edit", template), {**typed, "sample": "{"})
        assert response.status_code == 422
        assert GONE in response.content.decode()
        assert desk.unsaved(template, editor, "pt")["html"] == "<p>palavras</p>"

    def test_is_told_while_one_types(self, logged_in, editor, template, typed):
        response = preview(logged_in(editor), template, typed)
        assert response.status_code == 422
        assert GONE in response.content.decode()
        assert desk.unsaved(template, editor, "pt")["html"] == "<p>palavras</p>"

    def test_leaves_its_words_to_be_opened(self, logged_in, editor, template, typed):
        client = logged_in(editor)
        preview(client, template, typed)
        assert "?language=pt" in opened(client, template).content.decode()
        page = opened(client, template, "pt").content.decode()
        assert GONE in page
        assert "&lt;p&gt;palavras&lt;/p&gt;" in page

    def test_gives_its_words_back_where_it_is_added_again(self, logged_in, editor, template, typed):
        client = logged_in(editor)
        client.post(url("edit", template), typed)
        languages = client.get(url("languages", template), {"language": "pt"})
        assert 'value="pt"' in languages.content.decode()
        client.post(url("languages", template), {"language": "pt", "also_for": ""})
        page = opened(client, template, "pt").content.decode()
        assert GONE not in page
        assert "&lt;p&gt;palavras&lt;/p&gt;" in page
        assert client.post(url("edit", template), typed).status_code == 422  # both are shown
        template.refresh_from_db()
        again = {**typed, "revision": template.draft_revision}
        assert client.post(url("edit", template), again).status_code == 302
        assert template.variants.get().draft_html == "<p>palavras</p>"

    def test_lets_its_words_be_thrown_away(self, logged_in, editor, template, typed):
        client = logged_in(editor)
        preview(client, template, typed)
        response = client.post(url("discard", template), {"language": "pt"})
        assert response.url == url("edit", template)
        assert opened(client, template, "pt").status_code == 404

    def test_that_goes_while_it_is_saved_loses_nothing(self, editor, template):
        words = {"subject": "Olá", "html": "<p>palavras</p>", "text": "", "sample": {}}
        desk.keep_typed(template, editor, draft(template, **words, language="pt"))
        with pytest.raises(DraftConflict):
            save_draft(template=template, revision=0, actor=editor, language="pt", **words)
        template.refresh_from_db()
        assert template.draft_revision == 0
        assert desk.unsaved(template, editor, "pt")["html"] == "<p>palavras</p>"

    def test_that_never_was_is_not_found(self, logged_in, editor, template):
        assert opened(logged_in(editor), template, "pt").status_code == 404


class TestLanguages:
    @pytest.fixture
    def speaking(self, template, operator, editor):
        add_language(template=template, language="de", also_for="", actor=operator)
        template.refresh_from_db()
        desk.keep_typed(template, editor, draft(template, language="", html="<p>mine</p>"))
        return template

    def test_unchanged_take_no_words_of_others(self, logged_in, editor, speaking):
        preview(logged_in(editor), speaking, draft(speaking, language="de"))
        assert desk.unsaved(speaking, editor, "")["html"] == "<p>mine</p>"
        assert desk.unsaved(speaking, editor, "de") is None
        assert "&lt;p&gt;mine&lt;/p&gt;" in opened(logged_in(editor), speaking).content.decode()

    def test_are_kept_saved_and_discarded_one_by_one(self, logged_in, editor, speaking):
        client = logged_in(editor)
        words = draft(speaking, language="de", html="<p>Worte</p>")
        preview(client, speaking, words)
        assert desk.unsaved(speaking, editor, "de")["html"] == "<p>Worte</p>"
        assert client.post(url("edit", speaking), words).status_code == 302
        assert desk.unsaved(speaking, editor, "de") is None
        assert desk.unsaved(speaking, editor, "")["html"] == "<p>mine</p>"
        client.post(url("discard", speaking), {"language": ""})
        assert Preview.objects.get().typed is None


class TestTwoPages:
    """The same person has the same draft open twice."""

    @pytest.fixture
    def pages(self, logged_in, editor, template):
        """Return a client, and the words of two pages that were opened, the first with something typed."""
        client = logged_in(editor)
        form = [opened(client, template).context["form"] for _ in "12"]
        first, second = (draft(template, page=each["page"].value()) for each in form)
        first["html"] = "<p>mine</p>"
        preview(client, template, first)
        return client, first, second

    def test_forget_nothing_of_each_other(self, editor, template, pages):
        client, first, second = pages
        assert first["page"] != second["page"]
        preview(client, template, second)
        assert desk.unsaved(template, editor, "")["html"] == "<p>mine</p>"
        assert client.post(url("edit", template), second | {"subject": "New"}).status_code == 302
        assert desk.unsaved(template, editor, "")["html"] == "<p>mine</p>"

    def test_forget_what_is_their_own(self, editor, template, pages):
        client, first, _ = pages
        again = opened(client, template).context["form"]
        assert again["page"].value() == first["page"]
        preview(client, template, first | {"html": "<p>own</p>"})
        assert desk.unsaved(template, editor, "") is None


class TestNul:
    @pytest.mark.parametrize("name", ["revision", "language", "subject", "html", "text", "sample"])
    def test_in_what_is_typed_is_kept_as_a_replacement(self, logged_in, editor, template, name):
        words = draft(template, html="<p>palavras</p>")
        response = preview(logged_in(editor), template, words | {name: "a\0b"})
        assert response.status_code == 422
        (words,) = Preview.objects.get().typed.values()
        assert words[name] == "a\ufffdb"

    def test_is_no_language(self, logged_in, editor, template):
        client = logged_in(editor)
        words = draft(template, language="\0")
        assert opened(client, template, "\0").status_code == 404
        assert client.post(url("edit", template), words).status_code == 422
        assert client.post(url("discard", template), words).status_code == 302
        assert client.post(url("files-scan", template), words).status_code == 422


class TestRevision:
    def test_of_thousands_of_digits_is_none(self, logged_in, editor, template):
        words = draft(template, html="<p>palavras</p>", revision="1" * 5000)
        client = logged_in(editor)
        assert preview(client, template, words).status_code == 422
        assert client.post(url("edit", template), words).status_code == 422
        assert "&lt;p&gt;palavras&lt;/p&gt;" in opened(client, template).content.decode()

    def test_larger_than_any_is_a_conflict(self, logged_in, editor, template):
        words = draft(template, html="<p>palavras</p>", revision="1" * 18)
        assert logged_in(editor).post(url("edit", template), words).status_code == 422
