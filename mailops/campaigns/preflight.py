"""Rehearses a campaign before anything is sent: begins the rehearsal, and says what its findings mean."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.audiences.models import Membership
from mailops.campaigns.models import Campaign, Preflight
from mailops.domains.models import CheckStatus

GOOD_FOR = timedelta(hours=24)  # suppressions and domains change by themselves


class TooLate(Exception):
    """The campaign has started; a rehearsal would come too late."""


def start_preflight(*, campaign: Campaign, actor: User | None) -> Preflight:
    """Begin a rehearsal, or return the one under way that still speaks of the same things; raise TooLate."""
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        if not locked.is_planned:
            raise TooLate(f"This campaign is {locked.get_state_display().lower()}.")
        latest = latest_preflight(locked)
        if latest and latest.is_running and not why_stale(latest, locked):
            return latest
        locked.preflights.all().delete()
        members = Membership.objects.filter(audience=locked.audience_id)
        preflight = Preflight.objects.create(
            campaign=locked,
            version=locked.version,
            audience=locked.audience,
            audience_revision=locked.audience.revision,
            stream=locked.stream,
            identity=locked.identity,
            total=members.count(),
            end=members.aggregate(last=Max("pk"))["last"] or 0,
            created_by=actor,
        )
        audit(actor=actor, verb="campaign.preflight", subject=locked)
    return preflight


def latest_preflight(campaign: Campaign) -> Preflight | None:
    return campaign.preflights.select_related("identity__domain").order_by("-id").first()


def speaks_of(preflight: Preflight, campaign: Campaign) -> bool:
    """Tell whether the rehearsal is of the campaign's present plan; its audience may have changed since."""
    return (
        preflight.version_id == campaign.version_id
        and preflight.audience_id == campaign.audience_id
        and preflight.stream_id == campaign.stream_id
        and preflight.identity_id == campaign.identity_id
    )


def why_stale(preflight: Preflight, campaign: Campaign) -> str:
    """Say what changed since the rehearsal, or nothing while it still holds."""
    if preflight.version_id != campaign.version_id:
        return "The template version was changed."
    if preflight.audience_id != campaign.audience_id:
        return "The audience was exchanged."
    if preflight.audience_revision != campaign.audience.revision:
        return "People in the audience, or what is known of them, changed."
    if preflight.stream_id != campaign.stream_id or preflight.identity_id != campaign.identity_id:
        return "The stream or the sender was changed."
    if preflight.finished_at and timezone.now() - preflight.finished_at > GOOD_FOR:
        return "It is more than a day old: suppressions and domains change by themselves."
    return ""


def blockers(preflight: Preflight) -> dict[str, str]:
    """Return what speaks against a launch: of each kind, a sentence with what to do.

    Where anybody would get the mail, a person may launch it all the same, with a reason.
    """
    found = {}
    if not preflight.members:
        found["empty"] = "The audience is empty. Import people into it, or choose another."
    elif not preflight.sendable:
        found["nobody"] = "Nobody would get this mail: see below why."
    if preflight.unrenderable:
        found["unrenderable"] = (
            f"For {preflight.unrenderable:,} of {preflight.members:,} members the mail can't be made. "
            "Mend the template, publish it, and choose the new version."
        )
    if preflight.identity.domain.status == CheckStatus.ERROR:
        found["domain"] = (
            f"{preflight.identity.domain} fails authentication. Mend its records on the domain's page."
        )
    return found


def warnings(preflight: Preflight) -> list[str]:
    """Return what a person should know before pressing the button."""
    found = []
    domain = preflight.identity.domain
    if domain.status == CheckStatus.WARNING:
        found.append(f"A receiver may mind something about {domain}: see the domain's page.")
    if domain.status == CheckStatus.UNKNOWN:
        found.append(f"{domain} has not been checked yet.")
    if preflight.missing:
        names = ", ".join(preflight.missing)
        found.append(f"Some members lack {names}: those places stay empty in their mail.")
    if preflight.invalid:
        found.append(f"{preflight.invalid:,} addresses can't be written to and are left out.")
    return found
