"""The policy unit and the ways out it may use."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random, SystemRandom
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from mailops.accounts.meanwhile import mark_of_fields
from mailops.transports.models.hours import KeepsHours, hours_are_whole
from mailops.transports.models.pausing import Pausable, RunState
from mailops.transports.models.transport import Transport

_RANDOM = SystemRandom()
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class Patience:
    """When to try again, and when to give up."""

    backoff_seconds: tuple[int, ...]
    expiry_seconds: int


PATIENCE: dict[str, Patience] = {
    "transactional": Patience((5, 30, 2 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR), 4 * _HOUR),
    "bulk": Patience(
        (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR), 72 * _HOUR
    ),
    # quick to try again, so that one sees it; as slow to give up as anyone
    "demo": Patience((1, 2, 5, _MINUTE, 5 * _MINUTE, 15 * _MINUTE), 4 * _HOUR),
}

# What is kept of a transport's limits for a stream that says nothing of it: password resets overtake newsletters.
RESERVED = {"transactional": 30, "bulk": 0}


class StreamQuerySet(models.QuerySet["Stream"]):
    def running(self) -> Self:
        return self.filter(state=RunState.RUNNING)

    def using_transport(self, transport: Transport) -> Self:
        """Keep the streams that may send through `transport`, first route or not."""
        return self.filter(routes__transport=transport).distinct()

    def carried_by(self, transport: Transport) -> Self:
        """Keep the streams whose mail goes through `transport` now: it is their first route, or has a share."""
        routes = Route.objects.filter(stream=models.OuterRef("pk")).order_by("position")
        first = models.Subquery(routes.values("transport")[:1])
        has_share = Q(routing=Stream.Routing.WEIGHT, routes__transport=transport)
        carried = self.annotate(first_transport=first)
        return carried.filter(has_share | Q(first_transport=transport.pk)).distinct()

    def broken_first(self) -> Self:
        """Order by what needs somebody: paused, then by name."""
        return self.annotate(is_stopped=Q(state=RunState.PAUSED)).order_by("-is_stopped", "name")


class Stream(KeepsHours, Pausable):
    """The policy unit: what kind of mail, from which domain, through which transports, with what patience.

    Its hours are what its campaigns keep that have none of their own; single messages leave at any time.
    """

    class Kind(models.TextChoices):
        TRANSACTIONAL = "transactional", "Transactional"  # one person waits for it
        BULK = "bulk", "Bulk"  # many get it; unsubscribe is a must

    class Guarantee(models.TextChoices):
        LEAVE = "leave", "Leave uncertain"  # count it, show it, never send again by itself
        RESEND = "resend", "Send again, once"  # same Message-ID
        ASK = "ask", "Ask a person"  # held

    class Routing(models.TextChoices):
        ORDER = "order", "In order"  # the first carries the mail, the others stand by
        WEIGHT = "weight", "By weight"  # each carries its share; who can't leaves it to the others

    # what its form changes, beside its ways out
    POLICY = (
        "name",
        "kind",
        "environment",
        "routing",
        "domain_id",
        "owner_id",
        "guarantee",
        "counts_opens",
        "counts_clicks",
        "tracks_opens",
        "tracks_clicks",
        "backoff_seconds",
        "expiry_seconds",
        "rate_per_minute",
        "reserved_percent",
        "is_sensitive",
    )

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=15, choices=Kind.choices, default=Kind.BULK)
    domain = models.ForeignKey("domains.Domain", on_delete=models.PROTECT, related_name="streams")
    # who answers for its bounces and complaints
    owner = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # only transports of the same one carry its mail
    environment = models.CharField(
        max_length=12,
        choices=Transport.Environment.choices,
        default=Transport.Environment.PRODUCTION,
    )
    routing = models.CharField(max_length=10, choices=Routing.choices, default=Routing.ORDER)
    guarantee = models.CharField(max_length=10, choices=Guarantee.choices, default=Guarantee.LEAVE)
    # the last one repeats
    backoff_seconds = ArrayField(models.PositiveIntegerField(), default=list)
    expiry_seconds = models.PositiveIntegerField(default=72 * 3600)
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    # of its transports' limits; null: what RESERVED says of its kind
    reserved_percent = models.PositiveSmallIntegerField(null=True, blank=True)
    is_sensitive = models.BooleanField(default=False)  # stores and shows no body
    # what its providers tell of people is only kept where somebody decided so
    counts_opens = models.BooleanField(default=False)
    counts_clicks = models.BooleanField(default=False)
    # a picture and links of our own in the HTML part
    tracks_opens = models.BooleanField(default=False, db_default=False)
    tracks_clicks = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StreamQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = hours_are_whole("stream")

    def __str__(self) -> str:
        return self.name

    @classmethod
    def preset(cls, name: str) -> "Stream":
        """Return an unsaved stream with the policy that fits `name`, a key of PATIENCE."""
        kind = cls.Kind.TRANSACTIONAL if name == "transactional" else cls.Kind.BULK
        awaited = name == "transactional"
        return cls(
            kind=kind,
            guarantee=cls.Guarantee.RESEND if awaited else cls.Guarantee.LEAVE,
            backoff_seconds=list(PATIENCE[name].backoff_seconds),
            expiry_seconds=PATIENCE[name].expiry_seconds,
            is_sensitive=awaited,
        )

    @property
    def transport(self) -> Transport | None:
        """The way out that carries the mail: the first route's; None where no route is set."""
        route = self.routes.select_related("transport").order_by("position").first()
        return route.transport if route else None

    @property
    def mark(self) -> str:
        """What tells its present policy and ways out from others."""
        routes = self.routes.order_by("position")
        return self.mark_with(list(routes.values_list("transport_id", "weight")))

    def mark_with(self, ways: Sequence[tuple[int, int]]) -> str:
        """Return what its mark would be with these ways out: of each the id of its transport, and its weight."""
        return mark_of_fields(self, self.POLICY, list(ways))

    def backoff_after(
        self, attempts: int, *, retry_after: int = 0, random: Random = _RANDOM
    ) -> timedelta:
        """Return how long to wait after `attempts` tries: full jitter over the row's step, at least a second.

        A longer `retry_after` from the peer, in seconds, wins.
        """
        steps = self.backoff_seconds or PATIENCE[self.kind].backoff_seconds
        step = steps[min(max(attempts, 1), len(steps)) - 1]
        return timedelta(seconds=max(random.uniform(1, step), retry_after))

    @property
    def reserved(self) -> int:
        """The percentage of its transports' limits that no other stream may use."""
        return RESERVED[self.kind] if self.reserved_percent is None else self.reserved_percent

    @property
    def is_weighted(self) -> bool:
        return self.routing == self.Routing.WEIGHT

    @property
    def looks_in_words(self) -> str:
        """What is kept of people who look at its mail, and who tells."""
        told = {
            "opens, as providers tell of them": self.counts_opens,
            "opens, by a picture of our own": self.tracks_opens,
            "clicks, as providers tell of them": self.counts_clicks,
            "clicks, by links through mailops": self.tracks_clicks,
        }
        return "; ".join(words for words, is_on in told.items() if is_on) or "not kept"

    @property
    def keeps_looks(self) -> bool:
        """Whether opens or clicks are kept, whoever tells of them."""
        return self.counts_opens or self.tracks_opens or self.counts_clicks or self.tracks_clicks

    @property
    def is_bulk(self) -> bool:
        return self.kind == self.Kind.BULK


class Route(models.Model):
    """One transport a stream may use: in order the first carries the mail, by weight each its share."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="routes")
    transport = models.ForeignKey(Transport, on_delete=models.PROTECT, related_name="routes")
    position = models.PositiveSmallIntegerField(default=0)
    weight = models.PositiveSmallIntegerField(default=1)  # its share, where the stream routes so

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "transport"], name="route_transport_once"),
            models.UniqueConstraint(
                fields=["stream", "position"],
                name="route_position_once",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]

    @property
    def is_foreign(self) -> bool:
        """Whether its transport is of another environment than its stream, and so carries nothing of it."""
        return self.transport.environment != self.stream.environment
