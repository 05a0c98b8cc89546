"""What mailops signs, verified by two others: dkimpy and OpenDKIM."""

import subprocess

import dkim
import pytest
from dkim.canonicalization import CanonicalizationPolicy
from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol.dkim_signature import (
    Signer,
    key_record,
    load_private_key,
    make_private_key,
    relaxed_body,
    sign,
)
from mailops.protocol.dns_records import parse_dkim

KINDS = ["rsa", "ed25519"]
HEAD = (
    b"From: Ada <ada@acme.example>\r\nTo: bob@example.net\r\nSubject: A long one that is\r\n"
    b" \tfolded  here\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@acme.example>\r\n"
    b"List-Unsubscribe: <https://acme.example/u>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
)
MAIL = HEAD + b"\r\nHello   Bob \t\r\n\r\n\tindented\r\n.\r\n\r\n\r\n"


@pytest.fixture(scope="module", params=KINDS)
def signer(request):
    return Signer("acme.example", "mo1", load_private_key(make_private_key(request.param)))


def records_of(*signers):
    return {
        f"{one.selector}._domainkey.{one.domain}.".encode(): key_record(one.key).encode()
        for one in signers
    }


def verifies(content, *signers, number=0):
    records = records_of(*signers)
    try:
        return dkim.DKIM(content).verify(
            idx=number, dnsfunc=lambda name, timeout=0: records.get(name)
        )
    except dkim.ValidationError:
        return False


def opendkim_says(content, signer, folder):
    ((name, record),) = records_of(signer).items()
    (folder / "dns").write_bytes(name.rstrip(b".") + b" " + record + b"\n")
    (folder / "mail").write_bytes(content)
    (folder / "conf").write_text(f"TestDNSData refile:{folder}/dns\nSyslog no\nMode v\n")
    command = ["/usr/sbin/opendkim", "-x", folder / "conf", "-t", folder / "mail", "-v"]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    return told.stdout + told.stderr


class TestSign:
    def test_dkimpy_verifies_it(self, signer):
        assert verifies(sign(MAIL, [signer], at=1_700_000_000), signer)

    @pytest.mark.needs("opendkim")
    def test_opendkim_verifies_it(self, signer, tmp_path):
        signed = sign(MAIL, [signer], at=1_700_000_000)
        assert "succeeded" in opendkim_says(signed, signer, tmp_path)
        forged = signed.replace(b"Hello", b"Hallo")
        assert "succeeded" not in opendkim_says(forged, signer, tmp_path)

    def test_two_keys_give_two_signatures_and_each_verifies(self):
        signers = [
            Signer("acme.example", f"mo-{kind}", load_private_key(make_private_key(kind)))
            for kind in KINDS
        ]
        signed = sign(MAIL, signers, at=1)
        assert signed.count(b"DKIM-Signature:") == 2
        assert all(verifies(signed, *signers, number=number) for number in range(2))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"Hello", b"Hallo"),
            (b"bob@", b"eve@"),
            (b"Subject: A", b"Subject: B"),
            (b"acme.example/u", b"evil.example/u"),
            (b"MIME-Version", b"From: Eve <eve@evil.example>\r\nMIME-Version"),
            (b"MIME-Version", b"Subject: Another\r\nMIME-Version"),
        ],
    )
    def test_nothing_that_counts_can_be_changed_or_added(self, signer, old, new):
        assert not verifies(sign(MAIL, [signer], at=1).replace(old, new, 1), signer)

    def test_what_relays_do_to_white_space_is_harmless(self, signer):
        signed = sign(MAIL, [signer], at=1)
        refolded = signed.replace(b"\r\n \tfolded", b" folded").replace(
            b"Hello   Bob", b"Hello Bob"
        )
        assert verifies(b"Received: by relay\r\n" + refolded + b"\r\n\r\n", signer)

    def test_lines_stay_short(self, signer):
        field = sign(MAIL, [signer], at=1).partition(b"From: Ada")[0]
        assert max(map(len, field.split(b"\r\n"))) <= 78

    @given(st.text("ab \t\r\n.=", max_size=60))
    def test_the_relaxed_body_is_what_dkimpy_makes(self, text):
        body = text.replace("\r", "").replace("\n", "\r\n").encode() + b"\r\n"
        policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
        assert relaxed_body(body) == policy.canonicalize_body(body)


class TestKeys:
    @pytest.mark.parametrize(("kind", "bits"), [("rsa", 2048), ("ed25519", 256)])
    def test_the_record_is_one_that_checks_accept(self, kind, bits):
        found = parse_dkim(key_record(load_private_key(make_private_key(kind))))
        assert (found.kind, found.bits, found.problems) == (kind, bits, ())

    def test_knows_no_other_kinds(self):
        with pytest.raises(ValueError, match="no dsa keys"):
            make_private_key("dsa")
