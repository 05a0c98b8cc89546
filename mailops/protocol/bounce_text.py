"""Reads reports that are no delivery status notification: text that a server, or its operator, wrote for people."""

import re
from dataclasses import dataclass
from functools import partial

from mailops.protocol import bounce_words as words
from mailops.protocol.bounce_lines import MAX_RECIPIENTS, MAX_SAID, Telling, Told
from mailops.protocol.classification.deciding import explains
from mailops.protocol.classification.folding import fold_letters
from mailops.protocol.dsn import Action, Dsn, DsnRecipient, Further, make_dsn
from mailops.protocol.report import MAX_TOLD, Report, addresses_in, first

MAX_READ = 8_000

_ANSWER = re.compile(r"\s*(?:re|fwd?|aw|wg|tr|rv|sv|vs|antw|odp|回复|转发|答复)\s*:")
_DELAY_WORD = re.compile(r"\bdelay(?:ed)?\b")
_FINAL = re.compile(
    r"permanent|giv(?:en|ing) up|failed after|returned to sender|will not be retried|could not be delivered for more than \d+ days"
)
_REPLY = re.compile(r"(?<![\d.])5\d\d[ -]|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![.\d])")
_OWN_STATUS = re.compile(
    r"^[ \t]{0,8}status[ \t]*:[ \t]*([245]\.\d{1,3}\.\d{1,3})", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class Impression:
    """What the look of a mail says of who wrote it and what about; all texts folded."""

    subject: str
    text: str
    is_daemon: bool
    is_report: bool
    names_failed: bool  # X-Failed-Recipients

    @property
    def action(self) -> Action | None:
        """What the mail reports, or None where it is no report of a machine."""
        if not self._is_machines:
            return None
        if words.DELAYED.search(self.subject) or _DELAY_WORD.search(self.subject):
            return Action.DELAYED
        if self._says_delivered:
            return Action.DELIVERED
        if not (self.names_failed or self._says_failed):
            return Action.DELAYED if words.DELAYED.search(self.text) else None
        is_waiting = words.DELAYED.search(self.text) and not _FINAL.search(self.text)
        return Action.DELAYED if is_waiting else Action.FAILED

    @property
    def is_surely_machines(self) -> bool:
        return self.names_failed or self.is_daemon or self.is_report

    @property
    def _is_machines(self) -> bool:
        if words.AUTO_SUBJECT.match(self.subject) and not self.names_failed:
            return False
        failed = self._subject_says_failed
        if words.CHALLENGE.search(self.text) and not (failed and _REPLY.search(self.text)):
            return False
        if self.names_failed or self.is_daemon or self.is_report:
            return True
        return failed and not _ANSWER.match(self.subject) and self._text_says_failed

    @property
    def _says_failed(self) -> bool:
        return self._subject_says_failed or self._text_says_failed

    @property
    def _subject_says_failed(self) -> bool:
        return any(
            said.search(self.subject) for said in (words.FAILED_SUBJECT, words.NEUTRAL_SUBJECT)
        )

    @property
    def _text_says_failed(self) -> bool:
        return bool(
            words.FAILED_TEXT.search(self.text)
            or words.FAILED_SUBJECT.search(self.text[:1000])
            or _REPLY.search(self.text)
        )

    @property
    def _says_delivered(self) -> bool:
        if self.names_failed or words.FAILED_SUBJECT.search(self.subject):
            return False
        if words.DELIVERED.search(self.subject):
            return True
        return not self._says_failed and words.DELIVERED.search(self.text) is not None


def from_report(report: Report) -> Dsn | None:
    """Return what a free-text report says, in the form of a notification; None where it is none."""
    impression = _impression(report)
    action = impression.action
    if action is None:
        return None
    telling = _telling_of(report)
    spoken_of = _spoken_of(report, telling)
    if not (any(one.address for one in spoken_of) or _is_about_a_message(report, impression)):
        return None  # a person, or a newsletter, that writes about bounces
    found = _status_lines(report.told)
    in_subject = report.words_of("subject")[:MAX_SAID] if explains(impression.subject) else ""

    def read(one: Told) -> DsnRecipient:
        return DsnRecipient(
            final_recipient=one.address,
            original_recipient="",
            action=action,
            status=found,
            diagnostic="" if action == Action.DELIVERED else one.said or in_subject,
            remote_mta="",
        )

    return make_dsn(
        report,
        tuple(map(read, spoken_of[:MAX_RECIPIENTS])),
        further=tuple(
            Further(one.address, "", action, partial(read, one))
            for one in spoken_of[MAX_RECIPIENTS:]
        ),
        is_cut=telling.is_cut or any(len(part.words) > MAX_TOLD for part in report.own_parts),
    )


def _is_about_a_message(report: Report, impression: Impression) -> bool:
    """Tell whether a machine that names nobody speaks of one message all the same."""
    return impression.is_surely_machines and bool(
        impression.names_failed
        or impression.is_report
        or report.returned.headers
        or report.header("in-reply-to")
        or _REPLY.search(impression.text)
    )


def is_challenge(report: Report) -> bool:
    """Tell whether a filter asks the sender to prove that they are a person."""
    said = f"{report.words_of('subject')}\n{report.told}"
    return words.CHALLENGE.search(_folded(said)) is not None


def is_away(report: Report) -> bool:
    """Tell whether the text itself says that nobody reads it now."""
    return words.AUTO_TEXT.search(_folded(report.told)) is not None


def says_automatic(subject: str) -> bool:
    return words.AUTO_SUBJECT.match(fold_letters(subject)) is not None


def _impression(report: Report) -> Impression:
    sender = f"{report.words_of('from')} {report.header('sender')}"
    is_null = report.header("return-path").replace(" ", "") == "<>"
    subject = fold_letters(report.words_of("subject"))
    return Impression(
        subject=subject,
        text=_folded(report.told),
        is_daemon=words.DAEMON.search(sender) is not None
        or (
            is_null
            and any(said.search(subject) for said in (words.FAILED_SUBJECT, words.NEUTRAL_SUBJECT))
        ),
        is_report="report-type=delivery-status"
        in report.header("content-type").replace(" ", "").replace('"', "").lower(),
        names_failed=bool(report.header("x-failed-recipients")),
    )


def _telling_of(report: Report) -> Telling:
    own = {one.lower() for name in _OWN for one in addresses_in(report.header(name))}
    ours = {report.returned.return_path.lower()}
    ours |= {one.lower() for one in addresses_in(first(report.returned.headers, "from"))}
    written_to = {one.lower() for one in report.returned.recipients}
    return Telling(report.told, frozenset((own | ours) - written_to))


def _spoken_of(report: Report, telling: Telling) -> list[Told]:
    """Return whom the report names: in its text, in a header, or else in the message it returns."""
    told = telling.recipients
    known = {one.address.lower() for one in told} | telling.made_from
    named = [
        Told(address, partial(telling.said_about, address))
        for address in addresses_in(report.header("x-failed-recipients").replace(",", "\n"))
        if address.lower() not in known
    ]
    if told or named:
        return told + named
    return [
        Told(address, lambda: telling.said_anywhere)
        for address in report.returned.recipients[:1] or ("",)
    ]


def _status_lines(text: str) -> str:
    found = _OWN_STATUS.search(text)
    return found[1] if found else ""


def _folded(text: str) -> str:
    return fold_letters(text[:MAX_READ])


_OWN = ("to", "delivered-to", "from", "reply-to", "x-original-to", "sender")
