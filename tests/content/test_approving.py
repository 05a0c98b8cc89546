"""Who may approve, and which answer counts."""

import pytest

from mailops.accounts.meanwhile import ChangedMeanwhile
from mailops.accounts.models import User
from mailops.content import approving
from mailops.content.drafting import add_language, change_settings, create_template, save_draft
from mailops.content.models import MailTemplate
from mailops.content.publishing import NotApproved, publish, restore
from mailops.content.rendering import RenderError

pytestmark = pytest.mark.django_db


@pytest.fixture
def template(admin):
    made = create_template(actor=admin, name="Spring", draft_subject="Hi")
    change_settings(template=made, changes={"needs_approval": True}, actor=admin)
    return MailTemplate.objects.get(pk=made.pk)


def save(template, actor, html):
    template.refresh_from_db()
    words = {"subject": "Hi", "html": html, "text": "", "sample": {}}
    save_draft(template=template, revision=template.draft_revision, actor=actor, **words)


def answer(template, actor, *, asked_by, is_approved=True):
    approval = approving.ask(template=template, actor=asked_by)
    approving.decide(approval=approval, actor=actor, is_approved=is_approved, reason="So")


class TestAsking:
    def test_names_the_language_whose_words_can_not_be_published(self, template, editor):
        save(template, editor, "<p>Words</p>")
        add_language(template=template, language="pt", also_for="", actor=editor)
        words = {"subject": "Oi", "html": "{{", "text": "", "sample": {}, "language": "pt"}
        template.refresh_from_db()
        save_draft(template=template, revision=template.draft_revision, actor=editor, **words)
        with pytest.raises(RenderError, match=r"\(pt\)"):
            approving.ask(template=template, actor=editor)


class TestAuthors:
    def test_do_not_approve_what_another_touched_last(self, template, editor, operator, admin):
        save(template, editor, "<p>Words</p>")
        save(template, operator, "<p>Words,</p>")
        with pytest.raises(approving.NotYours):
            answer(template, editor, asked_by=operator)
        answer(template, admin, asked_by=operator)
        publish(template, operator)

    def test_are_those_of_languages_too(self, template, editor, operator):
        save(template, editor, "<p>Words</p>")
        add_language(template=template, language="pt", also_for="", actor=operator)
        save(template, editor, "<p>Words,</p>")
        with pytest.raises(approving.NotYours):
            answer(template, operator, asked_by=editor)

    def test_of_what_is_published_approve_what_comes_next(self, template, editor, operator, admin):
        save(template, editor, "<p>Words</p>")
        answer(template, operator, asked_by=editor)
        publish(template, editor)
        save(template, operator, "<p>New words</p>")
        answer(template, editor, asked_by=operator)
        publish(template, operator)

    def test_are_those_who_brought_an_older_version_back(self, template, editor, operator, admin):
        save(template, editor, "<p>Words</p>")
        answer(template, operator, asked_by=editor)
        version = publish(template, editor)
        save(template, editor, "<p>New words</p>")
        answer(template, operator, asked_by=editor)
        publish(template, editor)
        restore(version=version, actor=operator)
        save(template, editor, "<p>Words!</p>")
        with pytest.raises(approving.NotYours):
            answer(template, operator, asked_by=editor)


class TestParts:
    def test_of_other_languages_are_approved_too(self, template, editor, operator):
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html="<p>1</p>")
        publish(block, editor)
        add_language(template=template, language="de", also_for="", actor=editor)
        template.variants.update(draft_html="<p>Worte {% render 'Foot' %}</p>")
        save(template, editor, "<p>words</p>")
        answer(template, operator, asked_by=editor)
        block.draft_html = "<p>nobody saw this</p>"
        block.save()
        publish(block, editor)
        with pytest.raises(NotApproved):
            publish(template, editor)


class TestAnswers:
    def test_given_last_count(self, template, editor, operator, admin):
        save(template, editor, "<p>Words</p>")
        answer(template, operator, asked_by=editor)
        answer(template, admin, asked_by=editor, is_approved=False)
        with pytest.raises(NotApproved):
            publish(template, editor)
        answer(template, User.objects.create(email="second@example.com"), asked_by=editor)
        publish(template, editor)

    def test_are_asked_for_what_was_seen(self, template, editor):
        save(template, editor, "<p>Words</p>")
        with pytest.raises(ChangedMeanwhile):
            approving.ask(template=template, actor=editor, seen="0" * 64)
        assert not template.approvals.exists()
