"""Puts addresses on the list of those we must not write to, and takes them off again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect
from mailops.accounts.models import User
from mailops.protocol.address import address_key, trimmed
from mailops.suppressions.models import Suppression
from mailops.suppressions.provider_removals import note_removal
from mailops.transports.models import Stream

# what Suppression.take_in and strengthen may change
STRENGTHENED = (
    "reason",
    "evidence_text",
    "evidence_event_id",
    "created_by",
    "expires_at",
    "brought_by",
    "confirmed_as",
)


class RemovalRefused(Exception):
    """The sentence says what is missing: a reason, or the person who gives it."""


@transaction.atomic
def suppress(
    *,
    address: str,
    stream: Stream | None,
    reason: str,
    evidence_text: str = "",
    evidence_event_id: int | None = None,
    expires_at: datetime | None = None,
    actor: User | None = None,
) -> Suppression:
    """Stop mail to `address` in `stream` (None: in all) and return the entry that does so.

    There is one entry for an address and stream; it is only ever made stronger: a complaint outranks a
    hard bounce, for ever outranks for a time. An expired entry counts as none. Raises InvalidAddress.
    """
    given: dict[str, Any] = {
        "address": trimmed(address),
        "reason": reason,
        "evidence_text": evidence_text,
        "evidence_event_id": evidence_event_id,
        "expires_at": expires_at,
        "created_by": actor.email if actor else "mailops",
    }
    entry, is_new = Suppression.objects.select_for_update().get_or_create(
        address_key=address_key(address, allow_utf8=True), stream=stream, defaults=given
    )
    before = None if is_new else entry.as_json()
    if not is_new:
        if not entry.take_in(Suppression(**given)):
            return entry
        entry.save()
    if actor is not None:  # an entry made by a bounce is its own record, with its evidence
        audit(
            actor=actor,
            verb="suppression.add",
            subject=entry,
            before=before,
            after=entry.as_json(),
            reason=evidence_text,
        )
    return entry


def suppress_all(given: Sequence[Suppression]) -> None:
    """Do at once for many what `suppress` does for one of mailops' own; `given` are new, each with its `address_key`.

    Rows are made and locked in one order, so that two who do it never block each other.
    """
    asked: dict[tuple[str, int], Suppression] = {}
    for one in given:
        first = asked.setdefault(one.place, one)
        if first is not one:
            first.take_in(one)
    if asked:
        with transaction.atomic():
            _suppress_all(asked)


def _suppress_all(asked: Mapping[tuple[str, int], Suppression]) -> None:
    theirs = Suppression.objects.filter(address_key__in={key for key, _ in asked})
    known = {(key, stream or 0) for key, stream in theirs.values_list("address_key", "stream_id")}
    new = sorted(asked.keys() - known)
    # what somebody else makes in this moment is waited for, and made stronger below
    Suppression.objects.bulk_create([asked[place] for place in new], ignore_conflicts=True)
    changed = [
        entry
        for entry in theirs.order_by("address_key", "stream_id").select_for_update()
        if (other := asked.get((entry.address_key, entry.stream_id or 0))) and entry.take_in(other)
    ]
    Suppression.objects.bulk_update(changed, STRENGTHENED)


@transaction.atomic
def unsuppress(
    *, suppression: Suppression, reason: str, actor: User | None = None, seen: str | None = None
) -> None:
    """Let mail reach the address of `suppression` again, because of `reason`; raises RemovalRefused.

    What a recipient asked for, an unsubscribe or a complaint, only a person takes back. Whoever presses on a page gives
    the entry's mark as `seen` there: raise ChangedMeanwhile where it is stronger by now. Providers whose lists are kept in
    step with ours are told.
    """
    if not reason.strip():
        raise RemovalRefused("Say why this address may be written to again.")
    entry = Suppression.objects.select_for_update().filter(pk=suppression.pk).first()
    if entry is None:
        return
    if actor is None and entry.was_asked_for:
        raise RemovalRefused(
            "The recipient asked for no more mail; only a person can take that back."
        )
    expect(seen, was=entry.mark)
    audit(
        actor=actor,
        verb="suppression.remove",
        subject=entry,
        before=entry.as_json(),
        reason=reason.strip(),
    )
    entry.delete()
    note_removal(address=entry.address, address_key=entry.address_key)
