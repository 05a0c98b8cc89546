"""Templates that people write wrongly or to do harm, and merge data that would add a header."""

import json
from email import message_from_bytes
from email.policy import default

import pytest
from django.urls import reverse

from mailops.content.models import MailTemplate, TemplateVersion
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.models import Worker
from mailops.dispatch.preparing import Objection, Way, prepare
from mailops.domains.models import Identity
from tests.factories import make_domain, make_identity, make_message, make_stream, make_version

LOOP = "{% for i in (1..10000) %}"
HOSTILE = {
    "a syntax error": ("<p>kept</p>\n{% if %}", "HTML, line 2"),
    "a tag without end": ("<p>kept</p>\n{% for x in y %}", "HTML, line 2"),
    "an unknown filter": ("<p>kept</p>\n{{ x | nope }}", "HTML, line 2"),
    "an endless loop": (f"<p>kept</p>\n{LOOP}{LOOP}{{% endfor %}}{{% endfor %}}", "does not end"),
    "huge output": (f"<p>kept</p>\n{LOOP}{'x' * 200}{{% endfor %}}", "larger than 1 MB"),
    "deep nesting": ("<p>kept</p>\n" + "{% if a %}" * 40 + "{% endif %}" * 40, "30 deep"),
    "a file": ("<p>kept</p>\n{% include '/etc/passwd' %}", "HTML, line 2"),
}


@pytest.fixture
def template(db):
    return MailTemplate.objects.create(name="Spring", draft_subject="Hi", sample={})


def url(name, template):
    return reverse(f"content:{name}", args=[template.pk])


def draft(html):
    return {"revision": 0, "subject": "Hi", "html": html, "text": "", "sample": json.dumps({})}


@pytest.mark.parametrize(("html", "words"), HOSTILE.values(), ids=HOSTILE)
class TestHostile:
    def test_preview_says_what_is_wrong_and_keeps_what_was_typed(
        self, html, words, browser, template
    ):
        response = browser.post(url("preview", template), draft(html))
        assert response.status_code == 422
        assert words in response.text
        assert "&lt;p&gt;kept&lt;/p&gt;" in response.text

    def test_publish_refuses_it_and_leaves_the_draft(self, html, words, browser, template):
        assert browser.post(url("edit", template), draft(html)).status_code == 302
        response = browser.post(url("publish", template), {"note": "x"})
        assert response.status_code == 422
        assert words.replace(",", "") in response.text.replace("HTML, line", "HTML line")
        assert not TemplateVersion.objects.exists()
        template.refresh_from_db()
        assert template.draft_html == html


INJECTIONS = ["\r\nBcc: eve@evil.example", "\nBcc: eve@evil.example", "\rBcc: eve", "\u2028Bcc: e"]


def mail_of(message):
    """Return the mail of a due message as a worker would send it, read again as its recipient would."""
    (carrier,) = usable_carriers("bulk")
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    (job,) = Claimer(worker.pk).claim(carrier, 1)
    content = prepare(job, message.version, Way("bounces.example.com")).content
    return message_from_bytes(content, policy=default)


@pytest.mark.django_db
@pytest.mark.parametrize("injection", INJECTIONS)
class TestHeaders:
    def test_no_merge_data_adds_one_by_the_subject(self, injection):
        version = make_version(subject="Hello {{ name }}", text="Hello", html="")
        mail = mail_of(make_message(version=version, merge_data={"name": f"Ada{injection}"}))
        assert "Bcc" not in mail
        assert mail["Subject"].startswith("Hello Ada Bcc: e")

    @pytest.mark.parametrize("field", ["name", "reply_to"])
    def test_no_identity_adds_one_even_if_it_got_past_its_form(self, injection, field):
        stream = make_stream()
        identity = make_identity(domain=stream.domain, **{field: f"ada@example.net{injection}"})
        message = make_message(stream=stream, identity=identity)
        try:
            assert "Bcc" not in mail_of(message)
        except Objection as objection:
            reason = objection.reason
            assert reason == "unfit_content"

    def test_an_identitys_form_makes_one_line_of_its_name(self, injection, browser):
        url = reverse("domains:identity-add", args=[make_domain().pk])
        browser.post(url, {"name": f"Ada{injection}x", "local_part": "news", "reply_to": ""})
        (line,) = Identity.objects.get().name.splitlines()
        assert line.startswith("Ada Bcc: e")

    @pytest.mark.parametrize("field", ["local_part", "reply_to"])
    def test_an_identitys_form_refuses_it(self, injection, field, browser):
        url = reverse("domains:identity-add", args=[make_domain().pk])
        fields = {"name": "Ada", "local_part": "news", "reply_to": ""}
        good = {"local_part": "news", "reply_to": "ada@example.net"}[field]
        response = browser.post(url, {**fields, field: f"{good}{injection}x"})
        assert response.status_code == 422
        assert not Identity.objects.exists()
