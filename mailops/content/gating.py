"""Which gates the mails of a stream must have passed, and whether a version has."""

from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect, mark_of
from mailops.accounts.models import User
from mailops.content.gates import GATES
from mailops.content.models import RequiredGate, TemplateVersion
from mailops.transports.models import Stream

# Gates that ask others, and say so: where they said nothing they were not asked.
_NEVER_SILENT = {"spam": "a spam filter", "reach": "whether its links lead anywhere"}


def silent_gates() -> list[str]:
    """Return the gates that can't say anything here, so that no version passes them, each as a sentence."""
    said = []
    if not settings.MAILOPS_FETCH_LINKS:
        said.append("Links are not asked for here; MAILOPS_FETCH_LINKS=1 lets mailops do it.")
    if not (settings.MAILOPS_SPAMD or settings.MAILOPS_RSPAMD):
        said.append("No spam filter is named here; MAILOPS_SPAMD or MAILOPS_RSPAMD names one.")
    return said


def required_of(stream: Stream) -> list[str]:
    """Return the gates that `stream` requires, in their order."""
    chosen = set(RequiredGate.objects.filter(stream=stream).values_list("gate", flat=True))
    return [gate for gate in GATES if gate in chosen]


def mark_of_gates(gates: Iterable[str]) -> str:
    """Return what tells these required gates from others."""
    chosen = set(gates)
    return mark_of(*(gate for gate in GATES if gate in chosen))


def require(
    *, stream: Stream, gates: Iterable[str], actor: User | None, seen: str | None = None
) -> bool:
    """Require these gates, and no others, of mails that leave through `stream`; return whether that changed anything.

    Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    wanted = {gate for gate in gates if gate in GATES}
    with transaction.atomic():
        Stream.objects.select_for_update().get(pk=stream.pk)
        before = required_of(stream)
        if not expect(seen, was=mark_of_gates(before), wanted=mark_of_gates(wanted)):
            return False
        RequiredGate.objects.filter(stream=stream).exclude(gate__in=wanted).delete()
        RequiredGate.objects.bulk_create(
            [RequiredGate(stream=stream, gate=gate) for gate in wanted - set(before)]
        )
        audit(
            actor=actor,
            verb="template.require_gates",
            subject=stream,
            before={"gates": before},
            after={"gates": sorted(wanted)},
        )
    return True


def objections(version: TemplateVersion, stream: Stream) -> dict[str, str]:
    """Return for each gate that `stream` requires and `version` has not passed, why not."""
    said: dict[str, str] = {}
    for gate in required_of(stream):
        of_gate = [each for each in version.findings if str(each["rule"]).startswith(f"{gate}.")]
        failing = [each for each in of_gate if each["severity"] != "info"]
        if failing:
            more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
            of = f" ({failing[0]['language']})" if failing[0].get("language") else ""
            said[gate] = f"{version}, {GATES[gate]}{of}: {failing[0]['sentence']}{more}"
        elif gate in _NEVER_SILENT and not of_gate:
            said[gate] = f"{version} was published without asking {_NEVER_SILENT[gate]}."
    return said
