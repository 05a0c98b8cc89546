"""Celery shells of the templates."""

from collections.abc import Iterable
from datetime import timedelta

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from mailops.content import enclosing, errands
from mailops.lib.waiting_tasks import WaitsForPeers

TICK_SECONDS = 30


@shared_task(base=WaitsForPeers)
def draw_pictures() -> None:
    """Draw what somebody asked for."""
    errands.draw_wanted(until=timezone.now() + timedelta(seconds=TICK_SECONDS))


@shared_task(base=WaitsForPeers)
def ask_links() -> None:
    """Ask for the links of drafts for which somebody asked."""
    errands.ask_wanted(until=timezone.now() + timedelta(seconds=TICK_SECONDS))


@shared_task
def drop_unused_files() -> None:
    enclosing.drop_unused()
    errands.forget_given_up()


def have_drawn(htmls: Iterable[str]) -> None:
    """Have the pictures drawn once the change is committed; the next tick comes where the hint is lost."""
    errands.have_drawn(htmls)
    transaction.on_commit(draw_pictures.delay, robust=True)


def have_links_asked(template_id: int) -> None:
    """Have the links of a draft asked for."""
    errands.have_links_asked(template_id)
    transaction.on_commit(ask_links.delay, robust=True)
