"""The template pages."""

import json
import re

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse

from mailops.accounts.models import AuditEntry
from mailops.audiences.models import Audience, Contact
from mailops.campaigns.forms import CampaignForm
from mailops.content import approving
from mailops.content.dependents import changes_by, republish
from mailops.content.drafting import add_language, unarchive
from mailops.content.gates import ASKS, GATES
from mailops.content.gates.finding import Problem
from mailops.content.gating import required_of
from mailops.content.limits import MAX_SOURCE
from mailops.content.models import MailTemplate, Preview, TemplateVersion
from mailops.content.publishing import NothingToPublish, publish, restore
from mailops.content.rendering import compile_version
from mailops.rollouts.launching import gates_of
from tests.factories import make_campaign, make_stream
from tests.wrong_input.reading_forms import forms_of

HTML = '<p>Hello {{ first_name }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a>'


@pytest.fixture
def template(db):
    return MailTemplate.objects.create(
        name="Spring",
        draft_subject="Hi {{ first_name }}",
        draft_html=HTML,
        sample={"first_name": "Ada"},
    )


@pytest.fixture
def version(template, editor):
    return publish(template, editor, "first")


def draft(template, **changes):
    return {
        "revision": template.draft_revision,
        "subject": template.draft_subject,
        "html": template.draft_html,
        "text": template.draft_text,
        "sample": json.dumps(template.sample),
        "width": "desktop",
        "scheme": "light",
        **changes,
    }


def opened_words(client, template, language=""):
    """Open the editor and return what its form holds."""
    form = client.get(url("edit", template), {"language": language}).context["form"]
    return {name: form[name].value() for name in form.fields}


def url(name, template, *args):
    return reverse(f"content:{name}", args=[template.pk, *args])


SEEN = ["detail", "diff"]
AUTHORED = ["edit", "settings", "publish"]


class TestAccess:
    @pytest.mark.parametrize("name", SEEN)
    def test_of_a_viewer_is_to_look(self, logged_in, viewer, template, name):
        assert logged_in(viewer).get(url(name, template)).status_code == 200

    @pytest.mark.parametrize("name", AUTHORED)
    def test_of_a_viewer_ends_before_changes(self, logged_in, viewer, template, name):
        assert logged_in(viewer).get(url(name, template)).status_code == 403

    @pytest.mark.parametrize("name", [*AUTHORED, "preview", "archive", "unarchive"])
    def test_of_oncall_ends_before_changes(self, logged_in, oncall, template, name):
        assert logged_in(oncall).post(url(name, template)).status_code == 403

    @pytest.mark.parametrize("name", [*SEEN, *AUTHORED])
    def test_sends_the_anonymous_to_log_in(self, client, template, name):
        assert client.get(url(name, template)).status_code == 302

    def test_hides_the_buttons_from_a_viewer(self, logged_in, viewer, template):
        page = logged_in(viewer).get(url("detail", template)).content.decode()
        assert url("edit", template) not in page
        assert url("archive", template) not in page


class TestList:
    def test_finds_by_name(self, logged_in, viewer, template):
        page = logged_in(viewer).get(reverse("content:list"), {"q": "spr"}).content.decode()
        assert "Spring" in page

    def test_keeps_the_archived_apart(self, logged_in, editor, template):
        client = logged_in(editor)
        client.post(url("archive", template))
        assert url("detail", template) not in client.get(reverse("content:list")).content.decode()
        page = client.get(reverse("content:list"), {"archived": "on"}).content.decode()
        assert url("detail", template) in page

    def test_gives_htmx_the_results_alone(self, logged_in, viewer, template):
        response = logged_in(viewer).get(reverse("content:list"), headers={"HX-Request": "true"})
        assert "<html" not in response.content.decode()

    def test_costs_the_same_with_many(
        self, logged_in, viewer, template, django_assert_max_num_queries
    ):
        for number in range(20):
            MailTemplate.objects.create(name=f"T{number}")
        client = logged_in(viewer)
        with django_assert_max_num_queries(6):
            client.get(reverse("content:list"))


class TestNew:
    def test_begins_with_a_starter_that_publishes(self, logged_in, editor):
        for start in ("letter", "receipt"):
            logged_in(editor).post(
                reverse("content:new"), {"name": start, "kind": "mail", "start": start}
            )
            made = MailTemplate.objects.get(name=start)
            assert publish(made, editor).number == 1

    def test_keeps_what_was_typed_when_the_name_is_taken(self, logged_in, editor, template):
        response = logged_in(editor).post(
            reverse("content:new"),
            {"name": "Spring", "description": "kept", "kind": "mail", "start": "blank"},
        )
        assert response.status_code == 422
        assert "kept" in response.content.decode()


