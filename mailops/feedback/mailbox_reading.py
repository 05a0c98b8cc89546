"""Reads mailboxes: each mail is stored, committed, and only then marked, moved or deleted.

How far a mailbox was read is noted last. A crash between any two steps makes the next reading meet the same mails
again; their octets are known then, so they are dealt with and don't count twice. So it is when the server numbers all
mails anew (UIDVALIDITY, RFC 3501, 2.3.1.1).
"""

import logging
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError

from mailops.feedback.archiving import archive
from mailops.feedback.models import Mailbox, RawFeedback, content_hash
from mailops.lib import imap
from mailops.lib.imap import ImapFault
from mailops.lib.secrets import Secret, Unsealable
from mailops.lib.storable import storable
from mailops.protocol.report import addresses_in, header_fields
from mailops.transports.oauth import NotGranted, usable_token

logger = logging.getLogger(__name__)

READ_SECONDS = 40.0  # of one reading, which stays under a minute with all around it
LOOK_SECONDS = 15.0  # of a person's test
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
    """Store what is new in a mailbox; return whether there may be more. What goes wrong is kept as its cause."""
    mailbox = Mailbox.objects.filter(pk=mailbox_id).first()
    if mailbox is None or not mailbox.lease():
        return False
    mailbox.refresh_from_db()  # as the last reading left it
    try:
        is_done = _read(mailbox)
    except ImapFault as fault:
        mailbox.record_failure(fault.cause, fault.detail)
        logger.info("mailbox %s can't be read: %s", mailbox.pk, fault.cause)
        return False
    except DatabaseError:
        raise  # the lease runs out by itself
    mailbox.record_reading(is_done=is_done)
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
    many = f"{waiting:,}{' or more' if waiting == most else ''}"
    return Look(
        count=folder.count,
        waiting=waiting,
        sentence=f"Logged in. “{mailbox.folder}” holds {folder.count:,} mails, {many} of them not read yet.",
    )


def _read(mailbox: Mailbox) -> bool:
    """Read until nothing is left, or time is up; return whether nothing is left.

    What the server doesn't hand out, or lets nobody deal with, is asked for again next time; ImapFault is raised once the
    mails behind it are stored.
    """
    until = time.monotonic() + READ_SECONDS - 5
    refused: ImapFault | None = None
    is_time_up = False
    with imap.conversation(server_of(mailbox), seconds=READ_SECONDS) as talk:
        folder = talk.open(mailbox.folder)
        if folder.uid_validity != mailbox.uid_validity:
            mailbox.begin_anew(folder.uid_validity)
        reached = mailbox.last_uid
        while not is_time_up and (uids := talk.uids_after(reached, folder, most=CHUNK)):
            reached, refused = _take(mailbox, talk, uids, refused)
            is_time_up = time.monotonic() > until
    if refused:
        raise refused
    return not is_time_up


def _take(
    mailbox: Mailbox, talk: imap.Conversation, uids: list[int], refused: ImapFault | None
) -> tuple[int, ImapFault | None]:
    """Store the first of these mails and deal with them; return how far that came, and the first fault there was so far.

    How far the mailbox is read is noted up to the first mail with a fault, so that it is not passed over. Raise ImapFault
    where none of a whole chunk is handed out: that is no mail's fault, and asking for the next would make it worse.
    """
    stored: list[int] = []
    noted, reached = mailbox.last_uid, 0
    taken = known = cut = octets = refusals = 0
    for uid in uids:
        reached = uid
        try:
            mail = talk.fetch(uid)
        except ImapFault as fault:
            refused, refusals = refused or fault, refusals + 1
            continue
        noted = noted if refused else uid
        if mail is None:
            continue  # somebody deleted it meanwhile
        is_new = _keep(mailbox, mail)
        stored.append(uid)
        taken, known, cut = taken + is_new, known + (not is_new), cut + (mail.is_cut and is_new)
        octets += len(mail.content)
        if octets >= CHUNK_OCTETS:
            break
    if refused and refusals == CHUNK:
        raise refused
    if stored:
        try:
            _conclude(mailbox, talk, stored)
        except ImapFault as fault:
            refused, noted = refused or fault, mailbox.last_uid
    mailbox.advance(noted, taken=taken, known=known, cut=cut)
    return reached, refused


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
