"""Rows behind the addresses with a part to fill in, so that tests can open every page there is.

An address joins as soon as all its parts have a line here. A part is named as in the address, with the app before it
where two apps use the same name for different rows.
"""

import base64
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import uuid4

from django.db.models import Model

from mailops.accounts.models import User
from mailops.audiences.models import Import, Membership
from mailops.content.enclosing import add_file
from mailops.content.models import Approval, Picture, TemplateFile
from mailops.digests.models import Digest
from mailops.dispatch.models import Crowding, Pressure
from mailops.domains.models import Requirement, SigningKey
from mailops.domains.signing_keys import make_key
from mailops.feedback.archiving import archive
from mailops.feedback.models import Mailbox, RawFeedback, WebhookEndpoint
from mailops.incidents.models import Threshold
from mailops.outbox import tokens
from mailops.outbox.models import Signature
from mailops.rollouts.models import MailProbe
from mailops.rollouts.probing import checklists_of
from mailops.signatures.models import Lesson
from mailops.signatures.teaching import Word, teach
from mailops.suppressions.keeping_in_step import begin
from mailops.transports.models import Credential, OAuthGrant, ProviderLimit, Transport, WarmUp
from tests.addresses import Address
from tests.factories import (
    make_audience,
    make_campaign,
    make_captured,
    make_channel,
    make_domain,
    make_identity,
    make_incident,
    make_message,
    make_stream,
    make_suppression,
    make_suppression_import,
    make_transport,
    make_version,
)
from tests.outbox.answers import make_refused, make_resending
from tests.outbox.doubts import make_doubtful, make_relay_log, make_settlement

PIXEL = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MAIL = b"Subject: Hello\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n"


def make_user() -> User:
    email = f"example{User.objects.count()}@example.com"
    return User.objects.create_user(email, name="Example", role="viewer")


def make_grant() -> OAuthGrant:
    credential = Credential.objects.create(transport=make_transport(), label="Mailbox")
    return OAuthGrant.objects.create(credential=credential, provider="google", client_id="app")


def make_mailbox() -> Mailbox:
    number = Mailbox.objects.count()
    return Mailbox.objects.create(
        name=f"Bounces {number}", host="imap.example.com", username=f"bounces{number}"
    )


def make_member() -> Membership:
    return make_audience("ann@example.net").memberships.get()


def make_feedback() -> RawFeedback:
    archive(
        source=RawFeedback.Source.MAIL, content=MAIL, peer="test", envelope_recipients=["b@c.de"]
    )
    return RawFeedback.objects.latest("id")


def make_approval() -> Approval:
    template = make_version().template
    return template.approvals.create(content_hash="0" * 64, note="New footer")


def make_file() -> TemplateFile:
    template = make_version().template
    return add_file(template=template, name="dot.png", content=PIXEL, actor=None)


def make_digest_token() -> str:
    message = make_message(with_entry=False, status="accepted")
    Digest.objects.create(user=make_user(), week_on=date(2026, 11, 9), message=message)
    url = tokens.unsubscribe_url(message.public_id, message.token_key_id, "digests:leave")
    return url.split("/")[-2]


def make_unsubscribe_token() -> str:
    message = make_message()
    return tokens.unsubscribe_url(message.public_id, message.token_key_id).split("/")[-2]


def make_mail_probe() -> MailProbe:
    transport = make_transport()
    return MailProbe.objects.create(
        stream=make_stream(transport=transport),
        transport=transport,
        recipient="p@sandbox.example",
        message_id="<1@x>",
    )


def make_lesson() -> Lesson:
    signature = Signature.objects.get(pk=make_refused().signature_id or 0)
    word = Word(name="Gone", reason="mailbox_disabled")
    teacher = make_user()
    return teach(
        key=uuid4(), signature=signature, word=word, revision=signature.revision, actor=teacher
    )


def make_synced() -> Transport:
    transport = make_transport(kind="postmark")
    begin(transport=transport, actor=None)
    return transport


def make_signing_key() -> SigningKey:
    return make_key(domain=make_domain(), algorithm="ed25519", selector="mo1")


