"""Launches a campaign, after asking everything that may speak against it."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from django.db import transaction
from django.urls import reverse

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.audiences.models import Import
from mailops.campaigns.drafting import plan_of
from mailops.campaigns.fitting import misfits
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import blockers, latest_preflight, why_stale
from mailops.content.files import files_of_version, infection_of
from mailops.content.gating import objections, required_of
from mailops.dispatch.tasks import tick
from mailops.rollouts.models import UNPROVEN, ChecklistItem, Override
from mailops.rollouts.probing import lacking
from mailops.transports.models import Stream


class NotLaunched(Exception):
    """The campaign stays as it is; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Something that may speak against a launch; an override with a reason passes it where that is allowed."""

    title: str
    objections: dict[str, str] = field(default_factory=dict)  # kind → sentence
    numbers: dict[str, int] = field(default_factory=dict)  # kind → of how many people it is
    may_be_overridden: bool = False
    url: str = ""
    remedy: str = ""  # what the link says

    @property
    def is_open(self) -> bool:
        return not self.objections

    @property
    def state(self) -> str:
        if self.is_open:
            return "ok"
        return "warning" if self.may_be_overridden else "error"

    @property
    def word(self) -> str:
        if self.is_open:
            return "Holds"
        return "Doesn't hold" if self.may_be_overridden else "Stops it"


def gates_of(campaign: Campaign, *, at_start: bool = False) -> list[Gate]:
    """Return what is asked before `campaign` is launched, each with its objections; asks no network.

    It is asked again `at_start`, when its time has come: people who joined or left since the rehearsal, which is
    minutes old, are no objection then.
    """
    gates = [_rehearsal(campaign, at_start=at_start), *_template(campaign)]
    if campaign.stream.is_bulk:
        gates.append(_checklist(campaign))
    rarely = (
        _fit(campaign),
        _way_out(campaign.stream),
        _whole_audience(campaign),
        _files(campaign),
    )
    return [*gates, *(gate for gate in rarely if not gate.is_open)]


def _rehearsal(campaign: Campaign, *, at_start: bool) -> Gate:
    title, url = "Rehearsal", reverse("campaigns:detail", args=[campaign.pk])
    preflight = latest_preflight(campaign)
    if preflight is None:
        why = "The campaign was not rehearsed over its audience yet."
    elif preflight.is_running:
        why = "The rehearsal is still running."
    elif preflight.has_failed:
        why = f"The rehearsal failed: {preflight.sentence}"
    else:
        why = "" if at_start else why_stale(preflight, campaign)
    if preflight is None or why:
        return Gate(title=title, objections={"rehearsal": why}, url=url, remedy="Rehearse it")
    return Gate(
        title=title,
        objections=blockers(preflight),
        numbers={"unrenderable": preflight.unrenderable},
        may_be_overridden=preflight.reaches_anyone,
        url=url,
        remedy="See the rehearsal",
    )


def _fit(campaign: Campaign) -> Gate:
    """Ask for a bulk stream of the sender's domain, which the stream of an older campaign's copy may be no more."""
    return Gate(
        title="Stream and sender",
        objections=misfits(campaign.stream, campaign.identity),
        url=reverse("campaigns:edit", args=[campaign.pk]),
        remedy="Choose them",
    )


def _way_out(stream: Stream) -> Gate:
    """Ask for a transport of the stream's own environment; nothing may override that, since nothing would leave."""
    routes = stream.routes.select_related("transport")
    foreign = [r.transport for r in routes if r.transport.environment != stream.environment]
    kind = stream.get_environment_display().lower()
    objections = {}
    if len(foreign) == len(routes):
        names = ", ".join(f"{one} ({one.get_environment_display().lower()})" for one in foreign)
        objections["environment"] = (
            f"{stream} is for {kind}, and none of its transports is: {names}."
            if foreign
            else f"{stream} has no transport."
        )
    return Gate(
        title="A way out",
        objections=objections,
        url=reverse("transports:stream-edit", args=[stream.pk]),
        remedy="Choose its transports",
    )


