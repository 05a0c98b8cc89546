"""One conversation with an IMAP server (RFC 3501), opened by egress, always over TLS, bounded in time and size.

`imap_tools` speaks; what it would leave to chance is decided here: how long and how large an answer may be, that only
what was read is deleted, and what each fault is called.
"""

import contextlib
import imaplib
import io
import re
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imap_tools import BaseMailBox
from imap_tools.errors import ImapToolsError

from mailops.lib import egress
from mailops.lib.deadline import Deadline
from mailops.lib.egress import EgressFault
from mailops.lib.secrets import Secret, spellings
from mailops.lib.tls import client_context, flaw_of

MOST_OCTETS = 10_485_760  # of one mail that are asked for: a report stands before what it returns
_MOST_ANSWER = MOST_OCTETS + 65_536  # of one literal that is read
_FIRST_SPAN = 10_000  # UIDs of one search; a mailbox may have a million
_CONNECT_SECONDS = 10.0
LOST = (imaplib.IMAP4.abort, OSError)  # the connection
_NO_WORDS = (imaplib.IMAP4.error, ImapToolsError)
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,12})")


class ImapFault(Exception):
    """The mailbox can't be read; `cause` is one of EgressFault's, begins with tls, or says what the server refused."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(detail or cause)
        self.cause, self.detail = cause, detail[:500]


@dataclass(frozen=True, kw_only=True)
class Server:
    host: str
    port: int
    security: str  # "tls", "starttls", or "none" to a trusted relay
    username: str
    secret: Secret
    is_token: bool = False  # the secret is an access token of OAuth 2.0
    ca_file: str = ""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What a folder says of itself when it is opened (RFC 3501, 2.3.1.1)."""

    uid_validity: int
    uid_next: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Fetched:
    uid: int
    content: bytes
    size: int

    @property
    def is_cut(self) -> bool:
        return self.size > MOST_OCTETS


_LINE_SECONDS = 30.0  # for the rest of a line that has begun, and for an answer to DONE


