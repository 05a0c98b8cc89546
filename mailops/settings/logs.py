"""The log, which tells no secret."""

from mailops.lib.logs import logging_of, password_in
from mailops.settings.database import DATABASES
from mailops.settings.environment import (
    CELERY_BROKER_URL,
    MAILOPS_IS_SUPERVISED,
    MAILOPS_LOG,
    MAILOPS_SECRET_KEYS,
    MAILOPS_TOKEN_KEYS,
    SECRET_KEY,
)

_secrets = [
    SECRET_KEY,
    *MAILOPS_SECRET_KEYS,
    *MAILOPS_TOKEN_KEYS.values(),
    DATABASES["default"].get("PASSWORD", ""),
    password_in(CELERY_BROKER_URL),
]
DEFAULT_EXCEPTION_REPORTER_FILTER = "mailops.lib.error_reports.NothingSecret"
LOGGING = logging_of(
    form=MAILOPS_LOG,
    secrets=_secrets,
    # under `make up` all processes write into one log, which dates the lines of all alike
    is_dated=not MAILOPS_IS_SUPERVISED,
)