def _whole_audience(campaign: Campaign) -> Gate:
    """Ask that no import goes on: its audience is read once, and who joins later gets no mail."""
    runs = Import.objects.running().filter(audience=campaign.audience_id).order_by("pk")
    if not runs:
        return Gate(title="Audience")
    return Gate(
        title="Audience",
        objections={
            f"import {run.pk}": f"“{run}” is still being imported into {campaign.audience}: who stands in the rest of it "
            "would not get this mail."
            for run in runs
        },
        may_be_overridden=True,
        url=reverse("audiences:import-detail", args=[runs[0].pk]),
        remedy="See the import",
    )


def _files(campaign: Campaign) -> Gate:
    """Ask that the virus scanner found nothing, since the version was published, in a file that goes with each mail."""
    version = campaign.version
    why = infection_of(files_of_version(version))
    return Gate(
        title="Files",
        objections={"infected": why} if why else {},
        url=reverse("content:version", args=[version.template_id, version.number]),
        remedy="See the version",
    )


def _template(campaign: Campaign) -> list[Gate]:
    """Return the gates of the template that the stream requires; none where it requires none."""
    if not required_of(campaign.stream):
        return []
    version = campaign.version
    return [
        Gate(
            title="Template",
            objections=objections(version, campaign.stream),
            may_be_overridden=True,
            url=reverse("content:version", args=[version.template_id, version.number]),
            remedy="See the version",
        )
    ]


def _checklist(campaign: Campaign) -> Gate:
    stream = campaign.stream
    return Gate(
        title="Production checklist",
        objections={_kind(item): _objection(item) for item in lacking(stream, campaign.version_id)},
        may_be_overridden=True,
        url=reverse("rollouts:detail", args=[stream.pk]),
        remedy="See the checklist",
    )


_FAILS = " fails: "
_NUMBER = re.compile(r"(?<!\S)\d[\d,]*(?!\S)")  # a word of its own


def _kind(item: ChecklistItem) -> str:
    """Return what an objection is called: that an item fails is another one than that nothing proves it.

    So is that it fails for something else, whatever the numbers: a certificate has fewer days left each day. Where that is
    told of each version in use, it is one objection: a colleague's draft is no concern of the campaign.
    """
    name = f"item {item.number}"
    if item.state != ChecklistItem.State.FAILED:
        return name
    why = "" if item.asked.names_versions else _NUMBER.sub("some", item.sentence)
    return name + _FAILS + why


def _passes(given: str, key: str) -> bool:
    """Tell whether who overrode the objection `given` overrode `key`, too.

    Of an item that failed these are that nothing proves it, and that it fails for a part of what it failed for then.
    """
    item, _, seen = given.partition(_FAILS)
    same, fails, told = key.partition(_FAILS)
    return item == same and (not fails or _sentences(told) <= _sentences(seen))


def _sentences(text: str) -> set[str]:
    return set(text.rstrip(".").split(". "))


def not_covered(gates: Iterable[Gate], override: Override | None) -> list[str]:
    """Return the objections that `override` does not pass: it passes what was seen when it was given, for no more people."""
    passed = override.keys if override else []
    numbers = override.numbers if override else {}
    found = []
    for gate in gates:
        for key, text in gate.objections.items():
            seen = numbers.get(key, 0)
            if not any(_passes(given, key) for given in passed):
                found.append(text)
            elif gate.numbers.get(key, 0) > seen:
                before = f" It was launched all the same when they were {seen:,}." if seen else ""
                found.append(text + before)
    return found


_STANDING: dict[str, str] = {
    ChecklistItem.State.MISSING: "is not proven yet",
    ChecklistItem.State.FAILED: "does not hold",
    ChecklistItem.State.STALE: "is proven no more",
}


