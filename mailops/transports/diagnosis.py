"""Tries a transport step by step as a message would, and says what it found, how long it took and what to do.

`Transport.last_test` holds `Diagnosis.as_json()` of the active credential:

    {"version": 1, "is_ok": false, "kind": "smtp", "host": "…", "port": 587, "security": "starttls",
     "peer": "host [address]:port", "started_at": "2026-11-21T03:00:00+00:00", "seconds": 1.24, "by": "who@example.com",
     "credential": {"label": "…", "last_four": "…"} or null,
     "steps": [{"name": "resolve", "title": "Look up the name", "status": "ok" | "warning" | "failed",
                "seconds": 0.012, "sentence": "…"}],
        names: resolve, connect, banner, ehlo, tls, auth, account (APIs), mail, rcpt; a step that was not reached is absent
     "cause": "" or a name of `causes.CAUSES`, "what": "…", "fix": "…", "detail": "technical text",
     "tls": {"version": "TLSv1.3", "cipher": "…", "subject": "…", "issuer": "…", "names": ["…"],
             "not_after": "2027-01-01T00:00:00+00:00", "days_left": 41} or null,
     "auth": {"mechanisms": ["PLAIN"], "is_logged_in": true} or null,
     "extensions": ["PIPELINING", …], "transcript": "C: EHLO …" and "S: 250 …" by lines}
"""

import datetime as dt
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils import timezone

from mailops.protocol.classification import classify
from mailops.protocol.reply import Reply
from mailops.transports.causes import CAUSES
from mailops.transports.kinds import session_of
from mailops.transports.kinds.http_api import HttpApiSession
from mailops.transports.kinds.ses import SesSession
from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.models import Credential, Transport
from mailops.transports.sessions import Envelope, Phase, SessionFault, SessionLost

LIMIT_SECONDS = 18.0  # for the whole test: a person waits
STEP_SECONDS = 8.0
LEAST_DAYS = 14  # a certificate with less than this left is a warning
_TRANSCRIPT_SIZE = 40_000

TITLES: Mapping[str, str] = {
    "resolve": "Look up the name",
    "connect": "Connect",
    "banner": "Hear the greeting",
    "ehlo": "Say EHLO",
    "tls": "Secure the connection",
    "auth": "Log in",
    "account": "Ask for the account",
    "mail": "Name the sender",
    "rcpt": "Name the recipient",
}


@dataclass(kw_only=True)
class Step:
    name: str
    title: str
    status: str = "ok"
    seconds: float = 0.0
    sentence: str = ""


@dataclass(kw_only=True)
class Diagnosis:
    """What a test found; see the module for its shape as JSON."""

    kind: str
    host: str
    port: int
    security: str
    started_at: str
    by: str = ""
    credential: dict[str, str] | None = None
    version: int = 1
    is_ok: bool = True
    peer: str = ""
    seconds: float = 0.0
    steps: list[Step] = field(default_factory=list)
    cause: str = ""
    what: str = ""
    fix: str = ""
    detail: str = ""
    tls: dict[str, Any] | None = None
    auth: dict[str, Any] | None = None
    extensions: list[str] = field(default_factory=list)
    transcript: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def fail(self, what: str, fix: str, *, cause: str = "", detail: str = "") -> None:
        """Name what is wrong; the step that was under way is the one that failed."""
        self.is_ok, self.cause, self.what, self.fix, self.detail = False, cause, what, fix, detail
        if self.steps:
            self.steps[-1].status, self.steps[-1].sentence = "failed", what

    def note(self, name: str, sentence: str, *, status: str = "ok") -> None:
        """Put a sentence to the step `name`, if it was reached."""
        for step in self.steps:
            if step.name == name and step.status != "failed":
                step.sentence, step.status = sentence, status


class Budget(Mapping[Phase, float]):
    """Time-outs that shrink as the whole test's time runs out."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def __getitem__(self, phase: Phase) -> float:
        share = 2.0 if phase is Phase.QUIT else STEP_SECONDS
        return max(0.05, min(share, self._ends_at - time.monotonic()))

    def __iter__(self) -> Iterator[Phase]:
        return iter(Phase)

    def __len__(self) -> int:
        return len(Phase)


class Recorder:
    """Keeps the conversation and the time of each step; implements `wire.Observer`."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.lines: list[str] = []
        self._diagnosis = diagnosis
        self._since = time.monotonic()

    def entered(self, phase: Phase) -> None:
        self.finish_step()
        known = {step.name for step in self._diagnosis.steps}
        if phase.value in TITLES and phase.value not in known:
            self._diagnosis.steps.append(Step(name=phase.value, title=TITLES[phase.value]))

    def finish_step(self) -> None:
        now = time.monotonic()
        if self._diagnosis.steps:
            self._diagnosis.steps[-1].seconds += round(now - self._since, 3)
        self._since = now

    def sent(self, text: str) -> None:
        self.lines.append(f"C: {text}")

    def received(self, reply: Reply) -> None:
        lines = reply.text.split("\n")
        marks = ["-"] * (len(lines) - 1) + [" "]
        self.lines += [
            f"S: {reply.code}{mark}{line}" for mark, line in zip(marks, lines, strict=True)
        ]