class _Client(imaplib.IMAP4):
    """Speaks over a socket that egress connected, and reads no answer larger than what was asked for."""

    def __init__(self, connection: socket.socket, host: str, port: int, seconds: float) -> None:
        self._connected = connection
        super().__init__(host, port, seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        self._connected.settimeout(timeout)
        return self._connected

    def read(self, size: int) -> bytes:
        if size > _MOST_ANSWER:
            raise self.abort(f"an answer of {size} octets")
        return super().read(size)


class _Box(BaseMailBox):
    def __init__(self, client: imaplib.IMAP4) -> None:
        self._client = client
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return self._client


class Conversation:
    """A session that is logged in."""

    def __init__(self, box: _Box) -> None:
        self._box, self._client = box, box.client

    def open(self, folder: str, *, is_look: bool = False) -> Folder:
        """Open `folder`, to look at it only or to change it too; raise ImapFault."""
        try:
            self._box.folder.set(folder, readonly=is_look)
        except imaplib.IMAP4.readonly as refused:
            raise ImapFault("read_only", str(refused)) from refused
        except ImapToolsError as refused:
            raise ImapFault("folder_missing", _said(refused)) from refused
        return Folder(
            uid_validity=self._told("UIDVALIDITY") or 0,
            uid_next=self._told("UIDNEXT") or 2**32,
            count=self._told("EXISTS") or 0,
        )

    def has(self, folder: str) -> bool:
        return bool(self._box.folder.exists(folder))

    def uids_after(self, uid: int, folder: Folder, *, most: int) -> list[int]:
        """Return the next UIDs, ascending; spans double where they are empty, so that gaps cost little."""
        low, span = uid + 1, _FIRST_SPAN
        while low < folder.uid_next:
            answer = self._box.uids(f"UID {low}:{min(low + span, 2**32) - 1}", charset=None)
            # of an empty span some servers name the last mail there is
            if found := sorted(n for n in map(int, answer) if low <= n < low + span):
                return found[:most]
            low, span = low + span, span * 2
        return []

    def fetch(self, uid: int) -> Fetched | None:
        """Return a mail, its first MOST_OCTETS where it is larger; None where it is gone. Nothing is marked as seen.

        Raises ImapFault where the server has it but doesn't hand it out.
        """
        try:
            status, answer = self._client.uid(
                "FETCH", str(uid), f"(RFC822.SIZE BODY.PEEK[]<0.{MOST_OCTETS}>)"
            )
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as refused:  # a BAD: some servers say so of mail they can't read
            raise ImapFault("mail_refused", f"UID {uid}: {refused}") from refused
        if status != "OK":  # what is gone is an OK without data (RFC 3501, 6.4.8)
            raise ImapFault("mail_refused", f"UID {uid}: {answer!r}")
        heads = [one for one in answer if isinstance(one, bytes)]
        for one in answer:
            if isinstance(one, tuple) and b"BODY[]" in one[0].upper():
                heads.insert(0, one[0])
                return Fetched(uid=uid, content=one[1], size=_size_in(heads, len(one[1])))
        # an empty mail comes as a quoted string instead of a literal
        is_empty = any(b"BODY[]" in head.upper() for head in heads)
        return Fetched(uid=uid, content=b"", size=0) if is_empty else None

    def flag(self, uids: Sequence[int], flag: str = r"\Seen") -> None:
        status, answer = self._client.uid("STORE", _set(uids), "+FLAGS.SILENT", f"({flag})")
        if status != "OK":
            raise ImapFault("read_only", repr(answer))

    def move(self, uids: Sequence[int], folder: str) -> None:
        """Move mails; where the server knows no MOVE (RFC 6851), copy and delete them."""
        numbers = [str(uid) for uid in uids]
        try:
            if "MOVE" in self._client.capabilities:
                self._box.move(numbers, folder)
                return
            self._box.copy(numbers, folder)
        except ImapToolsError as refused:
            raise ImapFault("target_missing", _said(refused)) from refused
        self.delete(uids)

    def delete(self, uids: Sequence[int]) -> None:
        """Delete these mails and no others: without UIDPLUS (RFC 4315) they are only marked as deleted."""
        self.flag(uids, r"\Deleted")
        if "UIDPLUS" in self._client.capabilities:
            self._client.uid("EXPUNGE", _set(uids))

    @property
    def can_idle(self) -> bool:
        return "IDLE" in self._client.capabilities

    def idle(self, *, seconds: float, waker: socket.socket) -> bool:
        """Let the server tell of new mail (RFC 2177), for so long, or until `waker` can be read; return whether it did.

        Raises ImapFault where the server refuses.
        """
        client = self._client
        client.sock.settimeout(_LINE_SECONDS)
        tag = client._command("IDLE")  # noqa: SLF001
        while client._get_response() is not None:  # noqa: SLF001
            if client.tagged_commands[tag]:
                raise ImapFault("idle_refused", repr(client.tagged_commands.pop(tag)))
        self._wait(time.monotonic() + seconds, waker)
        client.send(b"DONE\r\n")
        self._box.consume_until_tagged_response(tag)  # with which it may still tell of mail
        return client.untagged_responses.pop("EXISTS", None) is not None

    def _wait(self, until: float, waker: socket.socket) -> None:
        """Return once the server says EXISTS, the time is up, or somebody wakes us."""
        poll, sock = select.poll(), self._client.sock
        poll.register(sock, select.POLLIN)
        poll.register(waker, select.POLLIN)
        is_readable = False
        while "EXISTS" not in self._client.untagged_responses:
            while self._has_begun(is_end=is_readable):
                self._client._get_response()  # noqa: SLF001
                is_readable = False
            left = until - time.monotonic()
            if "EXISTS" in self._client.untagged_responses or left <= 0:
                return
            events = dict(poll.poll(left * 1000))
            if waker.fileno() in events:
                return
            is_readable = sock.fileno() in events

    def _has_begun(self, *, is_end: bool) -> bool:
        """Tell whether some of a line is here, in our buffer or TLS's; where nothing is and `is_end`, the server left."""
        # newer versions of Python call it by another name
        file: io.BufferedReader = getattr(self._client, "_file", None) or self._client.file  # type: ignore[assignment]
        self._client.sock.settimeout(0)
        try:
            begun = bool(file.peek(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self._client.sock.settimeout(_LINE_SECONDS)
        if is_end and not begun:
            raise self._client.abort("the server closed the connection")
        return begun

    def _told(self, name: str) -> int | None:
        _, answer = self._client.response(name)
        told = answer[-1] if answer else None
        return int(told) if told and told.isdigit() else None


@contextlib.contextmanager
def conversation(server: Server, *, seconds: float) -> Iterator[Conversation]:
    """Yield a session that is logged in; whatever goes wrong, here or inside, is an ImapFault."""
    until = time.monotonic() + seconds
    client = _connected(server, min(seconds, _CONNECT_SECONDS))
    deadline = Deadline(client.sock, until - time.monotonic())
    try:
        with deadline:
            box = _Box(client)
            _log_in(client, server)
            yield Conversation(box)
            box.logout()
    except ImapFault as fault:
        raise ImapFault(fault.cause, _masked(fault.detail, server)) from fault
    except (*_NO_WORDS, OSError) as error:
        cause = "timeout" if deadline.is_over or isinstance(error, TimeoutError) else "dropped"
        raise ImapFault(cause, _masked(_said(error), server)) from error
    finally:
        with contextlib.suppress(OSError):
            client.shutdown()


def _connected(server: Server, seconds: float) -> imaplib.IMAP4:
    if server.security == "none" and not egress.is_trusted(server.host, server.port):
        raise ImapFault("not_trusted", f"{server.host}:{server.port} is not a trusted relay")
    try:
        endpoint = egress.resolve(server.host, server.port)
        connection, _ = egress.connect(endpoint, timeout=seconds)
    except EgressFault as fault:
        raise ImapFault(fault.cause, fault.detail) from fault
    try:
        with Deadline(connection, 2 * seconds):
            return _greeted(server, connection, seconds)
    except (*_NO_WORDS, OSError) as error:
        connection.close()
        raise _fault_of(error) from error
    except ImapFault:
        connection.close()
        raise


def _greeted(server: Server, connection: socket.socket, seconds: float) -> imaplib.IMAP4:
    context = client_context(server.ca_file)
    if server.security == "tls":
        connection.settimeout(seconds)
        connection = context.wrap_socket(connection, server_hostname=server.host)
    client = _Client(connection, server.host, server.port, seconds)
    if client.state != "NONAUTH":  # a PREAUTH greeting forbids STARTTLS (RFC 9051, 11.1)
        raise ImapFault("protocol", "the server took us for somebody before we logged in")
    if server.security == "starttls":
        if "STARTTLS" not in client.capabilities:
            raise ImapFault("no_tls", f"it offers: {' '.join(client.capabilities)}")
        client.starttls(context)
    return client


def _log_in(client: imaplib.IMAP4, server: Server) -> None:
    offers, secret = client.capabilities, server.secret.reveal()
    try:
        if server.is_token:
            if "AUTH=XOAUTH2" not in offers:
                raise ImapFault("oauth_not_offered", f"it offers: {' '.join(offers)}")
            said = f"user={server.username}\1auth=Bearer {secret}\1\1".encode()
            # a refusal comes as a challenge first, to be answered with nothing
            answers = iter([said])
            client.authenticate("XOAUTH2", lambda _: next(answers, b""))
        elif "AUTH=PLAIN" in offers:
            client.authenticate("PLAIN", lambda _: f"\0{server.username}\0{secret}".encode())
        elif "LOGINDISABLED" in offers:
            raise ImapFault("auth_not_offered", f"it offers: {' '.join(offers)}")
        else:
            client.login(server.username, secret)
    except imaplib.IMAP4.abort:
        raise
    except (imaplib.IMAP4.error, UnicodeError) as refused:
        cause = "oauth_refused" if server.is_token else "auth_failed"
        if "[UNAVAILABLE]" in str(refused).upper():
            cause = "auth_busy"  # RFC 5530
        raise ImapFault(cause, _masked(_said(refused), server)) from refused
    _, told = client.capability()  # what it offers to those who are logged in
    client.capabilities = tuple(told[-1].decode("ascii", "replace").upper().split())


def _fault_of(error: Exception) -> ImapFault:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ImapFault(flaw_of(error), error.verify_message)
    if isinstance(error, ssl.SSLError):
        return ImapFault("tls_failed", str(error))
    if isinstance(error, TimeoutError):
        return ImapFault("timeout", "no answer in time")
    if isinstance(error, (OSError, imaplib.IMAP4.abort)):
        return ImapFault("dropped", _said(error))
    return ImapFault("protocol", _said(error))


def _said(error: Exception) -> str:
    """Return what the server said, as text: the libraries raise its octets."""
    result = getattr(error, "command_result", None)
    told = (
        result[1] if result else error.args if isinstance(error, imaplib.IMAP4.error) else [error]
    )
    return " ".join(
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in told
    )


def _masked(text: str, server: Server) -> str:
    for hidden in filter(None, spellings(server.username, server.secret)):
        text = text.replace(hidden, "****")
    return text


def _set(uids: Sequence[int]) -> str:
    return ",".join(map(str, uids))


def _size_in(heads: Sequence[bytes], fallback: int) -> int:
    found = next((match for head in heads if (match := _SIZE.search(head))), None)
    return int(found[1]) if found else fallback
