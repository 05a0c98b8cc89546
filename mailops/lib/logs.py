"""Log lines: readable for a person or JSON for a collector, and never with a secret in them."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from mailops.lib.wrong_hosts import ElsewhereTold, OneLineAMinute

MASK = "…"

# attributes every record has; what else is on it came by `extra=` and belongs in the line
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Masking(logging.Formatter):
    """Formats a record with every known secret in it replaced, in traces too."""

    def __init__(self, *, secrets: list[str], **options: Any) -> None:
        super().__init__(**options)
        known = {form for secret in secrets if len(secret) >= 4 for form in _forms(secret)}
        # the longest first, so that no rest of a longer one is left standing
        found = sorted(known, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, found))) if found else None

    def format(self, record: logging.LogRecord) -> str:
        return self.mask(super().format(record))

    def mask(self, text: str) -> str:
        return self._secrets.sub(MASK, text) if self._secrets else text


class AsJson(Masking):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "text": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        line |= {name: value for name, value in vars(record).items() if name not in _USUAL}
        return json.dumps(self._masked(line), ensure_ascii=False)

    def _masked(self, value: Any) -> Any:
        """Return what JSON can hold of `value`, masked before its quotes are escaped."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {self.mask(str(key)): self._masked(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(entry) for entry in value]
        return self.mask(str(value))


class ClientsFault(logging.Filter):
    """Takes the trace off what Django tells of a request that it refuses: it shows no code of ours, and anybody may send thousands."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_refused = record.name == "django.request" and getattr(record, "status_code", 0) == 400
        if is_refused or record.name.startswith("django.security."):
            record.exc_info, record.exc_text = None, None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def _forms(secret: str) -> set[str]:
    """Return how a secret may stand in a line: as it is, in a URL or out of one, and as Python quotes it."""
    plain = {secret, quote(secret), unquote(secret)}
    return plain | {repr(each)[1:-1] for each in plain}


def password_in(url: str) -> str:
    """Return the password of a URL, as it is written there, or nothing."""
    return urlsplit(url).password or ""


def logging_of(*, form: str, secrets: list[str], is_dated: bool) -> dict[str, Any]:
    """Return Django's LOGGING: everything to the console, "readable" or as "json", without these secrets."""
    time = "%(asctime)s " if is_dated else ""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "readable": {
                "()": Masking,
                "secrets": secrets,
                "fmt": f"{time}%(levelname)-7s %(name)s: %(message)s",
                "datefmt": "%H:%M:%S",
            },
            "json": {"()": AsJson, "secrets": secrets},
        },
        "filters": {
            "one_line_a_minute": {"()": OneLineAMinute},
            "elsewhere_told": {"()": ElsewhereTold},
            "clients_fault": {"()": ClientsFault},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": form,
                "filters": ["clients_fault"],  # of a logger, it would see nothing of those below
            }
        },
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.security.DisallowedHost": {"filters": ["one_line_a_minute"]},
            "django.request": {"filters": ["elsewhere_told"]},
            "django.server": {"handlers": [], "propagate": True},
            "celery.worker.strategy": {"level": "WARNING"},  # a line a task is two a second
            "celery.worker.request": {"level": "WARNING"},  # hints that expired while a run was on
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "celery.worker.consumer.connection": {"level": "WARNING"},
            "mail.log": {"level": "WARNING"},  # aiosmtpd tells every command
            "pgmq": {"level": "WARNING"},
        },
    }
