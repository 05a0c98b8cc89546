"""Mail that leaves is signed, arrives so through a real relay, and stops where it can't be."""

import dkim
import pytest

from mailops.domains.models import SigningKey
from mailops.domains.signing_keys import make_key
from mailops.outbox.models import Message
from mailops.protocol.dns_records import parse_dkim
from tests.dispatch.test_delivery import deliver, make_due
from tests.factories import make_stream, make_transport, make_version
from tests.postfix import Postfix
from tests.smtp_server import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_signers")]
TEXT = "Grüße an dich, in einer langen Zeile: " + "ä lang  " * 30 + "\n.\n\n From here\n"
HTML = "<p>Grüße\t<b>fett</b></p>" + "<td>x</td>" * 200


@pytest.fixture
def server(settings):
    with SmtpServer(extensions=("8BITMIME", "PIPELINING")) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        yield server


def make_stream_to(port, **options):
    return make_stream(transport=make_transport(port=port, max_sessions=1, options=options))


def sign_with(stream, *algorithms):
    for algorithm in algorithms:
        key = make_key(domain=stream.domain, algorithm=algorithm, selector=f"mo-{algorithm}")
        key.state = SigningKey.State.SIGNING
        key.save()


def verified(content):
    """Return the algorithms of the signatures in `content` that verify."""
    keys = {f"{key.host}.".encode(): key.record.encode() for key in SigningKey.objects.all()}
    mail = dkim.DKIM(content)
    return {
        parse_dkim(key.record).kind
        for number, key in enumerate(SigningKey.objects.order_by("-algorithm"))
        if mail.verify(idx=number, dnsfunc=lambda name, timeout=0: keys.get(name))
    }


def test_mail_is_signed_with_every_key_in_use_and_in_seven_bits(server):
    stream = make_stream_to(server.port)
    sign_with(stream, "rsa", "ed25519")
    make_due(stream, "r@x.example", version=make_version(text=TEXT, html=HTML))
    deliver()
    (content,) = server.messages
    assert content.isascii()
    assert verified(content) == {"rsa", "ed25519"}


def test_a_provider_that_signs_gets_it_unsigned(server):
    stream = make_stream_to(server.port, dkim_selectors=["s1"])
    sign_with(stream, "ed25519")
    make_due(stream, "r@x.example")
    deliver()
    assert b"DKIM-Signature" not in server.messages[0]


def test_what_can_not_be_signed_waits_and_its_stream_says_why(server, settings):
    stream, other = make_stream_to(server.port), make_stream_to(server.port)
    sign_with(stream, "ed25519")
    settings.MAILOPS_SECRET_KEYS = ["QUFB" * 10 + "QUE="]
    make_due(stream, "r@x.example")
    make_due(other, "o@x.example")
    deliver()
    stream.refresh_from_db()
    assert stream.is_paused
    assert "can't be signed" in stream.pause_sentence
    assert Message.objects.get(stream=stream).status == "queued"
    assert Message.objects.get(stream=other).status == "accepted"
    assert all(b"r@x.example" not in content for content in server.messages)


@pytest.mark.needs("postfix")
def test_a_signature_survives_postfix(settings):
    """Its next hop takes no 8-bit octets and wants lines short, so what can be changed on the way is."""
    with SmtpServer(extensions=("PIPELINING",)) as next_hop, Postfix(next_hop.port) as relay:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", relay.port)})
        stream = make_stream_to(relay.port)
        sign_with(stream, "rsa", "ed25519")
        make_due(stream, "r@x.example", version=make_version(text=TEXT, html=HTML))
        deliver()
        relay.log_with(b"status=sent")
        (content,) = next_hop.messages
    assert b"Received: " in content
    assert verified(content) == {"rsa", "ed25519"}
