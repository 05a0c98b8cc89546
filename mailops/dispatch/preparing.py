"""Makes the mail of one claimed job: objections first, then rendering, then the envelope; no database here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

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


class Way(NamedTuple):
    """What mail is made for, besides its job."""

    return_path_host: str
    takes_8bit: bool = False  # else it is written for a next hop that doesn't
    signs_here: bool = False  # with the keys of its domain, if that has any


@dataclass(frozen=True)
class Prepared:
    """A job with its envelope and the octets of its content."""

    job: Job
    envelope: Envelope
    content: bytes


@dataclass(slots=True)
class _Draft:
    """A mail in the making: what one step leaves for the next."""

    job: Job
    version: TemplateVersion
    way: Way
    page: str = ""
    url: str = ""
    is_signed: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    rendered: Rendered | None = None
    letter: Letter | None = None
    content: bytes = b""
    made: Prepared | Exception | None = None


def prepare_all(
    jobs: Iterable[Job], versions: Mapping[int, TemplateVersion], way: Way
) -> list[Prepared | Exception]:
    """Return each job ready to be spoken of, or what `prepare` raises of it.

    All take one step, then all the next: that way mail is made in three quarters of the time.
    """
    drafts = [_Draft(job, versions[job.version_id], way) for job in jobs]
    for step in (_fill, _render, _write, _assemble, _envelop):
        for draft in drafts:
            if draft.made is None:
                try:
                    step(draft)
                except Exception as error:  # noqa: BLE001 - told to whoever takes that job
                    draft.made = error
    return [draft.made for draft in drafts if draft.made is not None]


def prepare(job: Job, version: TemplateVersion, way: Way) -> Prepared:
    """Return the job ready to be spoken of; raise Objection where it can't be, CannotSign where its keys can't be used."""
    (made,) = prepare_all([job], {job.version_id: version}, way)
    if isinstance(made, Exception):
        raise made
    return made


def _fill(draft: _Draft) -> None:
    """Object to what must not be made; gather what the template is filled in with."""
    job = draft.job
    if draft.version.infection:
        raise Objection("infected", f"{draft.version.infection} {_WITHOUT_FILE}", is_of_all=True)
    if not job.addr_spec.isascii():
        raise Objection(
            "needs_smtputf8",
            "The address has letters outside ASCII before the @, which this next hop does not accept.",
        )
    draft.page = "" if job.campaign_id else tokens.leaving_page(job.merge_data)
    if job.is_bulk or draft.page:
        draft.url = tokens.unsubscribe_url(job.public_id, job.token_key_id, draft.page)
    draft.data = merge_data(
        job.merge_data,
        email=job.recipient,
        unsubscribe_url=draft.url,
        campaign_name=job.campaign_name,
        sender_name=job.header_from_name,
        sender_email=job.header_from,
    )


def _render(draft: _Draft) -> None:
    job, version = draft.job, draft.version
    try:
        # a mail of mailops to its own people is no campaign: whether they open it is nobody's business
        if (job.tracks_opens or job.tracks_clicks) and not draft.page:
            draft.rendered = _tracked(job, version, draft.data)
        else:
            draft.rendered = compile_version(version).render(draft.data)
    except RenderError as error:
        raise Objection(
            "render_failed", f"The template can't be filled in for this recipient: {error}"
        ) from error


def _write(draft: _Draft) -> None:
    """Say what is to be assembled, with the files that are attached and the pictures that this recipient's HTML shows."""
    job, version, rendered = draft.job, draft.version, draft.rendered
    assert rendered is not None
    html = rendered.html
    draft.is_signed = draft.way.signs_here and signing.is_signed(job.domain)
    draft.letter = Letter(
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
        headers=_headers(job, draft.url, is_ours=bool(draft.page)),
        # a relay that has to encode anew breaks the signature (RFC 6376 section 5.3)
        takes_8bit=draft.way.takes_8bit and not draft.is_signed,
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


def _assemble(draft: _Draft) -> None:
    assert draft.letter is not None
    try:
        draft.content = assemble(draft.letter)
    except UnfitContent as error:
        raise Objection("unfit_content", str(error)) from error
    if len(draft.content) > SIZE_LIMIT:
        raise Objection(
            "too_big", f"The mail has {len(draft.content):,} octets; the limit is {SIZE_LIMIT:,}."
        )


def _envelop(draft: _Draft) -> None:
    job, content = draft.job, draft.content
    if draft.is_signed:
        content = signing.sign(content, job.domain)
    envelope = Envelope(
        sender=tokens.envelope_sender(
            job.public_id, job.round, job.token_key_id, draft.way.return_path_host
        ),
        recipient=job.addr_spec,
        envid=tokens.envid(job.public_id, job.round, job.token_key_id),
        size=len(content),
        is_8bit=not content.isascii(),
    )
    draft.made = Prepared(job, envelope, content)


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
