"""The files that go with a mail: their octets once, and their names in drafts."""

from collections.abc import Collection
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now


class FileContent(models.Model):
    """The octets of a file, kept once however many drafts and versions have it; a trigger refuses to change them."""

    sha256 = models.CharField(max_length=64, unique=True)
    content = models.BinaryField()
    size = models.PositiveIntegerField()
    width = models.PositiveIntegerField(null=True)  # of a picture, in points
    height = models.PositiveIntegerField(null=True)
    scanned_at = models.DateTimeField(null=True)  # by the virus scanner; null: it gave no verdict
    signature = models.CharField(max_length=200, blank=True)  # what it found
    seen_at = models.DateTimeField(db_default=Now())  # uploaded last

    def __str__(self) -> str:
        return self.sha256[:12]

    @property
    def is_scanned(self) -> bool:
        return self.scanned_at is not None


class TemplateFileQuerySet(models.QuerySet["TemplateFile"]):
    def there(self) -> "TemplateFileQuerySet":
        """Leave out those that were removed, and the octets of the others."""
        return self.filter(removed_at=None).light()

    def light(self) -> "TemplateFileQuerySet":
        return self.select_related("content").defer("content__content")


class TemplateFile(models.Model):
    """A file of a draft, under its name there; versions hold those of their time."""

    template = models.ForeignKey(
        "content.MailTemplate", on_delete=models.CASCADE, related_name="files"
    )
    content = models.ForeignKey(FileContent, on_delete=models.PROTECT, related_name="uses")
    name = models.CharField(max_length=100)
    is_inline = models.BooleanField()  # a picture that the source shows by cid:, else attached
    added_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    added_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True)  # for a while it can be brought back

    objects = TemplateFileQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "template", Lower("name"), name="file_name_once", condition=Q(removed_at=None)
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_picture(self) -> bool:
        return self.content.width is not None


def contents_of(hashes: Collection[str]) -> dict[str, bytes]:
    """Return the octets of files by their hashes."""
    found = FileContent.objects.filter(sha256__in=hashes).values_list("sha256", "content")
    return {sha256: bytes(content) for sha256, content in found}
