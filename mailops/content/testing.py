"""Lets a draft be sent as a test: it needs a version to be sent, which must be in no list and in no campaign."""

from django.db import transaction
from django.db.models.functions import Now

from mailops.accounts.models import User
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.publishing import publish_as_test


def version_for_test(template: MailTemplate, actor: User | None) -> TemplateVersion:
    """Return a version of the draft as it is, the same again while it doesn't change; raise RenderError."""
    with transaction.atomic():
        MailTemplate.objects.select_for_update().get(pk=template.pk)
        holder, _ = MailTemplate.objects.get_or_create(
            test_of=template,
            defaults={"name": f"Draft of template {template.pk}", "archived_at": Now()},
        )
        MailTemplate.objects.filter(pk=holder.pk).update(
            name=f"Draft of “{template.name[:80]}” ({template.pk})"
        )
        return publish_as_test(template, holder, actor)
