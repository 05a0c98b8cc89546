"""Delivery status notifications (RFC 3464; RFC 6533 for addresses outside ASCII)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial

from mailops.protocol import verp
from mailops.protocol.bounce_lines import MAX_RECIPIENTS, Telling
from mailops.protocol.bounce_words import DELAYED
from mailops.protocol.charsets import decode_words
from mailops.protocol.classification import Classification, Reason, classify, reply_in_report
from mailops.protocol.classification.folding import fold_letters
from mailops.protocol.reply import Reply
from mailops.protocol.report import (
    Fields,
    Report,
    addresses_in,
    fields,
    first,
    open_report,
    untyped,
)

MAX_TOLD = 8_000

_STATUS = re.compile(r"(?<![\d.])([245]) ?\. ?(\d{1,3}) ?\. ?(\d{1,3})(?![\d.])")
_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_FIELD_BEGINS = re.compile(
    r"^[ \t]{0,8}(?:Reporting-MTA|Original-Recipient|Final-Recipient|Original-Envelope-Id)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_ABOUT_RECIPIENTS = frozenset(
    {
        "original-recipient", "final-recipient", "action", "status", "remote-mta", "diagnostic-code",
        "last-attempt-date", "will-retry-until", "final-log-id",
    }
)  # fmt: skip
_NAMED_ID = re.compile(
    r"(?:message|nachrichten)[- ]?id[^<\n]{0,30}(<[^<>\s@]{1,250}@[^<>\s]{1,250}>)", re.IGNORECASE
)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_LETTERS = re.compile(r"[^a-z]+")
_HEX = re.compile(r"\\x\{([0-9a-fA-F]{1,6})\}")
_MUTE = re.compile(r"(?:[245]\.0\.0)?")


class Action(StrEnum):
    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"  # handed to a system that doesn't do DSNs
    EXPANDED = "expanded"  # handed on to a list's members


@dataclass(frozen=True)
class DsnRecipient:
    """What became of one recipient, by the one who reports it."""

    final_recipient: str
    original_recipient: str
    action: Action
    status: str
    diagnostic: str
    remote_mta: str

    def read(self) -> "DsnRecipient":
        return self

    @property
    def recipient(self) -> str:
        """The address we wrote to, as far as the report knows it."""
        return self.original_recipient or self.final_recipient

    @cached_property
    def reply(self) -> Reply:
        return reply_in_report(self.diagnostic, self.status)

    @property
    def said_code(self) -> int | None:
        """The reply's code where one is quoted; a status alone has none."""
        is_quoted = self.reply.code >= 200 and str(self.reply.code) in self.diagnostic
        return self.reply.code if is_quoted else None

    @cached_property
    def classification(self) -> Classification:
        return classify(self.reply, "returned")


@dataclass(frozen=True, slots=True)
class Further:
    """One of those whom a report names behind the first MAX_RECIPIENTS.

    There may be thousands, so all that is said of one is read only where it counts.
    """

    final_recipient: str
    original_recipient: str
    action: Action  # by its own field alone
    read: Callable[[], DsnRecipient]


@dataclass(frozen=True, slots=True)
class Dsn:
    recipients: tuple[DsnRecipient, ...]
    further: tuple[Further, ...] = ()
    is_cut: bool = False  # it is too long: it may name others whom nobody read
    reporting_mta: str = ""
    envid: str = ""
    original_message_id: str = ""
    token: verp.Token | None = None  # from the ENVID or the returned headers; not verified yet

    @property
    def named(self) -> tuple[DsnRecipient | Further, ...]:
        """All whom it names, in its order."""
        return (*self.recipients, *self.further)

    @property
    def actions(self) -> frozenset[Action]:
        return frozenset(one.action for one in self.named)


def parse(data: bytes) -> Dsn | None:
    """Return the delivery status notification that `data` is, or None; never raises."""
    return from_report(open_report(data))


