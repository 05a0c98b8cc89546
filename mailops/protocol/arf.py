"""Abuse reports by which mailbox providers pass on complaints (RFC 5965; RFC 6430 for not-spam)."""

import re
from dataclasses import dataclass

from mailops.protocol import verp
from mailops.protocol.charsets import decode_words
from mailops.protocol.dsn import message_id_told
from mailops.protocol.report import (
    Fields,
    Report,
    Returned,
    addresses_in,
    blocks,
    first,
    open_report,
    untyped,
)

_NO_COMPLAINTS = frozenset({"not-spam", "auth-failure", "virus", "dmarc", "dkim"})
_TYPE_FIELD = re.compile(r"^[ \t]*Feedback-Type[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ORIGINAL_RECIPIENT = ("x-hmxmroriginalrecipient",)
_HIDDEN = re.compile(
    r"redact|hidden|removed|undisclosed|anonym|x{4}|\*{2}|^[0-9a-f]{32,}@", re.IGNORECASE
)
_COMPLAINS = re.compile(
    r"complaint about message|abuse report|spam (?:report|complaint)|junk (?:e-?mail )?report|feedback report|feedback loop",
    re.IGNORECASE,
)
_COLON = re.compile("[:\uff1a]")


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    feedback_type: str
    user_agent: str = ""
    original_recipients: tuple[str, ...] = ()  # often left out, for privacy
    source_ip: str = ""
    original_message_id: str = ""
    list_unsubscribe: str = ""  # of the reported message: its token names the message too
    token: verp.Token | None = None  # from the sender or the returned headers; not verified yet

    @property
    def is_complaint(self) -> bool:
        """Whether the recipient complained; an unknown type counts as `other` (RFC 5965, 3.5)."""
        return self.feedback_type not in _NO_COMPLAINTS


def parse(data: bytes) -> FeedbackReport | None:
    """Return the feedback report that `data` is, or None; never raises."""
    return from_report(open_report(data))


def from_report(report: Report) -> FeedbackReport | None:
    """Return what the report's own fields tell; None where it has none."""
    text = _fields_text(report)
    if text is None:
        return None
    found = {
        name: values for group in reversed(blocks(text)[:20]) for name, values in group.items()
    }
    returned = report.returned
    sender = first(found, "original-mail-from").strip("<> ")
    return FeedbackReport(
        feedback_type=(first(found, "feedback-type").lower().split() or ["other"])[0][:40],
        user_agent=first(found, "user-agent")[:200],
        original_recipients=_recipients(found, returned),
        source_ip=first(found, "source-ip")[:60],
        original_message_id=returned.message_id or message_id_told(report.told),
        list_unsubscribe=returned.list_unsubscribe,
        token=verp.parse_envelope_sender(sender) or returned.token,
    )


def _fields_text(report: Report) -> str | None:
    """Return the fields of the report: of its own part, or where its type is wrong, of one that begins with them."""
    part = report.part("message/feedback-report")
    if part is not None:
        return part.text
    texts = (text for text in report.unmarked if _TYPE_FIELD.search(text[:2000]))
    text = next(texts, None)
    found = _TYPE_FIELD.search(text) if text else None
    return text[found.start() :] if text and found else None


def without_fields(report: Report) -> FeedbackReport | None:
    """Return a complaint that is no ARF: Microsoft's JMRP sends the message back, its recipient in a header.

    A bounce may look the same, so ask for one first.
    """
    returned = report.returned
    marks = [
        first(headers, name)
        for headers in (returned.headers, report.headers)
        for name in _ORIGINAL_RECIPIENT
        if name in headers
    ]
    to = addresses_in(" ".join(marks))
    if not marks and not (returned.headers and _subject_complains(report)):
        return None
    return FeedbackReport(
        feedback_type="abuse",
        original_recipients=tuple(to) or returned.recipients,
        original_message_id=returned.message_id,
        list_unsubscribe=returned.list_unsubscribe,
        token=returned.token,
    )


def _subject_complains(report: Report) -> bool:
    """Tell whether the subject speaks of a complaint itself: after a colon, or in our own subject, it is our mail that does."""
    own = decode_words(first(report.returned.headers, "subject"))
    said = _COLON.split(report.words_of("subject"))[0]
    return _COMPLAINS.search(said) is not None and _COMPLAINS.search(own) is None


def _recipients(found: Fields, returned: Returned) -> tuple[str, ...]:
    """Return who complained; who hides it in the report may have left it in the message."""
    names = ("original-rcpt-to", "removal-recipient", "original-recipient")
    given = [untyped(value).strip("<> ")[:320] for name in names for value in found.get(name, [])]
    given = list(dict.fromkeys(one for one in given if one))
    plain = [one for one in given if "@" in one and not _HIDDEN.search(one)]
    if plain:
        return tuple(plain)
    marked = addresses_in(" ".join(first(returned.headers, name) for name in _ORIGINAL_RECIPIENT))
    others = [one for one in [*marked, *returned.recipients] if not _HIDDEN.search(one)]
    return tuple(others or [one for one in given if "@" in one] or returned.recipients)
