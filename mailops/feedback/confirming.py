"""Lets a provider's topic send its events to a transport's webhook, on a person's word."""

import secrets

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.feedback import sns_fetching
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.feedback.proving import is_proven_by_password
from mailops.feedback.taking import forget_doors
from mailops.lib.secrets import Secret
from mailops.transports.models import Transport


class ConfirmationFailed(Exception):
    """The sentence says what went wrong and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


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


def confirm_subscription(*, row: RawFeedback, actor: User) -> None:
    """Tell the provider that its topic may call, and take its events from now on; raise ConfirmationFailed."""
    topic, url = row.result.get("topic", ""), row.result.get("subscribe_url", "")
    if not (row.awaits_confirmation and row.transport):
        raise ConfirmationFailed("There is no subscription to confirm here.")
    try:
        sns_fetching.get(url)
    except sns_fetching.FetchFailed as failed:
        raise ConfirmationFailed(
            f"Amazon could not be asked: {failed}. Its link works for three days; try again, or subscribe anew."
        ) from failed
    with transaction.atomic():
        endpoint = WebhookEndpoint.objects.select_for_update().get(transport=row.transport)
        before = {"topics": list(endpoint.topics)}
        endpoint.topics = sorted({*endpoint.topics, topic})
        endpoint.save(update_fields=["topics"])
        row.state = RawFeedback.State.PROCESSED
        row.reason = f"Confirmed by {actor}: {topic} sends its events here."
        row.save(update_fields=["state", "reason"])
        audit(
            actor=actor,
            verb="webhook.confirm",
            subject=endpoint,
            before=before,
            after={"topics": endpoint.topics},
        )
