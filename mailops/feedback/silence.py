"""Silence is a symptom: names the ways by which bounces should be heard and nothing comes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models.functions import Now

from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.transports.kinds.apis import APIS
from mailops.transports.models import Transport

WINDOW = timedelta(hours=24)  # of mail that was accepted
PATIENCE = timedelta(hours=2)  # that a provider may take to tell what became of it
LEAST_TOLD = 50  # messages; a provider that calls tells of each
LEAST_MAILED = 1000  # by SMTP only failures come back, and of so many some fail
MAIL_WINDOW = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Silence:
    transport: Transport
    sentence: str
    is_called: bool  # whether its provider tells by webhook


def silences(accepted: Mapping[int, int]) -> list[Silence]:
    """Return the transports that sent and hear nothing; `accepted` is how much each did in WINDOW, but for PATIENCE."""
    sending = Transport.objects.filter(pk__in=accepted).order_by("name")
    endpoints = {one.transport_id: one for one in WebhookEndpoint.objects.filter(transport__in=sending)}  # fmt: skip
    heard = set(
        WebhookEndpoint.objects.filter(last_proven_at__gt=Now() - WINDOW).values_list(
            "transport_id", flat=True
        )
    )
    by_mail = [RawFeedback.Source.MAIL, RawFeedback.Source.IMAP]
    mail = RawFeedback.objects.filter(source__in=by_mail)
    is_mail_heard = mail.filter(received_at__gt=Now() - MAIL_WINDOW).exists()
    found = []
    for transport in sending:
        n = accepted[transport.pk]
        if transport.kind in APIS and APIS[transport.kind].has_webhook:
            if n >= LEAST_TOLD and transport.pk not in heard:
                found.append(
                    Silence(transport, _of_webhook(n, endpoints.get(transport.pk)), is_called=True)
                )
        elif transport.kind == Transport.Kind.SMTP and n >= LEAST_MAILED and not is_mail_heard:
            sentence = f"It took {n:,} messages in a day, and no mail at all has come to the return-path host or a mailbox for a week: does its MX lead here?"
            found.append(Silence(transport, sentence, is_called=False))
    return found


def _of_webhook(n: int, endpoint: WebhookEndpoint | None) -> str:
    if endpoint is None:
        return f"It took {n:,} messages in a day and has no webhook, so bounces and complaints are not heard."
    if endpoint.last_heard_at is None:
        return f"It took {n:,} messages in a day, and its webhook was never called: register the address at the provider."
    if endpoint.last_proven_at is None:
        return (
            f"It took {n:,} messages in a day; calls come in, but none was proven: check the key."
        )
    return f"It took {n:,} messages in a day, and its webhook has told nothing for as long."