MAKERS: dict[str, Callable[[], Any]] = {
    "user_id": make_user,
    "domain_id": make_domain,
    "identity_id": make_identity,
    "requirement_id": lambda: Requirement.objects.create(
        domain=make_domain(), kind="spf_include", value="_spf.example.net", needed_by="a person"
    ),
    "key_id": make_signing_key,
    "probe_id": make_mail_probe,
    "transport_id": make_transport,
    "credential_id": lambda: Credential.objects.create(transport=make_transport(), label="Key"),
    "grant_id": make_grant,
    "mailbox_id": make_mailbox,
    "mailbox_provider": lambda: "gmail",
    "stream_id": make_stream,
    "limit_id": lambda: ProviderLimit.objects.get_or_create(
        mailbox_provider="gmail", defaults={"max_sessions": 5}
    )[0],
    "approval_id": make_approval,
    "picture_id": lambda: Picture.objects.create(
        html_hash="0" * 64, scheme="light", width=600, image=PIXEL, image_hash="0" * 64
    ),
    "content:language": lambda: "pt",
    "file_id": make_file,
    "content:sha256": lambda: make_file().content.sha256,
    "template_id": lambda: make_version().template,
    "audience_id": lambda: make_audience("ann@example.net", "bob@example.net"),
    "membership_id": make_member,
    "contact_id": lambda: make_member().contact,
    "audiences:run_id": lambda: Import.objects.create(
        audience=make_audience(), file_name="people.csv", state="completed"
    ),
    "campaign_id": make_campaign,
    "suppression_id": make_suppression,
    "suppressions:run_id": make_suppression_import,
    "suppressions:transport_id": make_synced,
    "feedback:transport_id": lambda: make_transport(kind="postmark"),
    "inbox_id": lambda: make_captured(MAIL).inbox,
    "captured_id": lambda: make_captured(MAIL),
    "sandbox:message_id": lambda: make_captured(MAIL),
    "incident_id": make_incident,
    "checklist_id": lambda: checklists_of(make_stream())[0],
    "rollouts:item_id": lambda: checklists_of(make_stream())[0].items.get(number=7),
    "outbox:public_id": lambda: make_message().public_id,
    "dispatch:public_id": lambda: make_message().public_id,
    "tracking:public_id": lambda: make_message().public_id,
    "settlement_id": make_settlement,
    "resending_id": lambda: make_resending(make_refused()),
    "signature_id": lambda: make_refused().signature_id,
    "lesson_id": make_lesson,
    "log_id": lambda: make_relay_log(make_doubtful()),
    "feedback_id": make_feedback,
    "feedback:secret": lambda: WebhookEndpoint.objects.create(transport=make_transport()).secret,
    "feedback:token": make_unsubscribe_token,
    "digests:token": make_digest_token,
    "threshold_id": Threshold.objects.first,
    "channel_id": make_channel,
    "warm_up_id": lambda: WarmUp.objects.create(
        transport=make_transport(), mailbox_provider="gmail", started_on="2026-01-05"
    ),
    "pressure_id": lambda: Pressure.objects.create(
        transport=make_transport(), rate_per_minute=6, aim=60, sentence="Gmail asked for less."
    ),
    "crowding_id": lambda: Crowding.objects.create(transport=make_transport(), sessions=2),
}
# parts that are no row: said as they are
WORDS: dict[str, Any] = {"number": 1, "incidents:kind": "mail"}


def has_example(address: Address) -> bool:
    return all(
        _found(MAKERS, address, part) or _found(WORDS, address, part) for part in address.converters
    )


def example(address: Address) -> str:
    """Return the path of `address` for rows made just now."""
    return address.path(**{part: _value(address, part) for part in address.converters})


def _found(known: dict[str, Any], address: Address, part: str) -> Any:
    app = address.name.partition(":")[0]
    return known.get(f"{app}:{part}") or known.get(part)


def _value(address: Address, part: str) -> Any:
    maker = _found(MAKERS, address, part)
    made = maker() if maker else _found(WORDS, address, part)
    return made.pk if isinstance(made, Model) else made
