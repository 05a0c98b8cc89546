"""Two weeks that never were: messages of the past, told through the same `record()` as those of today."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

from mailops.accounts.models import User
from mailops.audiences.models import Audience, Contact
from mailops.campaigns.models import Campaign
from mailops.content.models import TemplateVersion
from mailops.domains.models import Identity
from mailops.outbox.ledger import bucket_of, fetch_first, status_key, write_tallies
from mailops.outbox.models import EventKind, Message, QueueEntry, Status
from mailops.outbox.recording import Outcome, record
from mailops.outbox.tokens import current_token_key_id
from mailops.protocol.classification import Reason, classify
from mailops.protocol.reply import Reply
from mailops.rollouts.demo.people import is_simulated, provider_of_mailbox
from mailops.rollouts.demo.sending import Sending
from mailops.suppressions.models import Suppression
from mailops.transports.models import Stream

Person = tuple[str, str, dict[str, Any]]  # address, its key, attributes
BATCH = 500
SECONDS_A_MESSAGE = 0.05
OK = Reply(250, "2.0.0 Queued", "2.0.0", "DATA")
GREYLISTED = Reply(451, "4.7.1 Greylisted, please try again", "4.7.1", "RCPT")
FULL = Reply(552, "5.2.2 Mailbox full", "5.2.2", "RCPT")
# How each provider says that it has no such mailbox, and refuses a sender: no two of its replies are the same text.
NO_MAILBOX = {
    "gmail": "5.1.1 The account that you tried to reach does not exist. See https://support.googly.example/?p=NoSuchUser {id} - gsmtp",
    "outlook": "5.1.10 Recipient not found: <{recipient}>. [{id}.prod.outlooky.example {time}]",
    "yahoo": "5.1.1 This user doesn't have an account here ({recipient}) [0]; id={id}",
    "": "5.1.1 <{recipient}>: Recipient address rejected: User unknown in virtual mailbox table",
}
BLOCKED = {
    "yahoo": "5.7.1 [TSS09] Message refused by local policy; see https://postmaster.yahooish.example/tss09?id={id}",
    "outlook": "5.7.1 Message refused by policy (Q7712). [{id}.prod.outlooky.example {time}]",
}


@dataclass(frozen=True, kw_only=True)
class Past:
    """A campaign of the past and what became of it, in shares of its messages."""

    name: str
    days_ago: int
    hour: int
    version: int  # 0: the older one
    readers: float  # of today's ordinary members
    bounced: float = 0.009
    blocked_at: str = ""  # a provider that refused much of it
    blocked: float = 0.4  # how much
    shares: dict[EventKind, float] = field(
        default_factory=lambda: {
            EventKind.DEFERRED: 0.02,
            EventKind.RETURNED: 0.003,
            EventKind.COMPLAINED: 0.00015,  # below what opens an incident
            EventKind.UNSUBSCRIBED: 0.004,
        }
    )


CAMPAIGNS = (
    Past(name="Letter: the new bench planes", days_ago=13, hour=8, version=0, readers=0.8),
    Past(name="Workshop in Lisbon", days_ago=12, hour=15, version=0, readers=0.1),
    Past(name="Letter: paper week", days_ago=10, hour=9, version=0, readers=0.86),
    Past(name="Workshop in Oslo", days_ago=8, hour=16, version=0, readers=0.14, bounced=0.02),
    Past(
        name="Letter: light, reconsidered",
        days_ago=6,
        hour=8,
        version=0,
        readers=0.93,
        blocked_at="yahoo",
    ),
    Past(name="Workshop in Graz", days_ago=4, hour=14, version=1, readers=0.12),
    Past(name="Letter: mended, not replaced", days_ago=3, hour=10, version=1, readers=0.97),
    Past(
        name="Workshop in Porto",
        days_ago=1,
        hour=11,
        version=1,
        readers=0.1,
        blocked_at="outlook",
        blocked=0.9,
    ),
)
ORDERS_A_DAY = 36


class Ledger:
    """Writes messages of the past and what happened to them, a batch a transaction."""

    def __init__(
        self, *, stream: Stream, identity: Identity, version: TemplateVersion, transport_id: int
    ) -> None:
        self.stream, self.identity, self.version = stream, identity, version
        self.transport_id = transport_id
        self.key_id = current_token_key_id()

    def write(
        self,
        people: Sequence[Person],
        times: Sequence[datetime],
        campaign: Campaign | None,
    ) -> list[Message]:
        """Insert queued messages as of `times`, each with the entry of a claim that nobody else can make."""
        made = Message.objects.bulk_create(
            Message(
                public_id=uuid4(),  # the database's default would be an expression in every row
                recipient=address,
                address_key=key,
                stream=self.stream,
                campaign=campaign,
                identity=self.identity,
                version=self.version,
                merge_data=data,
                token_key_id=self.key_id,
                mailbox_provider=provider_of_mailbox(key),
                created_at=at,
            )
            for (address, key, data), at in zip(people, times, strict=True)
        )
        fences = fetch_first(
            "SELECT nextval('outbox_fence') FROM generate_series(1, %s)", [len(made)]
        )
        QueueEntry.objects.bulk_create(
            QueueEntry(
                message=message,
                lane=self.stream.kind,
                stream=self.stream,
                campaign=campaign,
                address_key=message.address_key,
                mailbox_provider=message.mailbox_provider,
                due_at=at,
                owed_at=at,
                expires_at=at + timedelta(seconds=self.stream.expiry_seconds),
                fence=fence,
                worker_id=0,  # nobody's: it is settled in this very transaction
            )
            for message, at, fence in zip(made, times, fences, strict=True)
        )
        self._count(made, times, campaign)
        for message, fence in zip(made, fences, strict=True):
            message.settling_fence = fence  # in memory only, for the outcomes
        return made

    def _count(
        self, made: Sequence[Message], times: Sequence[datetime], campaign: Campaign | None
    ) -> None:
        columns = {
            "stream_id": self.stream.pk,
            "campaign_id": campaign.pk if campaign else None,
            "domain_id": self.identity.domain_id,
            "version_id": self.version.pk,
        }
        write_tallies(
            Counter(
                status_key(columns, bucket_of(at), Status.QUEUED)
                for _, at in zip(made, times, strict=True)
            )
        )

    def outcome(
        self, message: Message, kind: EventKind, at: datetime, reply: Reply | None = None
    ) -> Outcome:
        details: dict[str, Any] = {}
        if reply is not None and not reply.is_positive:
            phase = "returned" if kind == EventKind.RETURNED else reply.command.lower()
            meaning = classify(reply, phase)
            details = {
                "reason": meaning.reason,
                "fault": meaning.fault,
                "sentence": meaning.sentence,
            }
        return Outcome(
            message_id=message.pk,
            kind=kind,
            source="demo",
            external_id=f"{message.pk}:{kind}",
            occurred_at=at,
            fence=message.settling_fence,
            reply=reply,
            transport_id=self.transport_id,
            **details,
        )


def tell_campaign(
    past: Past,
    *,
    audience: Audience,
    sending: Sending,
    versions: Sequence[TemplateVersion],
    actor: User,
    now: datetime,
) -> Campaign:
    """Tell one campaign of the past from its launch to its balance."""
    start = (now - timedelta(days=past.days_ago)).replace(
        hour=past.hour, minute=2, second=0, microsecond=0
    )
    readers = _readers(audience, past.readers)
    campaign = Campaign.objects.create(
        name=past.name,
        stream=sending.news,
        identity=sending.news_sender,
        version=versions[past.version],
        audience=audience,
        state=Campaign.State.COMPLETED,
        started_at=start,
        finished_at=start + timedelta(seconds=SECONDS_A_MESSAGE * len(readers) + 95),
        expanded_at=start + timedelta(seconds=2),
        planned=len(readers),
        created_by=actor,
    )
    Campaign.objects.filter(pk=campaign.pk).update(created_at=start - timedelta(hours=3))
    _tell_mail(past, campaign, readers, sending, start)
    return campaign


def _readers(audience: Audience, share: float) -> list[Person]:
    """Return the first people of an audience, so large a part of it, without simulated mailboxes."""
    members = Contact.objects.filter(memberships__audience=audience).order_by("pk")
    readers = [
        (address, key, data)
        for address, key, data in members.values_list("address", "address_key", "attributes")
        if not is_simulated(address)
    ]
    return readers[: int(len(readers) * share)]


def _tell_mail(
    past: Past, campaign: Campaign, readers: Sequence[Person], sending: Sending, start: datetime
) -> None:
    """Tell what became of each reader's mail, a batch a transaction."""
    random = Random(past.name)  # noqa: S311 - the same past every time
    ledger = Ledger(
        stream=sending.news,
        identity=sending.news_sender,
        version=campaign.version,
        transport_id=sending.transport.pk,
    )
    for first in range(0, len(readers), BATCH):
        batch = readers[first : first + BATCH]
        messages = ledger.write(batch, [start] * len(batch), campaign)
        gone = set(
            Suppression.objects.filter(
                address_key__in=[key for _, key, _ in batch], created_at__lt=start
            ).values_list("address_key", flat=True)
        )
        outcomes: list[Outcome] = []
        for number, message in enumerate(messages, first):
            at = start + timedelta(seconds=5 + SECONDS_A_MESSAGE * number)
            if message.address_key in gone:
                outcomes.append(ledger.outcome(message, EventKind.SUPPRESSED, at))
            else:
                outcomes.extend(_fate(past, ledger, message, at, random))
        record(outcomes)
        _suppress(outcomes, messages, sending.news)


