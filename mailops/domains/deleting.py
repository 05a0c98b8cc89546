"""Deletes domains and their identities, unless something needs them."""

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.domains.models import Domain, Identity
from mailops.lib.keepers import keeper_of
from mailops.lib.locks import lock_row


@transaction.atomic
def delete_domain(*, domain: Domain, actor: User) -> list[str]:
    """Delete a domain on which nothing stands; return what does, since it was looked at."""
    if not lock_row(domain):
        return []
    if uses := domain.uses():
        return uses
    audit(actor=actor, verb="domain.delete", subject=domain, before={"name": domain.name})
    domain.delete()
    return []


@transaction.atomic
def delete_identity(*, identity: Identity, actor: User) -> bool:
    """Delete an identity as which nothing was sent; return False if anything was."""
    if not lock_row(identity):
        return True
    if keeper_of(identity):
        return False
    before = {"identity": str(identity)}
    audit(actor=actor, verb="identity.delete", subject=identity.domain, before=before)
    identity.delete()
    return True
