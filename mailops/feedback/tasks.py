"""Celery's hints to read what came in."""

from celery import shared_task

from mailops.feedback import forgetting, mailbox_reading, processing, soft_bounces
from mailops.feedback.models import Mailbox
from mailops.lib.hints import only_hinting
from mailops.lib.waiting_tasks import WaitsForPeers

BATCHES = 20  # a task stays well under a minute, then hands on


@shared_task
def process_feedback() -> None:
    for _ in range(BATCHES):
        if processing.process_pending() == 0:
            return
    nudge()


@shared_task
def suppress_repeated_soft_bounces() -> None:
    for _ in range(BATCHES):
        if not soft_bounces.suppress_repeated():
            return
    suppress_repeated_soft_bounces.delay()


@shared_task
def forget_old_feedback() -> None:
    """Delete what is too old to be asked after; hand on while there is more."""
    for _ in range(BATCHES):
        is_more = forgetting.forget_old() == forgetting.CHUNK
        if forgetting.forget_old_reports() < forgetting.REPORTS and not is_more:
            return
    forget_old_feedback.delay()


@shared_task
def read_mailboxes() -> None:
    """Hint that mailboxes are due, one task each: a server that doesn't answer holds up its own alone."""
    for mailbox_id in Mailbox.objects.due().values_list("pk", flat=True):
        read_mailbox.delay(mailbox_id)


@shared_task(base=WaitsForPeers)
def read_mailbox(mailbox_id: int) -> None:
    """Read one mailbox for less than a minute; hand on while there is more."""
    has_more = mailbox_reading.read_mailbox(mailbox_id)
    nudge()
    if has_more:
        read_mailbox.delay(mailbox_id)


def read_mailbox_soon(mailbox_id: int) -> None:
    with only_hinting():
        read_mailbox.apply_async([mailbox_id], retry=False)


def nudge() -> None:
    """Hint that something waits; where the broker is away, the next tick finds it."""
    with only_hinting():
        process_feedback.apply_async(retry=False)