def _fate(
    past: Past, ledger: Ledger, message: Message, at: datetime, random: Random
) -> Iterator[Outcome]:
    """Yield what happened to one message of a campaign."""
    if message.mailbox_provider == past.blocked_at and random.random() < past.blocked:
        refusal = _said(BLOCKED[past.blocked_at], message, at, random, status="5.7.1")
        yield ledger.outcome(message, EventKind.BOUNCED, at, refusal)
        return
    if random.random() < past.bounced:
        no_mailbox = _no_mailbox(message, at, random)
        reply = FULL if random.random() < 0.2 else no_mailbox
        yield ledger.outcome(message, EventKind.BOUNCED, at, reply)
        return
    if random.random() < past.shares[EventKind.DEFERRED]:
        yield ledger.outcome(message, EventKind.DEFERRED, at, GREYLISTED)
        at += timedelta(seconds=random.uniform(1, 40))
    yield ledger.outcome(message, EventKind.ACCEPTED, at, OK)
    if random.random() < past.shares[EventKind.RETURNED]:
        later = at + timedelta(minutes=random.uniform(1, 30))
        no_mailbox = _no_mailbox(message, later, random)
        yield ledger.outcome(message, EventKind.RETURNED, later, no_mailbox)
    for kind in (EventKind.COMPLAINED, EventKind.UNSUBSCRIBED):
        if random.random() < past.shares[kind]:
            yield ledger.outcome(
                message, kind, at + timedelta(minutes=random.expovariate(1 / 240) + 3)
            )


