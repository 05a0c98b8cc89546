"""Reads mailboxes: each mail is stored, committed, and only then marked, moved or deleted.

How far a mailbox was read is noted last, and with it what was met and had to be left: mails that the server doesn't
hand out, and those that it lets nobody mark, move or delete. The next readings go on behind them, and then back to them.
A crash between any two steps makes the next reading meet the same mails again; their octets are known then, so they are
dealt with and don't count twice. So it is when the server numbers all mails anew (UIDVALIDITY, RFC 3501, 2.3.1.1).
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from django.conf import settings

from mailops.feedback.archiving import archive
from mailops.feedback.models import Mailbox, RawFeedback, content_hash
from mailops.lib import imap
from mailops.lib.imap import ImapFault
from mailops.lib.secrets import Secret, Unsealable
from mailops.lib.storable import storable
from mailops.protocol.report import addresses_in, header_fields
from mailops.transports.oauth import NotGranted, usable_token

logger = logging.getLogger(__name__)

READ_SECONDS = 40.0  # for what is new; a reading stays under a minute with all around it
TAKING_SECONDS = 35.0  # of these; then the last chunk ends
GOING_BACK_SECONDS = 15.0  # for what was left before
LOOK_SECONDS = 15.0  # of a person's test
MOST_REFUSED = 1000  # mails that are noted as not handed out
CHUNK = 25  # mails between two notes of how far it came
# of them together, but for one that is larger: some are done before time is up
CHUNK_OCTETS = 4_000_000
RECIPIENTS_KEPT = 20
# Where servers write to whom a mail was delivered: by that our signed addresses are known.
_DELIVERED_TO = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "to")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a person's test found."""

    count: int
    waiting: int
    sentence: str


def read_mailbox(mailbox_id: int) -> bool:
    """Store what is new in a mailbox; return whether there may be more. What goes wrong is kept as its cause.

    Where the database can't be used, the lease runs out by itself.
    """
    mailbox = Mailbox.objects.filter(pk=mailbox_id).first()
    if mailbox is None or not mailbox.lease():
        return False
    mailbox.refresh_from_db()  # as the last reading left it
    try:
        is_done, fault = _read(mailbox)
    except ImapFault as failure:
        mailbox.record_failure(failure.cause, failure.detail)
        logger.info("mailbox %s can't be read: %s", mailbox.pk, failure.cause)
        return False
    if is_done and mailbox.has_left:
        fault = _go_back(mailbox) or (fault if mailbox.has_left else None)
    told = (fault.cause, fault.detail) if fault else None
    mailbox.record_reading(is_done=is_done, fault=told)
    mailbox.refresh_from_db(fields=["due_at"])
    return mailbox.due_at is None


def look(mailbox: Mailbox) -> Look:
    """Log in and look, changing nothing; raise ImapFault."""
    with imap.conversation(server_of(mailbox), seconds=LOOK_SECONDS) as talk:
        if mailbox.then == Mailbox.Then.MOVE and not talk.has(mailbox.target):
            raise ImapFault("target_missing", mailbox.target)
        folder = talk.open(mailbox.folder, is_look=True)
        is_same = folder.uid_validity == mailbox.uid_validity
        most = 1000
        waiting = len(talk.uids_after(mailbox.last_uid if is_same else 0, folder, most=most))
        waiting = min(waiting + len(mailbox.refused_uids) * is_same, most)
    many = f"{waiting:,}{' or more' if waiting == most else ''}"
    return Look(
        count=folder.count,
        waiting=waiting,
        sentence=f"Logged in. “{mailbox.folder}” holds {folder.count:,} mails, {many} of them not read yet.",
    )


def _read(mailbox: Mailbox) -> tuple[bool, ImapFault | None]:
    """Read what is new until nothing is left, or time is up; return whether nothing is left, and the first fault.

    What the server doesn't hand out, or lets nobody deal with, is noted and holds up no other.
    """
    until = time.monotonic() + TAKING_SECONDS
    fault: ImapFault | None = None
    with imap.conversation(server_of(mailbox), seconds=READ_SECONDS) as talk:
        folder = talk.open(mailbox.folder)
        if folder.uid_validity != mailbox.uid_validity:
            mailbox.begin_anew(folder.uid_validity)
        while uids := talk.uids_after(mailbox.last_uid, folder, most=CHUNK):
            met = _take(mailbox, talk, uids)
            fault = fault or met.fault
            if met.fault and _is_the_servers_fault(mailbox, met):
                raise met.fault
            mailbox.advance(
                met.asked[-1], [*mailbox.refused_uids, *met.refused], met.left, met.counts
            )
            if met.lost:
                raise met.lost
            if time.monotonic() > until:
                return False, fault
    return True, fault


def _is_the_servers_fault(mailbox: Mailbox, met: "_Met") -> bool:
    """Tell whether so many mails are refused that it is none of theirs, and asking for the next would make it worse."""
    is_full = len(mailbox.refused_uids) >= MOST_REFUSED
    return len(met.refused) == CHUNK or (is_full and bool(met.refused))


def _go_back(mailbox: Mailbox) -> ImapFault | None:
    """Ask again for some mails that were not handed out, and deal with those only stored; return the fault there is."""
    try:
        with imap.conversation(server_of(mailbox), seconds=GOING_BACK_SECONDS) as talk:
            if talk.open(mailbox.folder).uid_validity == mailbox.uid_validity:
                left = _deal_with_left(mailbox, talk)
                return _ask_again(mailbox, talk) or left
    except ImapFault as fault:
        return fault
    return None


