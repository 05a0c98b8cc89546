"""The keys that mailops signs with itself, one after another, each overlapping the next."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from mailops.lib.sealed import SealedColumns
from mailops.lib.secrets import Secret

PIECE = 255
STAYS_FOR = timedelta(days=7)  # longer than any queue keeps mail that the old key has signed


@dataclass(frozen=True)
class KeyStep:
    """One step of a key's life, and when it was taken."""

    title: str
    at: datetime | None
    note: str  # what stands there until then
    is_now: bool = False

    @property
    def class_name(self) -> str:
        return "now" if self.is_now else "done" if self.at else "ahead"


class SigningKeyQuerySet(models.QuerySet["SigningKey"]):
    def signing(self) -> Self:
        return self.filter(state=SigningKey.State.SIGNING)

    def waiting(self) -> Self:
        """Keys whose record is to be published, or was and is not signed with yet."""
        return self.filter(state=SigningKey.State.MADE)

    def spent(self) -> Self:
        """Keys that have signed no more for long enough."""
        return self.filter(state=SigningKey.State.RETIRING, retires_at__lte=Now())

    def in_order(self) -> Self:
        """Order by what is in use, then by age."""
        order = models.Case(
            *(models.When(state=state, then=models.Value(n)) for n, state in enumerate(_ORDER))
        )
        return self.annotate(rank=order).order_by("rank", "-created_at", "-pk")


class SigningKey(SealedColumns):
    """A DKIM key of a domain: made here, published by a person, signed with, and retired after the next took over."""

    sealed_columns = ("secret",)

    class Algorithm(models.TextChoices):
        RSA = "rsa", "RSA, 2048 bits"  # what every receiver verifies
        ED25519 = "ed25519", "Ed25519"  # RFC 8463: beside RSA, never alone

    class State(models.TextChoices):
        MADE = "made", "To publish"  # its record is not in DNS yet, or nobody has begun to sign
        SIGNING = "signing", "Signing"  # one of each algorithm at most
        # signs no more; its record stays for the mail that is under way
        RETIRING = "retiring", "Retiring"
        RETIRED = "retired", "Retired"  # the private half is destroyed, the record may go

    domain = models.ForeignKey(
        "domains.Domain", on_delete=models.CASCADE, related_name="signing_keys"
    )
    algorithm = models.CharField(max_length=10, choices=Algorithm.choices)
    selector = models.CharField(max_length=63)
    secret = models.BinaryField(default=b"")  # the private half as PEM, sealed by lib.secrets
    record = models.TextField()  # what is to be published
    state = models.CharField(max_length=10, choices=State.choices, default=State.MADE)
    created_at = models.DateTimeField(db_default=Now())
    asked_at = models.DateTimeField(null=True)  # when DNS was last asked for it
    is_published = models.BooleanField(default=False)  # what DNS told then
    published_at = models.DateTimeField(null=True)  # when it was first seen
    dns_sentence = models.TextField(blank=True)  # why it doesn't count as published
    signs_since_at = models.DateTimeField(null=True)
    retires_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    objects = SigningKeyQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["domain", "selector"], name="signing_selector_once"),
            models.UniqueConstraint(
                fields=["domain", "algorithm"],
                condition=Q(state="signing"),
                name="one_signing_key_an_algorithm",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def host(self) -> str:
        return str(self)

    @property
    def sealed_endpoint(self) -> str:
        return f"dkim:{self.domain_id}:{self.selector}"

    def reveal(self) -> Secret:
        """Return the private half as PEM; raise Unsealable. Asks no database."""
        return self.open_from("secret")

    @property
    def in_pieces(self) -> str:
        """The record as a zone file wants it: strings of 255 octets at most (RFC 1035 section 3.3.14)."""
        pieces = [self.record[i : i + PIECE] for i in range(0, len(self.record), PIECE)]
        return " ".join(f'"{piece}"' for piece in pieces)

    @property
    def is_in_pieces(self) -> bool:
        return len(self.record) > PIECE

    @property
    def is_waiting(self) -> bool:
        return self.state == self.State.MADE

    @property
    def is_signing(self) -> bool:
        return self.state == self.State.SIGNING

    @property
    def is_retiring(self) -> bool:
        return self.state == self.State.RETIRING

    @property
    def is_retired(self) -> bool:
        return self.state == self.State.RETIRED

    @property
    def shown_state(self) -> str:
        return "published" if self.is_waiting and self.is_published else self.state

    @property
    def steps(self) -> list[KeyStep]:
        """Its life so far and what is ahead."""
        state = self.shown_state
        return [
            KeyStep("Made", self.created_at, ""),
            KeyStep(
                "Published",
                self.published_at if self.is_published or not self.is_waiting else None,
                "waits for DNS",
                state == "made",
            ),
            KeyStep("Signing", self.signs_since_at, "not yet", state == "published"),
            KeyStep(
                "Retires" if self.is_retiring else "Retired",
                self.retires_at if self.is_retiring else self.retired_at,
                "when the next one signs",
                self.is_retiring,
            ),
        ]

    @property
    def may_sign(self) -> bool:
        """Tell whether signing with it may begin: a retiring one can be taken back."""
        return self.is_published and (self.is_waiting or self.is_retiring)


_ORDER = (
    SigningKey.State.SIGNING,
    SigningKey.State.MADE,
    SigningKey.State.RETIRING,
    SigningKey.State.RETIRED,
)