class TestEdit:
    def test_saves_and_leaves_a_trail(self, logged_in, editor, template):
        response = logged_in(editor).post(url("edit", template), draft(template, subject="New"))
        assert response.status_code == 302
        template.refresh_from_db()
        assert (template.draft_subject, template.draft_revision) == ("New", 1)
        assert AuditEntry.objects.get().verb == "template.save_draft"

    def test_shows_both_when_two_saved(self, logged_in, editor, operator, template):
        stale = draft(template, html="<p>mine</p>")
        logged_in(operator).post(url("edit", template), draft(template, html="<p>theirs</p>"))
        response = logged_in(editor).post(url("edit", template), stale)
        page = response.content.decode()
        assert response.status_code == 422
        assert "&lt;p&gt;theirs&lt;/p&gt;" in page
        assert "&lt;p&gt;mine&lt;/p&gt;" in page
        assert url("discard", template) in page
        template.refresh_from_db()
        assert template.draft_html == "<p>theirs</p>"
        again = logged_in(editor).post(
            url("edit", template), {**stale, "revision": template.draft_revision}
        )
        assert again.status_code == 302

    def test_shows_no_difference_in_how_browsers_end_lines(
        self, logged_in, editor, operator, template
    ):
        stale = draft(template, subject="Mine", html="<p>1</p>\r\n<p>2</p>")
        theirs = draft(template, html="<p>1</p>\n<p>2</p>")
        logged_in(operator).post(url("edit", template), theirs)
        shown = logged_in(editor).post(url("edit", template), stale).context["conflict"]
        assert "Subject" in dict(shown)
        assert "Source" not in dict(shown)

    def test_says_whose_the_other_words_are(self, logged_in, editor, operator, template):
        stale = draft(template, html="<p>mine</p>")
        saved = "saved this draft"
        for other, told in (
            (editor, f"You {saved} on another"),
            (operator, f"Somebody else {saved}"),
        ):
            template.refresh_from_db()
            words = draft(template, html=f"<p>of {other}</p>")
            assert logged_in(other).post(url("edit", template), words).status_code == 302
            assert told in logged_in(editor).post(url("edit", template), stale).text

    def test_takes_a_second_press_for_the_first(self, logged_in, editor, operator, template):
        words = draft(template, html="<p>New</p>", sample='{"a": [1, 2]}')
        again = words | {"sample": '{ "a": [1,  2] }'}
        assert logged_in(editor).post(url("edit", template), words).status_code == 302
        assert logged_in(editor).post(url("edit", template), again).status_code == 302
        assert logged_in(operator).post(url("edit", template), words).status_code == 302
        template.refresh_from_db()
        assert (template.draft_revision, template.draft_changed_by) == (1, editor)
        another = words | {"sample": '{"a": 1}'}
        assert logged_in(operator).post(url("edit", template), another).status_code == 422

    def test_takes_a_second_press_in_another_language_for_the_first(
        self, logged_in, editor, template
    ):
        template.variants.create(language="de")
        words = draft(template, html="<p>Neu</p>", language="de")
        for _ in "12":
            assert logged_in(editor).post(url("edit", template), words).status_code == 302
        own = draft(template, html="<p>Neu</p>")
        assert logged_in(editor).post(url("edit", template), own).status_code == 422

    def test_in_two_languages_is_no_conflict(self, logged_in, editor, operator, template):
        template.variants.create(language="de")
        hers, his = logged_in(editor), logged_in(operator)
        own, german = opened_words(hers, template), opened_words(his, template, "de")
        for client, words in ((hers, own), (his, german)):
            changed = {**words, "html": f"<p>in {words['language']}</p>"}
            looked = client.post(url("preview", template), changed, headers={"HX-Request": "true"})
            assert "saved meanwhile" not in looked.text
            assert client.post(url("edit", template), changed).status_code == 302
        template.refresh_from_db()
        assert (template.draft_html, template.draft_revision) == ("<p>in </p>", 2)
        assert template.variants.get().draft_html == "<p>in de</p>"

    def test_in_two_languages_is_one_where_both_change_the_sample(
        self, logged_in, editor, operator, template
    ):
        template.variants.create(language="de")
        hers, his = logged_in(editor), logged_in(operator)
        own, german = opened_words(hers, template), opened_words(his, template, "de")
        hers.post(url("edit", template), {**own, "sample": '{"a": 1}'})
        assert his.post(url("edit", template), {**german, "sample": "{}"}).status_code == 422
        template.refresh_from_db()
        assert template.sample == {"a": 1}

    def test_goes_on_after_a_save_that_stays(self, logged_in, editor, operator, template):
        template.variants.create(language="de")
        hers, his = logged_in(editor), logged_in(operator)
        words = opened_words(hers, template) | {"html": "<p>1</p>", "stay": "1"}
        stayed = hers.post(url("edit", template), words, headers={"HX-Request": "true"})
        seen = re.search(r'name="seen" value="(\w+)"', stayed.text)[1]
        his.post(url("edit", template), opened_words(his, template, "de") | {"html": "<p>de</p>"})
        again = {**words, "revision": "1", "seen": seen, "html": "<p>2</p>"}
        assert hers.post(url("edit", template), again).status_code == 302

    def test_that_can_not_be_tested_stays_in_its_language(self, logged_in, editor, template):
        add_language(template=template, language="de", also_for="", actor=editor)
        template.refresh_from_db()
        words = draft(template, language="de", html="{% if %}") | {"test": "1"}
        led = logged_in(editor).post(url("edit", template), words)["Location"]
        assert led == f"{url('edit', template)}?language=de"

    def test_gives_htmx_that_stays_the_new_revision(self, logged_in, editor, template):
        words = draft(template, html="<p>New</p>") | {"stay": "1"}
        client, headers = logged_in(editor), {"HX-Request": "true"}
        response = client.post(url("edit", template), words, headers=headers)
        assert response.status_code == 200
        assert f'name="revision" value="{template.draft_revision + 1}"' in response.text
        assert "The draft is saved." in response.text
        assert "<html" not in response.text
        assert client.post(url("edit", template), words)["Location"] == url("edit", template)

    @pytest.mark.parametrize(
        ("pressed", "address"), [({}, "/edit/"), ({"test": "1"}, "/messages/test-send/?version=")]
    )
    def test_leads_htmx_on(self, logged_in, editor, template, pressed, address):
        words = draft(template, html="<p>New</p>") | pressed
        headers = {"HX-Request": "true"}
        response = logged_in(editor).post(url("edit", template), words, headers=headers)
        assert response.status_code == 204
        assert address in response["HX-Redirect"]

    def test_saves_a_draft_that_does_not_compile_yet(self, logged_in, editor, template):
        response = logged_in(editor).post(url("edit", template), draft(template, html="{% for"))
        assert response.status_code == 302

    @pytest.mark.parametrize(
        "sample",
        [
            "[1]",
            "{",
            "7",
            '{"a": "\\u0000"}',
            '{"a": "\\ud800"}',
            '{"\\udfff": 1}',
            '{"a": NaN}',
            '{"a": 1e999}',
            '{"a": ' + "1" * 5000 + "}",
            '{"a": ' + "[" * 500 + "]" * 500 + "}",
            "[" * 50000,
        ],
        ids=lambda sample: sample[:20],
    )
    def test_refuses_a_sample_that_can_not_be_kept(self, logged_in, editor, template, sample):
        response = logged_in(editor).post(
            url("edit", template), draft(template, sample=sample, html="<p>kept</p>")
        )
        assert response.status_code == 422
        assert "&lt;p&gt;kept&lt;/p&gt;" in response.content.decode()

    def test_sends_a_nonce_for_the_editors_styles(self, logged_in, editor, template):
        response = logged_in(editor).get(url("edit", template))
        policy = response.headers["Content-Security-Policy"]
        nonce = policy.split("'nonce-")[1].split("'")[0]
        assert f'data-nonce="{nonce}"' in response.content.decode()


