"""Changes audiences, their members and what is known of a contact."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import ChangedMeanwhile, expect
from mailops.accounts.models import User
from mailops.audiences.models import Audience, Contact, Import, Membership
from mailops.lib.locks import keep_rows, lock_row
from mailops.protocol.address import address_key, trimmed


class NameTaken(Exception):
    """Another audience has that name; the text says so."""


@contextmanager
def _only_bearer_of(name: str) -> Iterator[None]:
    """Name an audience within; raise NameTaken where somebody else was faster."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise NameTaken(f"“{name}” is the name of another audience by now.") from error


def add_audience(*, name: str, description: str, actor: User) -> Audience:
    """Add an empty audience; raise NameTaken."""
    with transaction.atomic():
        with _only_bearer_of(name):
            audience = Audience.objects.create(name=name, description=description)
        audit(actor=actor, verb="audience.add", subject=audience, after={"name": name})
    return audience


def change_audience(
    *, audience: Audience, name: str, description: str, actor: User, seen: str = ""
) -> bool:
    """Change what an audience is called and told of; return whether that changed anything. Raise NameTaken.

    Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    with transaction.atomic():
        before = Audience.objects.select_for_update().get(pk=audience.pk)
        wanted = Audience(name=name, description=description)
        if not expect(seen, was=before.mark, wanted=wanted.mark):
            return False
        with _only_bearer_of(name):
            Audience.objects.filter(pk=audience.pk).update(name=name, description=description)
        audit(
            actor=actor,
            verb="audience.change",
            subject=before,
            before={"name": before.name, "description": before.description},
            after={"name": name, "description": description},
        )
    return True


def add_member(
    *,
    audience: Audience,
    address: str,
    consent: str,
    attributes: Mapping[str, str],
    actor: User,
    time_zone: str = "",
) -> tuple[Membership, bool]:
    """Add one person, known already or not; return the membership and whether it is new. Raise InvalidAddress."""
    key = address_key(address)
    with transaction.atomic():
        keep_rows(audience)
        contact, is_new = Contact.objects.select_for_update().get_or_create(
            address_key=key,
            defaults={
                "address": trimmed(address),
                "attributes": dict(attributes),
                "time_zone": time_zone,
            },
        )
        touched: set[int] = set()
        if (attributes or time_zone) and not is_new:
            touched |= _replace(
                contact,
                attributes={**contact.attributes, **attributes},
                time_zone=time_zone or contact.time_zone,
                actor=actor,
            )
        membership, is_added = Membership.objects.get_or_create(
            audience=audience, contact=contact, defaults={"consent": consent}
        )
        if is_added:
            touched.add(audience.pk)
            audit(
                actor=actor,
                verb="audience.add_member",
                subject=audience,
                after={"address": contact.address, "consent": consent},
            )
        _raise_revisions(touched)
    return membership, is_added


def remove_member(*, membership: Membership, actor: User) -> None:
    """Take one person out of one audience; the contact and its history stay."""
    with transaction.atomic():
        # the audience first, as where it is deleted with its memberships
        if not (lock_row(membership.audience) and lock_row(membership)):
            return
        _raise_revisions({membership.audience_id})
        audit(
            actor=actor,
            verb="audience.remove_member",
            subject=membership.audience,
            before={"address": membership.contact.address, "consent": membership.consent},
        )
        membership.delete()


def change_contact(
    *,
    contact: Contact,
    attributes: Mapping[str, str],
    time_zone: str,
    revision: str,
    actor: User,
) -> bool:
    """Replace what was known of a contact at `revision`; return whether that changed anything.

    Raise ChangedMeanwhile where more is known by now.
    """
    with transaction.atomic():
        locked = Contact.objects.select_for_update().get(pk=contact.pk)
        is_known = (locked.attributes, locked.time_zone) == (attributes, time_zone)
        if is_known:
            return False
        if locked.revision != revision:
            raise ChangedMeanwhile
        touched = _replace(locked, attributes=attributes, time_zone=time_zone, actor=actor)
        _raise_revisions(touched)
    return True


def _replace(
    locked: Contact, *, attributes: Mapping[str, str], time_zone: str, actor: User
) -> set[int]:
    """Replace what is known of a contact; return the ids of the audiences that are others by it."""
    before, after = dict(locked.attributes), dict(attributes)
    if locked.time_zone != time_zone:
        # an attribute's name has no blank
        before["time zone"], after["time zone"] = locked.time_zone, time_zone
    if before == after:
        return set()
    locked.attributes, locked.time_zone = dict(attributes), time_zone
    locked.save(update_fields=["attributes", "time_zone", "updated_at"])
    audit(
        actor=actor,
        verb="contact.change",
        subject=locked,
        before=before,
        after=after,
    )
    return set(locked.memberships.values_list("audience_id", flat=True))


def _raise_revisions(audience_ids: Collection[int]) -> None:
    """Raise all that a change touches at once, in the order of imports: two that cross can't lock each other out."""
    audiences = Audience.objects.filter(pk__in=audience_ids)
    locked = audiences.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
    Audience.objects.filter(pk__in=list(locked)).update(revision=F("revision") + 1)


COUNT_ATTRIBUTES = """
    SELECT attribute.key, count(*), min(left(attribute.value, 60))
    FROM audiences_membership AS membership
    JOIN audiences_contact AS contact ON contact.id = membership.contact_id
    CROSS JOIN LATERAL jsonb_each_text(contact.attributes) AS attribute
    WHERE membership.audience_id = %s
    GROUP BY attribute.key ORDER BY count(*) DESC, attribute.key
"""


def audiences_to_count() -> list[int]:
    """Return the ids of audiences that changed since their attributes were counted; none while an import changes more."""
    if Import.objects.running().exists():
        return []
    changed = Audience.objects.exclude(attributes_revision=F("revision"))
    return list(changed.order_by("pk").values_list("pk", flat=True))


def count_attributes(*, audience_id: int) -> None:
    """Count which attributes the members have; the audience's page shows it."""
    with transaction.atomic(), connection.cursor() as cursor:
        audience = Audience.objects.filter(pk=audience_id).first()
        if audience is None or audience.attributes_revision == audience.revision:
            return
        of = Membership.objects.filter(audience=audience_id).count()
        cursor.execute(COUNT_ATTRIBUTES, [audience_id])
        found = {
            name: {"members": members, "example": example, "of": of}
            for name, members, example in cursor.fetchall()
        }
        Audience.objects.filter(pk=audience_id).update(
            attributes=found,
            attributes_counted_at=timezone.now(),
            attributes_revision=audience.revision,  # read first: what changes meanwhile is counted next
        )
