"""Names that look blank, like another one or backwards: what can't be seen in them is not kept."""

from importlib import import_module
from pathlib import Path

import pytest
from django import forms
from django.conf import settings
from django.urls import reverse

from mailops.accounts.models import User
from mailops.audiences.models import Audience
from mailops.content.models import MailTemplate
from mailops.domains.models import Identity
from mailops.lib.written_words import LineField
from tests.factories import make_domain

ROOT = Path(settings.BASE_DIR)
WORDS = {"name", "label", "description", "note", "reason", "text", "why", "consent", "cause", "fix"}
SOURCES = {"DraftForm.text"}  # of mails, which say what their authors want
DOMAINS = {"DomainForm.name"}

DIRTY, CLEAN = (
    "\u202e\u200bAda\u2066 & C\u00ado\x07 \u0645\u06cc\u200c\u062e",
    "Ada & Co \u0645\u06cc\u200c\u062e",
)
UNSEEN = "\u200b\u2060\u202e\ufeff"


def all_forms() -> list[type[forms.BaseForm]]:
    """Return every form of ours."""
    for path in (ROOT / "mailops").rglob("*forms*/*.py"):
        import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for path in (ROOT / "mailops").rglob("*forms.py"):
        import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))

    def below(form: type[forms.BaseForm]) -> list[type[forms.BaseForm]]:
        return [each for sub in form.__subclasses__() for each in (sub, *below(sub))]

    return [form for form in below(forms.BaseForm) if form.__module__.startswith("mailops.")]


def test_are_asked_for_by_a_field_that_cleans_them():
    asked = {
        f"{form.__name__}.{name}": field
        for form in all_forms()
        for name, field in form.base_fields.items()
        if name in WORDS and isinstance(field, forms.CharField) and not field.widget.is_hidden
    }
    assert len(asked) > 30
    cleaned = {at for at, field in asked.items() if isinstance(field, LineField)}
    assert set(asked) - cleaned == SOURCES | DOMAINS


def places():
    domain = make_domain()
    return {
        reverse("audiences:add"): (Audience, {"description": "who"}),
        reverse("content:new"): (MailTemplate, {"kind": "mail", "start": "letter"}),
        reverse("domains:identity-add", args=[domain.pk]): (Identity, {"local_part": "news"}),
    }


@pytest.mark.parametrize("number", range(3))
class TestNames:
    def test_are_kept_as_they_are_seen(self, number, browser):
        url, (model, others) = [*places().items()][number]
        browser.post(url, {"name": DIRTY, **others})
        assert model.objects.latest("pk").name == CLEAN

    def test_that_nobody_can_see_are_refused(self, number, browser):
        url, (model, others) = [*places().items()][number]
        before = model.objects.count()
        page = browser.post(url, {"name": UNSEEN, **others})
        assert page.status_code == 422
        assert "Nothing of it can be seen: write a word." in page.text
        assert model.objects.count() == before


def test_of_people_may_be_left_out(browser, admin):
    form = {"name": UNSEEN, "time_zone": "UTC"}
    assert browser.post(reverse("accounts:profile"), form).status_code == 302
    assert str(User.objects.get(pk=admin.pk)) == admin.email
