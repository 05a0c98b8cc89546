"""Gives a transport the webhook its provider calls: its address, and the key that proves a call is the provider's."""

import secrets

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.feedback.models import WebhookEndpoint
from mailops.feedback.proving import is_proven_by_password
from mailops.feedback.taking import forget_doors
from mailops.lib.secrets import Secret
from mailops.transports.models import Transport


@transaction.atomic
def make_endpoint(*, transport: Transport, actor: User) -> WebhookEndpoint:
    """Return the transport's webhook, made with an address of its own, and a password where nothing else proves it."""
    endpoint, is_new = WebhookEndpoint.objects.get_or_create(transport=transport)
    if is_new:
        if is_proven_by_password(transport.kind):
            endpoint.seal_into("key", Secret(secrets.token_urlsafe(24)))
            endpoint.save(update_fields=["key"])
        audit(actor=actor, verb="webhook.make", subject=endpoint)
    return endpoint


@transaction.atomic
def set_key(*, endpoint: WebhookEndpoint, key: str, actor: User) -> None:
    """Keep what the provider signs with, sealed; calls that came before can be read again then."""
    endpoint.seal_into("key", Secret(key))
    endpoint.save(update_fields=["key"])
    audit(actor=actor, verb="webhook.key", subject=endpoint)


@transaction.atomic
def renew_endpoint(*, endpoint: WebhookEndpoint, actor: User) -> None:
    """Give the webhook another address, and another password; the old ones are worth nothing from now on."""
    endpoint.secret = secrets.token_hex(20)
    if is_proven_by_password(endpoint.transport.kind):
        endpoint.seal_into("key", Secret(secrets.token_urlsafe(24)))
    endpoint.save(update_fields=["secret", "key"])
    forget_doors()
    audit(actor=actor, verb="webhook.renew", subject=endpoint)