class TestPreview:
    def preview(self, client, template, **changes):
        return client.post(
            url("preview", template), draft(template, **changes), headers={"HX-Request": "true"}
        )

    def test_shows_what_was_typed_without_saving_it(self, logged_in, editor, template):
        client = logged_in(editor)
        page = self.preview(client, template, html="<p>typed {{ first_name }}</p>").content.decode()
        assert "<html" not in page
        frame = client.get(url("preview-html", template))
        assert "typed Ada" in frame.content.decode()
        template.refresh_from_db()
        assert template.draft_html == HTML

    def test_serves_its_frame_under_a_policy_of_its_own(self, logged_in, editor, template):
        client = logged_in(editor)
        self.preview(client, template)
        policy = client.get(url("preview-html", template)).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "sandbox" in policy
        assert "https:" not in policy

    def test_marks_an_error_at_its_line(self, logged_in, editor, template):
        response = self.preview(logged_in(editor), template, html="a\n{% endif %}")
        assert response.status_code == 422
        page = response.content.decode()
        assert "HTML, line 2:" in page
        assert '"severity": "error"' in page

    def test_names_unknown_variables(self, logged_in, editor, template):
        page = self.preview(
            logged_in(editor), template, subject="{{ frist_name }}"
        ).content.decode()
        assert "frist_name" in page

    def test_tells_what_is_wrong_as_one_comes_to_it(self, logged_in, editor, template):
        html = "<p>{{ zoo }}\n{{ moo }}</p>\n<p>{{ coo }}</p>"
        page = self.preview(logged_in(editor), template, subject="{{ yoo }}", html=html).text
        told = re.findall(r"“([a-z]oo)” is neither", page[page.index('aria-label="Problems"') :])
        assert told == ["yoo", "zoo", "moo", "coo"]

    def test_is_filled_with_the_saved_sample_while_the_typed_one_is_broken(
        self, logged_in, editor, template
    ):
        typed = draft(template, html="<p>Dear {{ first_name }}</p>", sample='{\n"first_name": }')
        page = logged_in(editor).post(url("preview", template), typed).text
        assert "Dear Ada" in page
        assert "Sample data, line 2:" in page
        assert "neither in the sample" not in page

    def test_says_of_what_is_too_long_that_alone(self, logged_in, editor, template):
        typed = draft(template, html="x" * (MAX_SOURCE + 1))
        page = logged_in(editor).post(url("preview", template), typed)
        (problem,) = page.context["look"].problems
        assert str(problem.sentence) == "The source is longer than 256 KB."

    def test_ends_on_an_endless_loop(self, logged_in, editor, template):
        loop = "{% for i in (1..10000) %}{% for j in (1..10000) %}{% endfor %}{% endfor %}"
        page = self.preview(logged_in(editor), template, html=loop).content.decode()
        assert "does not end" in page

    def test_is_ones_own(self, logged_in, editor, operator, template):
        self.preview(logged_in(editor), template)
        assert logged_in(operator).get(url("preview-html", template)).status_code == 404

    def test_shows_the_dark_side_on_request(self, logged_in, editor, template):
        client = logged_in(editor)
        html = "<style>@media (prefers-color-scheme: dark) { p { color: white } }</style>"
        self.preview(client, template, html=html)
        assert (
            "(min-width: 0)"
            in client.get(url("preview-html", template), {"scheme": "dark"}).content.decode()
        )
        assert "(max-width: 0)" in client.get(url("preview-html", template)).content.decode()

    def test_asks_for_no_picture_that_its_policy_forbids(self, logged_in, editor, template):
        client = logged_in(editor)
        html = """<img alt="src='x'" src="https://x.example/a.png"><IMG SRCSET='b.png 2x' src=c.png width=1>
            <img src="data:image/gif;base64,AA"> and src="words" """
        self.preview(client, template, html=html)
        page = client.get(url("preview-html", template)).text
        assert not any(far in page for far in ("x.example", "b.png", "c.png"))
        assert page.count('"data:,"') == 3
        assert all(
            kept in page for kept in ("data:image/gif;base64,AA", 'and src="words"', "width=1")
        )
        assert "x.example" in client.get(url("preview-html", template), {"images": "on"}).text
        unknown = {"images": "on", "scheme": "sepia"}
        assert "x.example" in client.get(url("preview-html", template), unknown).text

    def test_keeps_one_row_a_person(self, logged_in, editor, template):
        client = logged_in(editor)
        self.preview(client, template)
        self.preview(client, template)
        assert Preview.objects.count() == 1


