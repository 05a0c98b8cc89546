"""Four eyes: one asks, another one looks and approves exactly that content."""

from django.db import transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.content.looking import look_at_draft
from mailops.content.models import Approval, MailTemplate
from mailops.content.publishing import release_hash
from mailops.content.rendering import RenderError


class NotYours(Exception):
    """Somebody else has to decide it; the text says why."""


def ask(*, template: MailTemplate, actor: User | None, note: str = "") -> Approval:
    """Ask for a second look at the draft as it is; raise RenderError where it can't be published anyway."""
    with transaction.atomic():
        locked = MailTemplate.objects.select_for_update(of=("self",)).select_related("layout")
        template = locked.get(pk=template.pk)
        look, others = look_at_draft(template)
        for one in (look, *others.values()):
            if one.errors:
                first = one.errors[0]
                raise RenderError(first.sentence, first.line, first.part)
        content_hash = release_hash(template, look.parts)
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


def newest(template: MailTemplate, content_hash: str) -> Approval | None:
    """Return what was last asked or decided about exactly this content."""
    found = template.approvals.filter(content_hash=content_hash)
    return found.select_related("asked_by", "decided_by").order_by("-pk").first()


def is_author(approval: Approval, user: User) -> bool:
    """Tell whether `user` asked, or wrote what is asked about."""
    return user.pk in {approval.asked_by_id, approval.template.draft_changed_by_id}


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
