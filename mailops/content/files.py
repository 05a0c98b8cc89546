"""The files of a mail as its source names them: `cid:logo.png` shows a picture, the others are attached."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from mailops.content.file_types import content_type_of
from mailops.content.models import FileContent, MailTemplate, TemplateVersion

# In a quoted value, or in an attribute or url() without quotes; a mail that only talks of cid: is left alone.
_REFERENCE = re.compile(
    r"""(?:"\s{0,20}cid:(?P<a>[^"]{1,400})|'\s{0,20}cid:(?P<b>[^']{1,400})"""
    r"""|[=(]\s{0,20}cid:(?P<c>[^\s"'()<>]{1,400}))""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class File:
    """A file under its name in one mail, layout or block; its octets are kept under their hash."""

    name: str
    sha256: str
    size: int
    is_inline: bool
    part: str = ""  # the layout or block that brings it

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "File":
        return cls(**kept)

    def as_json(self) -> dict[str, Any]:
        return dict(self.__dict__)

    @property
    def cid(self) -> str:
        """The Content-ID: the same for the same octets, so it is unique to them (RFC 2045, 7)."""
        return f"{self.sha256[:32]}@mailops"

    @property
    def content_type(self) -> str:
        return content_type_of(self.name)

    @property
    def line(self) -> str:
        """How a comparison of two versions shows it."""
        place = f", of {self.part}" if self.part else ""
        how = "shown in the mail" if self.is_inline else "attached"
        return f"{self.name} ({how}{place}; {self.size:,} octets, {self.sha256[:12]})"


@dataclass(frozen=True)
class Reference:
    """A `cid:` of a source that names no file which can be shown."""

    name: str
    line: int
    is_attached: bool = False  # there is such a file, which is attached instead
    is_computed: bool = False  # Liquid writes the name


@dataclass
class Resolved:
    html: str
    used: set[str] = field(default_factory=set)
    missing: list[Reference] = field(default_factory=list)


def files_of_draft(template: MailTemplate) -> list[File]:
    """Return the draft's own files, by name."""
    if not template.pk:
        return []
    found = template.files.filter(removed_at=None).order_by("name")
    rows = found.values_list("name", "content__sha256", "content__size", "is_inline")
    return [File(*row) for row in rows]


def files_of_version(version: TemplateVersion) -> list[File]:
    """Return all that the version sends, what its layout and blocks bring with it."""
    return [File.from_json(kept) for kept in version.files]


def infection_of(files: Iterable[File]) -> str:
    """Say what the virus scanner found in one of `files` since it was taken in; "" where it found nothing."""
    names = {file.sha256: file.name for file in files}
    infected = FileContent.objects.filter(sha256__in=names).exclude(signature="")
    found = infected.defer("content").order_by("pk").first() if names else None
    if found is None:
        return ""
    return f"The virus scanner found {found.signature} in {names[found.sha256]}."


def own_files(version: TemplateVersion) -> list[File]:
    return [file for file in files_of_version(version) if not file.part]


def of_part(version: TemplateVersion) -> list[File]:
    """Return a layout's or block's own files, as a mail that uses it takes them over."""
    return [replace(file, part=version.template.name) for file in own_files(version)]


def resolve(html: str, files: Iterable[File]) -> Resolved:
    """Return `html` with the names behind `cid:` exchanged for Content-IDs; each line stays where it was."""
    known = {file.name: file for file in files}
    resolved = Resolved("")

    def exchange(match: re.Match[str]) -> str:
        group = match.lastgroup or "a"
        written = match[group]
        name = unquote(written.strip())
        file = known.get(name)
        if file is None or not file.is_inline:
            line = html.count("\n", 0, match.start()) + 1
            is_computed = "{{" in written or "{%" in written
            resolved.missing.append(Reference(name[:100], line, file is not None, is_computed))
            return match[0]
        resolved.used.add(name)
        return match[0][: match.start(group) - match.start()] + file.cid

    resolved.html = _REFERENCE.sub(exchange, html)
    return resolved


def shown_elsewhere(template: MailTemplate, language: str) -> list[set[str]]:
    """Return the files that the draft's words in each language but `language` show."""
    sources = dict(template.variants.values_list("language", "draft_html"))
    sources |= {"": template.draft_html}
    files = files_of_draft(template)
    return [resolve(html, files).used for tag, html in sources.items() if tag != language]


def merged(files: Sequence[File]) -> list[File]:
    """Return `files` without those that come twice, from a block that is used twice or from two parts."""
    seen: dict[tuple[str, bool, str], File] = {}
    for file in files:
        # the same picture is shown by the same Content-ID, whoever brings it
        seen.setdefault((file.sha256, file.is_inline, "" if file.is_inline else file.name), file)
    return list(seen.values())
