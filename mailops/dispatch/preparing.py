"""Makes the mail of one claimed job: objections first, then rendering, then the envelope; no database here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailops.content.files import files_of_version
from mailops.content.models import TemplateVersion
from mailops.content.rendering import Rendered, RenderError, compile_marked, compile_version
from mailops.content.variables import merge_data
from mailops.dispatch.claiming import Job
from mailops.domains import signing
from mailops.outbox import tokens
from mailops.outbox.mime import Enclosure, Letter, UnfitContent
from mailops.outbox.skeleton import assemble
from mailops.outbox.tracked import track
from mailops.protocol import unsubscribe
from mailops.protocol.message_id import make_message_id
from mailops.transports.sessions import Envelope

SIZE_LIMIT = 10_000_000  # octets; larger mail is refused nearly everywhere
_WITHOUT_FILE = "Publish its template without that file, and send that version."


class Objection(Exception):
    """Why this message must not or can't be sent: our failure, not the recipient's."""

    def __init__(self, reason: str, sentence: str, *, is_of_all: bool = False) -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence
        self.is_of_all = is_of_all  # it holds for every message of its campaign


@dataclass(frozen=True)
class Prepared:
    """A job with its envelope and the octets of its content."""

    job: Job
    envelope: Envelope
    content: bytes


def prepare(
    job: Job,
    version: TemplateVersion,
    return_path_host: str,
    *,
    takes_8bit: bool = False,
    signs_here: bool = False,
) -> Prepared:
    """Return the job ready to be spoken of to a next hop that takes 8-bit octets or not; raise Objection where it can't be.

    With `signs_here` it is signed with the keys of its domain, if it has any; raise CannotSign where they can't be used.
    """
    if version.infection:
        raise Objection("infected", f"{version.infection} {_WITHOUT_FILE}", is_of_all=True)
    if not job.addr_spec.isascii():
        raise Objection(
            "needs_smtputf8",
            "The address has letters outside ASCII before the @, which this next hop does not accept.",
        )
    page = "" if job.campaign_id else tokens.leaving_page(job.merge_data)
    is_left = job.is_bulk or page
    url = tokens.unsubscribe_url(job.public_id, job.token_key_id, page) if is_left else ""
    is_signed = signs_here and signing.is_signed(job.domain)
    try:
        data = merge_data(
            job.merge_data,
            email=job.recipient,
            unsubscribe_url=url,
            campaign_name=job.campaign_name,
            sender_name=job.header_from_name,
            sender_email=job.header_from,
        )
        # a mail of mailops to its own people is no campaign: whether they open it is nobody's business
        if (job.tracks_opens or job.tracks_clicks) and not page:
            rendered = _tracked(job, version, data)
        else:
            rendered = compile_version(version).render(data)
        # a relay that has to encode anew breaks the signature (RFC 6376 section 5.3)
        takes_8bit = takes_8bit and not is_signed
        content = assemble(
            _letter(job, version, rendered, url, is_ours=bool(page), takes_8bit=takes_8bit)
        )
    except RenderError as error:
        raise Objection(
            "render_failed", f"The template can't be filled in for this recipient: {error}"
        ) from error
    except UnfitContent as error:
        raise Objection("unfit_content", str(error)) from error
    if len(content) > SIZE_LIMIT:
        raise Objection(
            "too_big", f"The mail has {len(content):,} octets; the limit is {SIZE_LIMIT:,}."
        )
    if is_signed:
        content = signing.sign(content, job.domain)
    envelope = Envelope(
        sender=tokens.envelope_sender(job.public_id, job.round, job.token_key_id, return_path_host),
        recipient=job.addr_spec,
        envid=tokens.envid(job.public_id, job.round, job.token_key_id),
        size=len(content),
        is_8bit=not content.isascii(),
    )
    return Prepared(job, envelope, content)


def _tracked(job: Job, version: TemplateVersion, data: dict[str, Any]) -> Rendered:
    """Return the mail with our links and picture; where marks are too much for the limits of a mail, without them."""
    try:
        marked = compile_marked(version).render(data)
    except RenderError:
        return compile_version(version).render(data)
    return track(
        marked,
        public_id=job.public_id,
        key_id=job.token_key_id,
        opens=job.tracks_opens,
        clicks=job.tracks_clicks,
    )


def _letter(
    job: Job,
    version: TemplateVersion,
    rendered: Rendered,
    url: str,
    *,
    is_ours: bool,
    takes_8bit: bool,
) -> Letter:
    """Return what is to be written, with the files that are attached and the pictures that this recipient's HTML shows."""
    html = rendered.html
    return Letter(
        public_id=job.public_id,
        header_from_name=job.header_from_name,
        header_from=job.header_from,
        reply_to=job.reply_to,
        recipient=job.addr_spec,
        subject=rendered.subject,
        text=rendered.text,
        html=html,
        message_id=make_message_id(job.public_id, job.domain),
        date=datetime.now(UTC),
        headers=_headers(job, url, is_ours=is_ours),
        takes_8bit=takes_8bit,
        files=tuple(
            Enclosure(
                name=file.name,
                content_type=file.content_type,
                content=version.contents[file.sha256],
                cid=file.cid if file.is_inline else "",
            )
            for file in files_of_version(version)
            if not file.is_inline or file.cid in html
        ),
    )


def _headers(job: Job, url: str, *, is_ours: bool) -> dict[str, str]:
    """Return the fields of bulk mail, or of a mail of mailops to its own people (RFC 3834 section 5).

    A mail to unsubscribe leaves the stream, so it is offered only where the link does.
    """
    # Google reads Feedback-ID from the right: the last part is the sender, the others are what to group complaints by.
    headers = {
        "Feedback-ID": f"c{job.campaign_id or 0}:v{job.version_id}:s{job.stream_id}:{job.domain}"
    }
    if is_ours:
        headers["Auto-Submitted"] = "auto-generated"
    if url:
        mail_address = (
            "" if is_ours else tokens.unsubscribe_mail_address(job.public_id, job.token_key_id)
        )
        headers |= unsubscribe.header_values(url, mail_address)
    return headers
