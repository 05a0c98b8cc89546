"""Tells channels of incidents: a webhook, or a mail by a way that does not stand still itself."""

import json
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef
from django.db.models.functions import Now
from django.urls import reverse

from mailops.content.models import TemplateVersion
from mailops.content.own_mails import version_in_use
from mailops.incidents.models import Incident, Level, Notice, NoticeAttempt, NotificationChannel
from mailops.incidents.ways import standstill
from mailops.lib.database_away import will_pass
from mailops.lib.egress import EgressFault
from mailops.lib.fetching import fetch
from mailops.lib.locks import kept
from mailops.lib.one_line import one_line
from mailops.lib.secrets import Unsealable
from mailops.outbox.models import Message
from mailops.outbox.submission import RefusedSubmission, submit

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 30.0  # of one tick; the next comes in ten
TIMEOUT = 5.0  # seconds to connect, and then to answer
LEASE = timedelta(seconds=120)  # a notice whose worker died is due again after it
PATIENCE = [timedelta(seconds=seconds) for seconds in (15, 60, 300, 900)]  # the last one repeats
LONG_PATIENCE = timedelta(hours=1)  # once all attempts are spent, and its incident is open still
FEW = 5  # notices of one occasion that a channel is told one by one; more are one alert
NAMED = 10  # incidents in such an alert
# in which a channel is told FEW alerts at most: what comes meanwhile is one
BREATH = timedelta(minutes=1)
LATEST = 500  # tries of late that it is seen by
MAX_ATTEMPTS = 12  # a little over two hours
TEMPLATE = "Incident notice"
_SUBJECT = "[mailops] {{ occasion }}: {{ title }}"
_TEXT = """{{ occasion }}: {{ title }}

{{ sentence }}
{% if to_do != blank %}
What to do: {{ to_do }}
{% endif %}
{{ url }}
"""
_HTML = """<p><strong>{{ occasion }}: {{ title }}</strong></p>
<p>{{ sentence }}</p>
{% if to_do != blank %}<p><strong>What to do:</strong> {{ to_do }}</p>
{% endif %}<p><a href="{{ url }}">Open the incident</a></p>
"""
_BRACKETS = str.maketrans("<>", "‹›")  # of links and calls in Slack's markup
# after the @ of a call, but not of an address, and inside of a Markdown link, which hides where it leads
_CALLS_OR_HIDES = re.compile(
    r"(?<=\B@)(?=\w)|(?<=@)(?=(?:everyone|here)\b(?!\.\w))|(?<=\])(?=\()", re.IGNORECASE
)
_WORD_JOINER = "\u2060"
# characters of the line for people; chats refuse what is long, and refused is not told
MOST_SAID = 1500


@dataclass(frozen=True)
class Told:
    """What a channel answered; or that a message is queued, of which the ledger tells what became."""

    result: str
    message: Message | None = None


class NotTold(Exception):
    """The channel wasn't told; the sentence says why, and another try may work."""


def announce(incident: Incident, occasion: Notice.Occasion) -> None:
    """Make a notice for each channel that wants to hear of it, in the caller's transaction."""
    level = Level(incident.level)
    # one that was deleted before this is committed would take all of it along
    channels = kept(NotificationChannel.objects.filter(is_enabled=True).order_by("pk"))
    Notice.objects.bulk_create(
        [
            Notice(channel=channel, incident=incident, occasion=occasion, level=level)
            for channel in channels
            if Level(channel.least_level).rank <= level.rank
        ],
        ignore_conflicts=True,
    )


def announce_open() -> None:
    """Make a notice of what is open for each channel that wants to hear of it and never did: it is new, or was off."""
    unheard = _unheard()
    if not unheard:
        return
    with transaction.atomic():
        # until these are made none of the channels goes away, and none of the incidents is closed: that is told after it
        channels = NotificationChannel.objects.filter(pk__in={one.channel_id for one in unheard})
        list(channels.order_by("pk").select_for_update(no_key=True))
        incidents = Incident.objects.filter(pk__in=[one.incident_id for one in unheard])
        list(incidents.order_by("pk").select_for_update(no_key=True))
        Notice.objects.bulk_create(_unheard(), ignore_conflicts=True)


def _unheard() -> list[Notice]:
    channels = list(NotificationChannel.objects.filter(is_enabled=True).order_by("pk"))
    incidents = list(Incident.objects.open().only("level").order_by("pk")) if channels else []
    told = Notice.objects.filter(incident__in=incidents)
    heard = set(told.values_list("channel_id", "incident_id"))
    return [
        Notice(
            channel=channel,
            incident=incident,
            occasion=Notice.Occasion.OPEN,
            level=incident.level,
        )
        for channel in channels
        for incident in incidents
        if (channel.pk, incident.pk) not in heard
        and Level(channel.least_level).rank <= Level(incident.level).rank
    ]


