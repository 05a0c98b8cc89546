"""Makes, changes, copies and deletes drafts."""

from typing import Any

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.audiences.models import Audience
from mailops.campaigns.models import Campaign
from mailops.content.models import TemplateVersion
from mailops.domains.models import Identity
from mailops.lib.locks import lock_row
from mailops.transports.models import Stream


class NotADraft(Exception):
    """The campaign is past the point where it can be changed; the text says so."""


def add_campaign(
    *,
    name: str,
    audience: Audience,
    version: TemplateVersion,
    stream: Stream,
    identity: Identity,
    actor: User,
    verb: str = "campaign.add",
) -> Campaign:
    with transaction.atomic():
        campaign = Campaign.objects.create(
            name=name,
            audience=audience,
            version=version,
            stream=stream,
            identity=identity,
            created_by=actor,
        )
        audit(actor=actor, verb=verb, subject=campaign, after=plan_of(campaign))
    return campaign


def change_campaign(
    *,
    campaign: Campaign,
    name: str,
    audience: Audience,
    version: TemplateVersion,
    stream: Stream,
    identity: Identity,
    actor: User,
) -> None:
    """Change a draft's plan; raise NotADraft where it left that state meanwhile."""
    with transaction.atomic():
        locked = _locked_draft(campaign)
        before = plan_of(locked)
        locked.name, locked.audience, locked.version = name, audience, version
        locked.stream, locked.identity = stream, identity
        locked.save(update_fields=["name", "audience", "version", "stream", "identity"])
        audit(
            actor=actor,
            verb="campaign.change",
            subject=locked,
            before=before,
            after=plan_of(locked),
        )


def duplicate_campaign(*, campaign: Campaign, actor: User) -> Campaign:
    """Make a draft with the same plan; nothing that happened to the other one comes along."""
    return add_campaign(
        name=f"Copy of {campaign.name}"[:150],
        audience=campaign.audience,
        version=campaign.version,
        stream=campaign.stream,
        identity=campaign.identity,
        actor=actor,
        verb="campaign.duplicate",
    )


def delete_campaign(*, campaign: Campaign, actor: User) -> None:
    """Delete a draft; raise NotADraft: what was sent stays told."""
    with transaction.atomic():
        if not lock_row(campaign):
            return
        locked = _locked_draft(campaign)
        audit(actor=actor, verb="campaign.delete", subject=locked, before=plan_of(locked))
        locked.delete()


def plan_of(campaign: Campaign) -> dict[str, Any]:
    return {
        "name": campaign.name,
        "audience": str(campaign.audience),
        "version": str(campaign.version),
        "stream": str(campaign.stream),
        "from": str(campaign.identity),
    }


def _locked_draft(campaign: Campaign) -> Campaign:
    locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
    if not locked.is_draft:
        raise NotADraft(
            f"This campaign is {locked.get_state_display().lower()}: only a draft can be changed."
        )
    return locked
