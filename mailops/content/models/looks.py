"""What is kept of looking at a draft: what was typed and seen, pictures, where its links lead."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from mailops.content.models.templates import MailTemplate


class Preview(models.Model):
    """What a person last typed and saw: kept as they type, so that no word is lost before they save."""

    template = models.ForeignKey(MailTemplate, on_delete=models.CASCADE, related_name="previews")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    html = models.TextField()  # as rendered, for the frame
    # language → the editor's fields that are not saved, and when; null: all are
    typed = models.JSONField(null=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "user"], name="preview_once")
        ]


class Picture(models.Model):
    """How one HTML looks in Chromium, in one scheme and width."""

    html_hash = models.CharField(max_length=64)  # SHA-256 of the rendered HTML
    scheme = models.CharField(max_length=5)
    width = models.PositiveSmallIntegerField()
    image = models.BinaryField()
    image_hash = models.CharField(max_length=64)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["html_hash", "scheme", "width"], name="picture_once")
        ]


class LinkAnswer(models.Model):
    """What came of asking for one page that a mail links to; kept for a while."""

    address_hash = models.CharField(max_length=64, unique=True)
    address = models.TextField()
    status = models.PositiveSmallIntegerField(null=True)  # of the last answer; null: there was none
    leads_to = models.TextField(blank=True)  # where redirects ended
    fault = models.CharField(max_length=200, blank=True)
    is_dead = models.BooleanField(default=False)
    asked_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.address


class Errand(models.Model):
    """What somebody asked for and a worker does behind: the row goes when it is done, and stays where it was given up."""

    class Kind(models.TextChoices):
        PICTURES = "pictures", "Pictures"  # of an HTML, whose hash is the key
        LINKS = "links", "Links"  # of a draft, whose id is the key

    kind = models.CharField(max_length=10, choices=Kind.choices)
    key = models.CharField(max_length=64)
    html = models.TextField(blank=True)  # what to draw
    due_at = models.DateTimeField(null=True, db_default=Now())  # null: given up
    attempts = models.PositiveSmallIntegerField(default=0)
    fault = models.TextField(blank=True)  # why it was given up, or tried again
    asked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "key"], name="errand_once")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.key[:12]}"
