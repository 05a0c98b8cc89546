"""Proves alignment: sends one message through a transport, and judges the copy that the sandbox captured."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.domains import signing
from mailops.domains.proving import Verdict, judge
from mailops.domains.signing import CannotSign
from mailops.lib.resolver import Memo, resolve
from mailops.outbox.mime import Letter, build_content
from mailops.rollouts.models import MailProbe
from mailops.sandbox.models import CapturedMessage
from mailops.transports.kinds import open_session
from mailops.transports.models import Stream, Transport
from mailops.transports.sessions import Envelope, SessionFault, SessionLost

TWO_PRESSES = timedelta(minutes=1)  # the same within it, while that is on its way, is one probe
SECONDS = 10  # for all questions to DNS about one mail
TEXT = (
    "This message proves that mail of your domain is signed and aligned. Nobody has to answer it.\n"
)


def send_probe(*, stream: Stream, transport: Transport, recipient: str, actor: User) -> MailProbe:
    """Send one message of `stream` through `transport`, as its mail would go; what refuses it is kept.

    Where a button was pressed twice, return the one that is on its way already.
    """
    public_id, domain = uuid4(), stream.domain.name
    identity = stream.domain.identities.order_by("id").first()
    letter = Letter(
        public_id=public_id,
        header_from_name=identity.name if identity else "",
        header_from=identity.addr_spec if identity else f"postmaster@{domain}",
        reply_to="",
        recipient=recipient,
        subject=f"Probe of {stream} through {transport}",
        text=TEXT,
        html="",
        message_id=f"<probe.{public_id.hex}@{domain}>",
        date=datetime.now(UTC),
    )
    asked: dict[str, Any] = {"stream": stream, "transport": transport, "recipient": recipient}
    asked["sent_by"] = actor.email
    with transaction.atomic():
        Stream.objects.select_for_update(no_key=True).get(pk=stream.pk)  # a second press waits here
        pressed = MailProbe.objects.filter(
            **asked, result=MailProbe.Result.WAITING, sent_at__gt=Now() - TWO_PRESSES
        )
        if first := pressed.first():
            return first
        probe = MailProbe.objects.create(**asked, message_id=letter.message_id)
    refusal = _send(letter, transport, domain)
    if refusal:
        probe.result, probe.sentence = MailProbe.Result.REFUSED, refusal
        probe.save(update_fields=["result", "sentence"])
    after = {"transport": transport.name, "recipient": recipient, "refusal": refusal}
    audit(actor=actor, verb="mail_probe.send", subject=stream, after=after)
    return probe


def _send(letter: Letter, transport: Transport, domain: str) -> str:
    """Return why it could not be sent, or nothing."""
    content = build_content(letter)
    host = transport.return_path_host or settings.MAILOPS_RETURN_PATH_HOST
    try:
        if transport.is_signed_here:
            signing.load_signers([domain])
            content = signing.sign(content, domain)
        session = open_session(transport)
        session.open()
    except CannotSign as problem:
        return problem.sentence
    except SessionFault as fault:
        return fault.sentence
    try:
        offer = session.offer(
            Envelope(f"probe@{host}", letter.recipient, size=len(content), is_8bit=False)
        )
        reply = session.body(content).reply if offer.is_ready else offer.reply
    except SessionLost as lost:
        return f"The connection was lost: {lost.detail}"
    finally:
        session.close()
    return "" if reply.is_positive else f"{transport} refused it: {reply}"


def judge_captured(*, until: datetime) -> int:
    """Judge the copies that the sandbox has captured of the probes on their way, until `until`; return how many."""
    waiting = MailProbe.objects.filter(result=MailProbe.Result.WAITING)
    captured = CapturedMessage.objects.filter(message_id=OuterRef("message_id"))
    judged = 0
    for probe in waiting.filter(Exists(captured)).order_by("id"):
        if timezone.now() >= until:
            break
        _judge(probe)
        judged += 1
    return judged


def _judge(probe: MailProbe) -> None:
    captured = CapturedMessage.objects.filter(message_id=probe.message_id).order_by("id").first()
    if captured is None:  # deleted meanwhile
        return
    verdict = verdict_on(captured)  # asks DNS: outside any transaction
    MailProbe.objects.filter(pk=probe.pk, result=MailProbe.Result.WAITING).update(
        captured=captured, verdict=verdict.as_values(), result=verdict.result
    )


def verdict_on(captured: CapturedMessage) -> Verdict:
    """Judge a captured mail as a receiver would, with our resolver."""
    return judge(
        captured.content,
        client=captured.client or "",
        helo=captured.helo,
        envelope_sender=captured.envelope_sender,
        at=int(captured.received_at.timestamp()),
        asks=Memo(resolve, seconds=SECONDS),
    )
