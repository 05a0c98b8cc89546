"""A draft's files: kept once, counted by its hash, in its versions, and gone when nobody has them."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from mailops.accounts.models import AuditEntry
from mailops.content import approving, dependents, enclosing, publishing
from mailops.content.differing import State, compare
from mailops.content.enclosing import NameTaken, RefusedFile
from mailops.content.files import files_of_version
from mailops.content.forms import LookForm
from mailops.content.framing import framed
from mailops.content.looking import look_at_draft
from mailops.content.models import FileContent, MailTemplate, TemplateFile
from mailops.content.publishing import publish
from tests.content.some_files import PDF, png
from tests.factories import make_transport

BODY = '<html lang="en"><body><div style="display:none">New</div><p>Hi</p>{}</body></html>'
LOGO = '<img src="cid:logo.png" alt="Acme" width="2">'


@pytest.fixture
def template(db):
    return MailTemplate.objects.create(
        name="Spring", draft_subject="Spring", draft_html=BODY.format(LOGO)
    )


def add(template, name="logo.png", content=None, actor=None, **how):
    content = png() if content is None else content
    return enclosing.add_file(template=template, name=name, content=content, actor=actor, **how)


def rules(look):
    return {problem.rule: problem for problem in look.problems}


class TestAddFile:
    def test_keeps_the_same_octets_once(self, template, editor):
        other = MailTemplate.objects.create(name="Other")
        add(template, actor=editor)
        add(other, "sign.png")
        assert FileContent.objects.count() == 1
        assert TemplateFile.objects.count() == 2
        entry = AuditEntry.objects.get(verb="template.add_file", actor=editor)
        assert entry.after["file"] == "logo.png"

    def test_twice_changes_nothing(self, template):
        first = add(template)
        assert add(template) == first
        assert AuditEntry.objects.filter(verb="template.add_file").count() == 1

    def test_asks_before_it_takes_the_place_of_another(self, template):
        add(template)
        with pytest.raises(NameTaken):
            add(template, "LOGO.png", png(5, 5))
        add(template, "LOGO.png", png(5, 5), replaces=True)
        assert [file.name for file in template.files.there()] == ["LOGO.png"]

    def test_refuses_more_than_a_mail_can_carry(self, template, settings):
        settings.MAILOPS_FILE_MB = settings.MAILOPS_FILES_MB = 1
        with pytest.raises(RefusedFile, match="larger than 1 MB"):
            add(template, "a.pdf", PDF + b"x" * 1_000_000)
        add(template, "a.pdf", PDF + b"x" * 600_000)
        with pytest.raises(RefusedFile, match=r"would have 1\.2 MB"):
            add(template, "b.pdf", PDF + b"y" * 600_000)

    def test_changes_the_drafts_hash_and_no_words(self, template):
        before = template.draft_hash
        file = add(template)
        template.refresh_from_db()
        assert template.draft_hash != before
        assert template.draft_revision == 0
        enclosing.remove_file(file=file, actor=None)
        template.refresh_from_db()
        assert template.draft_hash == before
        enclosing.bring_back(file=file, actor=None)
        enclosing.show_or_attach(file=file, is_inline=False, actor=None)
        assert template.files.there().get().is_inline is False

    def test_can_not_come_back_where_its_name_is_taken(self, template):
        file = add(template)
        enclosing.remove_file(file=file, actor=None)
        add(template, content=png(9, 9))
        with pytest.raises(NameTaken):
            enclosing.bring_back(file=file, actor=None)


class TestGates:
    def test_name_the_line_of_a_picture_that_is_not_there(self, template):
        problem = rules(look_at_draft(template)[0])["files.missing"]
        assert (problem.is_error, problem.line) == (True, 1)
        assert "“logo.png”" in problem.sentence
        add(template)
        assert "files.missing" not in rules(look_at_draft(template)[0])

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ('\n<img src="cid:{{ x }}.png">', "made by Liquid"),
            ("\n<p style=\"background: url('cid:terms.pdf')\">", "is attached"),
            ("\n<img src=cid:none.png>", "“none.png”"),
            ('\n<td background="cid:a%20b.png">', "“a b.png”"),
        ],
    )
    def test_say_why_a_picture_can_not_be_shown(self, template, source, words):
        add(template, "terms.pdf", PDF)
        template.draft_html = source
        problem = rules(look_at_draft(template)[0])["files.missing"]
        assert words in problem.sentence
        assert problem.line == 2

    def test_leave_words_about_cid_alone(self, template):
        template.draft_html = "<p>Write cid: before it, as in cid:logo.png</p>"
        assert "files.missing" not in rules(look_at_draft(template)[0])

    def test_find_the_line_of_a_picture_that_is_there(self, template):
        add(template)
        template.draft_html = "<p>Hi</p>\n<p><img src='https://example.com/a.png' alt=''></p>\n<p><img src='cid:logo.png'></p>"
        assert rules(look_at_draft(template)[0])["mail.alt"].line == 3

    def test_warn_of_a_provider_that_takes_no_mail_so_large(self, template):
        make_transport(kind="scaleway")
        add(template, "a.pdf", PDF + b"x" * 1_000_000)
        assert "files.too_much" not in rules(look_at_draft(template)[0])
        add(template, "b.pdf", PDF + b"y" * 600_000)
        problem = rules(look_at_draft(template)[0])["files.too_much"]
        assert "Scaleway takes no mail of more than 2 MB" in problem.sentence
        assert not problem.is_error

    def test_warn_of_a_picture_that_no_language_shows(self, template):
        add(template)
        add(template, "sign.png", png(7, 7))
        add(template, "terms.pdf", PDF)
        assert "sign.png" in rules(look_at_draft(template)[0])["files.unused"].sentence
        template.variants.create(
            language="de", draft_subject="F", draft_html=BODY.format('<img src="cid:sign.png">')
        )
        assert "files.unused" not in rules(look_at_draft(template)[0])


class TestVersions:
    def test_hold_their_files_for_good(self, template):
        file = add(template)
        version = publish(template, None)
        enclosing.remove_file(file=file, actor=None)
        TemplateFile.objects.all().delete()
        FileContent.objects.update(seen_at="2020-01-01T00:00Z")
        assert enclosing.drop_unused() == 0
        (kept,) = files_of_version(version)
        assert version.contents[kept.sha256] == png()
        assert f'src="cid:{kept.cid}"' in version.html
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM content_filecontent")
        with pytest.raises(IntegrityError), transaction.atomic():
            FileContent.objects.update(content=b"other")
        with pytest.raises(IntegrityError), transaction.atomic():
            type(version).objects.update(files=[])

    def test_another_file_is_another_version(self, template):
        add(template)
        publish(template, None)
        with pytest.raises(publishing.NothingToPublish):
            publish(template, None)
        add(template, content=png(8, 8), replaces=True)
        old, new = template.latest_version, publish(template, None)
        parts = dict(compare(State.of_version(old), State.of_version(new)))
        assert [line.kind for line in parts["Files"]] == ["del", "ins"]

    def test_come_back_by_restore_and_by_rollback(self, template, editor):
        add(template)
        first = publish(template, None)
        add(template, content=png(8, 8), replaces=True)
        second = publish(template, None)
        assert publishing.roll_back(version=first, actor=editor).files == first.files
        publishing.restore(version=first, actor=editor)
        template.refresh_from_db()
        assert template.draft_hash == first.content_hash != second.content_hash

    def test_found_infected_since_come_back_by_no_rollback(self, template, logged_in, editor):
        file = add(template)
        first = publish(template, None)
        add(template, content=png(8, 8), replaces=True)
        publish(template, None)
        FileContent.objects.filter(pk=file.content_id).update(signature="Eicar-Test")
        page = reverse("content:roll-back", args=[template.pk, first.number])
        told = logged_in(editor).post(page, follow=True).text
        assert "The virus scanner found Eicar-Test in logo.png." in told
        assert template.latest_version.number == 2

    def test_found_infected_since_go_out_with_no_newer_part(self, template, editor):
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html="<p>Bye</p>")
        publish(block, None)
        template.draft_html = BODY.format(LOGO + "{% render 'Foot' %}")
        template.save()
        file = add(template)
        publish(template, None)
        block.draft_html = "<p>Good bye</p>"
        block.save()
        newer = publish(block, None)
        FileContent.objects.filter(pk=file.content_id).update(signature="Eicar-Test")
        (change,) = dependents.changes_by(newer)
        assert change.error == "The virus scanner found Eicar-Test in logo.png."
        assert dependents.republish(version=newer, chosen=[change], actor=editor) == 0

    def test_an_approval_is_of_exactly_these_files(self, template, editor, operator):
        add(template)
        template.needs_approval = True
        template.save()
        approval = approving.ask(template=template, actor=editor)
        approving.decide(approval=approval, actor=operator, is_approved=True)
        file = add(template, "terms.pdf", PDF, actor=editor)
        with pytest.raises(publishing.NotApproved):
            publish(template, editor)
        enclosing.remove_file(file=file, actor=editor)
        assert publish(template, editor).number == 1

    def test_bring_those_of_layouts_and_blocks(self, template):
        layout = MailTemplate.objects.create(
            name="Frame", kind="layout", draft_html=BODY.format(LOGO + "{{ content }}")
        )
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html=LOGO)
        add(layout)
        add(block, content=png(8, 8))
        add(block, "terms.pdf", PDF)
        publish(layout, None), publish(block, None)
        add(template, content=png(4, 4))
        template.layout = layout
        template.draft_html = f"{LOGO}{{% render 'Foot' %}}{{% render 'Foot' %}}"
        template.save()
        version = publish(template, None)
        brought = [(file.name, file.part, file.is_inline) for file in files_of_version(version)]
        assert sorted(brought) == [
            ("logo.png", "", True),
            ("logo.png", "Foot", True),
            ("logo.png", "Frame", True),
            ("terms.pdf", "Foot", False),
        ]
        assert version.html.count("@mailops") == 4
        publishing.restore(version=version, actor=None)
        assert [file.name for file in template.files.there()] == ["logo.png"]


def test_unused_octets_go_after_a_day(template):
    file = add(template)
    enclosing.remove_file(file=file, actor=None)
    assert enclosing.drop_unused() == 0
    TemplateFile.objects.update(removed_at="2020-01-01T00:00Z")
    FileContent.objects.update(seen_at="2020-01-01T00:00Z")
    assert enclosing.drop_unused() == 1


def test_a_frame_shows_pictures_without_asking_anybody(template):
    add(template)
    version = publish(template, None)
    response = framed(version.html, LookForm({}))
    assert 'src="data:image/png;base64,iVBOR' in response.text
    assert "cid:" not in response.text
    assert "img-src data:;" in response["Content-Security-Policy"]
