"""Celery shells of the templates."""

from celery import shared_task
from django.db import transaction

from mailops.content import enclosing, link_answers, picturing
from mailops.lib.waiting_tasks import WaitsForPeers


@shared_task(base=WaitsForPeers)
def draw_version(version_id: int) -> None:
    picturing.draw_version(version_id)


@shared_task(base=WaitsForPeers)
def draw_draft(template_id: int) -> None:
    picturing.draw_draft(template_id)


@shared_task
def drop_unused_files() -> None:
    enclosing.drop_unused()


@shared_task(base=WaitsForPeers)
def ask_links(template_id: int) -> None:
    if link_answers.ask_for_draft(template_id):
        ask_links.delay(template_id)


def have_drawn(*, template_id: int | None = None, version_id: int | None = None) -> None:
    """Have the pictures drawn once the change is committed; a hint that gets lost is given again by who looks."""
    if version_id is not None:
        transaction.on_commit(lambda: draw_version.delay(version_id), robust=True)
    if template_id is not None:
        transaction.on_commit(lambda: draw_draft.delay(template_id), robust=True)
