"""What simulated mailboxes do later: bounce reports, complaints, one-click unsubscribes, as rows fall due.

They reach nobody but mailops itself: reports go only to envelope senders at the installation's own
return-path host, through its own listener; an unsubscribe goes only below its own base URL.
"""

import re
import smtplib
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Event
from time import monotonic
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from mailops.lib.env import host_and_port
from mailops.protocol import dsn, report_writing
from mailops.protocol.unsubscribe import ONE_CLICK
from mailops.sandbox import storing
from mailops.sandbox.models import Reaction
from mailops.sandbox.reading import read

HOST = "sandbox.mailops.localhost"
BATCH = 20
POLL_SECONDS = 0.5
PRUNE_SECONDS = 60.0
TIMEOUT = 10.0  # seconds for each step of a conversation with ourselves
LEASE = timedelta(seconds=60)  # a reaction whose process died in the middle is due again after it
PATIENCE = [timedelta(seconds=seconds) for seconds in (2, 5, 15, 60, 300)]  # the last one repeats
MAX_ATTEMPTS = 20
_URL = re.compile(r"<\s*(https?://[^>\s]+)\s*>", re.IGNORECASE)


class NotAllowed(Exception):
    """The message names a place that is not our own, or none; the sentence says which."""


def run(stop: Event) -> None:
    """React to what is due, and prune inboxes, until `stop` is set."""
    prune_at = monotonic()
    while not stop.is_set():
        did = _guarded(react_to_due)
        if monotonic() >= prune_at:
            _guarded(storing.prune)
            prune_at = monotonic() + PRUNE_SECONDS
        if did == 0:
            stop.wait(POLL_SECONDS)
    connection.close()


def _guarded(work: Callable[[], int]) -> int:
    """Do one piece of work; while the database is away nothing is done."""
    try:
        return work()
    except DatabaseError:
        connection.close()  # the next try opens a new one, should the server be back
        return 0


def react_to_due() -> int:
    """Perform the reactions that are due, and return how many were tried."""
    claimed = _claim()
    for reaction in claimed:
        try:
            outcome = _perform(reaction)
        except NotAllowed as refused:
            _settle(reaction, succeeded=False, outcome=str(refused))
        except (OSError, ValueError, smtplib.SMTPException, HTTPException) as error:
            _try_later(reaction, f"{type(error).__name__}: {error}")
        else:
            _settle(reaction, succeeded=True, outcome=outcome)
    return len(claimed)


def _claim() -> list[Reaction]:
    with transaction.atomic():
        due = Reaction.objects.waiting().filter(due_at__lte=Now()).order_by("due_at")
        ids = list(due.select_for_update(skip_locked=True).values_list("id", flat=True)[:BATCH])
        Reaction.objects.filter(id__in=ids).update(due_at=Now() + LEASE, attempts=F("attempts") + 1)
    return list(Reaction.objects.filter(id__in=ids).select_related("captured").order_by("id"))


def _settle(reaction: Reaction, *, succeeded: bool, outcome: str) -> None:
    Reaction.objects.filter(pk=reaction.pk).update(
        done_at=Now(), has_succeeded=succeeded, outcome=outcome
    )


def _try_later(reaction: Reaction, outcome: str) -> None:
    if reaction.attempts >= MAX_ATTEMPTS:
        _settle(reaction, succeeded=False, outcome=f"Given up. {outcome}")
        return
    pause = PATIENCE[min(reaction.attempts, len(PATIENCE)) - 1]
    Reaction.objects.filter(pk=reaction.pk).update(due_at=Now() + pause, outcome=outcome)


def _perform(reaction: Reaction) -> str:
    if reaction.kind == Reaction.Kind.UNSUBSCRIBE:
        return _unsubscribe(reaction)
    captured = reaction.captured
    if captured.envelope_sender.rpartition("@")[2].lower() != settings.MAILOPS_RETURN_PATH_HOST:
        raise NotAllowed(
            f"The envelope sender {captured.sender_shown} is not at {settings.MAILOPS_RETURN_PATH_HOST}, "
            "our return-path host; the sandbox writes to nobody else."
        )
    write = _complaint if reaction.kind == Reaction.Kind.COMPLAINT else _notification
    # a fixed Message-ID: should the process die after sending, the second report is known as the same
    report = f"Message-ID: <reaction-{reaction.pk}@{HOST}>\r\n".encode() + write(reaction)
    return _mail(captured.envelope_sender, report)


_TOLD = {
    Reaction.Kind.BOUNCE: (
        dsn.Action.FAILED, "5.1.1", "550 5.1.1 No such mailbox here, found out after accepting",
    ),
    Reaction.Kind.DELIVERY: (dsn.Action.DELIVERED, "2.0.0", "250 2.0.0 Put into the mailbox"),
}  # fmt: skip


def _notification(reaction: Reaction) -> bytes:
    captured = reaction.captured
    action, status, diagnostic = _TOLD[Reaction.Kind(reaction.kind)]
    return report_writing.write_dsn(
        recipient=captured.recipient,
        envelope_sender=captured.envelope_sender,
        reporting_mta=HOST,
        action=action,
        status=status,
        diagnostic=diagnostic,
        original=captured.content,
        now=timezone.now(),
        envid=captured.envid,
        orcpt=captured.orcpt,
    )


def _complaint(reaction: Reaction) -> bytes:
    captured = reaction.captured
    return report_writing.write_complaint(
        recipient=captured.recipient,
        envelope_sender=captured.envelope_sender,
        reporting_mta=HOST,
        original=captured.content,
        now=timezone.now(),
    )


def _mail(envelope_sender: str, report: bytes) -> str:
    """Send `report` from the null sender (RFC 3464, 2) through our feedback listener; return what came of it."""
    host, port = host_and_port(settings.MAILOPS_FEEDBACK_LISTENER)
    with smtplib.SMTP(host, port, local_hostname=HOST, timeout=TIMEOUT) as client:
        client.ehlo_or_helo_if_needed()
        options = ["BODY=8BITMIME"] if client.has_extn("8bitmime") else []
        client.sendmail("", [envelope_sender], report, mail_options=options)
    return f"Sent to {envelope_sender}."


def _unsubscribe(reaction: Reaction) -> str:
    url = _one_click_url(dict(read(reaction.captured.content).headers))
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(kind(parts.netloc, timeout=TIMEOUT)) as client:
        client.request(
            "POST",
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            ONE_CLICK,
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        status = client.getresponse().status  # a redirect is not followed (RFC 8058, 3.1)
    if status >= 500:
        raise HTTPException(f"{url} answered {status}")
    if status >= 300:
        raise NotAllowed(f"{url} refused the one-click unsubscribe with {status}.")
    return f"One-click POST to {url} was answered {status}."


def _one_click_url(headers: dict[str, str]) -> str:
    fields = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    found = _URL.search(fields.get("list-unsubscribe", ""))
    if found is None or fields.get("list-unsubscribe-post") != ONE_CLICK:
        raise NotAllowed("The message offers no one-click unsubscribe.")
    if not _is_ours(found.group(1)):
        raise NotAllowed(
            f"{found.group(1)} is not below {settings.MAILOPS_BASE_URL}; the sandbox calls nobody else."
        )
    return found.group(1)


def _is_ours(url: str) -> bool:
    ours, theirs = urlsplit(settings.MAILOPS_BASE_URL.lower()), urlsplit(url.lower())
    is_our_host = (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)
    return is_our_host and theirs.path.startswith(ours.path.rstrip("/") + "/")