def deliver_due() -> int:
    """Tell the channels whose notices are due, for at most BUDGET_SECONDS; return how many were tried.

    A channel that could not be told is left alone until the next tick: the others don't wait for it. One that was told
    FEW alerts within BREATH is left alone until that is over, so that what opens one by one becomes one alert, too.
    """
    deaf: set[int] = set()
    tried, stop_at = 0, monotonic() + BUDGET_SECONDS
    while monotonic() < stop_at and (notices := _claim(deaf | _sated())):
        if not _deliver(notices):
            deaf.add(notices[0].channel_id)
        tried += len(notices)
    return tried


def _sated() -> set[int]:
    """Return the channels that were told enough just now."""
    newest = NoticeAttempt.objects.order_by("-pk").values("pk")[:LATEST]
    told = NoticeAttempt.objects.filter(pk__in=newest, has_succeeded=True, at__gt=Now() - BREATH)
    alerts = told.values_list("notice__channel").annotate(n=Count("at", distinct=True))
    return {channel for channel, n in alerts if n >= FEW}


def _deliver(notices: list[Notice]) -> bool:
    """Tell what is one alert and write down what came of it; return whether the channel was told."""
    try:
        told = _tell(notices)
    except NotTold as failure:
        _note_failure(notices, str(failure))
    except Exception as error:
        if will_pass(error):
            raise  # the database is away, say: the lease ends, and it is told then
        logger.exception("notice %s could not be told", notices[0].pk)
        _note_failure(notices, f"mailops failed to tell it ({type(error).__name__}).")
    else:
        _note_success(notices, told)
        return True
    return False


def _claim(deaf: Collection[int]) -> list[Notice]:
    """Take one that is due, leased from now on: however slow the others are, its lease is its own.

    Where many of its occasion are due for its channel they are taken with it: a storm is one alert, and so is what was open
    already when the channel came. Nobody is told of a close before the opening that they still have to hear of.
    """
    waiting = Notice.objects.filter(done_at=None)
    earlier = waiting.filter(
        channel=OuterRef("channel"), incident=OuterRef("incident"), pk__lt=OuterRef("pk")
    )
    with transaction.atomic():
        due = waiting.exclude(Exists(earlier)).exclude(channel__in=deaf).filter(due_at__lte=Now())
        first = due.order_by("due_at", "id").select_for_update(skip_locked=True)
        notice = first.first()
        if notice is None:
            return []
        alike = first.filter(
            channel=notice.channel_id, occasion=notice.occasion, incident__isnull=False
        )
        ids = list(alike.values_list("id", flat=True))
        is_one_alert = len(ids) > FEW or notice.occasion == Notice.Occasion.OPEN
        ids = ids if is_one_alert else [notice.pk]
        Notice.objects.filter(id__in=ids).update(due_at=Now() + LEASE)
    related = ("channel__stream", "channel__identity", "incident__threshold")
    return list(Notice.objects.select_related(*related).filter(id__in=ids).order_by("id"))


@transaction.atomic
def _note_success(notices: list[Notice], told: Told) -> None:
    left = _note_attempts(notices, told.result, has_succeeded=True)
    Notice.objects.filter(pk__in=[one.pk for one in left]).update(
        done_at=Now(), has_succeeded=True, message=told.message
    )


@transaction.atomic
def _note_failure(notices: list[Notice], result: str) -> None:
    for notice in _note_attempts(notices, result, has_succeeded=False):
        Notice.objects.filter(pk=notice.pk).update(**_what_follows(notice))


def _what_follows(notice: Notice) -> dict[str, Any]:
    """Return when it is tried again, or that it is given up: never while its incident is open, since that is no old news."""
    spent = notice.attempts.count()
    if spent < MAX_ATTEMPTS:
        return {"due_at": Now() + PATIENCE[min(spent, len(PATIENCE)) - 1]}
    if notice.incident is not None and notice.incident.is_open:
        return {"due_at": Now() + LONG_PATIENCE}
    return {"done_at": Now()}


def _note_attempts(notices: list[Notice], result: str, *, has_succeeded: bool) -> list[Notice]:
    """Note what came of a try, and return those that are left, locked: their channel may be deleted by now."""
    rows = Notice.objects.filter(pk__in=[one.pk for one in notices]).order_by("pk")
    left = list(rows.select_related("incident").select_for_update(of=("self",), no_key=True))
    NoticeAttempt.objects.bulk_create(
        NoticeAttempt(notice=notice, has_succeeded=has_succeeded, result=result) for notice in left
    )
    return left


def _tell(notices: list[Notice]) -> Told:
    facts = _facts(notices[0]) if len(notices) == 1 else _facts_of_many(notices)
    if notices[0].channel.is_webhook:
        return Told(_post(notices[0].channel, facts, _key(notices)))
    return _mail(notices, facts)


