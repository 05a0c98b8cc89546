"""Says in one sentence what to do first; pure, so that its order can be read and tested."""

from dataclasses import dataclass

from django.urls import reverse

from mailops.digests.telling import Told
from mailops.incidents.models import Incident
from mailops.reports.charting import said
from mailops.reports.matter import Matter
from mailops.reports.outcomes import state_of


@dataclass(frozen=True)
class Advice:
    sentence: str
    url: str = ""
    tone: str = "ok"


NOTHING = Advice("Nothing needs you.")


def advise(told: Told, report_url: str) -> Advice:
    """Return what to do first: what stands still, then open incidents, broken promises, high rates, new replies."""
    bad = [matter for matter in told.matters if matter.tone == "bad"]
    if bad:
        return _of_matter(bad[0], len(told.matters))
    still_open = [one for one in told.incidents if one.is_open]
    if still_open:
        return _of_incident(still_open[0])
    return (
        _of_budgets(told)
        or _of_rates(told, report_url)
        or _of_silence(told)
        or (_of_matter(told.matters[0], len(told.matters)) if told.matters else None)
        or _of_replies(told)
        or NOTHING
    )


def _of_matter(matter: Matter, of: int) -> Advice:
    rest = f" It is the first of {of} things that wait for a person." if of > 1 else ""
    return Advice(f"{matter.title}: {_small(matter.action)}.{rest}", matter.url, matter.tone)


def _of_incident(incident: Incident) -> Advice:
    owner = "" if incident.owner_id else ", and nobody is on it"
    url = reverse("incidents:detail", args=[incident.pk])
    return Advice(
        f"The incident “{incident}” is still open{owner}: {_small(incident.sentence)}", url, "bad"
    )


def _of_budgets(told: Told) -> Advice | None:
    for stream in told.streams:
        if stream.standing and stream.standing.budget.left <= 0:
            url = reverse("reports:stream", args=[stream.pk])
            return Advice(
                f"{stream.name} has spent its error budget: see what delays its mail.", url, "bad"
            )
    return None


def _of_rates(told: Told, report_url: str) -> Advice | None:
    mail = told.total
    for word, rate, thresholds in (
        ("complained", mail.complaint_rate, told.limits.complaints),
        ("bounced", mail.bounce_rate, told.limits.bounces),
    ):
        tone, words = state_of(rate, thresholds)
        if rate and tone in {"warn", "bad"}:
            return Advice(f"{said(rate)} of the mail {word}, {words}: see whose.", report_url, tone)
    return None


def _of_silence(told: Told) -> Advice | None:
    """Name a stream that fell silent: what sent a week ago and not since is a symptom."""
    still = [one for one in told.streams if one.is_there]
    silent = [one for one in still if one.before.answered >= 100 and not one.now.answered]
    if not silent:
        return None
    url = reverse("transports:stream-detail", args=[silent[0].pk])
    before = f"{silent[0].before.answered:,}"
    return Advice(
        f"{silent[0].name} sent nothing, after {before} the week before: is that meant?",
        url,
        "warn",
    )


def _of_replies(told: Told) -> Advice | None:
    ours = [one for one in told.replies if one.line.signature.meant_fault != "recipient"]
    if not ours:
        return None
    signature = ours[0].line.signature
    url = reverse("signatures:detail", args=[signature.pk])
    fix = signature.meant_fix or "Look at what servers answered."
    return Advice(
        f"Servers answer what they did not before, “{signature.title}”. {fix}", url, "warn"
    )


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence
