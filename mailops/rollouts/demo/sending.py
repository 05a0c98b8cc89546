"""The demo's ways out: domains good and broken, two transports to the sandbox, two streams, their senders."""

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.domains.demo_zones import DEMO_INCLUDE, DEMO_SELECTOR
from mailops.domains.models import Domain, Identity, SigningKey
from mailops.domains.signing_keys import make_key
from mailops.lib.env import host_and_port
from mailops.reports.objectives import promise
from mailops.transports.configuring import add_transport, save_stream
from mailops.transports.models import Stream, Transport
from mailops.transports.models.stream import PATIENCE


@dataclass(frozen=True)
class Sending:
    transport: Transport
    news: Stream
    orders: Stream
    news_sender: Identity
    orders_sender: Identity


def set_up_sending(*, actor: User) -> Sending:
    acme, news_domain, shop = (
        Domain.objects.create(name=name, owner=actor)
        for name in ("acme.example", "news.acme.example", "shop.demo.example")
    )
    for domain in (acme, news_domain):
        _sign(domain, actor)
    transport, standby = (_add_transport(name, actor) for name in ("Sandbox", "Sandbox, standby"))
    news = _add_stream("Letters", Stream.Kind.BULK, news_domain, [transport, standby], actor)
    orders = _add_stream("Orders", Stream.Kind.TRANSACTIONAL, acme, [transport, standby], actor)
    promise(stream=orders, percent=Decimal(99), seconds=60, actor=actor)
    Identity.objects.create(domain=shop, name="Acme shop", local_part="shop")
    return Sending(
        transport=transport,
        news=news,
        orders=orders,
        news_sender=Identity.objects.create(
            domain=news_domain, name="Acme", local_part="letter", reply_to="hello@acme.example"
        ),
        orders_sender=Identity.objects.create(domain=acme, name="Acme orders", local_part="orders"),
    )


def _add_transport(name: str, actor: User) -> Transport:
    host, port = host_and_port(settings.MAILOPS_SANDBOX_LISTENER)
    transport = Transport(
        name=name,
        host=host,
        port=port,
        security=Transport.Security.NONE,  # a trusted relay on this machine
        options={"spf_include": DEMO_INCLUDE},
    )
    add_transport(transport=transport, actor=actor)
    return transport


def _sign(domain: Domain, actor: User) -> None:
    """Let mail of `domain` be signed; the demo's name server, which isn't up yet, shows the key from its first answer."""
    key = make_key(domain=domain, algorithm="rsa", selector=DEMO_SELECTOR, actor=actor)
    now = timezone.now()
    SigningKey.objects.filter(pk=key.pk).update(
        state=SigningKey.State.SIGNING,
        is_published=True,
        asked_at=now,
        published_at=now,
        signs_since_at=now,
    )
    audit(actor=actor, verb="signing_key.sign", subject=key, after={"selector": key.selector})


def _add_stream(
    name: str, kind: str, domain: Domain, transports: list[Transport], actor: User
) -> Stream:
    patience = PATIENCE["demo"]
    stream = Stream(
        name=name,
        kind=kind,
        domain=domain,
        owner=actor,
        backoff_seconds=list(patience.backoff_seconds),
        expiry_seconds=patience.expiry_seconds,
    )
    save_stream(stream=stream, transports=transports, actor=actor)
    return stream
