"""What a negative reply means (RFC 5321, 4.2; RFC 3463; RFC 7372): why, whose fault, what to do, and what must stop.

One table, in two halves. `meanings` says what follows from a reason; `signs` says by what a reason is known, and
`tongues` how other languages than English say it. The text of a reply outranks its enhanced status, a subcode outranks
its class, and what no sign explains is said to be unexplained.
"""

from mailops.protocol.classification.deciding import classify, classify_report, reply_in_report
from mailops.protocol.classification.meanings import (
    MEANINGS,
    OUR_FAULTS,
    Classification,
    Fault,
    Kind,
    Meaning,
    Reason,
    Stops,
)
from mailops.protocol.classification.taught import Taught, as_taught, understand

__all__ = [
    "MEANINGS",
    "OUR_FAULTS",
    "Classification",
    "Fault",
    "Kind",
    "Meaning",
    "Reason",
    "Stops",
    "Taught",
    "as_taught",
    "classify",
    "classify_report",
    "reply_in_report",
    "understand",
]
