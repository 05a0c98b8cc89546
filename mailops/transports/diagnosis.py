"""Tries a transport step by step as a message would, and says what it found, how long it took and what to do."""

import time
from collections.abc import Callable

from django.utils import timezone

from mailops.transports.causes import CAUSES
from mailops.transports.findings import Budget, Diagnosis, Recorder
from mailops.transports.kinds import session_of
from mailops.transports.kinds.ses import SesSession
from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.models import Credential, Transport
from mailops.transports.sessions import Phase, SessionFault, SessionLost
from mailops.transports.trying import greets_in_tls, try_addresses, try_api, try_ses, try_smtp

LIMIT_SECONDS = 18.0  # for the whole test: a person waits
_TRANSCRIPT_SIZE = 40_000


def diagnose(
    transport: Transport,
    credential: Credential | None = None,
    *,
    recipient: str = "",
    by: str = "",
    watch: Callable[[Diagnosis], None] = lambda _: None,
) -> Diagnosis:
    """Try `transport` with `credential` (None: the active one) and, with a `recipient`, MAIL and RCPT; write nothing.

    `watch` is shown the diagnosis with each step that begins.
    """
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
    recorder, began = Recorder(diagnosis, watch), time.monotonic()
    session = session_of(transport, credential, recorder, Budget(LIMIT_SECONDS))
    try:
        if isinstance(session, SmtpSession):
            try_smtp(session, diagnosis, recipient)
        elif isinstance(session, SesSession):
            try_ses(session, diagnosis, recorder)
        else:
            try_api(session, diagnosis, recorder)
    except SessionFault as fault:
        name = _cause_of(fault, transport)
        cause = CAUSES[name]
        diagnosis.fail(cause.what, cause.fix, cause=name, detail=fault.detail)
    except SessionLost as lost:
        cause = CAUSES["dropped"]
        diagnosis.fail(cause.what, cause.fix, cause="dropped", detail=lost.detail)
    finally:
        recorder.finish_step()
        session.close()
    if isinstance(session, SmtpSession):
        try_addresses(diagnosis, transport.host, transport.port)
    diagnosis.peer = session.peer
    diagnosis.transcript = "\n".join(recorder.lines)[:_TRANSCRIPT_SIZE]
    diagnosis.seconds = round(time.monotonic() - began, 3)
    return diagnosis


def _cause_of(fault: SessionFault, transport: Transport) -> str:
    """Return the fault's cause, or what a further try finds behind a server that only keeps silent."""
    is_mute = fault.cause == "timeout" and fault.phase is Phase.BANNER
    if is_mute and transport.security == Transport.Security.STARTTLS:
        return "needs_implicit_tls" if greets_in_tls(transport.host, transport.port) else "timeout"
    return fault.cause


def run_test(
    transport: Transport,
    credential: Credential | None = None,
    *,
    recipient: str = "",
    by: str = "",
) -> Diagnosis:
    """Diagnose and keep the result: on the transport, or on a `credential` that only stands by."""
    row = Transport.objects.filter(pk=transport.pk)

    def watch(diagnosis: Diagnosis) -> None:
        row.update(live_test=diagnosis.as_json())

    try:
        diagnosis = diagnose(transport, credential, recipient=recipient, by=by, watch=watch)
    finally:
        row.update(live_test={})
    result = {"last_test": diagnosis.as_json(), "last_tested_at": timezone.now()}
    credential = credential or transport.active_credential
    if credential is not None:
        Credential.objects.logging_in_as(credential.login_id).update(**result)
    if credential is None or credential.is_active:
        same = row.filter(host=transport.host, port=transport.port, security=transport.security)
        is_kept = bool(same.update(**result))  # it says nothing of an endpoint given meanwhile
        if is_kept and diagnosis.is_ok:
            transport.end_backoff("The connection test works.")
    transport.refresh_from_db(fields=list(result))
    return diagnosis
