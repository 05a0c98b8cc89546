"""The database, and how it is connected to."""

from typing import Any

from mailops.settings.environment import given_database

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        **given_database,
    }
}
# libpq would wait two minutes for each address of a server that says nothing
_connecting = {"connect_timeout": 10}  # seconds
# nor would the system tell for hours that a server is gone without a word, or that a firewall forgot a quiet connection
_connecting |= {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_connecting |= {"tcp_user_timeout": 60_000}  # milliseconds
DATABASES["default"]["OPTIONS"] = _connecting | DATABASES["default"].get("OPTIONS", {})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