class TestPublish:
    def test_makes_the_next_version(self, logged_in, editor, template, version):
        template.draft_subject = "Second"
        template.save()
        logged_in(editor).post(url("publish", template), {"note": "shorter", "nod": "on"})
        second = template.latest_version
        assert (second.number, second.note, second.published_by) == (2, "shorter", editor)
        assert second.variables == ["first_name", "unsubscribe_url"]

    @pytest.mark.parametrize(
        "html",
        [
            "\n{% if %}",
            "\n{% for i in (1..10000) %}{% for j in (1..10000) %}{% endfor %}{% endfor %}",
        ],
    )
    def test_is_blocked_by_an_error_with_its_line(self, logged_in, editor, template, html):
        template.draft_html = html
        template.save()
        response = logged_in(editor).post(url("publish", template), {"note": ""})
        assert response.status_code == 422
        assert "HTML, line 2" in response.content.decode()
        assert not TemplateVersion.objects.exists()

    def test_is_refused_where_nothing_changed(self, logged_in, editor, template, version):
        response = logged_in(editor).post(url("publish", template), {"note": ""})
        assert response.status_code == 422
        assert template.versions.count() == 1

    def test_has_no_button_where_nothing_changed(self, logged_in, editor, template, version):
        client = logged_in(editor)
        page = client.get(url("publish", template)).text
        assert "The draft says exactly what version 1 says." in page
        assert ">Publish</button>" not in page
        client.post(url("edit", template), draft(template, subject="Second"))
        assert ">Publish</button>" in client.get(url("publish", template)).text

    def test_sends_the_same_words_as_another_mail_once_they_become_one(
        self, logged_in, editor, viewer, template, monkeypatch
    ):
        monkeypatch.setattr(
            "mailops.content.composing.harden", lambda html: html + "<!-- of old -->"
        )
        publish(template, editor)
        assert "another mail" not in logged_in(editor).get(url("detail", template)).text
        monkeypatch.undo()
        page = logged_in(editor).get(url("detail", template)).text
        assert "The same words would become another mail" in page
        assert "publish it again" not in logged_in(viewer).get(url("detail", template)).text
        assert logged_in(editor).post(url("publish", template), {"nod": "on"}).status_code == 302
        assert template.latest_version.html == HTML
        assert "another mail" not in logged_in(editor).get(url("detail", template)).text

    def test_asks_again_what_a_version_was_not_asked(self, editor, template, version):
        asked = Problem("3 links were asked.", rule="reach.asked", is_note=True)
        assert publish(template, editor, more=[asked]).number == 2
        with pytest.raises(NothingToPublish):
            publish(template, editor, more=[asked])

    def test_says_that_typed_words_are_not_in_it(self, logged_in, editor, operator, template):
        client = logged_in(editor)
        words = draft(template, html="<p>typed</p>")
        client.post(url("preview", template), words, headers={"HX-Request": "true"})
        assert "words that are not saved" in client.get(url("publish", template)).text
        assert "not saved" not in logged_in(operator).get(url("publish", template)).text
        client.post(url("edit", template), words)
        assert "not saved" not in client.get(url("publish", template)).text

    def test_shows_a_changed_draft_anew_and_takes_that(self, logged_in, editor, template):
        client = logged_in(editor)
        stale = {"nod": "on", "seen": "0" * 64}
        form = client.post(url("publish", template), stale).context["form"]
        assert not form["nod"].value()
        anew = {"nod": "on", "seen": form["seen"].value()}
        assert client.post(url("publish", template), anew).status_code == 302

    def test_warns_of_a_missing_unsubscribe_link(self, logged_in, editor, template):
        template.draft_html = "<p>x</p>"
        template.save()
        assert "unsubscribe_url" in logged_in(editor).get(url("publish", template)).content.decode()
        client = logged_in(editor)
        assert client.post(url("publish", template)).status_code == 422
        assert client.post(url("publish", template), {"nod": "on"}).status_code == 302


class TestVersion:
    def test_never_changes(self, version):
        for change in ({"html": "x"}, {"note": "x"}, {"number": 9}, {"content_hash": "0"}):
            with pytest.raises(DatabaseError), transaction.atomic():
                TemplateVersion.objects.filter(pk=version.pk).update(**change)
        with pytest.raises(DatabaseError), transaction.atomic():
            version.delete()

    def test_outlives_its_publisher(self, version, editor):
        Preview.objects.all().delete()
        editor.delete()
        version.refresh_from_db()
        assert version.published_by is None

    def test_page_shows_it(self, logged_in, viewer, template, version):
        page = logged_in(viewer).get(url("version", template, 1)).content.decode()
        assert "Hello Ada" in page
        frame = logged_in(viewer).get(url("version-html", template, 1))
        assert "Hello Ada" in frame.content.decode()

    def test_page_says_what_was_found_when_it_was_published(
        self, logged_in, viewer, template, version
    ):
        page = logged_in(viewer).get(url("version", template, 1)).text
        assert "Checks, when it was published" in page
        assert "doesn&#x27;t say its language" in page

    def test_page_shows_the_line_of_an_inbox_as_the_editor_does(self, logged_in, editor, template):
        template.draft_html = f'<div style="display: none">What is new</div>{HTML}'
        template.save()
        publish(template, editor)
        client = logged_in(editor)
        for page in (client.get(url("version", template, 1)), client.get(url("edit", template))):
            line = page.content.decode().partition('class="inbox-line"')[2].partition("</div>")[0]
            assert "What is new" in line
            assert "Ada" not in line.partition("Hi Ada")[0]

    def test_comes_back_as_the_draft(self, logged_in, editor, template, version):
        template.draft_html = "<p>never published</p>"
        template.save()
        client = logged_in(editor)
        assert "never published" in client.get(url("restore", template, 1)).content.decode()
        client.post(url("restore", template, 1))
        template.refresh_from_db()
        assert template.draft_html == HTML
        entry = AuditEntry.objects.get(verb="template.restore")
        assert entry.before["html"] == "<p>never published</p>"

    def test_replaces_no_draft_that_nobody_saw(
        self, logged_in, editor, operator, template, version
    ):
        page = url("restore", template, version.number)
        seen = logged_in(editor).get(page).context["form"].initial
        words = draft(template, html="<p>Saved meanwhile</p>")
        assert logged_in(operator).post(url("edit", template), words).status_code == 302
        again = logged_in(editor).post(page, seen, follow=True)
        assert "Somebody changed the draft" in again.content.decode()
        template.refresh_from_db()
        assert "Saved meanwhile" in template.draft_html
        for _ in range(2):
            done = logged_in(editor).post(page, again.context["form"].initial)
            assert done["Location"] == url("edit", template)
        assert AuditEntry.objects.filter(verb="template.restore").count() == 1
        template.refresh_from_db()
        assert template.draft_html == version.html

    def test_leaves_all_of_an_unpublished_draft_on_the_trail(self, editor, template, version):
        add_language(template=template, language="de", also_for="nl", actor=editor)
        template.variants.update(draft_html="<p>Nie gedruckt</p>")
        MailTemplate.objects.filter(pk=template.pk).update(sample={"first_name": "Grace"})
        restore(version=version, actor=editor)
        before = AuditEntry.objects.get(verb="template.restore").before
        assert before["variants"]["de"]["html"] == "<p>Nie gedruckt</p>"
        assert before["variants"]["de"]["also_for"] == "nl"
        assert before["sample"] == {"first_name": "Grace"}

    def test_leaves_a_sample_alone_on_the_trail(self, editor, template, version):
        MailTemplate.objects.filter(pk=template.pk).update(sample={"first_name": "Grace"})
        restore(version=version, actor=editor)
        before = AuditEntry.objects.get(verb="template.restore").before
        assert before["sample"] == {"first_name": "Grace"}

    def test_that_does_not_exist_is_not_found(self, logged_in, viewer, template):
        assert logged_in(viewer).get(url("version", template, 7)).status_code == 404


