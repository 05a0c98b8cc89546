from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from mailops.domains.checking import check_domain
from mailops.domains.demo_zones import DEMO_INCLUDE
from mailops.incidents.models import Threshold
from mailops.sandbox.storing import store
from mailops.transports.models import Route
from tests.domains.zones import KEY_RECORD, asks, dns, dns_server, good  # noqa: F401 - fixtures
from tests.factories import (
    make_audience,
    make_campaign,
    make_domain,
    make_identity,
    make_stream,
    make_transport,
    make_version,
)
from tests.sandbox.conftest import receiver

HTML = '<p>Hello {{ first_name }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a>'
TEXT = "Hello {{ first_name }}\n{{ unsubscribe_url }}"


@pytest.fixture
def inbox(transactional_db, settings):
    """A real receiver that stores; the address is in the settings, and it may be spoken to without TLS."""
    with ExitStack() as stack:
        port = stack.enter_context(receiver(store=partial(store, reaction_delay=timedelta(0))))
        settings.MAILOPS_SANDBOX_LISTENER = f"127.0.0.1:{port}"
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})
        yield port


@pytest.fixture
def acme(good, db):  # noqa: F811
    domain = make_domain(name="acme.example")
    domain.requirements.create(kind="spf_include", value=DEMO_INCLUDE, needed_by="x")
    domain.requirements.create(kind="dkim_selector", host="s1", value=KEY_RECORD, needed_by="x")
    check_domain(domain)
    return domain


@pytest.fixture
def version():
    first = make_version(number=1)
    return make_version(
        template=first.template, number=2, html=HTML, text=TEXT, sample={"first_name": "Ada"}
    )


@pytest.fixture
def stream(inbox, acme, version, operator):
    """A bulk stream as it should be, but for what only people and feedback can give."""
    transports = [make_transport(host="127.0.0.1", port=inbox) for _ in range(2)]
    stream = make_stream(name="Letters", domain=acme, transport=transports[0], owner=operator)
    Route.objects.create(stream=stream, transport=transports[1], position=1)
    make_campaign(
        name="Spring",
        stream=stream,
        version=version,
        identity=make_identity(domain=acme),
        audience=make_audience("ada@googly.example"),
    )
    return stream


@pytest.fixture
def unwatched(stream):
    """No alarm is on."""
    Threshold.objects.all().delete()


@pytest.fixture
def watched(stream):
    """Alarms on bounces and complaints are on."""
    for measure in ("bounces", "complaints"):
        Threshold.objects.update_or_create(
            measure=measure, subject_kind="stream", defaults={"is_enabled": True, "act": 5}
        )


@pytest.fixture
def heard(stream):
    """Feedback on the stream came back just now."""
    from mailops.outbox.models import Tally

    Tally.objects.create(
        bucket_at=timezone.now(),
        measure="event",
        kind="returned",
        stream_id=stream.pk,
        domain_id=stream.domain_id,
        n=1,
    )


@pytest.fixture(autouse=True)
def no_hint(monkeypatch):
    """Leave the broker alone: the hint is only sooner, and its connections would outlive the test database."""
    monkeypatch.setattr("mailops.rollouts.launching._hint", lambda: None)
