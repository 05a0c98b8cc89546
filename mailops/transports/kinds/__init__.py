"""The kinds of transports: each gives sessions of its own."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from django.conf import settings

from mailops.lib.secrets import Secret, Unsealable
from mailops.transports.causes import fault_of
from mailops.transports.kinds.apis import APIS
from mailops.transports.kinds.http_api import HttpApiSession
from mailops.transports.kinds.ses import SesSession
from mailops.transports.kinds.smtp import SmtpSession
from mailops.transports.kinds.smtp_connection import TIMEOUTS, Server
from mailops.transports.models import Credential, OAuthGrant, Transport
from mailops.transports.oauth import NotGranted, must_ask, usable_token
from mailops.transports.sessions import Login, Phase, Session
from mailops.transports.wire import Observer

_asking: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)  # by grant


def open_session(transport: Transport) -> Session:
    """Return a session of `transport`, to be opened by its `open()`; see `open_sessions`."""
    return next(open_sessions(transport))


def open_sessions(transport: Transport) -> Iterator[Session]:
    """Yield sessions of `transport` without end, each to be opened by its `open()`.

    The first reads the active credential from the database, for all of them; no network is asked. A session may be
    opened and used in another thread. It needs no database from then on, but where its `open()` must ask for a token.
    """
    credential = transport.active_credential
    transport.note_use(credential)
    while True:
        session = session_of(transport, credential, may_ask=False)
        session.login_id = credential.login_id if credential else None
        yield session


def session_of(
    transport: Transport,
    credential: Credential | None,
    observer: Observer | None = None,
    timeouts: Mapping[Phase, float] | None = None,
    *,
    may_ask: bool = True,
) -> SmtpSession | SesSession | HttpApiSession:
    """Return a session that logs in with `credential`, active or not, and is seen by `observer`.

    `may_ask`: whether a token may be asked for at once; else the session does it when it logs in.
    """
    login = None
    if credential is not None:
        credential.transport = transport  # as it is in memory, so that revealing asks no database
        login = _login_of(credential, may_ask=may_ask)
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


def _login_of(credential: Credential, *, may_ask: bool) -> Login:
    """Return what a session logs in with; for a token this asks the database, and the provider if it must and may."""
    grant = credential.oauth
    if grant is None:
        return Login(username=credential.username, reveal=credential.reveal)
    grant.credential = credential
    is_doubted = credential.transport.failures > 0
    if may_ask or not must_ask(grant, is_doubted=is_doubted):
        reveal = _token_now(grant, is_doubted)
    else:
        reveal = partial(_token_later, grant, is_doubted)
    return Login(username=credential.username, reveal=reveal, is_token=True)


def _token_now(grant: OAuthGrant, is_doubted: bool) -> Callable[[], Secret]:
    """Return what gives the session a token that is there already, or tells it why there is none."""
    try:
        token = usable_token(grant, is_doubted=is_doubted)
    except (NotGranted, Unsealable) as error:
        return partial(_never, error)
    return partial(_same, token)


def _token_later(grant: OAuthGrant, is_doubted: bool) -> Secret:
    """Ask for a token; sessions that want it meanwhile wait, and find it."""
    with _asking[grant.pk]:
        return _token_now(grant, is_doubted)()


def _same(token: Secret) -> Secret:
    return token


def _never(error: NotGranted | Unsealable) -> Secret:
    if isinstance(error, Unsealable):
        raise error
    cause = "oauth_revoked" if error.is_final else "oauth_away"
    raise fault_of(Phase.AUTH, cause, f"{error.sentence} {error.detail}".strip())


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
