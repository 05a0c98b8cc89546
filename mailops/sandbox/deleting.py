"""Empties and deletes test inboxes."""

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.locks import lock_row
from mailops.sandbox.models import Inbox


@transaction.atomic
def delete_inbox(*, inbox: Inbox, actor: User) -> int:
    """Delete `inbox` with all it holds and return how many messages went; it comes back with its next message."""
    if not lock_row(inbox):
        return 0
    messages = inbox.captured.count()
    audit(
        actor=actor,
        verb="inbox.delete",
        subject=inbox,
        before={"inbox": str(inbox), "messages": messages},
    )
    inbox.delete()
    return messages