class TestDiff:
    def test_shows_changed_lines(self, logged_in, viewer, template, version):
        template.draft_html = HTML + "\n<p>more</p>"
        template.save()
        page = (
            logged_in(viewer)
            .get(url("diff", template), {"old": "1", "new": "draft"})
            .content.decode()
        )
        assert "<ins>&lt;p&gt;more&lt;/p&gt;</ins>" in page
        assert "<ins>more</ins>" in page

    def test_begins_with_what_changed_last(self, logged_in, viewer, template, version):
        page = logged_in(viewer).get(url("diff", template))
        assert page.context["form"].cleaned_data == {"old": "1", "new": "draft"}
        template.draft_html = HTML + "\n<p>more</p>"
        template.save()
        publish(template, None)
        template.refresh_from_db()
        page = logged_in(viewer).get(url("diff", template))
        assert page.context["form"].cleaned_data == {"old": "1", "new": "2"}

    def test_refuses_sides_that_do_not_exist(self, logged_in, viewer, template):
        response = logged_in(viewer).get(url("diff", template), {"old": "9", "new": "x"})
        assert response.status_code == 422


class TestTwoEditors:
    """Two people at one draft: both are told, and nobody loses a word."""

    def type_(self, client, template, **changes):
        return client.post(
            url("preview", template), draft(template, **changes), headers={"HX-Request": "true"}
        ).content.decode()

    def test_finds_unsaved_words_again(self, logged_in, editor, template):
        client = logged_in(editor)
        self.type_(client, template, html="<p>half a thou")
        page = client.get(url("edit", template)).content.decode()
        assert "&lt;p&gt;half a thou" in page
        assert "not saved as the team" in page
        client.post(url("discard", template))
        assert "half a thou" not in client.get(url("edit", template)).content.decode()

    def test_tells_each_of_the_other_while_they_write(self, logged_in, editor, operator, template):
        assert "is writing" not in self.type_(logged_in(editor), template, html="<p>mine</p>")
        page = self.type_(logged_in(operator), template, html="<p>theirs</p>")
        assert "Editor is writing on this draft too" in page

    def test_says_so_as_soon_as_the_other_saved(self, logged_in, editor, operator, template):
        mine = draft(template, html="<p>mine</p>")
        logged_in(operator).post(url("edit", template), draft(template, html="<p>theirs</p>"))
        page = logged_in(editor).post(
            url("preview", template), mine, headers={"HX-Request": "true"}
        )
        assert "was saved meanwhile" in page.content.decode()
        assert "mine" in logged_in(editor).get(url("edit", template)).content.decode()


class TestFilling:
    def filled(self, client, template, **how):
        client.post(url("preview", template), {**draft(template), **how})
        return client.get(url("preview-html", template)).content.decode()

    def test_shows_the_mail_of_a_contact_and_of_the_emptiest(self, logged_in, editor, template):
        for address, attributes in {
            "bea@x.example": {"first_name": "Bea"},
            "none@x.example": {},
        }.items():
            Contact.objects.create(address=address, address_key=address, attributes=attributes)
        client = logged_in(editor)
        shown = self.filled(client, template, filled="contact", contact="bea@x.example")
        assert "Hello Bea" in shown
        assert "Hello </p>" in self.filled(client, template, filled="emptiest")

    @pytest.mark.parametrize(
        ("contact", "words"),
        [
            ("", "Enter the address of a contact."),
            ("x@x.example", "There is no contact x@x.example."),
        ],
    )
    def test_says_where_it_shows_the_sample_instead(
        self, logged_in, editor, template, contact, words
    ):
        asked = {**draft(template), "filled": "contact", "contact": contact}
        shown = logged_in(editor).post(url("preview", template), asked).text
        assert f"{words} This is the sample." in shown

    def test_counts_whom_a_value_is_missing_for(self, logged_in, editor, template):
        Audience.objects.create(
            name="News", attributes={"first_name": {"members": 7, "of": 10, "example": "Ada"}}
        )
        page = logged_in(editor).get(url("edit", template)).content.decode()
        assert "missing for 3 of 10 contacts of “News”" in page
        template.draft_html = template.draft_html.replace("first_name", "first_name | default: 'x'")
        template.draft_subject = "Hi"
        template.save()
        assert "missing for" not in logged_in(editor).get(url("edit", template)).content.decode()


