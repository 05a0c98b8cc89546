"""Takes files into a draft and out of it again; their octets are kept once, under their hash."""

import hashlib
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.content import scanning
from mailops.content.file_types import Measured, WrongFile, clean_name, measure
from mailops.content.files import File, own_files
from mailops.content.models import FileContent, MailTemplate, TemplateFile, TemplateVersion

MAX_FILES = 30  # of one template
UNDO = timedelta(days=1)  # how long a removed file can be brought back
_MB = 1_000_000


class RefusedFile(Exception):
    """The file isn't taken; the text says why."""


class NameTaken(RefusedFile):
    """There is another file of that name."""


class Infected(RefusedFile):
    """The scanner found something in it."""

    def __init__(self, signature: str) -> None:
        super().__init__(f"The virus scanner found {signature} in it. It was not kept.")
        self.signature = signature


def add_file(
    *,
    template: MailTemplate,
    name: str,
    content: bytes,
    actor: User | None,
    replaces: bool = False,
) -> TemplateFile:
    """Take a file into the draft: a picture is shown where the source says `cid:`, others are attached.

    The same file again changes nothing. Raise RefusedFile, NameTaken where `replaces` isn't said, Infected.
    """
    name = clean_name(name)
    measured = examine(name, content)
    try:
        kept = keep(content, measured)
    except Infected as error:
        after = {"file": name, "signature": error.signature}
        audit(actor=actor, verb="template.refuse_file", subject=template, after=after)
        raise
    with transaction.atomic():
        locked = MailTemplate.objects.select_for_update().get(pk=template.pk)
        old = locked.files.there().filter(name__iexact=name).first()
        if old and (old.content_id, old.name) == (kept.pk, name):
            return old
        if old and not replaces:
            raise NameTaken(f"There is another {old.name} already.")
        if old:
            TemplateFile.objects.filter(pk=old.pk).update(removed_at=Now())
        _refuse_too_much(locked, kept.size)
        is_inline = old.is_inline if old and measured.is_picture else measured.is_picture
        file = locked.files.create(content=kept, name=name, is_inline=is_inline, added_by=actor)
        _note(locked, actor, "template.add_file", before=_named(old), after=_named(file))
    return file


def examine(name: str, content: bytes) -> Measured:
    """Return what the file is; raise RefusedFile where no mail should carry it."""
    if not name:
        raise RefusedFile("The file has no name.")
    if len(content) > settings.MAILOPS_FILE_MB * _MB:
        raise RefusedFile(f"It is larger than {settings.MAILOPS_FILE_MB} MB. Link to it instead.")
    try:
        return measure(name, content, allowed=settings.MAILOPS_FILE_TYPES)
    except WrongFile as error:
        raise RefusedFile(str(error)) from error


def keep(content: bytes, measured: Measured) -> FileContent:
    """Return the one stored copy, scanned where a scanner answers; raise Infected."""
    sha256 = hashlib.sha256(content).hexdigest()
    known = FileContent.objects.filter(sha256=sha256).defer("content").first()
    if known is None or not known.is_scanned:
        scanned_at = _scanned(content)
        known, _ = FileContent.objects.get_or_create(
            sha256=sha256,
            defaults={
                "content": content,
                "size": len(content),
                "width": measured.width,
                "height": measured.height,
            },
        )
        if scanned_at:
            FileContent.objects.filter(pk=known.pk).update(scanned_at=Now(), signature="")
    FileContent.objects.filter(pk=known.pk).update(seen_at=Now())
    if known.signature:
        raise Infected(known.signature)
    return known


def _scanned(content: bytes) -> bool:
    """Tell whether the scanner says that it is clean; False where none is asked or answers. Raise Infected."""
    if not scanning.is_configured():
        return False
    try:
        verdict = scanning.scan(content)
    except scanning.ScannerAway:
        return False
    if verdict.is_infected:
        raise Infected(verdict.signature)
    return True


def scan_again(*, template: MailTemplate, actor: User | None) -> str:
    """Ask the scanner about the draft's files that it has not seen; return why not, where it gives no verdict."""
    waiting = template.files.filter(removed_at=None, content__scanned_at=None)
    for file in waiting.select_related("content"):
        try:
            verdict = scanning.scan(bytes(file.content.content))
        except scanning.ScannerAway as error:
            return str(error)
        signature = verdict.signature
        found = FileContent.objects.filter(pk=file.content_id)
        found.update(scanned_at=Now(), signature=signature)
        audit(
            actor=actor,
            verb="template.scan_file",
            subject=template,
            after={"file": file.name, "signature": signature},
        )
    return ""


