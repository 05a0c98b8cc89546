"""A password that was changed elsewhere, end to end: a real Postfix with a real Dovecot refuses the log-in."""

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.dispatch.delivery import Delivery
from mailops.lib.secrets import Secret
from mailops.outbox.models import Event, Message, QueueEntry
from mailops.transports.credentials import add_credential
from mailops.transports.models import Transport
from tests.dispatch.test_delivery import deliver
from tests.dispatch.test_stopping import assert_nobody_paid, no_heart, queue  # noqa: F401 - a fixture
from tests.factories import make_campaign, make_stream, make_transport
from tests.postfix import Postfix
from tests.sasl import Passwords
from tests.smtp_server import CertificateAuthority

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("postfix"),
    pytest.mark.needs("dovecot"),
]


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    """A relay that takes mail only from who logs in over TLS; `authority` is what to trust."""
    authority = CertificateAuthority(tmp_path_factory.mktemp("relay"))
    authority.server_context()
    pair = str(authority.folder / "127.0.0.1-90.pem")
    who = "permit_sasl_authenticated, reject"
    with (
        Passwords({"mailops": "the new one"}) as passwords,
        Postfix(
            next_hop=9,
            smtpd_sasl_auth_enable="yes",
            smtpd_sasl_type="dovecot",
            smtpd_sasl_path=str(passwords.socket),
            smtpd_tls_security_level="may",
            smtpd_tls_auth_only="yes",
            smtpd_tls_cert_file=pair,
            smtpd_tls_key_file=pair,
            smtpd_relay_restrictions=who,
            smtpd_recipient_restrictions=who,
        ) as postfix,
    ):
        postfix.authority = authority.file
        yield postfix


@pytest.fixture
def campaign(relay, settings):
    settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", relay.port)})
    settings.MAILOPS_EXTRA_CA_FILE = relay.authority
    transport = make_transport(port=relay.port, security="starttls", max_sessions=2)
    add_credential(
        transport=transport,
        label="old",
        username="mailops",
        secret=Secret("the old one"),
        actor=None,
    )
    campaign = make_campaign(
        stream=make_stream(transport=transport),
        state=Campaign.State.RUNNING,
        started_at=timezone.now(),
    )
    queue(campaign.stream, 12, campaign=campaign)
    return campaign


@pytest.fixture
def refused_logins(relay):
    """The number of log-ins that the relay has refused since the test began."""
    before = relay.log.count(b"authentication failed")
    return lambda: relay.log.count(b"authentication failed") - before


def test_stops_within_seconds_says_why_and_costs_nobody_anything(
    campaign, refused_logins, viewer, logged_in
):
    deliver()
    transport = Transport.objects.get()
    assert (transport.state, transport.pause_cause) == ("paused", "fault")
    assert "535 5.7.8" in transport.pause_detail
    assert "the old one" not in transport.pause_detail
    assert_nobody_paid()
    assert not Event.objects.exists()
    assert 1 <= refused_logins() <= 2  # the sessions that were open together
    panel = reverse("dispatch:campaign-panel", args=[campaign.pk])
    page = logged_in(viewer).get(panel).content.decode()
    assert f"{transport} is paused" in page
    assert transport.pause_sentence[:30] in page


def test_tries_no_log_in_again_while_its_refusal_is_not_yet_acted_on(
    campaign, refused_logins, monkeypatch
):
    noted, turns = Delivery._pause_what_must, []

    def late(delivery):
        if any(lane.fault or lane.turned_away for lane in delivery._lanes.values()):
            turns.append(None)
        if not turns or len(turns) > 10:
            noted(delivery)

    monkeypatch.setattr(Delivery, "_pause_what_must", late)
    deliver()
    assert len(turns) > 10
    assert 1 <= refused_logins() <= 2


def test_goes_on_with_the_new_password_once_it_is_resumed(campaign):
    deliver()
    transport = Transport.objects.get()
    transport.credentials.get().set_secret(Secret("the new one"))
    transport.resume()
    for _ in range(10):  # one run is short, and the machine may be busy
        if QueueEntry.objects.exists():
            deliver()
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
