"""What a test of a transport tries, kind by kind."""

import datetime as dt
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils import timezone

from mailops.lib import egress
from mailops.lib.tls import client_context
from mailops.protocol.classification import Reason, classify
from mailops.transports.causes import CAUSES
from mailops.transports.findings import Diagnosis, Recorder
from mailops.transports.kinds.http_api import HttpApiSession
from mailops.transports.kinds.ses import SesSession
from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.sessions import Envelope, Phase
from mailops.transports.wire import Wire, WireLost

_WANTS_LOGIN = frozenset({Reason.LOGIN_REQUIRED, Reason.RELAYING_DENIED})
LEAST_DAYS = 14  # a certificate with less than this left is a warning
MOST_ADDRESSES, ADDRESS_SECONDS = 6, 3.0


def try_addresses(diagnosis: Diagnosis, host: str, port: int) -> None:
    """Try each address that the name has, where there are several: senders take any of them."""
    try:
        endpoint = egress.resolve(host, port)
    except egress.EgressFault:
        return  # the session said so already
    if len(endpoint.addresses) < 2:
        return
    for address in endpoint.addresses[:MOST_ADDRESSES]:
        diagnosis.addresses.append(_try_address(replace(endpoint, addresses=(address,)), address))
    silent = [one["address"] for one in diagnosis.addresses if one["status"] == "warning"]
    if silent and diagnosis.is_ok:
        diagnosis.note(
            "connect",
            f"Connected to {diagnosis.peer}, but not to {', '.join(silent)}: some sessions wait for "
            "that in vain. Tell whoever runs the server.",
            status="warning",
        )


def _try_address(endpoint: egress.Endpoint, address: str) -> dict[str, Any]:
    began = time.monotonic()
    status, sentence = "ok", "Connected."
    try:
        connection, _ = egress.connect(endpoint, timeout=ADDRESS_SECONDS)
        connection.close()
    except egress.EgressFault as fault:
        status, sentence = "warning", CAUSES[fault.cause].what
        if fault.cause == "unreachable" and ":" in address:
            status, sentence = "skipped", "This machine has no way to IPv6 addresses."
    seconds = round(time.monotonic() - began, 3)
    return {"address": address, "status": status, "seconds": seconds, "sentence": sentence}


def greets_in_tls(host: str, port: int) -> bool:
    """Tell whether a server that says nothing in clear text answers a TLS handshake; its certificate doesn't matter."""
    try:
        connection, _ = egress.connect(egress.resolve(host, port), timeout=ADDRESS_SECONDS)
    except egress.EgressFault:
        return False
    wire = Wire(connection)
    try:
        wire.start_tls(client_context(), host, timeout=ADDRESS_SECONDS)
    except ssl.SSLCertVerificationError:
        return True
    except (WireLost, OSError):
        return False
    finally:
        wire.close()
    return True


def try_smtp(session: SmtpSession, diagnosis: Diagnosis, recipient: str) -> None:
    try:
        session.open()
    finally:
        _describe_talk(session, diagnosis)
        mechanisms = session.extensions.get("AUTH", "").split()
        diagnosis.auth = {"mechanisms": mechanisms, "is_logged_in": session.is_logged_in}
    _describe(session, diagnosis)
    if recipient:
        _ask(session, diagnosis, recipient)


def _describe_talk(session: SmtpSession, diagnosis: Diagnosis) -> None:
    """Note what was heard before the log-in, even where it ended early."""
    diagnosis.extensions = sorted(session.extensions)
    if session.peer:
        diagnosis.note("connect", f"Connected to {session.peer}.")
    if session.banner:
        diagnosis.note("banner", session.banner)
        diagnosis.note("ehlo", "Offers " + (", ".join(diagnosis.extensions) or "nothing") + ".")


def _describe(session: SmtpSession, diagnosis: Diagnosis) -> None:
    if session.is_logged_in:
        diagnosis.note("auth", "The log-in was accepted.")
    elif "AUTH" in session.extensions:
        diagnosis.note("ehlo", "Offers a log-in, but there is no credential.", status="warning")
    tls = session.wire.tls if session.wire else None
    if tls is not None:
        diagnosis.tls = _describe_tls(tls)
        _judge_tls(diagnosis, diagnosis.tls)


