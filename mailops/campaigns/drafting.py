"""Makes, changes, copies and deletes drafts."""

from typing import Any

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect
from mailops.accounts.models import User
from mailops.audiences.models import Audience
from mailops.campaigns.models import Campaign
from mailops.content.models import TemplateVersion
from mailops.domains.models import Identity
from mailops.lib.locks import keep_rows, lock_row
from mailops.transports.models import Stream


class NotADraft(Exception):
    """The campaign is past the point where it can be changed; the text says so."""


class HasStarted(Exception):
    """The campaign keeps hours of its own by now; its form says so."""


def add_campaign(
    *,
    name: str,
    audience: Audience,
    version: TemplateVersion,
    stream: Stream,
    identity: Identity,
    actor: User,
    hours: dict[str, Any] | None = None,
    verb: str = "campaign.add",
) -> Campaign:
    """Add a draft with `hours` of its own, or its stream's; raise ObjectDoesNotExist where something of the plan was deleted.

    A draft of theirs with just the same plan and hours is there already where a button was pressed twice: return it.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=actor.pk)  # a second press waits here
        keep_rows(audience, version, stream, identity)
        plan: dict[str, Any] = {"name": name, "audience": audience, "version": version}
        plan |= {"stream": stream, "identity": identity, "created_by": actor}
        plan |= {"has_own_hours": hours is not None, **(hours or {})}
        if there := Campaign.objects.filter(state=Campaign.State.DRAFT, **plan).first():
            return there
        campaign = Campaign.objects.create(**plan)
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
    revision: str,
    actor: User,
) -> bool:
    """Change a draft's plan that was shown at `revision`; return whether that changed anything.

    Raise NotADraft where it left that state meanwhile, ChangedMeanwhile where it is another plan by now,
    ObjectDoesNotExist where it or something of the plan was deleted.
    """
    with transaction.atomic():
        locked = _locked_draft(campaign)
        keep_rows(audience, version, stream, identity)
        before, was = plan_of(locked), locked.revision
        locked.name, locked.audience, locked.version = name, audience, version
        locked.stream, locked.identity = stream, identity
        if not expect(revision, was=was, wanted=locked.revision):
            return False
        locked.save(update_fields=["name", "audience", "version", "stream", "identity"])
        audit(
            actor=actor,
            verb="campaign.change",
            subject=locked,
            before=before,
            after=plan_of(locked),
        )
    return True


def duplicate_campaign(*, campaign: Campaign, actor: User) -> Campaign:
    """Make a draft with the same plan; nothing that happened to the other one comes along."""
    hours = {name: getattr(campaign, name) for name in campaign.HOURS}
    return add_campaign(
        name=f"Copy of {campaign.name}"[:150],
        audience=campaign.audience,
        version=campaign.version,
        stream=campaign.stream,
        identity=campaign.identity,
        actor=actor,
        hours=hours if campaign.has_own_hours else None,
        verb="campaign.duplicate",
    )


def change_hours(
    *,
    campaign: Campaign,
    hours: dict[str, Any],
    has_own_hours: bool,
    actor: User,
    revision: str | None = None,
) -> bool:
    """Change when its mail may leave; return whether that changed anything. Raise NotADraft where it is over.

    Whoever saves a form gives the `revision` that it showed: raise ChangedMeanwhile where the hours are others by now.
    What a started campaign owes is moved into the new hours soon after, beside the ticks; `has_own_hours` is about one
    that has not started: False gives it its stream's, and raises HasStarted where it is too late for that.
    """
    with transaction.atomic():
        locked = Campaign.objects.select_for_update(of=("self",)).select_related("stream")
        found = locked.get(pk=campaign.pk)
        if not found.may_be_canceled:
            raise NotADraft(f"This campaign is {found.get_state_display().lower()} by now.")
        if found.has_messages and not has_own_hours:
            raise HasStarted
        before, was, kept = found.keeps.hours_facts(), found.hours_revision, _kept_hours(found)
        for name, value in hours.items():
            setattr(found, name, value)
        found.has_own_hours = has_own_hours
        expect(revision, was=was, wanted=found.hours_revision)
        if found.has_messages:
            found.time_zone = found.zone_if_unknown
        if _kept_hours(found) == kept:
            return False
        if found.has_messages:
            found.rehours_from = 0
        found.save(update_fields=[*hours, "has_own_hours", "rehours_from"])
        after = found.keeps.hours_facts()
        audit(actor=actor, verb="campaign.hours", subject=found, before=before, after=after)
    return True


def _kept_hours(campaign: Campaign) -> list[Any]:
    return [campaign.has_own_hours, *(getattr(campaign, name) for name in campaign.HOURS)]


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
