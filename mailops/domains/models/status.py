"""How well a check or a whole domain stands."""

from datetime import timedelta

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

# What judges by the findings of the other checks: mending those mends it.
JUDGES_OTHERS = ("alignment", "bulk_senders")

LISTS = "dnsbl"  # of senders of spam

# what lists, web servers and others' name servers won't tell us says nothing of the domain; nor do name servers
# of ours that leave out signatures
NOT_OURS_TO_KNOW = (LISTS, "mta_sts", "authority", "dnssec")
UNANSWERED = timedelta(hours=1)  # a name server's moment is shorter

BY_SCHEDULE = "schedule"