def _no_mailbox(message: Message, at: datetime, random: Random) -> Reply:
    """Return how the provider of a message says that there is no such mailbox."""
    text = NO_MAILBOX.get(message.mailbox_provider, NO_MAILBOX[""])
    return _said(text, message, at, random, status=text.partition(" ")[0])


def _said(text: str, message: Message, at: datetime, random: Random, *, status: str) -> Reply:
    filled = text.format(
        id=f"{random.getrandbits(48):012x}",
        recipient=message.recipient,
        time=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    )
    return Reply(550, filled, status, "RCPT")


_SUPPRESSING = {
    EventKind.COMPLAINED: (Suppression.Reason.COMPLAINT, "Reported a letter as spam."),
    EventKind.UNSUBSCRIBED: (Suppression.Reason.UNSUBSCRIBE, "Used the link in a letter."),
}


def _suppress(outcomes: Sequence[Outcome], messages: Sequence[Message], stream: Stream) -> None:
    """Suppress whom the mail of the past lost, as of then."""
    by_id = {message.pk: message for message in messages}
    for outcome in outcomes:
        reason, text = _SUPPRESSING.get(outcome.kind, ("", ""))
        if outcome.reason == Reason.UNKNOWN_MAILBOX:
            reason, text = Suppression.Reason.HARD_BOUNCE, str(outcome.reply)
        if not reason:
            continue
        message = by_id[outcome.message_id]
        is_own_wish = reason == Suppression.Reason.UNSUBSCRIBE
        entry, is_new = Suppression.objects.get_or_create(
            address_key=message.address_key,
            stream=stream if is_own_wish else None,
            defaults={"address": message.recipient, "reason": reason, "evidence_text": text},
        )
        if is_new:
            Suppression.objects.filter(pk=entry.pk).update(created_at=outcome.occurred_at)


