"""How well a check or a whole domain stands."""

from django.db import models


class CheckStatus(models.TextChoices):
    UNKNOWN = "unknown", "Not known"  # never checked, or DNS could not be asked
    OK = "ok", "OK"  # alignment holds
    WARNING = "warning", "Warning"  # works, but a receiver may mind
    ERROR = "error", "Broken"  # mail from this domain fails authentication


SEVERITY = {
    CheckStatus.OK: 0,
    CheckStatus.UNKNOWN: 1,
    CheckStatus.WARNING: 2,
    CheckStatus.ERROR: 3,
}

# What receivers authenticate by: broken for long, it costs the domain its name.
BREAKS_BULK = r"^(alignment|spf|dkim|dmarc)(:|$)"

BY_SCHEDULE = "schedule"