def _ask_again(mailbox: Mailbox, talk: imap.Conversation) -> ImapFault | None:
    """Ask for some of them; who is refused once more waits until the others were asked for."""
    asked = mailbox.refused_uids[:CHUNK]
    met = _take(mailbox, talk, asked)
    refused = [*mailbox.refused_uids[len(met.asked) :], *met.refused]
    mailbox.advance(mailbox.last_uid, refused, met.left, met.counts)
    if met.lost:
        raise ImapFault("mail_refused", f"UID {met.asked[-1]}: {met.lost}") from met.lost
    return met.fault


def _deal_with_left(mailbox: Mailbox, talk: imap.Conversation) -> ImapFault | None:
    """Deal with mails that could only be stored when they came."""
    while mailbox.left_spans:
        (low, high), *others = mailbox.left_spans
        last = min(low + CHUNK - 1, high)
        try:
            _conclude(mailbox, talk, list(range(low, last + 1)))
        except ImapFault as fault:
            return fault
        mailbox.leave([[last + 1, high], *others] if last < high else others)
    return None


@dataclass
class _Met:
    """What became of mails that were asked for; `left` are stored, but could not be dealt with."""

    asked: list[int] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    fault: ImapFault | None = None  # the first
    lost: Exception | None = None  # the connection, while the last of them was asked for
    octets: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def refuse(self, uid: int, fault: ImapFault | None) -> None:
        self.refused.append(uid)
        self.fault = self.fault or fault

    def take(self, uid: int, mail: imap.Fetched, *, is_new: bool) -> None:
        self.stored.append(uid)
        self.octets += len(mail.content)
        self.counts["taken" if is_new else "known"] += 1
        self.counts["cut"] += int(mail.is_cut and is_new)


def _take(mailbox: Mailbox, talk: imap.Conversation, uids: list[int]) -> _Met:
    """Store the first of these mails and deal with them; return what became of those."""
    met = _Met()
    for uid in uids:
        met.asked.append(uid)
        try:
            mail = talk.fetch(uid)
        except ImapFault as fault:
            met.refuse(uid, fault)
            continue
        except imap.LOST as error:  # of some mails servers die
            met.refuse(uid, None)
            met.lost, met.left = error, met.stored
            return met
        if mail is None:
            continue  # somebody deleted it meanwhile
        met.take(uid, mail, is_new=_keep(mailbox, mail))
        if met.octets >= CHUNK_OCTETS:
            break
    if met.stored:
        try:
            _conclude(mailbox, talk, met.stored)
        except ImapFault as fault:
            met.fault, met.left = met.fault or fault, met.stored
    return met


def _keep(mailbox: Mailbox, mail: imap.Fetched) -> bool:
    """Store one mail and return whether it is new; when this returns, it is committed."""
    fields = header_fields(mail.content)
    named = [
        one
        for name in _DELIVERED_TO
        for value in fields.get(name, [])
        for one in addresses_in(value)
    ]
    recipients = [storable(one, 320) for one in dict.fromkeys(named)][:RECIPIENTS_KEPT]
    headers = {name: values[0] for name, values in fields.items()}
    if mail.is_cut:
        headers["x-mailops-cut"] = f"{len(mail.content)} of {mail.size} octets were read"
    sha256 = content_hash(recipients, mail.content)
    if RawFeedback.objects.filter(source=RawFeedback.Source.IMAP, sha256=sha256).exists():
        return False
    archive(
        source=RawFeedback.Source.IMAP,
        content=mail.content,
        peer=mailbox.host,
        envelope_sender=next(iter(addresses_in(" ".join(fields.get("return-path", [])))), ""),
        envelope_recipients=recipients,
        headers=headers,
        mailbox_id=mailbox.pk,
    )
    return True


def _conclude(mailbox: Mailbox, talk: imap.Conversation, uids: list[int]) -> None:
    """Do with mails that are stored what the mailbox's owner wants."""
    if mailbox.then == Mailbox.Then.MOVE:
        talk.move(uids, mailbox.target)
    elif mailbox.then == Mailbox.Then.DELETE:
        talk.delete(uids)
    else:
        talk.flag(uids)


def server_of(mailbox: Mailbox) -> imap.Server:
    """Return where and how to log in; raise ImapFault where there is nothing to log in with."""
    return imap.Server(
        host=mailbox.host,
        port=mailbox.port,
        security=mailbox.security,
        username=mailbox.username,
        secret=_secret_of(mailbox),
        is_token=mailbox.grant is not None,
        ca_file=str(settings.MAILOPS_EXTRA_CA_FILE or ""),
    )


def _secret_of(mailbox: Mailbox) -> Secret:
    try:
        if mailbox.grant is not None:
            return usable_token(mailbox.grant, is_doubted=mailbox.cause == "oauth_refused")
        return mailbox.open_from("password")
    except Unsealable as error:
        raise ImapFault("credential", str(error)) from error
    except NotGranted as fault:
        cause = "oauth_revoked" if fault.is_final else "oauth_away"
        raise ImapFault(cause, f"{fault.sentence} {fault.detail}".strip()) from fault
