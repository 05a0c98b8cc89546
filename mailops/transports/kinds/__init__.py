"""The kinds of transports: each gives sessions of its own."""

from collections.abc import Mapping

from django.conf import settings

from mailops.transports.kinds.apis import APIS
from mailops.transports.kinds.http_api import HttpApiSession
from mailops.transports.kinds.ses import SesSession
from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.kinds.smtp_connection import TIMEOUTS, Login, Server
from mailops.transports.models import Credential, Transport
from mailops.transports.sessions import Phase, Session
from mailops.transports.wire import Observer


def open_session(transport: Transport) -> Session:
    """Return a session of `transport`, to be opened by its `open()`.

    This reads the active credential from the database; from then on the session needs no database, so that it may be
    opened and used in another thread.
    """
    credential = transport.active_credential
    transport.note_use(credential)
    session = session_of(transport, credential)
    session.credential_id = credential.pk if credential else None
    return session


def session_of(
    transport: Transport,
    credential: Credential | None,
    observer: Observer | None = None,
    timeouts: Mapping[Phase, float] | None = None,
) -> SmtpSession | SesSession | HttpApiSession:
    """Return a session that logs in with `credential`, active or not, and is seen by `observer`."""
    login = None
    if credential is not None:
        credential.transport = transport  # as it is in memory, so that revealing asks no database
        login = Login(username=credential.username, reveal=credential.reveal)
    if transport.kind == Transport.Kind.SES:
        return _ses_session(transport, login)
    if api := APIS.get(transport.kind):
        return HttpApiSession(
            api=api,
            options=transport.options,
            login=login,
            return_path_host=transport.return_path_host,
            ca_file=str(settings.MAILOPS_EXTRA_CA_FILE or ""),
            patience=settings.MAILOPS_SMTP_PATIENCE,
            observer=observer,
        )
    return SmtpSession(_server_of(transport, login, timeouts), observer)


def _ses_session(transport: Transport, login: Login | None) -> SesSession:
    return SesSession(
        region=transport.options.get("region", ""),
        endpoint_url=transport.options.get("endpoint_url", ""),
        configuration_set=transport.options.get("configuration_set", ""),
        ca_file=str(settings.MAILOPS_EXTRA_CA_FILE or ""),
        patience=settings.MAILOPS_SMTP_PATIENCE,
        login=login,
    )


def _server_of(
    transport: Transport, login: Login | None, timeouts: Mapping[Phase, float] | None
) -> Server:
    return Server(
        host=transport.host,
        port=transport.port,
        security=transport.security,
        ehlo_name=transport.return_path_host or settings.MAILOPS_RETURN_PATH_HOST,
        login=login,
        ca_file=str(settings.MAILOPS_EXTRA_CA_FILE or ""),
        timeouts=timeouts or _patience(),
    )


def _patience() -> dict[Phase, float]:
    return {phase: seconds * settings.MAILOPS_SMTP_PATIENCE for phase, seconds in TIMEOUTS.items()}
