import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mailops.domains.checks.dkim import check_dkim
from mailops.domains.models import CheckStatus
from tests.domains.zones import KEY, KEY_RECORD


def rsa_record(bits):
    key = rsa.generate_private_key(65537, bits).public_key()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def rsa_record_of(bits):
    """Make a record without its private key, which would take long to find."""
    der = (
        rsa.RSAPublicNumbers(65537, 2**bits - 1)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


@pytest.fixture
def check(dns, asks):
    def check(*records, wanted=""):
        dns.zones["s1._domainkey.a.example"] = {"TXT": list(records)}
        return check_dkim("a.example", "s1", wanted, asks)

    return check


class TestCheckDkim:
    def test_a_key_of_2048_bits_that_is_ours_is_well(self, check):
        verdict, seen = check(KEY_RECORD, wanted=KEY_RECORD)
        assert verdict.status is CheckStatus.OK
        assert "2048 bits" in verdict.sentence
        assert seen.state == "matches"

    def test_the_same_key_spelled_otherwise_is_ours_too(self, check):
        _, seen = check(f"p={KEY}; v=DKIM1", wanted=KEY_RECORD)
        assert seen.state == "matches"

    def test_tabs_are_white_space(self, check):
        record = f"v=DKIM1;\tk=rsa;\tp={KEY[:99]}\t{KEY[99:]}"
        verdict, seen = check(record, wanted=KEY_RECORD)
        assert (verdict.status, seen.state) == (CheckStatus.OK, "matches")

    def test_ed25519_is_read(self, check):
        raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        verdict, _ = check(f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}")
        assert verdict.status is CheckStatus.OK
        assert "Ed25519" in verdict.sentence

    def test_a_key_of_8192_bits_is_more_than_receivers_must_read(self, check):
        verdict, _ = check(rsa_record_of(4096 * 2))
        assert verdict.status is CheckStatus.WARNING
        assert "8192 bits" in verdict.sentence

    def test_a_key_of_1024_bits_is_short(self, check):
        verdict, _ = check(rsa_record(1024))
        assert verdict.status is CheckStatus.WARNING
        assert "1024 bits" in verdict.sentence

    @pytest.mark.parametrize(
        ("record", "status", "words"),
        [
            ("v=DKIM1; k=rsa; p=", "error", "revoked"),
            ("v=DKIM1; k=rsa", "error", "no p tag"),
            (f"v=DKIM1; p={KEY[:200]}", "error", "cut or changed"),
            ("v=DKIM1; p=***", "error", "not base64"),
            ("v=DKIM1; k=ed25519; p=AAAA", "error", "32 octets"),
            (f"v=DKIM1; k=dsa; p={KEY}", "error", "not known"),
            (f"v=DKIM1; t=y; p={KEY}", "warning", "tested"),
            (f"v=DKIM1; h=sha1; p={KEY}", "error", "SHA-1"),
            (f"v=DKIM1; s=tlsrpt; p={KEY}", "error", "meant for mail"),
            (f"k=rsa; v=DKIM1; p={KEY}", "error", "must stand first"),
        ],
    )
    def test_says_what_is_wrong(self, check, record, status, words):
        verdict, _ = check(record)
        assert verdict.status == status
        assert words in verdict.sentence
        assert verdict.fix

    def test_another_key_than_ours(self, check):
        verdict, seen = check(rsa_record(2048), wanted=KEY_RECORD)
        assert "not the one we sign with" in verdict.sentence
        assert seen.state == "differs"
        assert seen.to_publish == KEY_RECORD

    def test_no_key_and_two_keys(self, check):
        assert "no DKIM key" in check()[0].sentence
        assert "2 records" in check(KEY_RECORD, rsa_record(2048))[0].sentence

    def test_silence_is_not_absence(self, check, dns):
        dns.is_failing = True
        assert check(KEY_RECORD)[0].status is CheckStatus.UNKNOWN
