"""Reads calls of providers' webhooks other than Amazon's: proven by us, then normalised by anymail."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
# Where providers tell a bounce that may pass from one for good, and by which word.
_SOFT: tuple[tuple[tuple[str, ...], object], ...] = (
    (("event",), "soft_bounce"),  # Brevo, Mandrill
    (("data", "type"), "soft_bounced"),  # MailerSend
    (("hard_bounce",), False),  # Mailjet
    (("Type",), "SoftBounce"),  # Postmark
    (("bounce", "bounceType"), "Transient"),  # Amazon SES
    (("data", "bounce", "type"), "Transient"),  # Resend
)


@dataclass(frozen=True)
class Line:
    """What is asked of an endpoint for each call that came to it, asked once for all of them."""

    transport_id: int
    topics: Sequence[str]
    url: str
    key: str


def lines_of(rows: Iterable[RawFeedback]) -> dict[int | None, Line]:
    """Return the line of each transport that was called."""
    called = {row.transport_id for row in rows if row.transport_id is not None}
    return {
        one.transport_id: Line(one.transport_id, one.topics, one.url, one.revealed_key())
        for one in WebhookEndpoint.objects.filter(transport__in=called)
    }


def check(row: RawFeedback, line: Line | None) -> str:
    """Raise Unverified unless the archived call is proven to be of the transport's provider.

    Returns the token that must not have been said by another call, empty where there is none.
    """
    if line is None:
        raise Unverified("The webhook it came to is gone.")
    token = prove(
        kind_of(row),
        Call(
            body=row.raw,
            headers={name.lower(): value for name, value in row.headers.items()},
            url=line.url,
            key=line.key,
            received_at=row.received_at,
        ),
    )
    if len(token) > MAX_TOKEN:
        raise Unverified("Its token is longer than any of the provider's.")
    return token


def spend(tokens: Sequence[tuple[RawFeedback, str]]) -> set[int]:
    """Note which calls said these tokens, each given in order; return those whose token another call had said."""
    if not tokens:
        return set()
    # sorted, so that two at once wait for each other in one order only; of two that say the same the first one said it
    said = sorted((row.transport_id, token, row.pk) for row, token in tokens if row.transport_id)
    UsedToken.objects.bulk_create(
        [UsedToken(transport_id=one[0], token=one[1], raw_id=one[2]) for one in said],
        ignore_conflicts=True,
    )
    kept = UsedToken.objects.filter(
        transport__in={one[0] for one in said}, token__in={one[1] for one in said}
    ).values_list("transport_id", "token", "raw_id")
    sayers = {(transport_id, token): raw_id for transport_id, token, raw_id in kept}
    return {raw_id for transport_id, token, raw_id in said if sayers[transport_id, token] != raw_id}


def events_of(row: RawFeedback, line: Line | None) -> list[AnymailTrackingEvent]:
    """Return the events of a call that was proven, as anymail understands them; raises what it raises."""
    cls = import_string(f"anymail.webhooks.{_VIEWS[kind_of(row)]}")
    # Made without its settings: what they are for, its check of who calls, is ours.
    view = cls.__new__(cls)
    view.track_initial_open_as_opened = False  # SparkPost's one setting that its reading asks for
    events: list[AnymailTrackingEvent] = list(view.parse_events(_request(row, line)))
    told = [event for event in events if isinstance(event, AnymailTrackingEvent)]
    return [event for event in told if not _is_echo(event.esp_event)]


def _is_echo(told: Any) -> bool:
    """Tell whether Postmark only says that a bounce or complaint put an address on its list: it tells of that itself, with why."""
    is_change = isinstance(told, Mapping) and told.get("RecordType") == "SubscriptionChange"
    return is_change and told.get("SuppressionReason") in {"HardBounce", "SpamComplaint"}


def kind_of(row: RawFeedback) -> str:
    return row.source.removeprefix("webhook:")


def status_in(told: Mapping[str, Any]) -> str:
    """Return the enhanced status that an event gives beside its text, or an empty string."""
    said = (_at(told, path) for path in _STATUS_PATHS)
    return next((one for one in said if isinstance(one, str) and _STATUS.fullmatch(one)), "")


def may_pass(told: Mapping[str, Any]) -> bool:
    """Tell whether a provider says of a bounce that it may pass by itself."""
    return any(_at(told, path) == word for path, word in _SOFT)


def _at(told: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = told
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _request(row: RawFeedback, line: Line | None) -> HttpRequest:
    headers = {name.lower(): value for name, value in row.headers.items()}
    path = line.url if line else "/"
    content_type = headers.pop("content-type", "application/json")
    return RequestFactory(headers=headers).generic("POST", path, row.raw, content_type=content_type)