class TestLanguages:
    def test_are_found_on_the_template_and_say_whose_they_are(self, logged_in, editor, template):
        client = logged_in(editor)
        page = client.get(url("detail", template)).content.decode()
        for name, title in (
            ("languages", "Languages of Spring"),
            ("settings", "Settings of Spring"),
        ):
            assert url(name, template) in page
            assert f"<h1>{title}</h1>" in client.get(url(name, template)).content.decode()

    def test_are_published_and_sent_as_one_version(self, logged_in, editor, template):
        client = logged_in(editor)
        client.post(url("languages", template), {"language": "pt", "also_for": "gl"})
        template.refresh_from_db()
        words = draft(template, language="pt", subject="Olá {{ first_name }}")
        assert client.post(url("edit", template), words).status_code == 302
        template.refresh_from_db()
        compiled = compile_version(publish(template, editor))
        subjects = {
            language: compiled.render({"first_name": "Ada", "language": language}).subject
            for language in ("", "en", "pt", "pt-BR", "gl_ES", "de")
        }
        own, other = "Hi Ada", "Olá Ada"
        assert subjects == {
            "": own,
            "en": own,
            "pt": other,
            "pt-BR": other,
            "gl_ES": other,
            "de": own,
        }

    def test_come_back_with_a_version(self, logged_in, editor, template):
        client = logged_in(editor)
        client.post(url("languages", template), {"language": "pt", "also_for": ""})
        template.refresh_from_db()
        version = publish(template, editor)
        client.post(reverse("content:language-delete", args=[template.pk, "pt"]))
        assert not template.variants.exists()
        client.post(url("restore", template, version.number))
        assert template.variants.get().language == "pt"
        template.refresh_from_db()
        assert template.draft_hash == version.content_hash


