"""Hands batches of recipients to the Celery peer's workers, and waits until the last one is ticked off."""

import time

import django

django.setup()

from django.core.management import call_command

from bench import letter
from bench.peers.commands import obey
from bench.peers.mails import context_of
from bench.peers.models import Recipient
from bench.peers.tasks import send_batch
from mailops.lib import broker

BATCH = 100


def hello() -> None:
    call_command("migrate", verbosity=0, interactive=False, run_syncdb=True)
    broker.install(["mail"])


def fill(recipients: int) -> None:
    Recipient.objects.all().delete()
    Recipient.objects.bulk_create(
        (
            Recipient(address=letter.address(number), context=context_of(number))
            for number in range(recipients)
        ),
        batch_size=5000,
    )


def send() -> int:
    ids = list(Recipient.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), BATCH):
        send_batch.delay(ids[start : start + BATCH])
    while Recipient.objects.filter(sent_at=None).exists():
        time.sleep(0.02)
    return len(ids)


obey({"hello": hello, "fill": fill, "send": send})