def diagnose(
    transport: Transport,
    credential: Credential | None = None,
    *,
    recipient: str = "",
    by: str = "",
) -> Diagnosis:
    """Try `transport` with `credential` (None: the active one) and, with a `recipient`, MAIL and RCPT; write nothing."""
    credential = credential or transport.active_credential
    diagnosis = Diagnosis(
        kind=transport.kind,
        host=transport.host,
        port=transport.port,
        security=transport.security,
        started_at=timezone.now().isoformat(),
        by=by,
        credential=(
            {"label": credential.label, "last_four": credential.last_four} if credential else None
        ),
    )
    recorder, began = Recorder(diagnosis), time.monotonic()
    session = session_of(transport, credential, recorder, Budget(LIMIT_SECONDS))
    try:
        if isinstance(session, SmtpSession):
            _try_smtp(session, diagnosis, recipient)
        elif isinstance(session, SesSession):
            _try_ses(session, diagnosis, recorder)
        else:
            _try_api(session, diagnosis, recorder)
    except SessionFault as fault:
        cause = CAUSES[fault.cause]
        diagnosis.fail(cause.what, cause.fix, cause=fault.cause, detail=fault.detail)
    except SessionLost as lost:
        cause = CAUSES["dropped"]
        diagnosis.fail(cause.what, cause.fix, cause="dropped", detail=lost.detail)
    finally:
        recorder.finish_step()
        session.close()
    diagnosis.peer = session.peer
    diagnosis.transcript = "\n".join(recorder.lines)[:_TRANSCRIPT_SIZE]
    diagnosis.seconds = round(time.monotonic() - began, 3)
    return diagnosis


def run_test(
    transport: Transport,
    credential: Credential | None = None,
    *,
    recipient: str = "",
    by: str = "",
) -> Diagnosis:
    """Diagnose and keep the result: on the transport, or on a `credential` that only stands by."""
    diagnosis = diagnose(transport, credential, recipient=recipient, by=by)
    result = {"last_test": diagnosis.as_json(), "last_tested_at": timezone.now()}
    credential = credential or transport.active_credential
    if credential is not None:
        Credential.objects.filter(pk=credential.pk).update(**result)
    if credential is None or credential.is_active:
        Transport.objects.filter(pk=transport.pk).update(**result)
    transport.refresh_from_db(fields=list(result))
    return diagnosis


def _try_smtp(session: SmtpSession, diagnosis: Diagnosis, recipient: str) -> None:
    try:
        session.open()
    finally:
        diagnosis.extensions = sorted(session.extensions)
        mechanisms = session.extensions.get("AUTH", "").split()
        diagnosis.auth = {"mechanisms": mechanisms, "is_logged_in": session.is_logged_in}
    _describe(session, diagnosis)
    if recipient:
        _ask(session, diagnosis, recipient)


def _describe(session: SmtpSession, diagnosis: Diagnosis) -> None:
    diagnosis.note("connect", f"Connected to {session.peer}.")
    diagnosis.note("banner", session.banner)
    diagnosis.note("ehlo", "Offers " + (", ".join(diagnosis.extensions) or "nothing") + ".")
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
    }


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
    diagnosis.fail(meaning.sentence, meaning.fix, cause=cause, detail=str(offer.reply))


def _try_api(session: HttpApiSession, diagnosis: Diagnosis, recorder: Recorder) -> None:
    recorder.entered(Phase.CONNECT)
    session.open()
    diagnosis.note("connect", f"Connected to {session.peer}.")
    if session.connection.tls is not None:
        diagnosis.tls = _describe_tls(session.connection.tls)
    recorder.finish_step()
    diagnosis.steps.append(Step(name="account", title=TITLES["account"]))
    diagnosis.note("account", session.check_account())
    diagnosis.auth = {"mechanisms": [session.api.key_label], "is_logged_in": True}


def _try_ses(session: SesSession, diagnosis: Diagnosis, recorder: Recorder) -> None:
    recorder.entered(Phase.CONNECT)
    session.open()
    diagnosis.note("connect", f"Speaks to {session.peer}.")
    recorder.finish_step()
    diagnosis.steps.append(Step(name="account", title=TITLES["account"]))
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
