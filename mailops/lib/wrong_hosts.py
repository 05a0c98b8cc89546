"""Keeps the log short where requests come for hosts that are not ours: scanners send them by the thousand."""

import logging
from collections.abc import Callable
from threading import Lock
from time import monotonic

from django.core.exceptions import DisallowedHost

QUIET_SECONDS = 60.0
SHOWN = 100  # characters of a host


class OneLineAMinute(logging.Filter):
    """Lets one line a minute through of what Django tells of each such request, in words and without its trace."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()
        self._quiet_until = float("-inf")
        self._untold = 0

    def filter(self, record: logging.LogRecord) -> bool:
        with self._lock:
            if self._clock() < self._quiet_until:
                self._untold += 1
                return False
            self._quiet_until = self._clock() + QUIET_SECONDS
            untold, self._untold = self._untold, 0
        more = f" It is the last of {untold + 1:,} since this was last said." if untold else ""
        record.msg = (
            f"A request for the host {_host_of(record)!r} was refused, since that is not mailops'. If it should be, "
            f"name it in MAILOPS_ALLOWED_HOSTS.{more}"
        )
        record.args, record.exc_info, record.exc_text = (), None, None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


class ElsewhereTold(logging.Filter):
    """Drops the line on the answer to such a request, which says nothing more."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        if request is None or getattr(record, "status_code", None) != 400:
            return True
        try:
            request.get_host()
        except DisallowedHost:
            return False
        return True


def _host_of(record: logging.LogRecord) -> str:
    request = getattr(record, "request", None)
    return str(request.headers.get("Host", ""))[:SHOWN] if request is not None else ""
