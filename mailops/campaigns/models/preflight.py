"""What a rehearsal of a campaign found."""

from typing import ClassVar

from django.db import models

from mailops.campaigns.models.campaign import Campaign
from mailops.lib.chunked_work import ChunkedWork


class Preflight(ChunkedWork):
    """A rehearsal of a campaign over its whole audience: what would be sent, and what would go wrong.

    It speaks of one version, one state of the audience, one stream, one sender and one time; when one of them changes it is stale.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="preflights")

    # what it speaks of
    version = models.ForeignKey(
        "content.TemplateVersion", on_delete=models.CASCADE, related_name="+"
    )
    audience = models.ForeignKey("audiences.Audience", on_delete=models.CASCADE, related_name="+")
    audience_revision = models.PositiveBigIntegerField()
    stream = models.ForeignKey("transports.Stream", on_delete=models.CASCADE, related_name="+")
    identity = models.ForeignKey("domains.Identity", on_delete=models.CASCADE, related_name="+")

    # memberships are read once, by id: `cursor` is that of the last, and this is where it ends
    end = models.BigIntegerField(default=0)

    # what it found: members is the sum of the four below it
    total = models.PositiveBigIntegerField(default=0)  # members at the beginning
    members = models.PositiveBigIntegerField(default=0)
    sendable = models.PositiveBigIntegerField(default=0)
    suppressed = models.PositiveBigIntegerField(default=0)
    invalid = models.PositiveBigIntegerField(default=0)
    unrenderable = models.PositiveBigIntegerField(default=0)
    zones = models.JSONField(default=dict)  # time zone, "" where unknown → sendable members
    errors = models.JSONField(default=dict)  # sentence → {"members": 3, "examples": [address, …]}
    missing = models.JSONField(default=dict)  # variable → the same

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="preflight_accounts_for_every_member",
                condition=models.Q(
                    members=models.F("sendable")
                    + models.F("suppressed")
                    + models.F("invalid")
                    + models.F("unrenderable")
                ),
            )
        ]
        indexes: ClassVar = [
            # the campaign's page and the gate
            models.Index(fields=["campaign", "-id"], name="preflight_latest"),
        ]

    @property
    def reaches_anyone(self) -> bool:
        """Tell whether there is anything to send: without, no reason makes a launch possible."""
        return self.sendable > 0
