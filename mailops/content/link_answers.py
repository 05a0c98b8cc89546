"""Keeps for a while what came of asking for a mail's links, and says what the gate makes of it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from mailops.content.checking import Look
from mailops.content.gates.finding import Problem, found
from mailops.content.lines import line_at
from mailops.content.looking import look_at_draft
from mailops.content.models import LinkAnswer, MailTemplate, hash_sources
from mailops.content.reaching import AT_ONCE, Link, Reached, ask_all, links_in
from mailops.lib.locks import session_lock

KEPT = timedelta(hours=12)
KEPT_IF_DEAD = timedelta(minutes=10)  # somebody may have mended it
SECONDS = 30.0
FORGOTTEN = timedelta(days=30)


@dataclass(frozen=True)
class Shown:
    """One link of a mail with what is known of it."""

    link: Link
    answer: LinkAnswer | None = None

    @property
    def is_open(self) -> bool:
        """It may be asked for, and wasn't lately."""
        return not (self.link.is_own or self.answer)

    @property
    def reached(self) -> Reached | None:
        if self.answer is None:
            return None
        one = self.answer
        return Reached(one.address, one.status, one.leads_to, one.fault)

    @property
    def rank(self) -> int:
        """What needs a person comes first."""
        return ["bad", "", "warn", "ok", "muted"].index(self.tone)

    @property
    def tone(self) -> str:
        if self.link.is_own:
            return "muted"
        if self.reached is None:
            return ""
        return "bad" if self.reached.is_dead else "warn" if self.reached.is_closed else "ok"

    @property
    def icon(self) -> str:
        return {"bad": "error", "warn": "warning", "ok": "check"}.get(self.tone, "info")

    @property
    def sentence(self) -> str:
        if self.link.is_own:
            return "is a recipient's own, or may do something: never opened"
        return self.reached.sentence if self.reached else "was not asked for lately"


def links_of(template: MailTemplate, looks: Iterable[Look]) -> list[Shown]:
    """Return the links of a draft in all its languages, each once, with what is known of them."""
    texts = [template.draft_text, *template.variants.values_list("draft_text", flat=True)]
    written = [look.compiled for look in looks]
    each = [links_in(html) for html in written] + [links_in("", text) for text in texts]
    links = list(dict.fromkeys(link for links in each for link in links))
    known = _known([link.address for link in links if not link.is_own])
    return [Shown(link, known.get(_hash(link.address))) for link in links]


def _known(addresses: Sequence[str]) -> dict[str, LinkAnswer]:
    now = timezone.now()
    fresh = Q(asked_at__gt=now - KEPT_IF_DEAD) | Q(asked_at__gt=now - KEPT, is_dead=False)
    hashes = [_hash(address) for address in addresses]
    found = LinkAnswer.objects.filter(fresh, address_hash__in=hashes)
    return {answer.address_hash: answer for answer in found}


def _hash(address: str) -> str:
    return hash_sources(address, "", "")


def ask_for_draft(template_id: int) -> bool:
    """Ask for the links of a draft of which nothing is known; tell whether half a minute was too short for all."""
    template = MailTemplate.objects.select_related("layout").filter(pk=template_id).first()
    if template is None:
        return False
    look, others = look_at_draft(template)
    links = links_of(template, [look, *others.values()])
    return bool(ask_and_keep([each.link.address for each in links if each.is_open]))


def ask_and_keep(addresses: Sequence[str]) -> list[str]:
    """Ask for those of which nothing is known, one process at a time, and keep each answer as it comes.

    Return what is left when half a minute is over, all where another process is at it.
    """
    ends_at = time.monotonic() + SECONDS
    with session_lock("content links") as is_ours:
        if not is_ours:
            return list(addresses)
        LinkAnswer.objects.filter(asked_at__lt=timezone.now() - FORGOTTEN).delete()
        known = _known(addresses)
        asked = [each for each in dict.fromkeys(addresses) if _hash(each) not in known]
        for at in range(0, len(asked), AT_ONCE):
            if time.monotonic() > ends_at:
                return asked[at:]
            for reached in ask_all(asked[at : at + AT_ONCE]):
                _keep(reached)
    return []


def _keep(reached: Reached) -> None:
    LinkAnswer.objects.update_or_create(
        address_hash=_hash(reached.address),
        defaults={
            "address": reached.address,
            "status": reached.status,
            "leads_to": reached.leads_to,
            "fault": reached.fault[:200],
            "is_dead": reached.is_dead,
            "asked_at": timezone.now(),
        },
    )


def findings(shown: Sequence[Shown], source: str, *, is_final: bool = False) -> list[Problem]:
    """Return what the gate finds; where this `is_final`, also what was not asked, and that all was.

    Where mailops may not open links there is nothing to find, and nothing says that they were asked.
    """
    if not settings.MAILOPS_FETCH_LINKS:
        return []
    problems = [
        problem_of(one.reached, source) for one in shown if one.reached and one.reached.is_dead
    ]
    if is_final:
        problems += _account(shown, len(problems))
    return problems


def known_dead(look: Look, source: str) -> list[Problem]:
    """Return what is known of the links of what somebody writes just now; nothing is asked for."""
    if not (settings.MAILOPS_FETCH_LINKS and look.compiled):
        return []
    links = [link for link in links_in(look.compiled) if not link.is_own]
    known = _known([link.address for link in links])
    return findings([Shown(link, known.get(_hash(link.address))) for link in links], source)


def problem_of(reached: Reached, source: str) -> Problem:
    at = source.find(reached.address)
    line = line_at(source, at) if at >= 0 else None
    return found("reach.dead", f"{reached.address[:80]}: {reached.sentence}.", line=line)


def _account(shown: Sequence[Shown], dead: int) -> list[Problem]:
    still_open = sum(one.is_open for one in shown)
    if still_open:
        sentence = f"Of {still_open} links nobody knows whether they lead anywhere."
        return [found("reach.unasked", sentence.replace("1 links", "1 link"), part="")]
    asked = sum(one.answer is not None for one in shown)
    sentence = f"{asked} links were asked, {dead} of them lead nowhere."
    return [found("reach.asked", sentence, part="", is_note=True)]