def from_report(report: Report) -> Dsn | None:
    groups = _groups(report)
    about = [group for group in groups if _is_recipient(group)]
    if not about:
        return None
    is_cut = report.is_cut and report.parts[-1].content_type in _STATUS_TYPES
    if is_cut:
        about = about[:-1] or about  # the last may be cut in two
    envid = next((first(group, "original-envelope-id") for group in groups), "")
    telling = Telling(report.told)
    instead = _named_elsewhere(report, telling) if len(about) == 1 else ()
    return make_dsn(
        report,
        tuple(_recipient(group, telling, instead) for group in about[:MAX_RECIPIENTS]),
        further=tuple(_further(group, telling) for group in about[MAX_RECIPIENTS:]),
        is_cut=is_cut,
        reporting_mta=untyped(first(groups[0], "reporting-mta")),
        envid=envid,
        message_id=_message_id_in(groups),
    )


def make_dsn(
    report: Report,
    recipients: tuple[DsnRecipient, ...],
    *,
    further: tuple[Further, ...] = (),
    is_cut: bool = False,
    reporting_mta: str = "",
    envid: str = "",
    message_id: str = "",
) -> Dsn:
    """Return what `report` says of `recipients`, with what its returned message tells."""
    returned = report.returned
    return Dsn(
        recipients=recipients,
        further=further,
        is_cut=is_cut,
        reporting_mta=reporting_mta,
        envid=envid,
        original_message_id=returned.message_id or message_id or message_id_told(report.told),
        token=verp.parse_token(envid) or returned.token,
    )


def _message_id_in(groups: list[Fields]) -> str:
    """Return the Message-ID that the status fields themselves name, as some servers do."""
    names = ("x-original-message-id", "original-message-id", "x-message-id")
    values = (first(group, name) for group in groups[:10] for name in names)
    return next((value for value in values if value.startswith("<")), "")[:998]


def message_id_told(text: str) -> str:
    """Return the Message-ID that a text without headers names, or an empty string."""
    found = _NAMED_ID.search(text)
    return found[1] if found else ""


def _groups(report: Report) -> list[Fields]:
    """Return the groups of fields of all status parts, or of a text that has such fields."""
    texts = [part.text for part in report.parts if part.content_type in _STATUS_TYPES]
    if not any(_FIELD_BEGINS.search(text) for text in texts):
        texts += [found for found in map(_fields_in, report.unmarked) if found]
    groups: list[Fields] = []
    for text in texts:
        for group in _cut_apart(text):
            if _goes_on(group) and groups and _is_recipient(groups[-1]):
                for name, values in group.items():
                    groups[-1].setdefault(name, values)
            else:
                groups.append(group)
    return groups


def _fields_in(text: str) -> str:
    found = _FIELD_BEGINS.search(text)
    return text[found.start() :] if found else ""


def _cut_apart(text: str) -> list[Fields]:
    """Return the groups of fields, also where the blank lines between them are missing or fields are indented."""
    groups: list[list[str]] = [[]]
    names: set[str] = set()
    for line in text.splitlines():
        name = line.partition(":")[0].strip().lower()
        is_known = name in _ABOUT_RECIPIENTS or name == "reporting-mta"
        if not line.strip() or (name in names and name.endswith("-recipient")):
            groups.append([])
            names = set()
        if name in _ABOUT_RECIPIENTS:
            names.add(name)
        if line.strip():
            groups[-1].append(line.lstrip() if is_known else line)
    return [found for group in groups if group and (found := fields("\n".join(group)))]


def _goes_on(group: Fields) -> bool:
    """Tell whether a blank line has parted these fields from their recipient."""
    return bool(group.keys() & _ABOUT_RECIPIENTS) and not group.keys() & {
        "final-recipient",
        "original-recipient",
    }


def _is_recipient(group: Fields) -> bool:
    return bool(group.keys() & {"final-recipient", "original-recipient", "action"})


def _named_elsewhere(report: Report, telling: Telling) -> tuple[str, ...]:
    """Return who may be meant where the one recipient's fields name no address."""
    return (
        *addresses_in(report.header("x-failed-recipients")),
        *(one.address for one in telling.recipients[:1]),
        *report.returned.recipients[:1],
    )


