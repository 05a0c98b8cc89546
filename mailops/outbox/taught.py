"""The one hook by which what people taught of replies reaches their reading.

`protocol` stays pure: it is given what was taught. Each process keeps that for some seconds; `load_taught()` asks the
database, `understood()` never does, so it may be called from a session's thread.
"""

import time

from mailops.outbox.models import Signature
from mailops.protocol.classification import Classification, Taught, understand
from mailops.protocol.reply import Reply

KEPT_SECONDS = 5.0

_taught: dict[int, Taught] = {}
_read_at: float | None = None


def load_taught(*, anew: bool = False) -> None:
    """Read what was taught, where that was not done in the last seconds; threads see the old or the new, never a part."""
    global _taught, _read_at
    now = time.monotonic()
    if anew or _read_at is None or now - _read_at >= KEPT_SECONDS:
        rows = Signature.objects.exclude(taught_reason="")
        _taught, _read_at = {row.pk: taught for row in rows if (taught := row.taught)}, now


def forget_taught() -> None:
    """Have it read again before it is used next."""
    global _taught, _read_at
    _taught, _read_at = {}, None


def understood(
    reading: Classification, reply: Reply, phase: str, *, recipient: str
) -> Classification:
    """Return what a reply, read as `reading`, means by what was taught of its signature; mostly `reading` itself."""
    return understand(reading, reply, phase, taught=_taught, recipient=recipient)
