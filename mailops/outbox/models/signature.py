"""Replies that mean the same: what they have in common, how often they came, and what a person taught of them."""

from typing import ClassVar

from django.db import models

from mailops.outbox.models.standing import EventKind
from mailops.protocol.classification import MEANINGS, Fault, Kind, Reason, Taught
from mailops.protocol.signature import OTHER


class Signature(models.Model):
    """Replies that mean the same; its id is computed from what they have in common (`protocol.signature`).

    Events and messages hold the id by itself, not a foreign key: they have it before this row is made, and where more
    came than are kept, they hold that of `OTHER`.
    """

    class Owner(models.TextChoices):
        NOBODY = "", "Not said"
        SENDING = "sending", "Us: how we send"
        CONTENT = "content", "Us: what we send"
        LISTS = "lists", "Us: whom we send to"
        PROVIDER = "provider", "The mailbox provider"
        RELAY = "relay", "The relay or provider we send through"
        RECIPIENT = "recipient", "The recipient"

    id = models.BigIntegerField(primary_key=True)
    code = models.SmallIntegerField(default=0)  # 0: a report that quotes none
    enhanced_status = models.CharField(max_length=12, blank=True)
    pattern = models.CharField(max_length=300, blank=True)
    example = models.TextField(blank=True)  # the first such reply, as it came
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    n = models.BigIntegerField(default=0)  # ever
    # as `protocol.classification` read the first one
    reason = models.CharField(max_length=40, blank=True)
    kind = models.CharField(max_length=10, blank=True)
    fault = models.CharField(max_length=20, blank=True)
    # what a person said of it
    name = models.CharField(max_length=100, blank=True)
    cause = models.TextField(blank=True)
    fix = models.TextField(blank=True)
    owner = models.CharField(max_length=10, choices=Owner.choices, blank=True)
    taught_reason = models.CharField(max_length=40, blank=True)  # empty: as it was read
    taught_kind = models.CharField(max_length=10, blank=True)  # empty: as the code says
    taught_fault = models.CharField(max_length=20, blank=True)
    # of what was said, so that two who teach at once are told
    revision = models.IntegerField(default=0)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["n", "last_at"], name="signature_by_number"),  # which to let go of
            # the hook of every process
            models.Index(
                fields=["id"], name="signature_taught", condition=~models.Q(taught_reason="")
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_other(self) -> bool:
        return self.id == OTHER

    @property
    def is_taught(self) -> bool:
        return bool(self.taught_reason)

    @property
    def title(self) -> str:
        if self.is_other:
            return "All other replies"
        return self.name or self.said

    @property
    def said(self) -> str:
        """What its replies have in common, as one line."""
        parts = (str(self.code) if self.code else "", self.enhanced_status, self.pattern)
        return " ".join(part for part in parts if part) or "A reply without words"

    @property
    def meant_reason(self) -> str:
        return self.taught_reason or self.reason

    @property
    def meant_kind(self) -> str:
        return self.taught_kind or self.kind

    @property
    def meant_fault(self) -> str:
        return self.taught_fault or self.fault

    @property
    def meant_cause(self) -> str:
        known = self.meant_reason in set(Reason)
        return self.cause or (MEANINGS[Reason(self.meant_reason)].sentence if known else "")

    @property
    def meant_fix(self) -> str:
        known = self.meant_reason in set(Reason)
        return self.fix or (MEANINGS[Reason(self.meant_reason)].fix if known else "")

    @property
    def owner_words(self) -> str:
        owner = self.owner or OWNER_OF_FAULT.get(self.meant_fault, "")
        return str(Signature.Owner(owner).label)

    @property
    def taught(self) -> Taught | None:
        """What a person said that its replies mean, as `protocol` takes it."""
        if not self.is_taught:
            return None
        return Taught(
            reason=Reason(self.taught_reason),
            fault=Fault(self.taught_fault),
            kind=Kind(self.taught_kind) if self.taught_kind else None,
            sentence=self.cause,
            fix=self.fix,
        )


# Whose business a fault is, where nobody said otherwise.
OWNER_OF_FAULT: dict[str, str] = {
    Fault.RECIPIENT: Signature.Owner.LISTS,
    Fault.MESSAGE: Signature.Owner.CONTENT,
    Fault.AUTHENTICATION: Signature.Owner.SENDING,
    Fault.REPUTATION: Signature.Owner.SENDING,
    Fault.SETUP: Signature.Owner.SENDING,
    Fault.OUTAGE: Signature.Owner.PROVIDER,
}


class SightingKey(models.Model):
    """Where and when a reply of a signature came; what is not kept and what is folded share it."""

    KEY: ClassVar = [
        "signature_id",
        "bucket_at",
        "kind",
        "stream_id",
        "campaign_id",
        "transport_id",
        "mailbox_provider",
    ]

    signature_id = models.BigIntegerField()
    bucket_at = models.DateTimeField()  # the quarter hour in which it came
    kind = models.CharField(max_length=15, choices=EventKind.choices)
    stream_id = models.BigIntegerField()
    campaign_id = models.BigIntegerField(null=True)
    transport_id = models.BigIntegerField(null=True)
    mailbox_provider = models.CharField(max_length=100, blank=True)
    n = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        abstract = True


class Sighting(SightingKey):
    """Replies of one transaction, written with their events; folded into counts and deleted."""


class SignatureCount(SightingKey):
    """How often replies of a signature came, of a quarter hour and place."""

    class Meta:
        # its index serves one signature's page
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=SightingKey.KEY, nulls_distinct=False, name="signature_count_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["bucket_at"], name="signature_count_by_time")  # the list
        ]
