"""Things of other parents, other kinds, or put away: said at the field, or not found, and nothing is changed."""

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from tests.examples import make_file, make_user
from tests.factories import (
    make_audience,
    make_captured,
    make_domain,
    make_identity,
    make_incident,
    make_stream,
    make_transport,
    make_version,
)

UNCHANGED = "Nothing was changed: this is what stands there already."
GARBAGE = ["987654321", "-1", "9" * 30, "no number", "1\0", "", "1.5"]


def last_said(response) -> str:
    return [str(message) for message in get_messages(response.wsgi_request)][-1]


def two_templates():
    """Return a template with one version, and another that has a second one."""
    one, other = make_version().template, make_version().template
    make_version(template=other, number=2)
    return one, other


@pytest.mark.parametrize("name", ["version", "version-html", "restore", "roll-back", "dependents"])
def test_a_version_of_another_template_is_not_found(name, browser):
    one, other = two_templates()
    assert browser.get(reverse(f"content:{name}", args=[other.pk, 2])).status_code == 200
    path = reverse(f"content:{name}", args=[one.pk, 2])
    assert browser.get(path).status_code == 404
    assert browser.post(path).status_code == 404
    assert not AuditEntry.objects.exists()


def test_a_file_of_another_template_is_not_found(browser):
    file, other = make_file(), make_version().template
    path = reverse("content:file", args=[other.pk, file.pk])
    before = AuditEntry.objects.count()
    for act in ("remove", "undo", "show", "attach"):
        assert browser.post(path, {"act": act}).status_code == 404
    assert AuditEntry.objects.count() == before


def test_an_attachment_that_a_mail_has_not_is_not_found(browser):
    path = reverse("sandbox:attachment", args=[make_captured(b"Subject: x\r\n\r\nx").pk, 7])
    assert browser.get(path).status_code == 404


@pytest.mark.parametrize("language", ["pt", "en", "no such", "-1"])
def test_words_in_a_language_that_a_draft_has_not_are_not_said_to_be_gone(language, browser):
    template = make_version().template
    page = browser.post(reverse("content:language-delete", args=[template.pk, language]))
    assert last_said(page) == f"Nothing was removed: it has no further words in “{language}”."
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("chosen", [[], ["987654321"], ["-1", "x", "9" * 30]])
def test_mails_that_do_not_hang_on_a_version_are_not_published_with_it(chosen, browser):
    version = make_version()
    path = reverse("content:dependents", args=[version.template_id, 1])
    assert last_said(browser.post(path, {"template": chosen})).startswith("Nothing was published")


def test_a_providers_key_is_not_logged_in_with_by_oauth(browser):
    transport = make_transport(kind="postmark")
    path = reverse("transports:oauth-add", args=[transport.pk])
    typed = {"label": "March", "username": "ada@example.com", "client_id": "app"}
    assert browser.get(path).status_code == browser.post(path, typed).status_code == 404
    assert not transport.credentials.exists()
    asked = browser.get(reverse("transports:credential-add", args=[transport.pk]))
    assert path not in asked.text


def test_who_owns_an_incident_already_is_not_set_anew(browser, operator):
    incident = make_incident(owner=operator)
    path = reverse("incidents:assign", args=[incident.pk])
    assert last_said(browser.post(path, {"owner": operator.pk})) == UNCHANGED
    assert not AuditEntry.objects.exists()


def test_who_can_log_in_is_not_let_in_anew(browser):
    path = reverse("accounts:user-reactivate", args=[make_user().pk])
    assert last_said(browser.post(path)) == UNCHANGED


class TestPlan:
    """Of a campaign, which names most things of all forms."""

    def plan(self, **other):
        stream = make_stream()
        plan = {
            "name": "Spring",
            "audience": make_audience().pk,
            "version": make_version().pk,
            "stream": stream.pk,
            "identity": make_identity(domain=stream.domain).pk,
        }
        return plan | other

    def refused(self, browser, name, value):
        page = browser.post(reverse("campaigns:add"), self.plan(**{name: value}))
        assert page.status_code == 422
        assert page.context["form"].errors.keys() == {name}
        assert 'value="Spring"' in page.text
        assert not Campaign.objects.exists()

    @pytest.mark.parametrize("name", ["audience", "version", "stream", "identity"])
    def test_nothing_else_than_a_row_is_taken(self, name, browser):
        for garbage in [*GARBAGE, ["987654321", "987654322"]]:
            self.refused(browser, name, garbage)

    def test_what_is_put_away_is_not_taken(self, browser):
        deleted = make_audience(deleted_at=timezone.now())
        version = make_version()
        version.template.archived_at = timezone.now()
        version.template.save()
        self.refused(browser, "audience", deleted.pk)
        self.refused(browser, "version", version.pk)

    def test_what_is_something_else_is_not_taken(self, browser):
        layout = make_version()
        layout.template.kind = "layout"
        layout.template.save()
        older = make_version()
        make_version(template=older.template, number=2)
        self.refused(browser, "version", layout.pk)
        self.refused(browser, "version", older.pk)
        self.refused(browser, "identity", make_identity(domain=make_domain()).pk)