def _describe_tls(tls: ssl.SSLSocket) -> dict[str, Any]:
    certificate: Mapping[str, Any] = tls.getpeercert() or {}
    ends_at = dt.datetime.fromtimestamp(
        ssl.cert_time_to_seconds(certificate["notAfter"]), tz=dt.UTC
    )
    cipher = tls.cipher()
    return {
        "version": tls.version(),
        "cipher": cipher[0] if cipher else "",
        "subject": _common_name(certificate.get("subject", ())),
        "issuer": _common_name(certificate.get("issuer", ())),
        "names": [name for _, name in certificate.get("subjectAltName", ())],
        "not_after": ends_at.isoformat(),
        "days_left": (ends_at - timezone.now()).days,
        "chain": _chain(tls),
    }


def _chain(tls: ssl.SSLSocket) -> list[dict[str, str]]:
    """Return the verified chain from the server's certificate to the root."""
    known = tls._sslobj.get_verified_chain()  # type: ignore[attr-defined] # noqa: SLF001 - public from Python 3.13
    found = [certificate.get_info() for certificate in known or ()]
    return [
        {
            "subject": _common_name(one.get("subject", ())),
            "issuer": _common_name(one.get("issuer", ())),
            "not_after": one.get("notAfter", ""),
        }
        for one in found
    ]


def _common_name(name: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """Return the last part of a distinguished name, the one people know it by."""
    parts = [value for relative in name for _, value in relative]
    return parts[-1] if parts else ""


def _judge_tls(diagnosis: Diagnosis, tls: Mapping[str, Any]) -> None:
    days = tls["days_left"]
    sentence = f"{tls['version']}, verified, {days} days left."
    if days < LEAST_DAYS:
        diagnosis.note("tls", f"{sentence} The certificate must be renewed soon.", status="warning")
    else:
        diagnosis.note("tls", sentence)


def _ask(session: SmtpSession, diagnosis: Diagnosis, recipient: str) -> None:
    sender = f"postmaster@{session.server.ehlo_name}"
    offer = session.ask_only(Envelope(sender, recipient))
    if offer.is_ready:
        diagnosis.note("rcpt", f"{recipient} would be accepted; nothing was sent.")
        return
    meaning = classify(offer.reply, offer.phase.value)
    cause = "sender_refused" if offer.phase is Phase.MAIL else "recipient_refused"
    if meaning.reason in _WANTS_LOGIN and not session.is_logged_in:
        cause = "auth_required"
    diagnosis.fail(meaning.sentence, meaning.fix, cause=cause, detail=str(offer.reply))


def try_api(session: HttpApiSession, diagnosis: Diagnosis, recorder: Recorder) -> None:
    recorder.entered(Phase.CONNECT)
    session.open()
    _describe_api(session, diagnosis, recorder)
    recorder.begin("account")
    diagnosis.note("account", session.check_account())
    diagnosis.auth = {"mechanisms": [session.api.key_label], "is_logged_in": True}


def _describe_api(
    session: HttpApiSession | SesSession, diagnosis: Diagnosis, recorder: Recorder
) -> None:
    diagnosis.note("connect", f"Connected to {session.peer}.")
    if session.connection.tls is not None:
        diagnosis.tls = _describe_tls(session.connection.tls)
        recorder.begin("tls")
        _judge_tls(diagnosis, diagnosis.tls)


def try_ses(session: SesSession, diagnosis: Diagnosis, recorder: Recorder) -> None:
    recorder.entered(Phase.CONNECT)
    session.open()
    _describe_api(session, diagnosis, recorder)
    recorder.begin("account")
    account = session.check_account()
    diagnosis.auth = {"mechanisms": ["AWS4-HMAC-SHA256"], "is_logged_in": True}
    quota = account.get("SendQuota", {})
    sentence = f"The key works; {quota.get('Max24HourSend', 0):.0f} messages a day, {quota.get('MaxSendRate', 0):.0f} a second."
    if not account.get("SendingEnabled", True):
        diagnosis.fail(
            "Amazon has stopped sending for this account.",
            "See the account's dashboard and its mails from Amazon for the reason.",
            cause="api_refused",
        )
    elif not account.get("ProductionAccessEnabled", True):
        diagnosis.note(
            "account",
            f"{sentence} The account is in Amazon's sandbox: it writes to verified addresses only. Ask Amazon for production access.",
            status="warning",
        )
    else:
        diagnosis.note("account", sentence)
    recorder.lines += [f"C: GetAccount in {session.region}", f"S: {sentence}"]
