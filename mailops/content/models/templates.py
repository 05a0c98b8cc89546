"""Mail templates and their immutable versions."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, OuterRef, Q, Subquery

from mailops.accounts.meanwhile import mark_of, mark_of_fields
from mailops.content.models.files import contents_of
from mailops.lib.storable import storable


class MailTemplateQuerySet(models.QuerySet["MailTemplate"]):
    def written(self) -> "MailTemplateQuerySet":
        """Leave out those that only hold what was sent as a test: nobody looked it over."""
        return self.filter(test_of=None)

    def current(self) -> "MailTemplateQuerySet":
        return self.written().filter(archived_at=None)

    def archived(self) -> "MailTemplateQuerySet":
        return self.written().exclude(archived_at=None)

    def mails(self) -> "MailTemplateQuerySet":
        return self.filter(kind=MailTemplate.Kind.MAIL)

    def matching(self, words: str) -> "MailTemplateQuerySet":
        return self.filter(
            models.Q(name__icontains=words)
            | models.Q(description__icontains=words)
            | models.Q(draft_subject__icontains=words)
        )

    def with_latest(self) -> "MailTemplateQuerySet":
        """Bring along the newest version's number, hash and time, and whether it is a roll-back that left the draft."""
        latest = TemplateVersion.objects.filter(template=OuterRef("pk")).order_by("-number")[:1]
        return self.annotate(
            latest_number=Subquery(latest.values("number")),
            latest_hash=Subquery(latest.values("content_hash")),
            latest_published_at=Subquery(latest.values("published_at")),
            latest_restores=Subquery(latest.values("restores")),
        ).annotate(
            is_left=Q(latest_restores__isnull=False, latest_published_at__gt=F("draft_changed_at"))
            & ~Q(latest_hash=F("draft_hash"))
        )

    def left(self) -> "MailTemplateQuerySet":
        """Keep those whose draft still says what a roll-back took back."""
        return self.with_latest().filter(is_left=True)  # type: ignore[misc] # it is annotated


class Syntax(models.TextChoices):
    HTML = "html", "HTML"  # written as it is sent; its styles are inlined
    MJML = "mjml", "MJML"  # compiled to HTML when it is published


class MailTemplate(models.Model):
    class Kind(models.TextChoices):
        MAIL = "mail", "Mail"  # what is sent
        LAYOUT = "layout", "Layout"  # stands around mails, with {{ content }} where each goes
        BLOCK = "block", "Block"  # a part of mails: {% render 'its name' %}

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.MAIL)
    description = models.TextField(blank=True)
    syntax = models.CharField(max_length=10, choices=Syntax.choices, default=Syntax.HTML)
    layout = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="laid_out"
    )
    language = models.CharField(max_length=35, blank=True)  # of the draft's own words (BCP 47)
    # holds what was sent as a test of that template's draft; never in a list
    test_of = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="tests"
    )
    needs_approval = models.BooleanField(default=False)  # a second person looks before it is out
    draft_subject = models.CharField(max_length=500, blank=True)
    draft_html = models.TextField(blank=True)
    draft_text = models.TextField(blank=True)  # empty: derived from the HTML
    sample = models.JSONField(default=dict, blank=True)  # merge data for previews
    draft_hash = models.CharField(max_length=64, blank=True)  # of the sources, as a version's
    # counts saves; a save names the one it began with
    draft_revision = models.PositiveIntegerField(default=0)
    draft_changed_by = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    draft_changed_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MailTemplateQuerySet.as_manager()

    SETTINGS = ("name", "description", "syntax", "layout_id", "language", "needs_approval")

    def __str__(self) -> str:
        return self.name

    @property
    def mark(self) -> str:
        """What tells its settings from others."""
        return mark_of_fields(self, self.SETTINGS)

    def mark_of_words(self, language: str) -> str:
        """Return what tells the draft's words in `language`, "" being its own, and its sample from others."""
        words = self.variants.get(language=language) if language else self
        return mark_of(words.draft_subject, words.draft_html, words.draft_text, self.sample)

    def hash_of(self, subject: str, html: str, text: str) -> str:
        """Return what stands for a draft of these sources: what they are written in and laid out by counts."""
        more: list[object] = []
        if self.pk:
            fields = ("language", "also_for", "draft_subject", "draft_html", "draft_text")
            more = list(self.variants.order_by("language").values_list(*fields))
            files = self.files.filter(removed_at=None).order_by("name")
            enclosed = list(files.values_list("name", "content__sha256", "is_inline"))
            more += [["files", *enclosed]] if enclosed else []
        if more or self.layout_id or self.syntax != Syntax.HTML:
            more = [self.syntax, self.layout_id, self.language, *more]
        return hash_sources(subject, html, text, *more)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.draft_hash = self.hash_of(self.draft_subject, self.draft_html, self.draft_text)
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "draft_hash"}
        super().save(*args, **kwargs)

    def speaks(self, language: str) -> bool:
        """Tell whether the draft has words in `language`; "" are its own."""
        return not language or self.variants.filter(language=storable(language)).exists()

    def speak_only(self, languages: Mapping[str, Mapping[str, str]]) -> None:
        """Let the draft have words in these further languages, as a version holds them, and in no others."""
        self.variants.all().delete()
        for language, words in languages.items():
            self.variants.create(
                language=language,
                also_for=words["also_for"],
                draft_subject=words["subject"],
                draft_html=words["source"],
                draft_text=words["text"],
            )

    @property
    def latest_version(self) -> "TemplateVersion | None":
        return self.versions.order_by("-number").first()

    @property
    def version_of_draft(self) -> "TemplateVersion | None":
        """The newest version that says what the draft says."""
        return self.versions.filter(content_hash=self.draft_hash).order_by("-number").first()

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def is_mail(self) -> bool:
        return self.kind == self.Kind.MAIL

    @property
    def is_mjml(self) -> bool:
        return self.syntax == Syntax.MJML

    @property
    def is_empty(self) -> bool:
        return not (self.draft_html.strip() or self.draft_text.strip())


class TemplateVersion(models.Model):
    """What was published; a trigger in the database refuses every change to its content."""

    template = models.ForeignKey(MailTemplate, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    subject = models.CharField(max_length=500)
    html = models.TextField()  # compiled: with its layout and blocks, styles inlined, Liquid left
    text = models.TextField()  # empty: derived from the HTML
    source = models.TextField(blank=True, db_default="")  # as written; empty: the HTML itself
    syntax = models.CharField(max_length=10, choices=Syntax.choices, db_default=Syntax.HTML)
    parts = models.JSONField(default=list, db_default=[])  # layout and blocks: [[template, number]]
    variants = models.JSONField(default=dict, db_default={})  # language → its subject, html, text …
    files = models.JSONField(default=list, db_default=[])  # what goes with it: content.files.File
    sample = models.JSONField(default=dict)
    variables = models.JSONField(default=list)  # names the sources use
    content_hash = models.CharField(max_length=64)  # SHA-256 of the sources, files and parts
    findings = models.JSONField(default=list, db_default=[])  # what the gates said, nodded at
    note = models.TextField(blank=True)
    restores = models.PositiveIntegerField(null=True)  # the version that a rollback brought back
    override_reason = models.TextField(blank=True, db_default="")  # why nobody approved it
    published_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    published_at = models.DateTimeField(auto_now_add=True)
    infection = ""  # what the scanner found in a file of it since; set by who sends it

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "number"], name="version_number_once")
        ]

    def __str__(self) -> str:
        if tested := self.template.test_of:
            return f"the draft of “{tested}”"
        return f"{self.template} v{self.number}"

    @property
    def written_variants(self) -> dict[str, Any]:
        """The words of its further languages, but for those that another one speaks for."""
        return {tag: words for tag, words in self.variants.items() if "same_as" not in words}

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """The octets of its files by their hashes, read once; where there are none, nothing is asked."""
        return contents_of({file["sha256"] for file in self.files})


class Variant(models.Model):
    """A draft's words in one more language; versions hold those of their time."""

    template = models.ForeignKey(MailTemplate, on_delete=models.CASCADE, related_name="variants")
    language = models.CharField(max_length=35)  # BCP 47, in lower case: "de", "pt-br"
    also_for = models.CharField(max_length=200, blank=True)  # languages without words of their own
    draft_subject = models.CharField(max_length=500, blank=True)
    draft_html = models.TextField(blank=True)
    draft_text = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "language"], name="variant_once")
        ]

    def __str__(self) -> str:
        return f"{self.template} ({self.language})"


def hash_sources(subject: str, html: str, text: str, *more: object) -> str:
    """Return the SHA-256 that stands for three sources, and for what else makes them differ."""
    return hashlib.sha256(json.dumps([subject, html, text, *more]).encode()).hexdigest()
