"""The templates of mails that mailops sends by itself, until people publish words of their own."""

from collections.abc import Iterable

from django.db import transaction

from mailops.content.drafting import create_template
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.publishing import publish


@transaction.atomic
def version_in_use(
    *, name: str, description: str, subject: str, html: str, text: str, variables: Iterable[str]
) -> TemplateVersion:
    """Return the newest version of the template of that `name`, made of these words when it is first needed."""
    template = MailTemplate.objects.filter(name=name).first() or create_template(
        actor=None,
        name=name,
        description=description,
        draft_subject=subject,
        draft_html=html,
        draft_text=text,
        sample={variable: variable for variable in variables},
    )
    return template.latest_version or publish(template, None, "Made by mailops.")
