"""Switches a person's digest on and off: on their page, or by the signed link in the mail."""

from django.db import transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.digests.models import Digest, Subscription
from mailops.feedback.matching import by_unsubscribe_token
from mailops.protocol.unsubscribe import parse_token


def is_on(user: User) -> bool:
    return Subscription.objects.filter(user=user, is_on=True).exists()


@transaction.atomic
def switch(*, user: User, on: bool, by_mail: bool = False) -> bool:
    """Switch the digest of `user` on or off; return whether that changed anything."""
    Subscription.objects.get_or_create(user=user)
    locked = Subscription.objects.select_for_update().get(user=user)
    if locked.is_on == on:
        return False
    Subscription.objects.filter(user=user).update(is_on=on, since_at=Now(), left_by_mail=by_mail)
    audit(
        actor=None if by_mail else user,
        verb="digest.switch_on" if on else "digest.switch_off",
        subject=user,
        before={"weekly_digest": not on},
        after={"weekly_digest": on},
        reason="By the link in a digest." if by_mail else "",
    )
    return True


def digest_by_token(text: str) -> Digest | None:
    """Return the digest whose signed link this is the end of, or None."""
    match = by_unsubscribe_token(parse_token(text))
    if match is None:
        return None
    return Digest.objects.select_related("user").filter(message=match.message).first()