def _facts_of_many(notices: list[Notice]) -> dict[str, Any]:
    """Return what is told of many incidents at once: the worst by name."""
    incidents = [one.incident for one in notices if one.incident is not None]
    worst = sorted(incidents, key=lambda one: -Level(one.level).rank)
    more = [f"and {len(worst) - NAMED} more"] if len(worst) > NAMED else []
    return {
        "occasion": notices[0].get_occasion_display(),
        "title": f"{len(worst)} incidents",
        "sentence": f"{'; '.join([*map(str, worst[:NAMED]), *more])}.",
        "to_do": "",
        "url": settings.MAILOPS_BASE_URL + reverse("incidents:list"),
        "level": worst[0].level,
        "incidents": [one.pk for one in worst],
    }


def _facts(notice: Notice) -> dict[str, Any]:
    """Return what is told, as JSON and as the mail's merge data."""
    incident = notice.incident
    if incident is None:
        return {
            "occasion": notice.get_occasion_display(),
            "title": "this is a test",
            "sentence": f"The channel {notice.channel} works.",
            "to_do": "",
            "url": settings.MAILOPS_BASE_URL + reverse("incidents:channels"),
        }
    is_over = notice.occasion == Notice.Occasion.CLOSED
    return {
        "occasion": notice.get_occasion_display(),
        "title": str(incident),
        "sentence": f"{incident.close_reason if is_over else incident.sentence} {_when(incident)}",
        "to_do": "" if is_over else incident.to_do,
        "url": settings.MAILOPS_BASE_URL + reverse("incidents:detail", args=[incident.pk]),
        "incident": incident.pk,
        "level": incident.level,
        "state": incident.state,
        "subject": {"kind": incident.subject_kind, "name": incident.subject_label},
        "opened_at": incident.opened_at.isoformat(),
    }


def _when(incident: Incident) -> str:
    """Say since when it is open, or how long it was: an alert may be hours old when it is read."""
    if incident.closed_at is None:
        return f"Open since {_moment(incident.opened_at)}."
    return f"It was open from {_moment(incident.opened_at)} to {_moment(incident.closed_at)}."


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%d %b, %H:%M} UTC"


def _post(channel: NotificationChannel, facts: dict[str, Any], key: str) -> str:
    fix = f" What to do: {facts['to_do']}" if facts["to_do"] else ""
    # what a server said may look like another alert below it
    told = one_line(f"{facts['occasion']}: {facts['title']}. {facts['sentence']}{fix}", MOST_SAID)
    text = f"{_without_markup(told)} {facts['url']}"
    try:
        answer = fetch(
            channel.url(),
            method="POST",
            body=json.dumps({"text": text, "key": key, **facts}).encode(),
            headers={"Content-Type": "application/json"},
            seconds=TIMEOUT,
            max_octets=None,  # it is told once it says so, however long the page is that it says it with
        )
    except EgressFault as fault:
        raise NotTold(f"{channel.host}: {fault.detail}") from fault
    except Unsealable as error:
        raise NotTold(f"The webhook's address can't be read: {error}. Enter it again.") from error
    if 300 <= answer.status < 400:
        raise NotTold(
            f"{channel.host} answered {answer.status}, a redirect, and mailops follows none: enter the address it leads to."
        )
    if not 200 <= answer.status < 300:
        raise NotTold(f"{channel.host} answered {answer.status}.")
    return f"{channel.host} answered {answer.status}."


def _without_markup(text: str) -> str:
    """Return words in which a chat hides no link and calls nobody: they may be those of a stranger's server."""
    text = text.translate(_BRACKETS)
    return _CALLS_OR_HIDES.sub(_WORD_JOINER, text)


def _mail(notices: list[Notice], facts: dict[str, Any]) -> Told:
    channel = notices[0].channel
    stream, identity = channel.stream, channel.identity
    if stream is None or identity is None:
        raise NotTold("The channel has no stream or no identity.")
    if why := standstill(stream):  # it would wait for what it tells of, or for as long
        raise NotTold(f"{why}; give the channel another stream, over another transport.")
    try:
        message = submit(
            stream=stream,
            identity=identity,
            recipient=channel.recipient,
            version=_version(),
            merge_data=facts,
            idempotency_key=_key(notices),
        )
    except RefusedSubmission as refused:
        raise NotTold(str(refused)) from refused
    return Told(f"Queued as message {message.public_id} of {stream}.", message)


def _key(notices: list[Notice]) -> str:
    """Return what an alert is known by, so that it goes once; with one more incident in it, it is another."""
    if len(notices) == 1:
        return f"incident-notice-{notices[0].pk}"
    ids = ",".join(str(one.pk) for one in notices)
    return f"incident-notices-{sha256(ids.encode()).hexdigest()}"


def _version() -> TemplateVersion:
    return version_in_use(
        name=TEMPLATE,
        description="What the mail channels of incidents send.",
        subject=_SUBJECT,
        html=_HTML,
        text=_TEXT,
        variables=("occasion", "title", "sentence", "to_do", "url"),
    )
