"""Sends a test of a version: one message for each form that was opened, however often it is pressed."""

from uuid import UUID, uuid5

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.content.models import TemplateVersion
from mailops.domains.models import Identity
from mailops.outbox.models import Message
from mailops.outbox.submission import submit
from mailops.transports.models import Stream


@transaction.atomic
def send_test(
    *,
    key: UUID | None,
    version: TemplateVersion,
    stream: Stream,
    identity: Identity,
    recipient: str,
    actor: User,
) -> tuple[Message, bool]:
    """Send `version`, filled with its sample; return the message, and whether it is new. Raise RefusedSubmission.

    The same test once more from the form that was given `key` is the one that was sent; another one goes out, since
    somebody may come back to a form to write to somebody else.
    """
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)  # a second press waits here
    asked = f"{actor.pk} {version.pk} {stream.pk} {identity.pk} {recipient}"
    once = f"test-{uuid5(key, asked)}" if key else None
    if once and (known := Message.objects.filter(idempotency_key=once).first()):
        return known, False
    message = submit(
        stream=stream,
        identity=identity,
        recipient=recipient,
        version=version,
        merge_data=version.sample,
        idempotency_key=once,
    )
    after = {"recipient": recipient, "template": str(version), "stream": stream.name}
    audit(actor=actor, verb="message.test", subject=message, after=after)
    return message, True
