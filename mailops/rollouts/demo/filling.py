"""Fills a living example: everything a team has after two weeks, and one campaign that waits to be launched."""

from datetime import datetime, timedelta
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import AuditEntry, User
from mailops.audiences.models import Audience, Contact, Import, Membership
from mailops.campaigns.drafting import add_campaign
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import start_preflight
from mailops.campaigns.rehearsing import check_chunk
from mailops.digests.way import choose_way
from mailops.domains.models import Domain, Identity, SigningKey
from mailops.lib.locks import advisory_lock
from mailops.outbox.sightings import fold_sightings
from mailops.reports.folding import fold_tallies
from mailops.rollouts.demo.cast import hire_cast
from mailops.rollouts.demo.history import CAMPAIGNS, tell_campaign, tell_orders
from mailops.rollouts.demo.people import gather_people
from mailops.rollouts.demo.queues import tell_queues
from mailops.rollouts.demo.sending import set_up_sending
from mailops.rollouts.demo.writing import LETTER, ORDER, write_mail
from mailops.rollouts.models import Checklist
from mailops.rollouts.probing import checklists_of, sign
from mailops.transports.models import Stream, Transport

DONE = "demo.fill"
SET_UP_AGO = timedelta(days=16)
# plan → item → what was noted when it was signed
SIGNED: dict[str, dict[int, str]] = {
    Checklist.Plan.PRODUCTION: {
        7: "Looked at on a phone and a desk, light and dark: the button and the cards read well."
    },
    Checklist.Plan.TWO_WEEKS: {
        4: "check_domain and check_rollout run in the nightly build; both were seen to fail.",
        5: "Nora and Olga read both playbooks; Nora is called first.",
    },
}
WAITING = "Letter: the winter workshop"


def fill_demo(*, home: Path) -> bool:
    """Fill the demo once, whole or not at all; return False where it was there before, even if much of it was deleted since."""
    with advisory_lock(DONE) as is_ours, transaction.atomic():
        if not is_ours or AuditEntry.objects.filter(verb=DONE).exists():
            return False
        actor = hire_cast(home)
        campaign = _fill(actor=actor, now=timezone.now())
        audit(actor=actor, verb=DONE, subject=campaign)
    while fold_tallies() or fold_sightings():
        pass
    return True


def _fill(*, actor: User, now: datetime) -> Campaign:
    before = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    sending = set_up_sending(actor=actor)
    audience = gather_people(actor=actor)
    choose_way(stream=sending.orders, identity=sending.orders_sender, actor=actor)
    _set_back(now - SET_UP_AGO, audits_after=before)
    letters = write_mail(LETTER, actor=actor, now=now)
    orders = write_mail(ORDER, actor=actor, now=now)
    for past in CAMPAIGNS:
        tell_campaign(
            past, audience=audience, sending=sending, versions=letters, actor=actor, now=now
        )
    _tell_what_changed(sending.transport, actor=actor, now=now)
    tell_orders(audience=audience, sending=sending, versions=orders, now=now)
    tell_queues(now=now)
    campaign = add_campaign(
        name=WAITING,
        audience=audience,
        version=letters[-1],
        stream=sending.news,
        identity=sending.news_sender,
        actor=actor,
    )
    preflight = start_preflight(campaign=campaign, actor=actor)
    while check_chunk(preflight_id=preflight.pk):
        pass
    _sign_half(sending.news, actor=actor)
    _put_in_order(audits_after=before)
    return campaign


def _tell_what_changed(transport: Transport, *, actor: User, now: datetime) -> None:
    """Tell of the change that stands right before yesterday's refusals, on every chart."""
    entry = audit(
        actor=actor,
        verb="transport.change",
        subject=transport,
        before={"max_sessions": 2},
        after={"max_sessions": transport.max_sessions},
        reason="More at once, for the workshops.",
    )
    at = (now - timedelta(days=1)).replace(hour=10, minute=20, second=0, microsecond=0)
    AuditEntry.objects.filter(pk=entry.pk).update(at=at)


def _set_back(at: datetime, *, audits_after: int) -> None:
    """Let what was set up just now have been there since `at`."""
    AuditEntry.objects.filter(pk__gt=audits_after).update(at=at)
    for model in (Domain, Identity, Transport, Stream, Audience):
        model._default_manager.update(created_at=at)  # noqa: SLF001 - Django's documented name
    SigningKey.objects.update(created_at=at, published_at=at, signs_since_at=at)
    Contact.objects.update(created_at=at, updated_at=at)
    Membership.objects.update(added_at=at)
    Audience.objects.update(attributes_counted_at=at)
    Import.objects.update(
        created_at=at,
        started_at=at + timedelta(seconds=40),
        finished_at=at + timedelta(seconds=42),
    )


def _put_in_order(*, audits_after: int) -> None:
    """Give the demo's entries ids in the order of their moments: the audit trail is read by them."""
    columns = ", ".join(
        str(field.column)
        for field in AuditEntry._meta.concrete_fields  # noqa: SLF001 - Django's documented name
        if not field.primary_key
    )
    table = AuditEntry._meta.db_table  # noqa: SLF001
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH told AS (DELETE FROM {table} WHERE id > %s RETURNING *)"  # noqa: S608 - names of ours
            f" INSERT INTO {table} ({columns}) SELECT {columns} FROM told ORDER BY at, id",
            [audits_after],
        )


def _sign_half(stream: Stream, *, actor: User) -> None:
    """Sign some of what only a person can tell; the drill is left to do, and the probes find out the rest."""
    for checklist in checklists_of(stream):
        for item in checklist.items.filter(number__in=SIGNED[checklist.plan]).order_by("number"):
            note = SIGNED[checklist.plan][item.number]
            sign(item, actor=actor, note=note, lasts=timedelta(days=30))
