"""Mail templates and their immutable versions."""

import hashlib
import json
from typing import Any, ClassVar

from django.db import models
from django.db.models import OuterRef, Subquery


class MailTemplateQuerySet(models.QuerySet["MailTemplate"]):
    def current(self) -> "MailTemplateQuerySet":
        return self.filter(archived_at=None)

    def archived(self) -> "MailTemplateQuerySet":
        return self.exclude(archived_at=None)

    def matching(self, words: str) -> "MailTemplateQuerySet":
        return self.filter(
            models.Q(name__icontains=words)
            | models.Q(description__icontains=words)
            | models.Q(draft_subject__icontains=words)
        )

    def with_latest(self) -> "MailTemplateQuerySet":
        """Bring along the newest version's number, hash and time."""
        latest = TemplateVersion.objects.filter(template=OuterRef("pk")).order_by("-number")[:1]
        return self.annotate(
            latest_number=Subquery(latest.values("number")),
            latest_hash=Subquery(latest.values("content_hash")),
            latest_published_at=Subquery(latest.values("published_at")),
        )


class MailTemplate(models.Model):
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    draft_subject = models.CharField(max_length=500, blank=True)
    draft_html = models.TextField(blank=True)
    draft_text = models.TextField(blank=True)  # empty: derived from the HTML
    sample = models.JSONField(default=dict, blank=True)  # merge data for previews
    draft_hash = models.CharField(max_length=64, blank=True)  # of the sources, as a version's
    draft_revision = models.PositiveIntegerField(
        default=0
    )  # counts saves; a save names the one it began with
    draft_changed_by = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    draft_changed_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MailTemplateQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.draft_hash = hash_sources(self.draft_subject, self.draft_html, self.draft_text)
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "draft_hash"}
        super().save(*args, **kwargs)

    @property
    def latest_version(self) -> "TemplateVersion | None":
        return self.versions.order_by("-number").first()

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def is_empty(self) -> bool:
        return not (self.draft_html.strip() or self.draft_text.strip())


class TemplateVersion(models.Model):
    """What was published; a trigger in the database refuses every change to its content."""

    template = models.ForeignKey(MailTemplate, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    subject = models.CharField(max_length=500)
    html = models.TextField()
    text = models.TextField()  # empty: derived from the HTML
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


class Preview(models.Model):
    """What a person last saw of a draft: a frame needs an address, and the draft may not be saved yet."""

    template = models.ForeignKey(MailTemplate, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    html = models.TextField()
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "user"], name="preview_once")
        ]


def hash_sources(subject: str, html: str, text: str) -> str:
    """Return the SHA-256 that stands for three sources."""
    return hashlib.sha256(json.dumps([subject, html, text]).encode()).hexdigest()
