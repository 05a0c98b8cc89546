"""Lets a provider's topic send its events to a transport's webhook, on a person's word."""

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.feedback import sns_fetching
from mailops.feedback.models import RawFeedback, WebhookEndpoint


class ConfirmationFailed(Exception):
    """The sentence says what went wrong and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


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
