"""The kinds of transports: each gives sessions of its own."""

from django.conf import settings

from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.kinds.smtp_connection import TIMEOUTS, Login, Server
from mailops.transports.models import Transport
from mailops.transports.sessions import Session


def open_session(transport: Transport) -> Session:
    """Return a session of `transport`, to be opened by its `open()`.

    This reads the active credential from the database; from then on the session needs no database, so that it may be
    opened and used in another thread.
    """
    return SmtpSession(smtp_server_of(transport))


def smtp_server_of(transport: Transport) -> Server:
    credential = transport.active_credential
    if credential is not None:
        credential.transport = transport
    return Server(
        host=transport.host,
        port=transport.port,
        security=transport.security,
        ehlo_name=transport.return_path_host or settings.MAILOPS_RETURN_PATH_HOST,
        login=Login(username=credential.username, reveal=credential.reveal) if credential else None,
        ca_file=str(getattr(settings, "MAILOPS_EXTRA_CA_FILE", "")),
        timeouts={**TIMEOUTS, **getattr(settings, "MAILOPS_SMTP_TIMEOUTS", {})},
    )
