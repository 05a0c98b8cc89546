"""The zones of the demo: sender domains good and broken, and mailbox domains at well-known providers."""

from django.conf import settings

from mailops.domains.models import SigningKey
from mailops.lib.nameserver import Zones

DEMO_SELECTOR = "s1"  # of the keys that each demo makes for itself
DEMO_INCLUDE = "_spf.sandbox.example"  # what the demo's streams need in an SPF record
DEMO_EXCHANGE = "mail.acme.example"

# mailbox domain → where its mail goes; only data in an answer, nothing ever connects to it
MAILBOX_EXCHANGES = {
    "googly.example": "5 gmail-smtp-in.l.google.com",
    "outlooky.example": "0 outlooky-example.mail.protection.outlook.com",
    "yahooly.example": "1 mta5.am0.yahoodns.net",
    "icloudy.example": "10 mx01.mail.icloud.com",
    "protony.example": "10 mail.protonmail.ch",
    "zohoish.example": "10 mx.zoho.com",
    "selfhosted.example": "10 mx.selfhosted.example",
}


def _sender(name: str, *, spf: str) -> dict[str, dict[str, list[str]]]:
    """Return the zone of a sender domain that is as it should be, but for its keys."""
    return {
        name: {"TXT": [spf], "MX": [f"10 {DEMO_EXCHANGE}"], "A": ["127.0.0.1"]},
        f"bounces.{name}": {"TXT": [spf], "MX": [f"10 {DEMO_EXCHANGE}"]},
    }


def made_keys() -> Zones:
    """Return the keys that were made here, as if somebody had published each at once."""
    keys = SigningKey.objects.exclude(state=SigningKey.State.RETIRED).select_related("domain")
    return {key.host: {"TXT": [key.record]} for key in keys}


def demo_zones() -> Zones:
    """Return every name the demo's name server answers for."""
    good = f"v=spf1 include:{DEMO_INCLUDE} -all"
    return {
        DEMO_INCLUDE: {"TXT": ["v=spf1 ip4:127.0.0.1 ip6:::1 -all"]},
        **_sender("acme.example", spf=good),
        "_dmarc.acme.example": {
            "TXT": ["v=DMARC1; p=quarantine; rua=mailto:dmarc@acme.example"],
        },
        DEMO_EXCHANGE: {"A": ["127.0.0.1"]},
        # a subdomain of its own for bulk mail; its policy is inherited from acme.example
        **_sender("news.acme.example", spf=good),
        # the one to mend: two SPF records, a revoked key and an obsolete tag in its policy
        **_sender("shop.demo.example", spf=good),
        "shop.demo.example": {
            "TXT": [good, "v=spf1 include:_spf.gone.example +all"],
            "MX": [f"10 {DEMO_EXCHANGE}"],
        },
        f"{DEMO_SELECTOR}._domainkey.shop.demo.example": {"TXT": ["v=DKIM1; k=rsa; p="]},
        "_dmarc.shop.demo.example": {
            "TXT": ["v=DMARC1; p=none; pct=50; rua=mailto:dmarc@shop.demo.example"],
        },
        # bounces come back to this installation, whatever its return-path host is called
        settings.MAILOPS_RETURN_PATH_HOST: {"TXT": [good], "MX": [f"10 {DEMO_EXCHANGE}"]},
        **{name: {"MX": [exchange]} for name, exchange in MAILBOX_EXCHANGES.items()},
    }
