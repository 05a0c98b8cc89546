"""Errands: what somebody asked for on a page and a worker does behind, each a row, so that no restart loses one."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from mailops.content import link_answers, picturing
from mailops.content.models import Errand
from mailops.content.picturing import NoPicture
from mailops.lib.clock import database_now

logger = logging.getLogger(__name__)

TRIES = 3
LEASE = timedelta(minutes=6)  # four pictures, each with all its patience; then its worker is gone
SOON = timedelta(seconds=5)  # another process is at it, or the rest comes next
FORGOTTEN = timedelta(days=1)


def have_drawn(htmls: Iterable[str]) -> None:
    """Ask for the pictures of each of `htmls`; asked twice is once."""
    for html in filter(str.strip, htmls):
        _ask(Errand.Kind.PICTURES, picturing.key_of(html), html)


def have_links_asked(template_id: int) -> None:
    """Ask for the links of a draft."""
    _ask(Errand.Kind.LINKS, str(template_id))


def _ask(kind: Errand.Kind, key: str, html: str = "") -> None:
    asked = {"html": html, "due_at": Now(), "asked_at": Now(), "attempts": 0, "fault": ""}
    Errand.objects.update_or_create(kind=kind, key=key, defaults=asked)


def draw_wanted(*, until: datetime) -> None:
    """Draw the pictures that are wanted, until `until`."""
    _work_off(Errand.Kind.PICTURES, lambda errand: picturing.draw_alone(errand.html), until)


def ask_wanted(*, until: datetime) -> None:
    """Ask for the links that are wanted, until `until`."""
    _work_off(
        Errand.Kind.LINKS, lambda errand: not link_answers.ask_for_draft(int(errand.key)), until
    )


def _work_off(kind: Errand.Kind, act: Callable[[Errand], bool], until: datetime) -> None:
    while timezone.now() < until and (errand := _claim(kind)):
        same = Errand.objects.filter(pk=errand.pk, due_at=errand.due_at)  # not asked for anew
        try:
            if act(errand):
                same.delete()
            else:
                same.update(due_at=Now() + SOON, attempts=F("attempts") - 1)
        except NoPicture as problem:
            is_last = errand.attempts >= TRIES
            same.update(fault=str(problem), due_at=None if is_last else Now() + SOON)


def _claim(kind: Errand.Kind) -> Errand | None:
    """Return the errand that waits longest, which nobody else does until the lease is over."""
    ends_at = database_now() + LEASE
    with transaction.atomic():
        due = Errand.objects.select_for_update(skip_locked=True).filter(
            kind=kind, due_at__lte=Now()
        )
        errand = due.order_by("due_at").first()
        if errand is None:
            return None
        if errand.attempts >= TRIES:  # each ended its process
            errand.fault, errand.due_at = errand.fault or "It was broken off three times.", None
            errand.save(update_fields=["fault", "due_at"])
            return None
        errand.attempts, errand.due_at = errand.attempts + 1, ends_at
        errand.save(update_fields=["attempts", "due_at"])
    return errand


def forget_given_up() -> None:
    Errand.objects.filter(due_at=None, asked_at__lt=Now() - FORGOTTEN).delete()
