"""Says a week in words: the data that the digest's template is filled in with, all of it bounded and on one line each."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils.timezone import localtime

from mailops.digests.advising import advise
from mailops.digests.stopping import Stop
from mailops.digests.telling import CHANGES, Ended, Reply, StreamTold, Told
from mailops.incidents.models import Incident
from mailops.lib.one_line import one_line
from mailops.lib.templatetags.navigation import resolve
from mailops.lib.templatetags.numbers import bounded, units
from mailops.lib.templatetags.times import duration
from mailops.lib.templatetags.words import reason_sentence
from mailops.reports.changes import Changed
from mailops.reports.charting import said
from mailops.reports.matter import Matter
from mailops.reports.moments import at_times
from mailops.reports.outcomes import Outcome, Thresholds, percent, state_of
from mailops.reports.periods import Period

MATTERS, STOPS = 10, 8
LONGEST = 300  # characters of one value: a reply, a reason, a name


def as_data(told: Told, now: datetime, zone: str) -> dict[str, Any]:
    """Return what the template is filled in with; times are in the active zone, which is called `zone`."""
    range_ = at_times(told.week.start, told.week.end)
    report = reverse("reports:reports") + range_
    advice = advise(told, report)
    data = {
        "subject": _subject(told),
        "period": told.week.words,
        "zone": zone.replace("_", " "),
        "place": urlsplit(settings.MAILOPS_BASE_URL).netloc,
        "made_at": f"{localtime(now):%-d %b %Y, %H:%M}",
        "is_quiet": told.is_quiet,
        "first": {"sentence": advice.sentence, "url": advice.url, "tone": advice.tone},
        "numbers": numbers(told),
        "report_url": report,
        "compare_url": reverse("reports:reports")
        + at_times(told.week.previous.start, told.week.previous.end),
        "streams": [_stream(one, told, range_) for one in told.streams],
        "more_streams": told.more_streams,
        "standing": [_matter(one) for one in told.matters[:MATTERS]],
        "more_standing": max(len(told.matters) - MATTERS, 0),
        "overview_url": reverse("reports:overview"),
        "stops": [_stop(one) for one in told.stops[:STOPS]],
        "more_stops": max(len(told.stops) - STOPS, 0),
        "incidents": [_incident(one, told.week) for one in told.incidents],
        "incident_counts": _incident_counts(told),
        "incidents_url": reverse("incidents:list"),
        "replies": [_reply(one, range_) for one in told.replies],
        "replies_url": reverse("signatures:list") + range_,
        "changes": [_change(one) for one in told.changes[:CHANGES]],
        "more_changes": max(len(told.changes) - CHANGES, 0),
        "campaigns": [_campaign(one) for one in told.campaigns],
        "more_campaigns": told.more_campaigns,
        "campaigns_url": reverse("campaigns:list"),
        "digest_url": reverse("digests:mine"),
    }
    finished: dict[str, Any] = _finished(data)
    return finished


def _finished(value: Any, name: str = "") -> Any:
    """Return `value` with its addresses made whole and all its other texts on one line."""
    if isinstance(value, dict):
        return {key: _finished(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finished(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if name.endswith("url"):
        return settings.MAILOPS_BASE_URL + value if value else ""
    line = one_line(value, LONGEST)
    return line if name == "subject" else units(line)


def _subject(told: Told) -> str:
    """Say the week in numbers; no name of anything stands in a subject."""
    when = _days(told.week)
    if told.is_quiet:
        return f"mailops, {when}: nothing happened"
    parts = [f"{told.total.answered:,} sent"] if told.total.answered else ["nothing sent"]
    if told.total.all_bounced:
        parts.append(f"{said(told.total.bounce_rate)} bounced")
    if told.matters:
        parts.append(f"{len(told.matters)} need{'s' if len(told.matters) == 1 else ''} you")
    return f"mailops, {when}: {', '.join(parts)}"


def _days(week: Period) -> str:
    """Return "9-15 Nov", short and in ASCII, since inboxes cut a subject."""
    first, last = (at.astimezone(week.zone) for at in (week.start, week.end - timedelta(minutes=1)))
    is_one_month = first.month == last.month
    return f"{first:%-d}{'' if is_one_month else f' {first:%b}'}-{last:%-d %b}"


def numbers(told: Told) -> list[dict[str, str]]:
    """Return the rows of the table: as the tiles and the CSV of the report count them."""
    now, before, limits = told.total, told.before, told.limits
    both = (now, before)
    return [
        _volume("Sent", now.answered, before.answered),
        _share("Accepted", "accepted", "answered", both),
        _delivered(both),
        _share("Bounced", "all_bounced", "answered", both, limits.bounces),
        _share("Complained", "complained", "accepted", both, limits.complaints),
        _volume("Uncertain", now.uncertain, before.uncertain, is_bad=True),
        *(
            _volume(label, getattr(now, name), getattr(before, name), is_bad=True)
            for label, name in (("Failed", "failed"), ("Expired", "expired"))
            if getattr(now, name) or getattr(before, name)
        ),
    ]


def _delivered(both: tuple[Outcome, Outcome]) -> dict[str, str]:
    row = _share("Delivered", "delivered", "accepted", both)
    is_told = any(outcome.delivered for outcome in both)
    return row if is_told else {**row, "note": "no server says so", "before_note": ""}


def _volume(label: str, now: int, before: int, *, is_bad: bool = False) -> dict[str, str]:
    tone = "warn" if is_bad and now else ""
    return {"label": label, "value": f"{now:,}", "note": "", "before": f"{before:,}", "before_note": "", "tone": tone}  # fmt: skip


def _share(
    label: str, part: str, whole: str, outcomes: tuple[Outcome, Outcome], limits: Thresholds = ()
) -> dict[str, str]:
    """Say a number with its share; the tone is that of the threshold it reached."""
    (n, of), (n_before, of_before) = (
        (getattr(outcome, part), getattr(outcome, whole)) for outcome in outcomes
    )
    tone, words = state_of(percent(n, of), limits)
    is_over = bool(limits) and tone != "ok"
    return {
        "label": label,
        "value": f"{n:,}",
        "note": f"{said(percent(n, of))}{f', {words}' if is_over else ''}" if of else "",
        "before": f"{n_before:,}",
        "before_note": said(percent(n_before, of_before)) if of_before else "",
        "tone": tone if is_over else "",
    }


def _stream(stream: StreamTold, told: Told, range_: str) -> dict[str, str]:
    mail, tone = stream.now, ""
    if not mail.answered:
        numbers_said = f"Nothing was sent; {stream.before.answered:,} the week before."
    else:
        bounce_tone, _ = state_of(mail.bounce_rate, told.limits.bounces)
        complaint_tone, _ = state_of(mail.complaint_rate, told.limits.complaints)
        tone = next((one for one in ("bad", "warn") if one in {bounce_tone, complaint_tone}), "")
        numbers_said = (
            f"{mail.answered:,} sent ({stream.before.answered:,} the week before), {said(mail.acceptance)} accepted, "
            f"{said(mail.bounce_rate)} bounced, {said(mail.complaint_rate)} complained."
        )
    promise, promise_tone = _promise(stream)
    return {
        "name": stream.name,
        "url": reverse("reports:stream", args=[stream.pk]) + range_ if stream.is_there else "",
        "numbers": numbers_said,
        "promise": promise,
        "tone": tone,
        "promise_tone": promise_tone,
    }


def _promise(stream: StreamTold) -> tuple[str, str]:
    """Say how a stream kept its promise in the week, and what is left of its error budget now."""
    if stream.standing is None or stream.kept is None:
        return "", ""
    kept = (
        "no mail to judge by"
        if stream.kept.percent is None
        else f"kept for {said(stream.kept.percent)}"
    )
    left = stream.standing.percent_left
    budget = (
        f"{bounded(left, 0)} % of the error budget is left" if left else "the error budget is spent"
    )
    tone = stream.standing.tone
    return f"Promises {stream.standing.objective}: {kept}; {budget}.", "" if tone == "ok" else tone


def _matter(matter: Matter) -> dict[str, str]:
    since = f"since {localtime(matter.since):%-d %b, %H:%M}" if matter.since else ""
    return {
        "title": matter.title,
        "sentence": matter.sentence,
        "since": since,
        "url": matter.url,
        "action": matter.action,
        "tone": matter.tone,
    }


def _stop(stop: Stop) -> dict[str, str]:
    times = "" if stop.times == 1 else f"{stop.times} times, "
    over = "" if stop.is_over else ", and not over at the end of the week"
    return {
        "title": stop.title,
        "lasted": f"{times}{duration(stop.lasted)}{' in all' if times else ''}{over}",
        "reason": stop.reason,
        "url": stop.url,
    }


def _incident(incident: Incident, week: Period) -> dict[str, str]:
    times = [f"opened {localtime(incident.opened_at):%-d %b, %H:%M}"]
    if incident.closed_at:
        times.append(f"closed {localtime(incident.closed_at):%-d %b, %H:%M}")
        times.append(f"lasted {duration(incident.closed_at - incident.opened_at)}")
    elif incident.opened_at < week.start:
        times.append("open for longer than the week")
    return {
        "title": str(incident),
        "state": incident.get_state_display().lower(),
        "times": "; ".join(times),
        "sentence": incident.close_reason or incident.sentence,
        "url": reverse("incidents:detail", args=[incident.pk]),
        "tone": "bad" if incident.is_open else "",
    }


def _incident_counts(told: Told) -> str:
    if not told.incidents:
        return ""
    return f"{told.opened:,} opened, {told.closed:,} closed, {told.still_open:,} open now"


def _reply(reply: Reply, range_: str) -> dict[str, str]:
    signature, line = reply.line.signature, reply.line
    growth = "new" if reply.is_new else f"{line.before:,} the week before"
    return {
        "title": signature.title,
        "count": f"{line.n:,}",
        "growth": growth,
        "cause": signature.meant_cause or reason_sentence(signature.meant_reason),
        "fix": signature.meant_fix,
        "url": reverse("signatures:detail", args=[signature.pk]) + range_,
    }


def _change(change: Changed) -> dict[str, str]:
    return {
        "when": f"{localtime(change.at):%a %-d %b, %H:%M}",
        "kind": change.kind.word,
        "label": change.label,
        "who": change.who,
        "url": change.url,
    }


def _campaign(ended: Ended) -> dict[str, str]:
    mail = ended.outcome
    state = ended.campaign.get_state_display().lower()
    when = (
        f"{localtime(ended.campaign.finished_at):%a %-d %b, %H:%M}"
        if ended.campaign.finished_at
        else ""
    )
    numbers_said = (
        f"{mail.answered:,} sent, {said(mail.acceptance)} accepted, {said(mail.bounce_rate)} bounced, "
        f"{said(mail.complaint_rate)} complained."
        if mail.answered
        else "Nothing of it was sent."
    )
    return {
        "name": ended.campaign.name,
        "state": f"{state} {when}".strip(),
        "numbers": numbers_said,
        "url": resolve("reports:campaign", ended.campaign.pk),
    }