class TestReleases:
    def test_a_roll_back_sends_again_what_was_sent(self, logged_in, editor, template, version):
        template.draft_html = HTML.replace("Hello", "Bye")
        template.save()
        publish(template, editor)
        logged_in(editor).post(url("roll-back", template, 1))
        newest = template.latest_version
        assert (newest.number, newest.restores, newest.html) == (3, 1, version.html)
        assert AuditEntry.objects.latest("pk").verb == "template.roll_back"

    @pytest.fixture
    def newer(self, template, version, editor):
        """Return what was published after `version`."""
        template.draft_html = HTML.replace("Hello", "Bye")
        template.save()
        return publish(template, editor)

    def test_a_roll_back_leaves_a_draft_that_nobody_is_asked_to_publish(
        self, logged_in, editor, template, newer
    ):
        client, page = logged_in(editor), url("detail", template)
        publish_it = f'href="{url("publish", template)}"'
        client.post(url("roll-back", template, 1))
        told = client.get(page).content.decode()
        assert "not rolled back" in told
        assert f'<a href="{url("version", template, 2)}">v2</a>' in told
        assert url("restore", template, 3) in told
        assert publish_it not in told
        assert "not rolled back" in client.get(reverse("content:list")).content.decode()
        assert "undoes the roll-back" in client.get(url("publish", template)).content.decode()

        client.post(url("edit", template), draft(template, html=HTML.replace("Hello", "Howdy")))
        told = client.get(page).content.decode()
        assert "not rolled back" not in told
        assert publish_it in told
        assert "undoes the roll-back" not in client.get(url("publish", template)).content.decode()

    def test_a_roll_back_to_what_the_draft_says_leaves_nothing(
        self, logged_in, editor, template, newer
    ):
        client = logged_in(editor)
        client.post(url("restore", template, 1))
        client.post(url("roll-back", template, 1))
        assert "as published" in client.get(url("detail", template)).content.decode()

    def test_each_way_back_to_a_version_says_what_it_does_and_leads_to_the_other(
        self, logged_in, editor, template, newer
    ):
        client = logged_in(editor)
        copy, back = url("restore", template, 1), url("roll-back", template, 1)
        told = client.get(url("version", template, 1)).content.decode()
        assert "Copy to the draft…" in told
        assert "Roll back to it…" in told
        told = client.get(copy).content.decode()
        assert "Nothing is published now." in told
        assert back in told
        told = client.get(back).content.decode()
        assert "It is published again at once" in told
        assert copy in told
        client.post(back)
        assert "Roll back to it…" not in client.get(url("version", template, 1)).content.decode()
        assert back not in client.get(copy).content.decode()

    def test_a_roll_back_pressed_twice_is_one(self, logged_in, editor, template, newer):
        page = url("roll-back", template, 1)
        form = logged_in(editor).get(page).context["form"]
        for _ in "12":
            assert logged_in(editor).post(page, form.initial).status_code == 302
        assert template.latest_version.number == 3

    def test_a_roll_back_from_what_nobody_saw_is_shown_anew(
        self, logged_in, editor, template, newer
    ):
        page = url("roll-back", template, 1)
        seen = logged_in(editor).get(page).context["form"].initial
        template.draft_html = HTML.replace("Hello", "Good day")
        template.save()
        publish(template, editor)
        again = logged_in(editor).post(page, seen, follow=True)
        assert "Somebody published another version since you looked." in again.content.decode()
        assert template.latest_version.number == 3
        assert logged_in(editor).post(page, again.context["form"].initial).status_code == 302
        assert template.latest_version.restores == 1

    def test_a_roll_back_brings_out_what_nobody_approved_by_who_may_override_alone(
        self, logged_in, editor, operator, template, newer
    ):
        MailTemplate.objects.filter(pk=template.pk).update(needs_approval=True)
        page = url("roll-back", template, 1)
        refused = logged_in(editor).post(page, follow=True)
        assert "Nobody approved version 1." in refused.content.decode()
        assert template.latest_version == newer
        assert logged_in(operator).post(page).status_code == 302
        assert template.latest_version.override_reason
        assert AuditEntry.objects.latest("pk").verb == "template.publish_unapproved"

    def test_a_roll_back_asks_nobody_again_for_what_was_approved(
        self, logged_in, editor, operator, template, version
    ):
        MailTemplate.objects.filter(pk=template.pk).update(needs_approval=True)
        template.refresh_from_db()
        for words in ("Good day", "Bye"):
            template.draft_html = HTML.replace("Hello", words)
            template.save()
            approval = approving.ask(template=template, actor=editor)
            approving.decide(approval=approval, actor=operator, is_approved=True)
            publish(template, editor)
        assert logged_in(editor).post(url("roll-back", template, 2)).status_code == 302
        assert template.latest_version.restores == 2

    def test_a_second_person_approves_exactly_one_content(
        self, logged_in, editor, operator, template
    ):
        MailTemplate.objects.filter(pk=template.pk).update(
            needs_approval=True, draft_changed_by=editor
        )
        author, reviewer = logged_in(editor), logged_in(operator)
        nod = {"nod": "on"}
        assert author.post(url("publish", template), nod).status_code == 422
        author.post(url("ask", template), {"note": "new words"})
        page = reverse("content:approval", args=[template.approvals.get().pk])
        assert author.post(page, {"decision": "approve"}).status_code == 422
        assert reviewer.post(page, {"decision": "approve"}).status_code == 302
        MailTemplate.objects.filter(pk=template.pk).update(draft_subject="Changed")
        template.refresh_from_db()
        template.save()
        assert author.post(url("publish", template), nod).status_code == 422
        MailTemplate.objects.filter(pk=template.pk).update(draft_subject="Hi {{ first_name }}")
        template.refresh_from_db()
        template.save()
        assert author.post(url("publish", template), nod).status_code == 302

    def test_what_was_written_for_a_second_person_or_by_them_stays_where_the_draft_changed(
        self, logged_in, editor, operator, template
    ):
        MailTemplate.objects.filter(pk=template.pk).update(
            needs_approval=True, draft_changed_by=editor
        )
        author, reviewer = logged_in(editor), logged_in(operator)
        stale = {"note": "new words", "seen": "0" * 64}
        again = author.post(url("ask", template), stale, follow=True)
        assert 'value="new words"' in again.text
        seen = again.context["ask_form"]["seen"].value()
        author.post(url("ask", template), stale | {"seen": seen})
        page = reverse("content:approval", args=[template.approvals.get().pk])
        author.post(url("edit", template), draft(template, subject="Changed"))
        refused = reviewer.post(page, {"decision": "refuse", "reason": "Too loud"})
        assert refused.status_code == 422
        assert "The draft has changed since" in refused.text
        assert "You wrote: Too loud" in refused.text

    def test_breaking_the_glass_needs_a_reason_and_a_role(
        self, logged_in, editor, operator, template
    ):
        MailTemplate.objects.filter(pk=template.pk).update(needs_approval=True)
        assert logged_in(editor).get(url("override", template)).status_code == 403
        client = logged_in(operator)
        assert client.post(url("override", template), {"reason": ""}).status_code == 422
        client.post(url("override", template), {"reason": "Everybody is asleep"})
        assert template.latest_version.override_reason == "Everybody is asleep"
        assert AuditEntry.objects.latest("pk").verb == "template.publish_unapproved"

    def test_breaks_the_glass_for_what_was_seen_alone(self, logged_in, operator, template):
        MailTemplate.objects.filter(pk=template.pk).update(needs_approval=True)
        client = logged_in(operator)
        page = client.get(url("override", template))
        assert "doesn&#x27;t say its language" in page.text
        seen = page.context["form"]["seen"].value()
        template.refresh_from_db()
        template.draft_html += "<p>of a colleague</p>"
        template.save()
        reason = {"reason": "Everybody is asleep"}
        response = client.post(url("override", template), reason | {"seen": seen})
        assert response.status_code == 422
        assert not template.versions.exists()
        again = {"seen": response.context["form"]["seen"].value()}
        assert client.post(url("override", template), reason | again).status_code == 302

    def test_is_refused_where_the_draft_is_not_what_was_seen(self, logged_in, editor, template):
        response = logged_in(editor).post(url("publish", template), {"nod": "on", "seen": "0" * 64})
        assert response.status_code == 422
        assert not template.versions.exists()

    def test_a_blocks_change_shows_and_publishes_the_mails_it_changes(
        self, logged_in, editor, template
    ):
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html="<p>old</p>")
        publish(block, editor)
        template.draft_html = HTML + "{% render 'Foot' %}"
        template.save()
        publish(template, editor)
        template.draft_html = "<p>a draft that is not ready</p>"
        template.save()
        block.draft_html = "<p>new</p>"
        block.save()
        client = logged_in(editor)
        assert "Spring v1" in client.get(url("publish", block)).content.decode()
        client.post(url("publish", block), {"nod": "on"})
        page = reverse("content:dependents", args=[block.pk, 2])
        assert "Spring" in client.get(page).content.decode()
        client.post(page, {"template": ["1" * 5000, "ten", template.pk]})
        newest = template.latest_version
        assert newest.number == 2
        assert newest.html == (HTML + "<p>new</p>")

    def test_what_an_older_part_changes_is_shown_of_the_newest(self, logged_in, editor, template):
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html="<p>1</p>")
        publish(block, editor)
        template.draft_html = HTML + "{% render 'Foot' %}"
        template.save()
        for words in ("<p>2</p>", "<p>3</p>"):
            block.draft_html = words
            block.save()
            publish(block, editor)
        publish(template, editor)
        older, newest = (reverse("content:dependents", args=[block.pk, n]) for n in (2, 3))
        client = logged_in(editor)
        assert client.get(older).url == client.post(older, {"template": template.pk}).url == newest
        assert "Every mail is up to date" in client.get(newest).text
        assert template.versions.count() == 1

    def test_a_blocks_change_shows_mails_that_use_it_in_a_language_alone(self, editor, template):
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html="<p>1</p>")
        publish(block, editor)
        add_language(template=template, language="de", also_for="", actor=editor)
        template.variants.update(draft_html="<p>Worte {% render 'Foot' %}</p>")
        template.refresh_from_db()
        publish(template, editor)
        block.draft_html = "<p>2</p>"
        block.save()
        version = publish(block, editor)
        (change,) = changes_by(version)
        assert change.template == template
        republish(version=version, chosen=[change], actor=editor)
        assert template.latest_version.variants["de"]["html"] == "<p>Worte <p>2</p></p>"
        assert changes_by(version) == []
        assert {one.language for one in change.variants["de"].problems} == {"de"}

    def test_a_blocks_change_waits_for_who_is_asked_for_since_it_was_shown(self, editor, template):
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html="<p>1</p>")
        publish(block, editor)
        template.draft_html = "{% render 'Foot' %}"
        template.save()
        publish(template, editor)
        block.draft_html = "<p>2</p>"
        block.save()
        version = publish(block, editor)
        changes = changes_by(version)
        MailTemplate.objects.filter(pk=template.pk).update(needs_approval=True)
        assert republish(version=version, chosen=changes, actor=editor) == 0
        assert template.latest_version.number == 1

    @pytest.mark.parametrize("is_laid_out", [True, False])
    def test_a_blocks_change_publishes_no_other_layout(self, editor, template, is_laid_out):
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html="<p>old</p>")
        frame = MailTemplate.objects.create(
            name="Frame", kind="layout", draft_html="<main>{{ content }}</main>"
        )
        publish(block, editor)
        publish(frame, editor)
        template.draft_html = "<p>words</p>{% render 'Foot' %}"
        template.layout = frame if is_laid_out else None
        template.save()
        publish(template, editor)
        template.layout = None if is_laid_out else frame  # nobody has published that
        template.save()
        block.draft_html = "<p>new</p>"
        block.save()
        version = publish(block, editor)
        republish(version=version, chosen=changes_by(version), actor=editor)
        words = "<p>words</p><p>new</p>"
        assert template.latest_version.number == 2
        assert template.latest_version.html == (f"<main>{words}</main>" if is_laid_out else words)

    def test_a_draft_is_tested_without_being_published(self, logged_in, editor, template):
        response = logged_in(editor).post(url("edit", template), {**draft(template), "test": "1"})
        trial = TemplateVersion.objects.get()
        assert response.url.endswith(f"?version={trial.pk}")
        assert trial.template.test_of == template
        assert "Draft of" not in logged_in(editor).get(reverse("content:list")).content.decode()
        assert not template.versions.exists()

    def test_a_tested_draft_becomes_no_template(self, logged_in, editor, template):
        client = logged_in(editor)
        client.post(url("edit", template), draft(template) | {"test": "1"})
        trial = TemplateVersion.objects.get()
        assert client.get(url("detail", trial.template)).status_code == 200
        seen = client.get(url("version", trial.template, 1)).text
        assert f"<h1>Test of the draft of “{template}”</h1>" in seen
        assert "it was not published" in seen
        assert "when it was published" not in seen
        assert url("detail", template) in seen
        assert url("edit", template) in seen
        for name in ("edit", "settings", "publish", "languages"):
            assert client.get(url(name, trial.template)).status_code == 404
        assert client.post(url("unarchive", trial.template)).status_code == 404
        unarchive(template=trial.template, actor=editor)
        trial.template.refresh_from_db()
        assert trial.template.is_archived
        MailTemplate.objects.filter(pk=trial.template_id).update(archived_at=None)
        assert trial not in CampaignForm().fields["version"].queryset


