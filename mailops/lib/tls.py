"""What every client of ours wants of TLS: a verified certificate, version 1.2 or later; and what is wrong where it isn't."""

import ssl

# OpenSSL's X509_V_ERR numbers
_FLAWS = {10: "tls_expired", 18: "tls_self_signed", 62: "tls_name", 64: "tls_name"}


def client_context(ca_file: str = "") -> ssl.SSLContext:
    """Return what to shake hands with, trusting the certificates in `ca_file` beside the system's."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def flaw_of(error: ssl.SSLCertVerificationError) -> str:
    """Return why a certificate is not trusted: tls_expired, tls_self_signed, tls_name or tls_issuer."""
    return _FLAWS.get(error.verify_code, "tls_issuer")