def _objection(item: ChecklistItem) -> str:
    said = f"“{item.title}” {_STANDING[item.state]}"
    return f"{said}." if item.sentence == UNPROVEN else f"{said}: {item.sentence}"


_WORDS = {
    "name": "its name",
    "audience": "the audience",
    "version": "the template",
    "stream": "the stream",
    "from": "the sender",
    "hours": "the hours",
    "time_zone": "the time zone",
    "rehearsal": "the rehearsal",
}


def facts_of(campaign: Campaign, gates: Sequence[Gate]) -> dict[str, str]:
    """Return what a person goes by who launches `campaign`: of each fact a mark, which changes with it, and its words."""
    rehearsal = latest_preflight(campaign)
    shown = {
        **plan_of(campaign),
        **campaign.keeps.hours_facts(),
        "rehearsal": rehearsal.pk if rehearsal and rehearsal.is_completed else None,
    }
    facts = {_mark(name, value): _WORDS[name] for name, value in shown.items()}
    against = [_mark("objection", key) for gate in gates for key in gate.objections]
    return facts | dict.fromkeys(against, "what does not hold")


def _mark(name: str, value: object) -> str:
    return sha256(f"{name}: {value}".encode()).hexdigest()[:16]


def what_changed(facts: dict[str, str], seen: Collection[str]) -> str:
    """Say which of the `facts` are not among the marks of those that were `seen`; nothing where all are."""
    words = dict.fromkeys(word for mark, word in facts.items() if mark not in seen)
    if not words:
        return ""
    return (
        f"It was not launched, since this changed while the page stood open: {', '.join(words)}. "
        "You see it as it is now. If it is right, launch it once more."
    )


def launch(
    campaign: Campaign,
    *,
    actor: User,
    override_reason: str = "",
    at: datetime | None = None,
    seen: Collection[str] | None = None,
) -> Campaign:
    """Let a campaign run now, or at `at`; raise NotLaunched where a gate is closed or somebody was faster.

    The row's lock makes twenty presses one launch. Objections that may be overridden are, with a reason, and kept.
    Whoever presses on a page gives the marks of the facts `seen` there: what is another one by now is not launched.
    """
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        if not locked.may_be_launched:
            raise NotLaunched(f"“{locked}” is {locked.get_state_display().lower()} already.")
        gates = gates_of(locked)
        if seen is not None and (changed := what_changed(facts_of(locked, gates), seen)):
            raise NotLaunched(changed)
        _pass(locked, gates, actor, override_reason.strip())
        if at is not None:
            locked.schedule(at, actor=actor)
        else:
            locked.start(actor=actor)
        transaction.on_commit(_hint, robust=True)
    return locked


def _pass(campaign: Campaign, gates: Sequence[Gate], actor: User, reason: str) -> None:
    closed = [gate for gate in gates if not gate.is_open]
    objections = {key: text for gate in closed for key, text in gate.objections.items()}
    if final := [gate for gate in closed if not gate.may_be_overridden]:
        raise NotLaunched(" ".join(text for gate in final for text in gate.objections.values()))
    Override.objects.filter(campaign=campaign).update(is_in_force=False)
    if not closed:
        return
    if not reason:
        raise NotLaunched(
            "It can't be launched without a reason while this does not hold: "
            + " ".join(objections.values())
        )
    Override.objects.create(
        campaign=campaign,
        stream=campaign.stream,
        actor=actor,
        actor_label=actor.email,
        reason=reason,
        objections=list(objections.values()),
        keys=list(objections),
        numbers={key: n for gate in closed for key, n in gate.numbers.items() if key in objections},
    )
    audit(
        actor=actor,
        verb="campaign.override",
        subject=campaign,
        after={"objections": list(objections.values())},
        reason=reason,
    )


def _hint() -> None:
    tick.delay()  # only sooner: the next tick comes anyway
