"""What the files panel shows: each file with its notation, its state, and who else has it."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from operator import or_
from urllib.parse import quote

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from mailops.content import scanning
from mailops.content.file_types import content_type_of
from mailops.content.files import shown_elsewhere
from mailops.content.models import MailTemplate, TemplateFile, TemplateVersion

SHOWN_WIDTH = 600  # points; mails are seldom wider
OFFERED = timedelta(hours=1)  # how long the panel offers to bring a removed file back


@dataclass(frozen=True)
class Row:
    file: TemplateFile
    is_mjml: bool
    is_used: bool  # a source shows it
    versions: list[int]  # of this template
    others: list[str]  # other templates

    @property
    def content_type(self) -> str:
        return content_type_of(self.file.name)

    @property
    def notation(self) -> str:
        """What shows the picture, for the source."""
        width = min(self.file.content.width or SHOWN_WIDTH, SHOWN_WIDTH)
        source = f"cid:{quote(self.file.name)}"
        if self.is_mjml:
            return f'<mj-image src="{source}" alt="" width="{width}px" />'
        return f'<img src="{source}" alt="" width="{width}">'

    @property
    def is_infected(self) -> bool:
        return bool(self.file.content.signature)

    @property
    def is_unscanned(self) -> bool:
        return scanning.is_configured() and not self.file.content.is_scanned

    @property
    def is_clean(self) -> bool:
        return self.file.content.is_scanned and not self.is_infected


@dataclass(frozen=True)
class Panel:
    rows: list[Row]
    removed: list[TemplateFile] = field(default_factory=list)

    @property
    def room(self) -> str:
        """How much of what a mail may carry is used."""
        size = sum(row.file.content.size for row in self.rows) / 1_000_000
        return f"{size:.1f} of {settings.MAILOPS_FILES_MB} MB" if size >= 0.05 else ""

    @property
    def has_unscanned(self) -> bool:
        return any(row.is_unscanned for row in self.rows)


def panel_of(template: MailTemplate) -> Panel:
    files = list(template.files.there().order_by("name"))
    hashes = [file.content.sha256 for file in files]
    used = set().union(*shown_elsewhere(template, "-")) if files else set()
    versions, others = _versions_with(template, hashes), _others_with(template, hashes)
    rows = [
        Row(
            file,
            template.is_mjml,
            file.name in used,
            versions.get(file.content.sha256, []),
            others.get(file.content.sha256, []),
        )
        for file in files
    ]
    lately = template.files.light().filter(removed_at__gt=timezone.now() - OFFERED)
    there = {file.name.lower() for file in files}
    removed = {file.name.lower(): file for file in lately.order_by("removed_at")}
    return Panel(rows, [file for name, file in removed.items() if name not in there])


def _versions_with(template: MailTemplate, hashes: list[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    if not hashes:
        return found
    for number, files in template.versions.order_by("number").values_list("number", "files"):
        for sha256 in {file["sha256"] for file in files}:
            found.setdefault(sha256, []).append(number)
    return found


def _others_with(template: MailTemplate, hashes: list[str]) -> dict[str, list[str]]:
    """Return the other templates that have a file in their draft or in a version, by its hash."""
    found: dict[str, list[str]] = {}
    if not hashes:
        return found
    drafts = TemplateFile.objects.filter(removed_at=None, content__sha256__in=hashes)
    pairs = set(drafts.exclude(template=template).values_list("content__sha256", "template__name"))
    having = reduce(or_, (Q(files__contains=[{"sha256": each}]) for each in hashes))
    versions = TemplateVersion.objects.exclude(template=template).filter(having)
    for name, files in versions.filter(template__test_of=None).values_list(
        "template__name", "files"
    ):
        pairs |= {(file["sha256"], name) for file in files}
    for sha256, name in sorted(pairs):
        found.setdefault(sha256, []).append(name)
    return found
