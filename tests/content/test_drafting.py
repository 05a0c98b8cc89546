"""What is changed of a template while somebody saves its draft."""

import pytest

from mailops.accounts.models import AuditEntry
from mailops.content.drafting import (
    DraftConflict,
    HasLanguage,
    add_language,
    change_settings,
    remove_language,
)
from mailops.content.drafting import save_draft as save
from mailops.content.forms import SettingsForm
from mailops.content.models import MailTemplate
from tests.content.test_pages import url

pytestmark = pytest.mark.django_db
SETTINGS = {"name": "Spring", "syntax": "html", "needs_approval": "on"}


@pytest.fixture
def template():
    return MailTemplate.objects.create(name="Spring", draft_subject="Hi", needs_approval=True)


def save_draft(template, *, actor=None, html="<p>theirs</p>", **changes):
    """Save `html` as a colleague does who has the newest draft open."""
    revision = MailTemplate.objects.get(pk=template.pk).draft_revision
    words = {"revision": revision, "subject": "Theirs", "html": html, "text": "", "sample": {}}
    save(template=MailTemplate(pk=template.pk), actor=actor, **words | changes)


def mark_on(page):
    return page.context["form"]["seen"].value()


def loaded(template):
    return MailTemplate.objects.get(pk=template.pk)


class TestLanguage:
    def test_that_is_added_leaves_what_was_saved_meanwhile(self, template, editor):
        stale = loaded(template)
        save_draft(template)
        variant = add_language(template=stale, language="pt", also_for="", actor=editor)
        now = loaded(template)
        assert (now.draft_html, now.draft_revision) == ("<p>theirs</p>", 2)
        assert now.draft_hash == now.hash_of("Theirs", "<p>theirs</p>", "")
        assert variant.draft_html == "<p>theirs</p>"

    def test_that_is_removed_leaves_what_was_saved_meanwhile(self, template, editor):
        add_language(template=template, language="pt", also_for="", actor=editor)
        stale = loaded(template)
        save_draft(template)
        remove_language(template=stale, language="pt", actor=editor)
        now = loaded(template)
        assert (now.draft_html, now.draft_revision) == ("<p>theirs</p>", 3)
        assert now.draft_hash == now.hash_of("Theirs", "<p>theirs</p>", "")

    def test_moves_the_draft_on_for_who_has_it_open(self, template, editor):
        stale = loaded(template)
        save_draft(template)
        add_language(template=stale, language="pt", also_for="", actor=editor)
        with pytest.raises(DraftConflict):
            save_draft(template, revision=1, html="<p>mine</p>")

    def test_that_somebody_else_added_is_there_already(self, template, editor):
        stale = loaded(template)
        add_language(template=template, language="pt", also_for="gl", actor=editor)
        with pytest.raises(HasLanguage):
            add_language(template=stale, language="pt", also_for="", actor=editor)


class TestSettings:
    @pytest.fixture
    def theirs(self, template, monkeypatch):
        """Have a colleague save the draft between the form's reading of the template and the writing."""
        is_valid = SettingsForm.is_valid

        def save_and_ask(form):
            save_draft(template)
            return is_valid(form)

        monkeypatch.setattr(SettingsForm, "is_valid", save_and_ask)

    @pytest.mark.usefixtures("theirs")
    def test_leave_what_was_saved_meanwhile(self, logged_in, editor, template):
        changed = SETTINGS | {"name": "Summer", "syntax": "mjml"}
        assert logged_in(editor).post(url("settings", template), changed).status_code == 302
        now = loaded(template)
        assert (now.name, now.syntax) == ("Summer", "mjml")
        assert (now.draft_html, now.draft_revision) == ("<p>theirs</p>", 1)
        assert now.draft_hash == now.hash_of("Theirs", "<p>theirs</p>", "")

    def test_take_no_name_that_another_has(self, logged_in, editor, template):
        MailTemplate.objects.create(name="Summer")
        given = SETTINGS | {"name": "Summer"}
        answer = logged_in(editor).post(url("settings", template), given)
        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["name"]

    def test_replace_none_that_a_colleague_changed_unseen(
        self, logged_in, operator, admin, template
    ):
        client, page = logged_in(operator), url("settings", template)
        given = SETTINGS | {"name": "Summer", "seen": mark_on(client.get(page))}
        theirs = {"name": "Winter", "needs_approval": False}
        change_settings(template=template, changes=theirs, actor=admin)
        add_language(template=template, language="de", also_for="", actor=operator)
        stopped = client.post(page, given)
        assert stopped.status_code == 422
        assert "Settings of Winter" in stopped.text
        assert f"Last saved by {admin}, " in stopped.text
        facts = dict(stopped.context["meanwhile"].facts)
        assert facts == {"Name": "Winter", "A second person has to approve each version": "no"}
        assert 'value="Summer"' in stopped.text
        assert loaded(template).name == "Winter"
        given["seen"] = mark_on(stopped)
        for _ in range(2):  # the same once more is no conflict
            assert client.post(page, given).status_code == 302
        now = loaded(template)
        assert (now.name, now.needs_approval) == ("Summer", True)

    def test_are_saved_where_a_colleague_changed_the_words_alone(self, logged_in, editor, template):
        client, page = logged_in(editor), url("settings", template)
        given = SETTINGS | {"name": "Summer", "seen": mark_on(client.get(page))}
        save_draft(template)
        assert client.post(page, given).status_code == 302
        assert loaded(template).name == "Summer"

    def test_tell_what_was_changed_alone(self, logged_in, editor, template):
        logged_in(editor).post(url("settings", template), SETTINGS | {"name": "Summer"})
        entry = AuditEntry.objects.get()
        assert (entry.before, entry.after) == ({"name": "Spring"}, {"name": "Summer"})

    def test_let_nobody_waive_the_second_person_who_only_writes(self, logged_in, editor, template):
        client = logged_in(editor)
        assert (
            "Only operators and admins can switch it off"
            in client.get(url("settings", template)).content.decode()
        )
        without = {name: value for name, value in SETTINGS.items() if name != "needs_approval"}
        client.post(url("settings", template), without | {"name": "Summer"})
        now = loaded(template)
        assert (now.name, now.needs_approval) == ("Summer", True)

    def test_let_nobody_waive_it_who_saw_it_off(self, logged_in, editor, template, monkeypatch):
        MailTemplate.objects.update(needs_approval=False)
        is_valid = SettingsForm.is_valid

        def ask_for_a_second_person(form):
            MailTemplate.objects.update(needs_approval=True)
            return is_valid(form)

        monkeypatch.setattr(SettingsForm, "is_valid", ask_for_a_second_person)
        answer = logged_in(editor).post(url("settings", template), {"name": "A", "syntax": "html"})
        assert answer.status_code == 422
        assert "Only operators and admins can switch it off" in answer.text
        now = loaded(template)
        assert (now.name, now.needs_approval) == ("Spring", True)

    def test_let_who_writes_ask_for_a_second_person(self, logged_in, editor, template):
        MailTemplate.objects.update(needs_approval=False)
        logged_in(editor).post(url("settings", template), SETTINGS)
        assert loaded(template).needs_approval

    def test_tell_who_waived_the_second_person(self, logged_in, operator, template):
        without = {name: value for name, value in SETTINGS.items() if name != "needs_approval"}
        logged_in(operator).post(url("settings", template), without)
        assert not loaded(template).needs_approval
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.actor) == ("template.waive_approval", operator)

    def test_that_stay_leave_no_trail(self, logged_in, editor, template):
        assert logged_in(editor).post(url("settings", template), SETTINGS).status_code == 302
        assert not AuditEntry.objects.exists()
