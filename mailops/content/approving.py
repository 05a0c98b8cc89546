"""Four eyes: one asks, another one looks and approves exactly that content."""

from django.db import transaction
from django.db.models import Min, Q
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect
from mailops.accounts.models import AuditEntry, User
from mailops.content.looking import look_at_draft
from mailops.content.models import Approval, MailTemplate
from mailops.content.publishing import refuse_errors, release_hash

_WRITING = ("save_draft", "restore", "import", "add_file", "change_file", "remove_file")
_OF_CONTENT = ("syntax", "layout", "language", "added", "removed", "also_for")  # among the settings


class NotYours(Exception):
    """Somebody else has to decide it; the text says why."""


def ask(
    *, template: MailTemplate, actor: User | None, note: str = "", seen: str | None = None
) -> Approval:
    """Ask for a second look at the draft as it is.

    Raise RenderError where it can't be published anyway and, where its release hash isn't the one `seen` any more,
    ChangedMeanwhile.
    """
    with transaction.atomic():
        locked = MailTemplate.objects.select_for_update(of=("self",)).select_related("layout")
        template = locked.get(pk=template.pk)
        look, others = look_at_draft(template)
        refuse_errors(look, others)
        content_hash = release_hash(template, look.parts)
        expect(seen, was=content_hash)
        waiting = template.approvals.filter(content_hash=content_hash, is_approved=None).first()
        if waiting:
            return waiting
        approval = template.approvals.create(content_hash=content_hash, note=note, asked_by=actor)
        audit(
            actor=actor,
            verb="template.ask_approval",
            subject=template,
            after={"hash": content_hash},
            reason=note,
        )
    return approval


def is_author(approval: Approval, user: User) -> bool:
    """Tell whether `user` asked, or wrote any of what is asked about."""
    template = approval.template
    return user.pk in {approval.asked_by_id, template.draft_changed_by_id, *_writers(template)}


def _writers(template: MailTemplate) -> set[int | None]:
    """Return who changed the draft since what is published now was first published."""
    written = AuditEntry.objects.about(MailTemplate, [template.pk]).filter(
        Q(verb__in=[f"template.{name}" for name in _WRITING])
        | Q(verb__in=["template.settings", "template.waive_approval"])
        & Q(after__has_any_keys=_OF_CONTENT)
    )
    latest = template.latest_version
    if latest:
        same = template.versions.filter(content_hash=latest.content_hash)
        written = written.filter(at__gte=same.aggregate(first=Min("published_at"))["first"])
    return set(written.values_list("actor_id", flat=True))


def decide(*, approval: Approval, actor: User, is_approved: bool, reason: str = "") -> None:
    """Approve or refuse; raise NotYours for those who wrote it, and where it was decided or changed meanwhile."""
    with transaction.atomic():
        template = MailTemplate.objects.select_for_update(of=("self",)).get(pk=approval.template_id)
        locked = Approval.objects.select_for_update().get(pk=approval.pk)
        if is_author(locked, actor):
            raise NotYours("You wrote it or asked for it; somebody else has to look.")
        if locked.is_approved is not None:
            raise NotYours("It is decided already.")
        look, _ = look_at_draft(template)
        if release_hash(template, look.parts) != locked.content_hash:
            raise NotYours("The draft has changed since; approval has to be asked for again.")
        Approval.objects.filter(pk=locked.pk).update(
            is_approved=is_approved, reason=reason, decided_by=actor, decided_at=Now()
        )
        audit(
            actor=actor,
            verb="template.approve" if is_approved else "template.refuse",
            subject=template,
            after={"hash": locked.content_hash},
            reason=reason,
        )
    approval.refresh_from_db()
