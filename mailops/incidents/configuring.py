"""Changes thresholds and notification channels."""

from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect
from mailops.accounts.models import User
from mailops.incidents.models import SWITCHED_OFF, Level, Notice, NotificationChannel, Threshold
from mailops.incidents.notifying import LEASE
from mailops.lib.locks import keep_rows, lock_row

_CHANNEL_FIELDS = ("kind", *NotificationChannel.SETTINGS, "host")


@transaction.atomic
def change_threshold(*, threshold: Threshold, actor: User, seen: str | None = None) -> bool:
    """Write down a changed `threshold`; return whether that changed anything.

    Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    old = Threshold.objects.select_for_update().get(pk=threshold.pk)
    threshold.save(update_fields=Threshold.SETTINGS)
    threshold.refresh_from_db()
    if not expect(seen, was=old.mark, wanted=threshold.mark):
        return False
    audit(
        actor=actor,
        verb="threshold.change",
        subject=threshold,
        before=_values(old, Threshold.SETTINGS),
        after=_values(threshold, Threshold.SETTINGS),
    )
    return True


@transaction.atomic
def save_channel(
    *, channel: NotificationChannel, url: str, actor: User, seen: str | None = None
) -> bool:
    """Write down a new or changed `channel`; return whether that changed anything.

    An empty `url` leaves the webhook's address as it is. Saved as it was, it is told at once of what it waits for, too.

    Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    is_new = channel.pk is None
    is_changed, before = True, {}
    if not is_new:
        old = NotificationChannel.objects.select_for_update().get(pk=channel.pk)
        is_changed = expect(seen, was=old.mark, wanted=channel.mark) or bool(url)
        before = _values(old, _CHANNEL_FIELDS)
    channel.save(update_fields=None if is_new else channel.SETTINGS)
    if url:
        channel.set_url(url, urlsplit(url).hostname or "")
        channel.save(update_fields=["host", "sealed_url"])
    if channel.is_enabled:
        _hurry(channel)
    else:
        _let_go(channel)
    if not is_changed:
        return False
    audit(
        actor=actor,
        verb="channel.add" if is_new else "channel.change",
        subject=channel,
        before=before,
        after={**_values(channel, _CHANNEL_FIELDS), "address_changed": bool(url)},
    )
    return True


def _hurry(channel: NotificationChannel) -> None:
    """Have a channel told at once of what it waits for: it may be mended. What is being told just now is left alone."""
    channel.notices.filter(done_at=None, due_at__gt=Now() + LEASE).update(due_at=Now())


def _let_go(channel: NotificationChannel) -> None:
    """Tell a channel that is switched off nothing of what it waits for: somebody wants quiet, and later it is old."""
    waiting = channel.notices.filter(done_at=None).order_by("pk").select_for_update()
    for notice in waiting:
        notice.attempts.create(has_succeeded=False, result=SWITCHED_OFF)
    channel.notices.filter(pk__in=[one.pk for one in waiting]).update(done_at=Now())


@transaction.atomic
def delete_channel(*, channel: NotificationChannel, actor: User) -> None:
    if not lock_row(channel):
        return
    audit(
        actor=actor,
        verb="channel.delete",
        subject=channel,
        before=_values(channel, _CHANNEL_FIELDS),
    )
    channel.delete()


@transaction.atomic
def test_channel(*, channel: NotificationChannel, actor: User) -> Notice:
    """Let `channel` be told something harmless, soon, and all that it could not be told; raise ObjectDoesNotExist if it is gone."""
    keep_rows(channel)
    notice = channel.notices.create(occasion=Notice.Occasion.TEST, level=Level.WARN)
    _hurry(channel)
    audit(actor=actor, verb="channel.test", subject=channel)
    return notice


def _values(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {
        name: value if isinstance(value, (bool, int, str, type(None))) else str(value)
        for name, value in values.items()
    }
