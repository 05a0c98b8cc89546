"""Mail templates and their immutable versions."""

from typing import ClassVar

from django.db import models


class MailTemplate(models.Model):
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    draft_subject = models.CharField(max_length=500, blank=True)
    draft_html = models.TextField(blank=True)
    draft_text = models.TextField(blank=True)  # empty: derived from the HTML
    sample = models.JSONField(default=dict, blank=True)  # merge data for previews
    draft_changed_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    template = models.ForeignKey(MailTemplate, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    subject = models.CharField(max_length=500)
    html = models.TextField()
    text = models.TextField()
    sample = models.JSONField(default=dict)
    variables = models.JSONField(default=list)  # names the sources use
    content_hash = models.CharField(max_length=64)  # SHA-256 of subject, HTML and text
    note = models.TextField(blank=True)
    published_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "number"], name="version_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.template} v{self.number}"
