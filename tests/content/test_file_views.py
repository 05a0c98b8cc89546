"""The files panel: by plain forms and by htmx, and whoever tries to get something past it."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mailops.content import desk, enclosing
from mailops.content.forms import DraftForm
from mailops.content.models import FileContent, MailTemplate, Preview
from mailops.content.publishing import publish
from tests.content.some_files import PDF, png

HTMX = {"HX-Request": "true"}


@pytest.fixture
def template(db):
    return MailTemplate.objects.create(
        name="Spring", draft_subject="Spring", draft_html='<p>Hi</p><img src="cid:logo.png" alt="">'
    )


@pytest.fixture
def client(logged_in, editor):
    return logged_in(editor)


def url(template):
    return reverse("content:files", args=[template.pk])


def upload(client, template, *files, headers=None, **fields):
    given = [SimpleUploadedFile(name, content) for name, content in files]
    return client.post(url(template), {"file": given, **fields}, headers=headers or {})


def act(client, file, verb, **headers):
    address = reverse("content:file", args=[file.template_id, file.pk])
    return client.post(address, {"act": verb}, headers=headers)


def names(template):
    return [file.name for file in template.files.there().order_by("name")]


class TestAdding:
    def test_takes_several_at_once_and_goes_back(self, client, template):
        response = upload(client, template, ("logo.png", png(600, 80)), ("Größe.pdf", PDF))
        assert response.status_code == 302
        page = client.get(response["Location"])
        assert names(template) == ["Größe.pdf", "logo.png"]
        assert "600 × 80" in page.text
        assert (
            "&lt;img src=&quot;cid:logo.png&quot; alt=&quot;&quot; width=&quot;600&quot;&gt;"
            in page.text
        )
        assert "shown in it" in page.text

    def test_answers_htmx_with_the_panel_and_wakes_the_preview(self, client, template):
        response = upload(client, template, ("logo.png", png()), headers=HTMX)
        assert response.status_code == 200
        assert response.text.lstrip().startswith("<details")
        assert response["HX-Trigger-After-Settle"] == "files-changed"

    def test_keeps_the_words_that_come_along(self, client, template, editor):
        words = DraftForm.initial_for(template) | {"html": "<p>Not saved yet</p>"}
        response = upload(client, template, ("logo.png", png()), **words)
        assert response["Location"].endswith(f"/{template.pk}/edit/#files")
        assert desk.unsaved(template, editor, "")["html"] == "<p>Not saved yet</p>"
        bad = upload(client, template, ("a.exe", b"MZ"), **words | {"html": "<p>More</p>"})
        assert bad.status_code == 422
        assert Preview.objects.get().typed[""]["html"] == "<p>More</p>"

    def test_takes_what_is_good_and_says_what_is_not(self, client, template):
        response = upload(client, template, ("logo.png", png()), ("x.png", b"<html><script>"))
        assert response.status_code == 422
        assert "x.png: Its name says .png, and what is in it is something else" in response.text
        assert names(template) == ["logo.png"]

    def test_asks_before_it_replaces(self, client, template):
        upload(client, template, ("logo.png", png()))
        response = upload(client, template, ("logo.png", png(9, 9)), headers=HTMX)
        assert response.status_code == 422
        assert "tick “Replace”" in response.text
        upload(client, template, ("logo.png", png(9, 9)), replaces="on")
        assert template.files.there().get().content.width == 9

    @pytest.mark.parametrize("given", [{}, {"file": "a string"}, {"file": ""}])
    def test_without_a_file_is_invalid(self, client, template, given):
        response = client.post(url(template), given)
        assert response.status_code == 422
        assert "Choose a file" in response.text

    def test_does_not_read_what_is_too_long(self, client, template, settings):
        class Unread:
            def read(self, *_):
                raise AssertionError("it was read")

            readline = read

        response = client.generic(
            "POST",
            url(template),
            CONTENT_TYPE="multipart/form-data; boundary=B",
            CONTENT_LENGTH="10000000",
            **{"wsgi.input": Unread()},
        )
        assert response.status_code == 413
        assert "more than 7 MB" in response.text
        response = upload(client, template, ("a.pdf", PDF + b"x" * 5_000_001))
        assert response.status_code == 422
        assert "a.pdf: It is larger than 5 MB" in response.text
        assert not FileContent.objects.exists()

    @pytest.mark.parametrize(
        "name",
        [
            "../../etc/passwd.png",
            "..\\x.png",
            'a"; filename="b.png',
            "a%0d%0aBcc: x.png",
            "\u202egnp.png",
        ],
    )
    def test_no_name_leads_anywhere(self, client, template, name):
        part = f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = part.encode() + png() + b"\r\n--B--\r\n"
        client.generic("POST", url(template), body, "multipart/form-data; boundary=B")
        (kept,) = names(template)
        assert re.fullmatch(r"[^/\\\r\n\"\u202e]+\.png", kept)

    def test_a_forged_form_is_refused(self, editor, template):
        client = Client(enforce_csrf_checks=True)
        client.force_login(editor, backend="allauth.account.auth_backends.AuthenticationBackend")
        assert upload(client, template, ("logo.png", png())).status_code == 403
        assert names(template) == []


class TestChanging:
    @pytest.fixture
    def file(self, template):
        return enclosing.add_file(template=template, name="logo.png", content=png(), actor=None)

    def test_removes_and_brings_back(self, client, template, file):
        page = act(client, file, "remove", **HTMX)
        assert "logo.png is removed" in page.text
        assert names(template) == []
        act(client, file, "remove")
        assert "is removed" not in act(client, file, "undo", **HTMX).text
        assert names(template) == ["logo.png"]

    def test_says_why_it_can_not_come_back(self, client, template, file):
        act(client, file, "remove")
        enclosing.add_file(template=template, name="Logo.png", content=png(9, 9), actor=None)
        response = act(client, file, "undo")
        assert response.status_code == 422
        assert "There is another" in response.text

    def test_shows_a_picture_or_attaches_it(self, client, template, file):
        act(client, file, "attach")
        assert template.files.there().get().is_inline is False
        act(client, file, "show")
        assert template.files.there().get().is_inline is True
        assert act(client, file, "burn").status_code == 422

    def test_of_another_template_is_not_found(self, client, file):
        other = MailTemplate.objects.create(name="Other")
        address = reverse("content:file", args=[other.pk, file.pk])
        assert client.post(address, {"act": "remove"}).status_code == 404

    def test_scanning_again_says_why_it_can_not(self, client, template, file, settings):
        address = reverse("content:files-scan", args=[template.pk])
        assert "No virus scanner" in client.post(address).text
        settings.MAILOPS_CLAMAV = "/nowhere/clamd.socket"
        assert "Scan again" in client.get(url(template)).text
        response = client.post(address)
        assert response.status_code == 422
        assert "asked" in response.text


class TestGivingOut:
    def test_a_file_is_saved_and_never_shown(self, client, template):
        file = enclosing.add_file(template=template, name="Größe.pdf", content=PDF, actor=None)
        address = reverse("content:file-download", args=[file.content.sha256])
        response = client.get(address, {"name": 'x"\r\n../<svg>.html'})
        assert response.content == PDF
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"] == 'attachment; filename="_svg_.html"'
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "Gr%C3%B6%C3%9Fe.pdf" in client.get(address)["Content-Disposition"]
        assert (
            client.get(reverse("content:file-picture", args=[file.content.sha256])).status_code
            == 404
        )

    def test_a_picture_is_only_a_picture(self, client, template):
        file = enclosing.add_file(template=template, name="logo.png", content=png(), actor=None)
        publish(template, None)
        template.files.all().delete()
        response = client.get(reverse("content:file-picture", args=[file.content.sha256]))
        assert response["Content-Type"] == "image/png"
        assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert client.get(reverse("content:file-download", args=["0" * 64])).status_code == 404

    def test_what_is_infected_is_kept_in(self, client, template):
        file = enclosing.add_file(template=template, name="a.pdf", content=PDF, actor=None)
        FileContent.objects.update(signature="Eicar")
        address = reverse("content:file-download", args=[file.content.sha256])
        assert client.get(address).status_code == 404
        assert "Infected: Eicar" in client.get(url(template)).text


class TestWho:
    def test_viewers_see_and_change_nothing(self, logged_in, viewer, template):
        file = enclosing.add_file(template=template, name="logo.png", content=png(), actor=None)
        client = logged_in(viewer)
        page = client.get(url(template))
        assert "logo.png" in page.text
        assert not re.search(r'<input type="file"|value="remove"|data-insert', page.text)
        assert upload(client, template, ("b.png", png())).status_code == 403
        assert act(client, file, "remove").status_code == 403

    def test_the_anonymous_log_in_first(self, template):
        assert "login" in Client().get(url(template))["Location"]

    def test_the_number_of_queries_does_not_grow(
        self, client, template, django_assert_max_num_queries
    ):
        for number in range(8):
            enclosing.add_file(
                template=template, name=f"{number}.png", content=png(1, 1 + number), actor=None
            )
        with django_assert_max_num_queries(16):
            client.get(url(template))
