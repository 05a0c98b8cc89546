"""Adds, changes and removes the mailboxes that bounces are read from; every change is on the audit trail, no password is."""

from typing import Any

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect
from mailops.accounts.models import User
from mailops.feedback.models import Mailbox
from mailops.lib.locks import lock_row
from mailops.lib.secrets import Secret

_FACTS = ("name", "host", "port", "security", "username", "folder", "then", "target", "is_enabled")
_PLACE = ("host", "username", "folder")  # another place is read from its beginning


@transaction.atomic
def add_mailbox(*, given: dict[str, Any], password: Secret | None, actor: User | None) -> Mailbox:
    """Add a mailbox; it is read within the minute."""
    mailbox = Mailbox.objects.create(**given)
    _seal(mailbox, password)
    audit(actor=actor, verb="mailbox.add", subject=mailbox, after=facts(mailbox))
    return mailbox


@transaction.atomic
def change_mailbox(
    *,
    mailbox: Mailbox,
    given: dict[str, Any],
    password: Secret | None,
    actor: User | None,
    seen: str | None = None,
) -> bool:
    """Change a mailbox; return whether that changed anything.

    It is read within the minute, also saved as it was, and what is wrong with it stands until then. Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    mailbox = Mailbox.objects.select_for_update().get(pk=mailbox.pk)
    was = mailbox.mark
    before, place, was_read = facts(mailbox), _place_of(mailbox), mailbox.is_enabled
    endpoint = mailbox.sealed_endpoint
    for name, value in given.items():
        setattr(mailbox, name, value)
    is_changed = expect(seen, was=was, wanted=mailbox.mark) or bool(password)
    if mailbox.sealed_endpoint != endpoint or mailbox.grant is not None:
        mailbox.password = b""  # it was given for another endpoint, or is needed no more
    if _place_of(mailbox) != place:
        mailbox.uid_validity, mailbox.last_uid = None, 0
    if mailbox.failures and was_read and mailbox.is_enabled:
        # it need not wait long for the next try, but its bounces are still not heard
        mailbox.failures = 1
    else:
        mailbox.cause, mailbox.detail, mailbox.failures = "", "", 0
        mailbox.failing_since_at = None
    mailbox.due_at = mailbox.idle_refused_until = None
    mailbox.save()
    _seal(mailbox, password)
    after = facts(mailbox) | ({"password": "given anew"} if password else {})
    if is_changed:
        audit(actor=actor, verb="mailbox.change", subject=mailbox, before=before, after=after)
    return is_changed


@transaction.atomic
def delete_mailbox(*, mailbox: Mailbox, actor: User | None) -> None:
    """Read it no more; what came from it stays."""
    if lock_row(mailbox):
        audit(actor=actor, verb="mailbox.delete", subject=mailbox, before=facts(mailbox))
        mailbox.delete()


def facts(mailbox: Mailbox) -> dict[str, Any]:
    """Return what the audit trail may know."""
    return {name: getattr(mailbox, name) for name in _FACTS} | {
        "logs_in_by": f"OAuth 2.0: {mailbox.grant}" if mailbox.grant else "password"
    }


def _seal(mailbox: Mailbox, password: Secret | None) -> None:
    if password:
        mailbox.seal_into("password", password)
        mailbox.save(update_fields=["password"])


def _place_of(mailbox: Mailbox) -> tuple[str, ...]:
    return tuple(getattr(mailbox, name) for name in _PLACE)
