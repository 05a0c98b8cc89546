"""The kinds of transports: each gives sessions of its own."""

from collections.abc import Callable, Mapping
from functools import partial

from django.conf import settings

from mailops.lib.secrets import Secret, Unsealable
from mailops.transports.causes import sentence_of
from mailops.transports.kinds.apis import APIS
from mailops.transports.kinds.http_api import HttpApiSession
from mailops.transports.kinds.ses import SesSession
from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.kinds.smtp_connection import TIMEOUTS, Login, Server
from mailops.transports.models import Credential, Transport
from mailops.transports.oauth import NotGranted, usable_token
from mailops.transports.sessions import Phase, Session, SessionFault
from mailops.transports.wire import Observer


def open_session(transport: Transport) -> Session:
    """Return a session of `transport`, to be opened by its `open()`.

    This reads the active credential from the database; from then on the session needs no database, so that it may be
    opened and used in another thread.
    """
    credential = transport.active_credential
    transport.note_use(credential)
    session = session_of(transport, credential)
    session.login_id = credential.login_id if credential else None
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
        login = _login_of(credential)
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


def _login_of(credential: Credential) -> Login:
    """Return what a session logs in with; for a token this asks the database, and the provider if it must."""
    grant = credential.oauth
    if grant is None:
        return Login(username=credential.username, reveal=credential.reveal)
    grant.credential = credential
    try:
        token = usable_token(grant, is_doubted=credential.transport.failures > 0)
    except (NotGranted, Unsealable) as error:
        reveal = _never(error)
    else:
        reveal = partial(_same, token)
    return Login(username=credential.username, reveal=reveal, is_token=True)


def _same(token: Secret) -> Secret:
    return token


def _never(error: NotGranted | Unsealable) -> Callable[[], Secret]:
    """Return what tells the session, when it logs in, why there is no token."""

    def reveal() -> Secret:
        if isinstance(error, Unsealable):
            raise error
        cause = "oauth_revoked" if error.is_final else "oauth_away"
        detail = f"{error.sentence} {error.detail}".strip()
        raise SessionFault(Phase.AUTH, cause, sentence_of(cause), detail)

    return reveal


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
