"""What a person taught about replies of one signature, and what it makes of a reading."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mailops.protocol.classification.deciding import conclude
from mailops.protocol.classification.meanings import (
    MEANINGS,
    Classification,
    Fault,
    Kind,
    Reason,
    Stops,
)
from mailops.protocol.classification.signs import BEFORE_ANYONE
from mailops.protocol.reply import Reply
from mailops.protocol.signature import signature_of


@dataclass(frozen=True, slots=True)
class Taught:
    """A person's word on what replies of one signature mean; it outranks the table of signs."""

    reason: Reason
    fault: Fault
    kind: Kind | None = None  # None: as the code says
    sentence: str = ""  # empty: as the reason says
    fix: str = ""


def as_taught(reading: Classification, taught: Taught, phase: str) -> Classification:
    """Return what `reading` becomes by what was taught.

    Only the recipient's fault suppresses, whoever says so. A fault laid elsewhere than the table lays it stops nothing:
    what stopped before anyone was spoken of stays stopped.
    """
    said = conclude(taught.reason, taught.kind or reading.kind, phase)
    is_usual = taught.fault == MEANINGS[taught.reason].fault
    return replace(
        said,
        fault=taught.fault,
        sentence=taught.sentence or said.sentence,
        fix=taught.fix or said.fix,
        suppress=said.suppress and taught.fault == Fault.RECIPIENT,
        stops=said.stops if is_usual or phase in BEFORE_ANYONE else Stops.NONE,
    )


def understand(
    reading: Classification,
    reply: Reply,
    phase: str,
    *,
    taught: Mapping[int, Taught],
    recipient: str = "",
) -> Classification:
    """Return what `reply`, read as `reading`, means once what was taught of its signature is heard."""
    if not taught:
        return reading
    lesson = taught.get(signature_of(reply, recipient=recipient).id)
    return as_taught(reading, lesson, phase) if lesson else reading
