"""Goes through a campaign's whole audience, in chunks that can be cut off anywhere, and makes each mail without sending it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from mailops.audiences.models import Membership
from mailops.campaigns.models import Preflight
from mailops.content.rendering import Compiled, RenderError, compile_version
from mailops.content.variables import BUILT_IN, CLOCK, merge_data
from mailops.lib.chunks import MAX_FAILURES, count_failure
from mailops.protocol.address import needs_smtputf8
from mailops.suppressions.models import Suppression

CHUNK_MEMBERS = 500
CHUNK_SECONDS = 2.0  # of rendering, then the chunk is stored: a slow template must not hold a lock
MAX_KINDS = 25  # different errors that are told apart
MAX_EXAMPLES = 3


@dataclass
class Findings:
    """What one chunk found."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("members", "sendable", "suppressed", "invalid", "unrenderable"), 0
        )
    )
    errors: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, Any] = field(default_factory=dict)
    zones: Counter[str] = field(default_factory=Counter)

    def count(self, name: str) -> None:
        self.counts["members"] += 1
        self.counts[name] += 1


def check_chunk(*, preflight_id: int, members: int = CHUNK_MEMBERS) -> bool:
    """Rehearse the next members; return whether more are waiting (False also where another process is at it)."""
    with transaction.atomic():
        preflight = (
            Preflight.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("campaign", "version", "identity__domain")
            .filter(pk=preflight_id, state=Preflight.State.RUNNING)
            .first()
        )
        if preflight is None:
            return False
        page = _next_members(preflight, members)
        findings, checked = _rehearse(preflight, page)
        _add(preflight, findings)
        if checked:
            preflight.cursor = checked
        if not page or preflight.cursor >= preflight.end:
            preflight.finish(Preflight.State.COMPLETED)
        preflight.failures = 0
        preflight.save()
        return preflight.is_running


def note_failure(preflight_id: int, error: Exception) -> None:
    """Count a chunk that failed; after a few in a row the rehearsal fails and says so."""
    count_failure(Preflight.objects.all(), preflight_id, error, give_up=_give_up)


def _give_up(preflight: Preflight) -> None:
    sentence = f"The rehearsal broke off {MAX_FAILURES} times at the same place."
    preflight.finish(Preflight.State.FAILED, sentence)
    preflight.save()


def _next_members(preflight: Preflight, members: int) -> list[Membership]:
    suppression = Suppression.objects.active().filter(
        Q(stream=None) | Q(stream=preflight.stream_id),
        address_key=OuterRef("contact__address_key"),
    )
    found = (
        Membership.objects.filter(
            audience=preflight.audience_id, pk__gt=preflight.cursor, pk__lte=preflight.end
        )
        .select_related("contact")
        .annotate(is_suppressed=Exists(suppression))
        .order_by("pk")
    )
    return list(found[:members])


def _rehearse(preflight: Preflight, page: Sequence[Any]) -> tuple[Findings, int]:
    """Render the mail of each member until the time is up; return the findings and the last membership looked at."""
    findings = Findings()
    checked = 0
    compiled = _compiled(preflight)
    wanted = _wanted(compiled)
    stop_at = monotonic() + CHUNK_SECONDS
    for membership in page:
        contact = membership.contact
        if membership.is_suppressed:
            findings.count("suppressed")
        elif needs_smtputf8(contact.address_key):
            findings.count("invalid")
        else:
            outcome = _render(preflight, compiled, contact, findings)
            findings.count(outcome)
            if outcome == "sendable":
                findings.zones[contact.time_zone] += 1
            for names in wanted:
                if all(contact.attributes.get(name) in (None, "") for name in names):
                    _note(findings.missing, " and ".join(names), contact.address)
        checked = membership.pk
        if monotonic() > stop_at:
            break
    return findings, checked


def _compiled(preflight: Preflight) -> Compiled | RenderError:
    try:
        return compile_version(preflight.version)
    except RenderError as error:
        return error


def _render(
    preflight: Preflight, compiled: Compiled | RenderError, contact: Any, findings: Findings
) -> str:
    if isinstance(compiled, RenderError):
        _note(findings.errors, str(compiled), contact.address)
        return "unrenderable"
    data = merge_data(
        contact.attributes,
        email=contact.address,
        unsubscribe_url=f"{settings.MAILOPS_BASE_URL}/unsubscribe/",
        campaign_name=preflight.campaign.name,
        sender_name=preflight.identity.name,
        sender_email=preflight.identity.addr_spec,
    )
    try:
        compiled.render(data)
    except RenderError as error:
        _note(findings.errors, str(error), contact.address)
        return "unrenderable"
    return "sendable"


def _wanted(compiled: Compiled | RenderError) -> list[list[str]]:
    """Return for each place in the mail that may stay empty the attributes of which it needs one."""
    if isinstance(compiled, RenderError):
        return []
    built_in = {*CLOCK, *(name.split(".")[0] for name in BUILT_IN)}
    return sorted(sorted(names) for names in compiled.wanting if names.isdisjoint(built_in))


def _note(notes: dict[str, Any], what: str, address: str) -> None:
    """Count `what`, keeping a few addresses as examples and a bounded number of kinds."""
    if what not in notes and len(notes) >= MAX_KINDS:
        what = "Others"
    note = notes.setdefault(what, {"members": 0, "examples": []})
    note["members"] += 1
    if len(note["examples"]) < MAX_EXAMPLES:
        note["examples"].append(address)


def _add(preflight: Preflight, findings: Findings) -> None:
    preflight.zones = dict(Counter(preflight.zones) + findings.zones)
    for name, count in findings.counts.items():
        setattr(preflight, name, getattr(preflight, name) + count)
    for notes, found in (
        (preflight.errors, findings.errors),
        (preflight.missing, findings.missing),
    ):
        for what, note in found.items():
            kind = what if what in notes or len(notes) < MAX_KINDS else "Others"
            known = notes.setdefault(kind, {"members": 0, "examples": []})
            known["members"] += note["members"]
            known["examples"] = [*known["examples"], *note["examples"]][:MAX_EXAMPLES]
