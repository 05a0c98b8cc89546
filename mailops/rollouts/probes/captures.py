"""Probe of the templates: each version in use is sent to a test inbox, and what arrived there is asserted."""

import re
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from django.conf import settings
from selectolax.lexbor import LexborHTMLParser

from mailops.dispatch.claiming import Job
from mailops.dispatch.preparing import Objection, Prepared, Way, prepare
from mailops.lib.env import host_and_port
from mailops.outbox.tokens import current_token_key_id
from mailops.protocol.message_id import make_message_id
from mailops.rollouts.captured import InUse, in_use
from mailops.rollouts.probes.proof import Proof
from mailops.sandbox.models import CapturedMessage
from mailops.sandbox.reading import ReadMessage, read
from mailops.transports.models import Stream

RECIPIENT = "accept+checklist@inbox.example"  # the tag is the test inbox
SMTP_SECONDS = 5
ARRIVAL_SECONDS = 5.0
LOOK_SECONDS = 0.1
_LEFTOVER = re.compile(r"\{\{|\}\}|\{%|%\}")
_LINK = re.compile(r"(https?://[^\s/]+|mailto:[^\s@]+@[^\s]+|tel:\+?[\d-]+|#)", re.IGNORECASE)


def captures(stream: Stream) -> Proof:
    """Send each version in use, with its sample data, to a test inbox and assert what arrived."""
    uses = in_use(stream)
    if not uses:
        return Proof(
            is_ok=None,
            sentence="This stream uses no template yet.",
            fix="Make a campaign or send a message; its template is then sent to a test inbox by itself.",
        )
    problems: list[tuple[str, str]] = []
    failing: list[int] = []
    data: dict[str, object] = {}
    for use in uses:
        look = _look_at(stream, use)
        if look.failure:
            return Proof(is_ok=None, sentence=look.failure, fix=look.fix)
        data[str(use.version)] = {"captured message": look.captured_id}
        problems += [(f"{use.version}: {what}", fix) for what, fix in look.problems]
        failing += [use.version.pk] if look.problems else []
    return Proof.over(
        problems,
        well="Each version in use arrived in a test inbox with subject, text, HTML, links and what unsubscribing needs.",
        data=data,
        versions=tuple(use.version.pk for use in uses),
        failing=tuple(failing),
    )


@dataclass(frozen=True)
class Look:
    captured_id: int | None = None
    problems: tuple[tuple[str, str], ...] = ()
    failure: str = ""  # nothing could be found out
    fix: str = ""


def _look_at(stream: Stream, use: InUse) -> Look:
    job = _job(stream, use)
    try:
        prepared = prepare(job, use.version, Way(settings.MAILOPS_RETURN_PATH_HOST))
    except Objection as objection:
        return Look(problems=((str(objection), "Mend the template and publish it again."),))
    try:
        _deliver(prepared)
    except (OSError, smtplib.SMTPException) as error:
        return Look(
            failure=f"The test inboxes at {settings.MAILOPS_SANDBOX_LISTENER} could not be reached: {error}",
            fix="See that the sandbox listener runs.",
        )
    captured = _wait_for(make_message_id(job.public_id, job.domain))
    if captured is None:
        return Look(
            failure="The mail was taken by the sandbox and did not appear in its inbox.",
            fix="Look at the log of the sandbox listener.",
        )
    return Look(captured.pk, tuple(_problems(stream, use, read(captured.content))))


def _job(stream: Stream, use: InUse) -> Job:
    """Return what the dispatcher would hold for one recipient; nothing of it is in the ledger."""
    identity, version = use.identity, use.version
    return Job(
        message_id=0,
        transport_id=0,
        fence=0,
        session_attempts=0,
        due_at=datetime.now(UTC),
        leaves_by=None,
        public_id=uuid4(),
        round=0,
        token_key_id=current_token_key_id(),
        recipient=RECIPIENT,
        address_key=RECIPIENT,
        version_id=version.pk,
        stream_id=stream.pk,
        is_bulk=stream.is_bulk,
        campaign_id=use.campaign_id,
        campaign_name=use.campaign_name,
        header_from_name=identity.name,
        header_from=identity.addr_spec,
        domain=identity.domain.name,
        reply_to=identity.reply_to,
        mailbox_provider="",
        merge_data=version.sample,
    )


def _deliver(prepared: Prepared) -> None:
    host, port = host_and_port(settings.MAILOPS_SANDBOX_LISTENER)
    with smtplib.SMTP(host, port, timeout=SMTP_SECONDS) as session:
        session.sendmail(prepared.envelope.sender, [prepared.envelope.recipient], prepared.content)


def _wait_for(message_id: str) -> CapturedMessage | None:
    ends_at = time.monotonic() + ARRIVAL_SECONDS
    while True:
        captured = CapturedMessage.objects.filter(
            message_id__in=[message_id, message_id.strip("<>")]
        ).first()
        if captured or time.monotonic() > ends_at:
            return captured
        time.sleep(LOOK_SECONDS)


def _problems(stream: Stream, use: InUse, mail: ReadMessage) -> Iterator[tuple[str, str]]:
    mend = "Mend the template and publish it again."
    headers = {name.lower(): value for name, value in mail.headers}
    if mail.problem:
        yield mail.problem, mend
    if not headers.get("subject", "").strip():
        yield "The subject is empty.", mend
    if not mail.text.strip():
        yield "There is no text part.", mend
    if _LEFTOVER.search(headers.get("subject", "") + mail.text + mail.html):
        yield "A placeholder was left unfilled.", mend
    if use.identity.addr_spec not in headers.get("from", ""):
        yield f"It does not say it is from {use.identity.addr_spec}.", "Choose another identity."
    broken = [href for href in _links(mail.html) if not _LINK.match(href)]
    if broken:
        yield (
            f"These links lead nowhere: {', '.join(broken[:3])}.",
            "Write whole addresses, beginning with https://.",
        )
    if stream.is_bulk:
        yield from _unsubscribe_problems(headers, mail)


def _links(html: str) -> list[str]:
    nodes = LexborHTMLParser(html).css("a") if html else []
    return [(node.attributes.get("href") or "").strip() for node in nodes]


def _unsubscribe_problems(headers: dict[str, str], mail: ReadMessage) -> Iterator[tuple[str, str]]:
    url = re.search(r"<(https?://[^>]+)>", headers.get("list-unsubscribe", ""))
    if not url or "one-click" not in headers.get("list-unsubscribe-post", "").lower():
        yield (
            "The header fields for unsubscribing with one click are missing.",
            "This is a fault of mailops; please report it.",
        )
    elif url[1] not in mail.text or (mail.has_html and url[1] not in _links(mail.html)):
        yield (
            "The mail shows no link for unsubscribing.",
            "Put {{ unsubscribe_url }} into both parts of the template.",
        )