def tell_orders(
    *, audience: Audience, sending: Sending, versions: Sequence[TemplateVersion], now: datetime
) -> None:
    """Tell two weeks of single messages, each to one person who waited for it."""
    random = Random("orders")  # noqa: S311 - the same past every time
    customers = list(
        Contact.objects.filter(memberships__audience=audience, attributes__plan="pro")
        .order_by("pk")
        .values_list("address", "address_key", "attributes__first_name")
    )
    customers = [customer for customer in customers if not is_simulated(customer[0])]
    for days_ago in range(14, 0, -1):
        version = versions[1 if days_ago < 9 else 0]
        ledger = Ledger(
            stream=sending.orders,
            identity=sending.orders_sender,
            version=version,
            transport_id=sending.transport.pk,
        )
        day = (now - timedelta(days=days_ago)).replace(hour=0, minute=0, second=0, microsecond=0)
        times = sorted(
            day + timedelta(minutes=random.triangular(0, 1439, 840)) for _ in range(ORDERS_A_DAY)
        )
        people = [
            (address, key, _order(name, number, days_ago, random))
            for number, (address, key, name) in enumerate(random.sample(customers, ORDERS_A_DAY), 1)
        ]
        messages = ledger.write(people, times, None)
        outcomes: list[Outcome] = []
        for message, at in zip(messages, times, strict=True):
            if random.random() < 0.015:
                outcomes.append(ledger.outcome(message, EventKind.BOUNCED, at, FULL))
                continue
            took = random.triangular(0.4, 9, 1.2)
            if random.random() < 0.03:
                outcomes.append(ledger.outcome(message, EventKind.DEFERRED, at, GREYLISTED))
                took += random.triangular(20, 60)
            accepted_at = at + timedelta(seconds=took)
            outcomes.append(ledger.outcome(message, EventKind.ACCEPTED, accepted_at, OK))
        record(outcomes)


WARES = (
    ("Bench plane, no. 4", 74),
    ("Linseed oil, half a liter", 11.5),
    ("Washi, ten sheets", 18),
    ("Desk lamp, brass", 129),
)


def _order(name: str, number: int, days_ago: int, random: Random) -> dict[str, Any]:
    wares = random.sample(WARES, random.randint(1, 3))
    counts = [random.randint(1, 3) for _ in wares]
    return {
        "first_name": name,
        "order_number": f"A-{20_000 - days_ago * 100 + number}",
        "items": [
            {"count": count, "name": ware, "price": f"{price * count:.2f}"}
            for count, (ware, price) in zip(counts, wares, strict=True)
        ],
        "total": f"{sum(price * count for count, (_, price) in zip(counts, wares, strict=True)):.2f}",
    }
