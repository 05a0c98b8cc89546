from dataclasses import dataclass, replace

import pytest

from mailops.domains.demo_zones import DEMO_INCLUDE
from mailops.lib.resolver import Resolver
from tests.factories import make_domain
from tests.lib.nameserver import FaultyNameserver

# the private half was thrown away: nothing is signed with it
KEY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqdTJWuYvi63nbKz5PBUKbdssQ5oY8nG3"
    "vE/ZWC0HMvpcY7MP8+kR1Y8tEjxMblKmEvqSOv0Wm6uWoAmTCRRxOlyp6oKUIGHEnANU9MQHvuRO"
    "wLhdG4MUKAsEHld0k9UiMb0pW+ykXR279IQsZeIDtCH71i3h3MKYapBgPb4w4qZBPpfUu/OwD6Ib"
    "tNeyDKke0hwjKPC0ojUxM+jbco6Tz0bC4IS4yE4pp7f087k4+tAa10MqvpARv1MshWlQxyAS7oTu"
    "APEVbmyoJSJo754l3tsBc+MfprMYKafJAn6stKzMpnX73Kw3buMG8Iw5X7w2VT5K5trQHT1WNBBI"
    "mGfkUQIDAQAB"
)
KEY_RECORD = f"v=DKIM1; k=rsa; p={KEY}"


@pytest.fixture(scope="session")
def dns_server():
    with FaultyNameserver({}) as server:
        yield server


@pytest.fixture
def dns(dns_server, settings):
    """A name server whose zones a test writes: dns.zones["a.example"] = {"TXT": [...]}."""
    dns_server.zones.clear()
    dns_server.silent, dns_server.failing = set(), set()
    dns_server.is_silent = dns_server.is_failing = False
    dns_server.asked.clear()
    settings.MAILOPS_NAMESERVERS = [dns_server.address]
    return dns_server


@dataclass(frozen=True)
class Patient(Resolver):
    """Has all the patience that a loaded machine needs, but for what `server` is told to be silent about."""

    server: FaultyNameserver | None = None

    def _exchange(self, question, host, port):
        name = str(question.question[0].name).rstrip(".").lower()
        is_silent = self.server.is_silent or name in self.server.silent
        hurried = replace(self, query_seconds=0.1 if is_silent else 10)
        return Resolver._exchange(hurried, question, host, port)


def patient(server):
    return Patient(((server.host, server.port),), server=server)


@pytest.fixture
def asks(dns):
    return patient(dns)


def make_acme():
    """Make the domain of `good` with what it must publish."""
    domain = make_domain(name="acme.example")
    needs = [("spf_include", "", DEMO_INCLUDE), ("dkim_selector", "s1", KEY_RECORD)]
    for kind, host, value in needs:
        domain.requirements.create(kind=kind, host=host, value=value, needed_by="a person")
    return domain


@pytest.fixture
def good(dns, settings):
    """acme.example as it should be, with its return path below it."""
    settings.MAILOPS_RETURN_PATH_HOST = "bounces.acme.example"
    spf = f"v=spf1 include:{DEMO_INCLUDE} -all"
    dns.zones.update(
        {
            DEMO_INCLUDE: {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]},
            "acme.example": {"TXT": ["a note", spf], "MX": ["10 mail.acme.example"]},
            "bounces.acme.example": {"TXT": [spf], "MX": ["10 mail.acme.example"]},
            "s1._domainkey.acme.example": {"TXT": [KEY_RECORD]},
            "_dmarc.acme.example": {"TXT": ["v=DMARC1; p=reject; rua=mailto:dmarc@acme.example"]},
        }
    )
    return dns