def _recipient(group: Fields, telling: Telling, instead: tuple[str, ...]) -> DsnRecipient:
    status, final, original = _status(group), _final(group), _original(group)
    if "@" not in final + original:
        final = next(iter([*addresses_in(first(group, "x-actual-recipient")), *instead]), final)
    diagnostic = decode_words(untyped(" ".join(group.get("diagnostic-code", [])[:5])))
    action = _action(first(group, "action"), status)
    if action == Action.DELAYED and _is_final(group, status, diagnostic, telling):
        action = Action.FAILED
    if action in {Action.FAILED, Action.DELAYED} and _is_mute(diagnostic, status):
        said = telling.said_about(original or final)
        diagnostic = " ".join(part for part in (diagnostic, said) if part)
    return DsnRecipient(
        final_recipient=final,
        original_recipient=original,
        action=action,
        status=status,
        diagnostic=diagnostic,
        remote_mta=untyped(first(group, "remote-mta")),
    )


def _further(group: Fields, telling: Telling) -> Further:
    return Further(
        final_recipient=_final(group),
        original_recipient=_original(group),
        action=_action(first(group, "action"), _status(group)),
        read=partial(_recipient, group, telling, ()),
    )


def _status(group: Fields) -> str:
    found = _STATUS.search(first(group, "status"))
    return ".".join(str(int(number)) for number in found.groups()) if found else ""


def _final(group: Fields) -> str:
    return _address(first(group, "final-recipient"))


def _is_final(group: Fields, status: str, diagnostic: str, telling: Telling) -> bool:
    """Tell whether all but the word for it says that nothing is tried any more (RFC 3464, 2.3.4)."""
    reply = reply_in_report(diagnostic, status)
    return (
        status.startswith("5")
        and (reply.is_permanent or not diagnostic)
        and not first(group, "will-retry-until")
        and not DELAYED.search(fold_letters(telling.text[:MAX_TOLD]))
    )


def _is_mute(diagnostic: str, status: str) -> bool:
    """Tell whether the fields leave open why, so that the words for people are asked."""
    if not diagnostic:
        return _MUTE.fullmatch(status) is not None or not _is_clear(status)
    return classify(reply_in_report(diagnostic, status), "returned").reason == Reason.UNEXPLAINED


def _is_clear(status: str) -> bool:
    return classify(reply_in_report("", status), "returned").reason not in {
        Reason.UNEXPLAINED,
        Reason.POLICY,
    }


def _original(group: Fields) -> str:
    """Return the address we wrote to; some hand it back as it stood in the command (RFC 3461, 4)."""
    original = _address(first(group, "original-recipient"))
    plain = _XTEXT.sub(lambda found: chr(int(found[1], 16)), original)
    if plain != original and plain.lower() == _address(first(group, "final-recipient")).lower():
        return plain
    return original if "@" in original else ""


def _address(value: str) -> str:
    kind = value.partition(";")[0].strip().lower()
    address = untyped(value).split(" (", 1)[0].strip("<> \t")
    if address[:1] == address[-1:] and address[:1] in {'"', "'"}:
        address = address[1:-1]
    address = address.removeprefix("mailto:")
    if " " in address and "@" in address and not address.startswith('"'):
        address = next(iter(addresses_in(address)), address)
    address = _HEX.sub(_letter, address) if kind == "utf-8" or "\\x{" in address else address
    return address.strip("<> \t")[:320]


def _letter(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    is_letter = 0x20 <= number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
    return chr(number) if is_letter else "\ufffd"


_ACTIONS = {
    "failure": Action.FAILED,
    "fail": Action.FAILED,
    "expired": Action.FAILED,
    "bounced": Action.FAILED,
    "rejected": Action.FAILED,
    "error": Action.FAILED,
    "delay": Action.DELAYED,
    "deferred": Action.DELAYED,
    "delivery": Action.DELIVERED,
    "deliverable": Action.DELIVERED,
    "success": Action.DELIVERED,
    "relay": Action.RELAYED,
}


def _action(said: str, status: str) -> Action:
    word = next(iter(_LETTERS.split(said.lower().strip(" \t-*"), maxsplit=1)), "")
    if word in set(Action):
        return Action(word)
    if word in _ACTIONS:
        return _ACTIONS[word]
    return {"2": Action.DELIVERED, "4": Action.DELAYED}.get(status[:1], Action.FAILED)