def remove_file(*, file: TemplateFile, actor: User | None) -> None:
    with transaction.atomic():
        template = MailTemplate.objects.select_for_update().get(pk=file.template_id)
        if template.files.filter(pk=file.pk, removed_at=None).update(removed_at=Now()):
            _note(template, actor, "template.remove_file", before=_named(file))


def bring_back(*, file: TemplateFile, actor: User | None) -> None:
    """Undo a removal; raise NameTaken where another file has the name by now."""
    with transaction.atomic():
        template = MailTemplate.objects.select_for_update().get(pk=file.template_id)
        if template.files.filter(removed_at=None, name__iexact=file.name).exists():
            raise NameTaken(f"There is another {file.name} now.")
        _refuse_too_much(template, file.content.size)
        if template.files.filter(pk=file.pk).exclude(removed_at=None).update(removed_at=None):
            _note(template, actor, "template.add_file", after=_named(file))


def show_or_attach(*, file: TemplateFile, is_inline: bool, actor: User | None) -> None:
    """Have a picture shown where the source says so, or attached; other files are always attached."""
    with transaction.atomic():
        template = MailTemplate.objects.select_for_update().get(pk=file.template_id)
        changed = template.files.filter(pk=file.pk, removed_at=None).exclude(is_inline=is_inline)
        if file.is_picture and changed.update(is_inline=is_inline):
            before = _named(file)
            file.is_inline = is_inline
            _note(template, actor, "template.change_file", before=before, after=_named(file))


def take_over(template: MailTemplate, version: TemplateVersion) -> None:
    """Give the draft exactly the files of `version`; the caller holds the template and saves it."""
    files = own_files(version)
    contents = FileContent.objects.filter(sha256__in=[file.sha256 for file in files])
    kept = {content.sha256: content for content in contents.defer("content")}
    put_in(template, [(file, kept[file.sha256]) for file in files])


def put_in(
    template: MailTemplate, files: Iterable[tuple[File, FileContent]], actor: User | None = None
) -> None:
    """Give the draft exactly these files; the caller holds the template and saves it."""
    template.files.filter(removed_at=None).update(removed_at=Now())
    for file, content in files:
        template.files.create(
            content=content, name=file.name, is_inline=file.is_inline, added_by=actor
        )


def drop_unused() -> int:
    """Delete the octets that no draft and no version has had for a day; return how many files went."""
    long_ago = timezone.now() - UNDO
    TemplateFile.objects.filter(removed_at__lt=long_ago).delete()
    unused = FileContent.objects.filter(seen_at__lt=long_ago, uses=None).defer("content")
    dropped = 0
    for content in unused:
        if not TemplateVersion.objects.filter(
            files__contains=[{"sha256": content.sha256}]
        ).exists():
            with transaction.atomic():
                locked = FileContent.objects.select_for_update().filter(pk=content.pk, uses=None)
                dropped += locked.filter(seen_at__lt=long_ago).delete()[0]
    return dropped


def _refuse_too_much(template: MailTemplate, more: int) -> None:
    files = template.files.filter(removed_at=None)
    if files.count() >= MAX_FILES:
        raise RefusedFile(f"A template has {MAX_FILES} files at most.")
    total = (files.aggregate(total=Sum("content__size"))["total"] or 0) + more
    if total > settings.MAILOPS_FILES_MB * _MB:
        raise RefusedFile(
            f"With it the files would have {total / _MB:.1f} MB; {settings.MAILOPS_FILES_MB} MB are taken,"
            " since nearly all mail servers refuse a mail of more than 10 MB, and files grow by a third on the way."
        )


def _named(file: TemplateFile | None) -> dict[str, object]:
    if file is None:
        return {}
    return {"file": file.name, "sha256": file.content.sha256, "shown": file.is_inline}


def _note(
    template: MailTemplate,
    actor: User | None,
    verb: str,
    *,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    """Write down that the draft is another one: its hash changes, which revokes an approval."""
    template.draft_changed_by = actor
    template.save(update_fields=["draft_hash", "draft_changed_by", "draft_changed_at"])
    audit(actor=actor, verb=verb, subject=template, before=before, after=after)
