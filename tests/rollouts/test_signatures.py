import base64

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailops.lib.dns_answers import Answer, Status
from mailops.rollouts.probes.authentication import signing_domain

MAIL = b"From: a@acme.example\r\nSubject: Hello\r\nTo: b@c.example\r\n\r\nHello\r\n"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
)
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)
RECORD = f"v=DKIM1; k=rsa; p={base64.b64encode(PUBLIC).decode()}"


def asks(name, rdtype):
    if name.rstrip(".") == "s1._domainkey.acme.example":
        return Answer(Status.FOUND, (RECORD,))
    return Answer(Status.NXDOMAIN)


class TestSigningDomain:
    def test_is_the_d_of_a_signature_that_verifies(self):
        signed = dkim.sign(MAIL, b"s1", b"acme.example", PEM) + MAIL
        assert signing_domain(signed, asks) == "acme.example"

    def test_is_nothing_without_one(self):
        assert not signing_domain(MAIL, asks)

    def test_is_nothing_where_the_mail_was_changed(self):
        signed = dkim.sign(MAIL, b"s1", b"acme.example", PEM) + MAIL.replace(b"Hello", b"Hallo")
        assert not signing_domain(signed, asks)

    def test_is_nothing_where_the_key_is_missing_or_the_signature_is_nonsense(self):
        signed = dkim.sign(MAIL, b"s2", b"acme.example", PEM) + MAIL
        assert not signing_domain(signed, asks)
        assert not signing_domain(b"DKIM-Signature: v=1; a=x; d=\r\n" + MAIL, asks)
        assert not signing_domain(b"", asks)