class TestRequiredGates:
    def seen_of(self, page):
        """Return the mark in the form of the one stream."""
        (mark,) = {form.values.get("seen") for form in forms_of(page.text, "/")} - {None}
        return mark

    def test_speak_against_a_launch(self, logged_in, operator, template, version):
        campaign = make_campaign(version=version)
        client = logged_in(operator)
        client.post(
            reverse("content:gates"),
            {"stream": campaign.stream.pk, "gates": ["accessibility", "dark"]},
        )
        titles = {gate.title: gate for gate in gates_of(campaign)}
        assert "doesn't say its language" in titles["Template"].objections["accessibility"]
        assert "dark" not in titles["Template"].objections

    def test_are_shown_but_not_changed_by_an_editor(self, logged_in, editor, db):
        stream = make_stream()
        client = logged_in(editor)
        page = client.get(reverse("content:gates")).content.decode()
        assert stream.name in page
        assert all(question in page for question in ASKS.values())
        assert ASKS.keys() == GATES.keys()
        assert client.post(reverse("content:gates"), {"stream": stream.pk}).status_code == 403

    def test_replace_none_that_a_colleague_required_unseen(self, logged_in, operator, db):
        stream, client, url = make_stream(), logged_in(operator), reverse("content:gates")
        opened = self.seen_of(client.get(url))
        for _ in range(2):  # the same once more is no conflict
            given = {"stream": stream.pk, "gates": ["links", "dark"], "seen": opened}
            assert client.post(url, given).status_code == 302
        typed = {"stream": stream.pk, "gates": ["accessibility"], "seen": opened}
        late = client.post(url, typed)
        assert late.status_code == 422
        assert f"Last saved by {operator}, " in late.text
        assert f"<dd>{GATES['links']}, {GATES['dark']}</dd>" in late.text
        assert late.text.count(" checked") == 1
        assert set(required_of(stream)) == {"links", "dark"}
        seen = self.seen_of(late)
        assert client.post(url, {**typed, "seen": seen}).status_code == 302
        assert required_of(stream) == ["accessibility"]

    def test_refuse_nonsense(self, logged_in, operator, db):
        response = logged_in(operator).post(reverse("content:gates"), {"gates": ["nope"]})
        assert response.status_code == 422
