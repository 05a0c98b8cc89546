"""Reads calls of providers' webhooks other than Amazon's: proven by us, then normalised by anymail."""

import re
from collections.abc import Mapping
from typing import Any

from anymail.signals import AnymailTrackingEvent
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils.module_loading import import_string

from mailops.feedback.models import MAX_TOKEN, RawFeedback, UsedToken, WebhookEndpoint
from mailops.feedback.proving import Call, prove
from mailops.feedback.sns import Unverified

_VIEWS = {
    "brevo": "brevo.BrevoTrackingWebhookView",
    "mailersend": "mailersend.MailerSendTrackingWebhookView",
    "mailgun": "mailgun.MailgunTrackingWebhookView",
    "mailjet": "mailjet.MailjetTrackingWebhookView",
    "mailtrap": "mailtrap.MailtrapTrackingWebhookView",
    "mandrill": "mandrill.MandrillCombinedWebhookView",
    "postal": "postal.PostalTrackingWebhookView",
    "postmark": "postmark.PostmarkTrackingWebhookView",
    "resend": "resend.ResendTrackingWebhookView",
    "sendgrid": "sendgrid.SendGridTrackingWebhookView",
    "sparkpost": "sparkpost.SparkPostTrackingWebhookView",
    "unisender_go": "unisender_go.UnisenderGoTrackingWebhookView",
}
_STATUS = re.compile(r"[45]\.\d{1,3}\.\d{1,3}")
# Where providers write an enhanced status beside the text.
_STATUS_PATHS = (
    ("status",),  # SendGrid
    ("event-data", "delivery-status", "enhanced-code"),  # Mailgun
    ("data", "bounce", "status"),
)


def check(row: RawFeedback, endpoint: WebhookEndpoint | None) -> None:
    """Raise Unverified unless the archived call is proven to be of the transport's provider."""
    if endpoint is None:
        raise Unverified("The webhook it came to is gone.")
    token = prove(
        kind_of(row),
        Call(
            body=row.raw,
            headers={name.lower(): value for name, value in row.headers.items()},
            url=endpoint.url,
            key=endpoint.revealed_key(),
            received_at=row.received_at,
        ),
    )
    if token:
        _spend(token, row, endpoint)


def _spend(token: str, row: RawFeedback, endpoint: WebhookEndpoint) -> None:
    """Note that this call said the token; raise Unverified where another did."""
    if len(token) > MAX_TOKEN:
        raise Unverified("Its token is longer than any of the provider's.")
    used, _ = UsedToken.objects.get_or_create(
        transport_id=endpoint.transport_id, token=token, defaults={"raw": row}
    )
    if used.raw_id != row.pk:
        raise Unverified(
            "Its token was said before, with another content: it may be a replay of a call that somebody saw."
        )


def events_of(row: RawFeedback, endpoint: WebhookEndpoint | None) -> list[AnymailTrackingEvent]:
    """Return the events of a call that was proven, as anymail understands them; raises what it raises."""
    cls = import_string(f"anymail.webhooks.{_VIEWS[kind_of(row)]}")
    # Made without its settings: what they are for, its check of who calls, is ours.
    view = cls.__new__(cls)
    view.track_initial_open_as_opened = False  # SparkPost's one setting that its reading asks for
    events: list[AnymailTrackingEvent] = list(view.parse_events(_request(row, endpoint)))
    return [event for event in events if isinstance(event, AnymailTrackingEvent)]


def kind_of(row: RawFeedback) -> str:
    return row.source.removeprefix("webhook:")


def status_in(told: Mapping[str, Any]) -> str:
    """Return the enhanced status that an event gives beside its text, or an empty string."""
    for path in _STATUS_PATHS:
        found: Any = told
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, str) and _STATUS.fullmatch(found):
            return found
    return ""


def _request(row: RawFeedback, endpoint: WebhookEndpoint | None) -> HttpRequest:
    headers = {name.lower(): value for name, value in row.headers.items()}
    path = endpoint.url if endpoint else "/"
    content_type = headers.pop("content-type", "application/json")
    return RequestFactory(headers=headers).generic("POST", path, row.raw, content_type=content_type)
