"""Tells people by mail that an admin reset their second factor, by the way that the digest goes."""

from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from mailops.accounts.auditing import audit
from mailops.accounts.managing import RESET
from mailops.accounts.models import AuditEntry, User
from mailops.content.models import TemplateVersion
from mailops.content.own_mails import version_in_use
from mailops.digests.way import Chosen, NoWay, usable_way
from mailops.lib.clock import database_now
from mailops.outbox.models import Message
from mailops.outbox.submission import RefusedSubmission, submit

NOT_TOLD = "user.reset_not_told"
LATE = timedelta(days=1)  # who logs in after that was told by the page that they came to
TOLD_OF = timedelta(days=8)  # for so long the overview says whom no mail reached
TEMPLATE = "Second factor reset"
_SUBJECT = "[mailops] Your second factor was reset"
_TEXT = """{{ who }} reset the second factor of your log-in, {{ email }}, at {{ at }}.

You were logged out everywhere, and log in by your password alone until you set up a second factor again:
{{ url }}

If you did not ask for this, tell an admin at once.
"""
_HTML = """<p>{{ who }} reset the second factor of your log-in, {{ email }}, at {{ at }}.</p>
<p>You were logged out everywhere, and log in by your password alone until you
<a href="{{ url }}">set up a second factor again</a>.</p>
<p>If you did not ask for this, tell an admin at once.</p>
"""


def warn() -> int:
    """Queue a mail for each reset of the last day that has none; return how many. Where there is no way, the next tick tries.

    What found none within the day is noted, and stands on the overview.
    """
    now = database_now()
    for entry in _untold(now - TOLD_OF, now - LATE):
        _give_up(entry, "There was no way to send the mail within a day.")
    untold = _untold(now - LATE, now)
    if not untold:
        return 0
    try:
        way = usable_way()
    except NoWay:
        return 0
    return sum(_tell(entry, way) for entry in untold)


def _untold(since: datetime, until: datetime) -> list[AuditEntry]:
    resets = AuditEntry.objects.filter(verb=RESET, at__gt=since, at__lte=until)
    done = list(resets.order_by("at"))
    keys = [_key(entry) for entry in done]
    known = Message.objects.filter(idempotency_key__in=keys)
    told = set(known.values_list("idempotency_key", flat=True))
    refused = AuditEntry.objects.filter(
        verb=NOT_TOLD, after__reset__in=[entry.pk for entry in done]
    )
    given_up = set(refused.values_list("after__reset", flat=True))
    return [entry for entry in done if _key(entry) not in told and entry.pk not in given_up]


def _key(entry: AuditEntry) -> str:
    return f"second-factor-reset-{entry.pk}"


def _tell(entry: AuditEntry, way: Chosen) -> bool:
    user = _person(entry)
    if user is None:
        return False
    facts = {
        "who": entry.actor_label,
        "email": user.email,
        "at": f"{entry.at:%Y-%m-%d %H:%M} UTC",
        "url": settings.MAILOPS_BASE_URL + reverse("mfa_index"),
    }
    try:
        submit(
            stream=way.stream,
            identity=way.identity,
            recipient=user.email,
            version=_version(),
            merge_data=facts,
            idempotency_key=_key(entry),
        )
    except RefusedSubmission as refused:
        _give_up(entry, f"The mail that would tell it was refused: {refused}")
        return False
    return True


def _person(entry: AuditEntry) -> User | None:
    return User.objects.filter(pk=entry.subject_id, is_active=True).first()


def _give_up(entry: AuditEntry, why: str) -> None:
    if user := _person(entry):
        audit(actor=None, verb=NOT_TOLD, subject=user, after={"reset": entry.pk}, reason=why)


def _version() -> TemplateVersion:
    return version_in_use(
        name=TEMPLATE,
        description="What people get when an admin reset their second factor.",
        subject=_SUBJECT,
        html=_HTML,
        text=_TEXT,
        variables=("who", "email", "at", "url"),
    )
