"""Alignment proven: a real message to the sandbox's receiver, and what is made of the copy."""

import base64
from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.domains import signing
from mailops.domains.signing_keys import begin_signing, make_key
from mailops.rollouts.mail_probing import judge_captured, send_probe, verdict_on
from mailops.rollouts.models import MailProbe
from mailops.rollouts.probes.authentication import authentication
from mailops.sandbox.models import CapturedMessage
from tests.costs import costing_less_than
from tests.factories import make_captured

pytestmark = pytest.mark.usefixtures("no_signers")
TO = "probe+alignment@sandbox.example"


@pytest.fixture
def key(acme, good, operator):
    key = make_key(domain=acme, algorithm="rsa", selector="mo1")
    good.zones[key.host] = {"TXT": [key.record]}
    begin_signing(key=key, actor=operator)
    return key


@pytest.fixture
def probed(stream, key, operator):
    """Return the captured copy of a probe."""
    return prove(stream, operator).captured


def monstrous_key(bits, exponent_bits):
    """Return the public half of an RSA key that nobody has, as DNS shows one: any numbers of such a length will do."""
    numbers = [(1 << length) - 1 for length in (bits, exponent_bits)]
    octets = b"".join(
        der(0x02, b"\0" + n.to_bytes(-(-n.bit_length() // 8), "big")) for n in numbers
    )
    algorithm = der(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    public = der(0x30, algorithm + der(0x03, b"\0" + der(0x30, octets)))
    return base64.b64encode(public).decode()


def der(tag, value):
    n = len(value)
    size = n.to_bytes(1, "big") if n < 128 else b"\x82" + n.to_bytes(2, "big")
    return bytes([tag]) + size + value


def judge():
    return judge_captured(until=timezone.now() + timedelta(seconds=20))


def prove(stream, actor, transport=None):
    probe = send_probe(
        stream=stream, transport=transport or stream.transport, recipient=TO, actor=actor
    )
    judge()
    probe.refresh_from_db()
    return probe


def test_a_signed_probe_passes_by_both_legs(stream, key, operator):
    probe = prove(stream, operator)
    assert probe.result == "pass", probe.verdict
    assert probe.verdict["sentence"] == "DMARC passes by SPF and by DKIM."
    spf, dkim = probe.verdict["signs"]
    assert (spf["result"], spf["domain"], spf["is_aligned"]) == (
        "pass",
        "bounces.acme.example",
        True,
    )
    assert (dkim["name"], dkim["result"], dkim["is_aligned"]) == ("DKIM mo1", "pass", True)
    assert AuditEntry.objects.filter(verb="mail_probe.send").count() == 1


def test_pressed_twice_is_one(stream, key, operator, oncall):
    given = {"stream": stream, "transport": stream.transport, "recipient": TO}
    probe = send_probe(**given, actor=operator)
    assert send_probe(**given, actor=operator) == probe
    assert CapturedMessage.objects.count() == 1
    assert AuditEntry.objects.filter(verb="mail_probe.send").count() == 1
    assert send_probe(**given, actor=oncall) != probe  # another's is their own
    judge()
    assert send_probe(**given, actor=operator) != probe  # what was seen may be asked again


def test_a_return_path_elsewhere_without_a_signature_fails(stream, operator, good):
    transport = stream.transport
    transport.return_path_host = "bounces.other.example"
    transport.save()
    probe = prove(stream, operator, transport)
    assert probe.result == "fail"
    assert "nothing that authenticates it is aligned" in probe.verdict["sentence"]


def test_a_revoked_key_shows_and_a_silent_one_is_told_apart(stream, key, operator, good):
    good.zones["bounces.acme.example"]["TXT"] = []
    good.zones[key.host] = {"TXT": ["v=DKIM1; k=rsa; p="]}
    probe = prove(stream, operator)
    assert probe.result == "fail"
    assert "is revoked" in probe.verdict["signs"][1]["sentence"]
    good.failing = {key.host}
    again = verdict_on(probe.captured)
    assert (again.result, again.signs[1].result) == ("unknown", "temperror")


@pytest.mark.parametrize(
    "told",
    [
        ([], "There is no key at mo1._domainkey.acme.example."),
        (["v=DKIM1; k=rsa; p=MIIB"], "can't be used: the key can't be read"),
        (["v=DKIM1; k=rsa"], "can't be used: there is no p tag"),
        (["v=DKIM1; s=tlsrpt; p=QUFB"], "at mo1._domainkey.acme.example can't be used"),
    ],
)
def test_a_key_that_is_not_there_or_can_not_be_read_is_named(stream, key, operator, good, told):
    records, words = told
    good.zones[key.host] = {"TXT": records}
    _, dkim = prove(stream, operator).verdict["signs"]
    assert dkim["result"] == "fail"
    assert words in dkim["sentence"]


@pytest.mark.parametrize(
    ("lengths", "words"),
    [((16384, 16), "has 16384 bits"), ((4096, 4000), "exponent is one that no verifier takes")],
)
def test_a_key_that_would_take_hours_is_not_worked_with(probed, key, good, lengths, words):
    good.zones[key.host] = {"TXT": [f"v=DKIM1; p={monstrous_key(*lengths)}"]}
    with costing_less_than(seconds=1):
        dkim = verdict_on(probed).signs[1]
    assert dkim.result == "fail"
    assert words in dkim.sentence


def test_long_runs_of_spaces_are_read_in_a_moment_and_mean_one(probed):
    wider = probed.content.replace(b"Nobody has", b"Nobody" + b" \t" * 25_000 + b"has")
    longer = probed.content + b" " * 50_000 + b"x\r\n"
    with costing_less_than(seconds=2):
        signs = [verdict_on(make_captured(content)).signs[1] for content in (wider, longer)]
    assert [one.result for one in signs] == ["pass", "fail"]


def test_a_header_that_no_receiver_reads_is_not_worked_with(probed):
    longer = make_captured(b"X-Long: a\r\n" + b" a\r\n" * 50_000 + probed.content)
    with costing_less_than(seconds=2):
        verdict = verdict_on(longer)
    assert verdict.result == "fail"
    assert "its header is longer than 100,000 octets" in verdict.sentence


def test_a_key_of_another_service_is_named(stream, key, operator, good):
    good.zones[key.host] = {"TXT": [f"{key.record}; s=tlsrpt"]}
    _, dkim = prove(stream, operator).verdict["signs"]
    assert "isn't meant for mail" in dkim["sentence"]


def test_a_mail_that_was_changed_does_not_match_its_key(stream, key, operator):
    captured = prove(stream, operator).captured
    changed = make_captured(captured.content.replace(b"Subject: Probe", b"Subject: Changed"))
    assert verdict_on(changed).signs[1].sentence == "The signature does not match what arrived."


def test_a_transport_that_refuses_says_why(stream, operator, settings):
    settings.MAILOPS_TRUSTED_RELAYS = frozenset()
    probe = prove(stream, operator)
    assert probe.was_refused
    assert probe.sentence


def test_what_can_not_be_signed_is_not_sent(stream, key, operator, settings):
    settings.MAILOPS_SECRET_KEYS = ["QUFB" * 10 + "QUE="]
    signing.forget_signers()
    assert "can't be signed" in prove(stream, operator).sentence


@pytest.mark.django_db
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"From: a@a.example\r\nFrom: b@b.example\r\n\r\nx",
        b"From: nobody\r\nDKIM-Signature: v=1; a=x\r\n\r\nx",
        b"From: a@acme.example\r\nFoo\xff: a\r\n\r\nx",
        b" From: a@acme.example\r\nFrom: a@acme.example\r\n\r\nx",
        b"From: a@acme.example\r\nDKIM-Signature: v=1; a=rsa-sha256; d=acme..example; s=s\xff; h=from; bh=eA==; b=eA==\r\n\r\nx",
        b"From: a@acme.example\r\nDKIM-Signature: \xff\xfe\r\n\r\nx",
        b"From: a@acme.example\r\nDKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=s1; h=from; bh=x; b=y\r\n\r\nx",
    ],
)
def test_odd_mail_is_judged_and_never_passes(good, content):
    assert verdict_on(make_captured(content, client="192.0.2.9")).result == "fail"


@pytest.mark.parametrize("line", [b"Foo\xff: a\r\n", b"Foo\r\n"])
def test_the_page_of_a_mail_that_can_not_be_read_says_so(stream, logged_in, oncall, good, line):
    captured = make_captured(b"From: a@acme.example\r\n" + line + b"\r\nx", client="192.0.2.9")
    page = logged_in(oncall).get(f"/rollouts/captured/{captured.pk}/")
    assert page.status_code == 200
    assert "can&#x27;t be read as mail" in page.text


class TestChecklist:
    def test_a_captured_probe_that_passes_holds(self, stream, key, operator):
        prove(stream, operator)
        proof = authentication(stream)
        assert proof.is_ok, proof
        assert "the newest captured mail passes DMARC" in proof.sentence

    def test_one_that_a_receiver_would_refuse_says_by_what(self, stream, operator, good):
        transport = stream.transport
        transport.return_path_host = "bounces.other.example"
        transport.save()
        prove(stream, operator, transport)
        proof = authentication(stream)
        assert proof.is_ok is False
        assert "fails DMARC: SPF of bounces.other.example: none, not aligned" in proof.sentence

    def test_silence_says_nothing(self, stream, operator, good):
        captured = prove(stream, operator).captured
        good.is_failing = True
        assert verdict_on(captured).result == "unknown"
        assert authentication(stream).is_ok


class TestPages:
    def test_the_stream_shows_the_newest_probe_through_each_transport(
        self, stream, key, logged_in, oncall, viewer
    ):
        client, panel = logged_in(viewer), f"/rollouts/streams/{stream.pk}/probes/"
        assert panel in client.get(f"/transports/streams/{stream.pk}/").content.decode()
        assert "No probe was sent yet" in client.get(panel).content.decode()
        first, last = prove(stream, oncall), prove(stream, oncall)
        page = client.get(panel, headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in page
        assert "DKIM mo1" in page
        assert f"/rollouts/probes/{last.pk}/" in page
        assert f"/rollouts/probes/{first.pk}/" not in page
        assert "Send a probe" not in page
        assert "Send a probe" in logged_in(oncall).get(panel).content.decode()

    def test_a_person_sends_one_and_sees_the_verdict(self, stream, key, logged_in, oncall):
        client, url = logged_in(oncall), f"/rollouts/streams/{stream.pk}/prove/"
        assert client.get(url).status_code == 200
        data = {"transport": stream.transport.pk, "recipient": TO}
        sent = client.post(url, data)["Location"]
        assert "On its way" in client.get(sent).content.decode()
        assert judge() == 1
        assert judge() == 0
        page = client.get(sent).content.decode()
        assert "DMARC passes by SPF and by DKIM." in page
        captured = MailProbe.objects.get().captured
        panel = f"/rollouts/captured/{captured.pk}/"
        assert panel in client.get(f"/sandbox/messages/{captured.pk}/").content.decode()
        verdict = client.get(panel, headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in verdict
        assert "DKIM mo1" in verdict

    @pytest.mark.parametrize("data", [{"recipient": "x"}, {"transport": 0, "recipient": TO}, {}])
    def test_nonsense_is_422(self, stream, logged_in, oncall, data):
        data = {"transport": stream.transport.pk} | data
        url = f"/rollouts/streams/{stream.pk}/prove/"
        if "transport" in data and len(data) == 1:
            data = {"recipient": ""}
        assert logged_in(oncall).post(url, data).status_code == 422
        assert not MailProbe.objects.exists()

    def test_a_viewer_may_look_and_not_send(self, stream, logged_in, viewer, client):
        probe = MailProbe.objects.create(
            stream=stream, transport=stream.transport, recipient=TO, message_id="<1@x>"
        )
        url = f"/rollouts/probes/{probe.pk}/"
        assert "On its way" in logged_in(viewer).get(url).content.decode()
        assert logged_in(viewer).get(f"/rollouts/streams/{stream.pk}/prove/").status_code == 403
        assert client.get(url).status_code == 302
