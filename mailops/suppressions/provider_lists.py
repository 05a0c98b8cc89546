"""The suppression lists that providers keep: how each is read page by page, and how an address is taken off it.

One row a provider. What is asked for and what comes back is as the providers document it; who has no such API, or one
that can't be asked with what a transport knows, has no row, and `NO_LIST` says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from mailops.lib.http_connection import MOST_OCTETS
from mailops.suppressions.models import Suppression

Reason = Suppression.Reason
PAGE = 500
WHOLE_OCTETS = 32_000_000  # of a list that comes all at once: some 200,000 entries
OVERLAP = timedelta(days=1)  # dates of providers have no time, and their clocks are theirs


@dataclass(frozen=True, kw_only=True)
class Request:
    path: str  # joined to the API's address
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None  # JSON
    most_octets: int = MOST_OCTETS  # of the answer


@dataclass(frozen=True, kw_only=True)
class Entry:
    address: str
    reason: Reason
    since: datetime | None
    words: str = ""

    @property
    def is_of_some_mail(self) -> bool:
        """Whether the recipient left what they got of us there; a bounce or a complaint holds for all mail."""
        return self.reason == Reason.UNSUBSCRIBE


@dataclass(frozen=True, kw_only=True)
class Page:
    entries: Sequence[Entry]
    cursor: str = ""  # where the next begins; empty after the last


@dataclass(frozen=True, kw_only=True)
class Round:
    """One walk over a list: what is new since then, as the transport's options have it."""

    options: Mapping[str, str]
    since: datetime | None
    today: date


@dataclass(frozen=True, kw_only=True)
class ListOf:
    """One list of a provider."""

    name: str
    ask: Callable[[Round, str], Request]  # the page at a cursor
    read: Callable[[Any, str], Page]  # the answer to it; raises LookupError, TypeError, ValueError
    remove: Callable[[Mapping[str, str], str], Request]
    refusal: Callable[[Any], str] = lambda _: ""  # why it was not removed; raises as `read` does
    is_by_offset: bool = False  # its cursor is a number: what is removed moves what follows up
    # it has one page, and its cursor is the key of the last entry that came in
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True)
class ProviderLists:
    lists: tuple[ListOf, ...]
    right: str  # what the key must be allowed to


# --- SendGrid: v3, Suppressions; by time, by offset ---


def _sendgrid(name: str, path: str, reason: Reason, removal: str) -> ListOf:
    def ask(round_: Round, cursor: str) -> Request:
        query = {"limit": str(PAGE), "offset": cursor or "0"}
        if round_.since:
            query["start_time"] = str(int((round_.since - OVERLAP).timestamp()))
        return Request(path=path, query=query)

    def read(answer: Any, cursor: str) -> Page:
        entries = [
            Entry(
                address=one["email"],
                reason=reason,
                since=datetime.fromtimestamp(one["created"], tz=UTC),
                words=" ".join(filter(None, [one.get("status", ""), one.get("reason", "")])),
            )
            for one in answer
        ]
        more = _next_offset(cursor, PAGE) if len(entries) == PAGE else ""
        return Page(entries=entries, cursor=more)

    def remove(_: Mapping[str, str], address: str) -> Request:
        return Request(path=f"{removal}/{quote(address, safe='')}", method="DELETE")

    return ListOf(name=name, ask=ask, read=read, remove=remove, is_by_offset=True)


# --- Mailgun: of one domain, in the order of addresses, by the link to the next page ---

_EVERY_TAG = "*"  # who left a tag alone still gets what bears others, and ours bear none


def _mailgun(name: str, reason: Reason) -> ListOf:
    def ask(round_: Round, cursor: str) -> Request:
        query = {"limit": str(PAGE)}
        if cursor:
            query |= {"page": "next", "address": cursor}
        return Request(path=f"{round_.options['sender_domain']}/{name}", query=query)

    def read(answer: Any, _: str) -> Page:
        entries = [
            Entry(
                address=one["address"],
                reason=reason,
                since=_mail_date(one.get("created_at", "")),
                words=" ".join(filter(None, [str(one.get("code", "")), one.get("error", "")])),
            )
            for one in answer["items"]
            if _EVERY_TAG in one.get("tags", [_EVERY_TAG])
        ]
        # of its link only the place is taken: where to ask is for us to say
        told = parse_qs(urlsplit(answer.get("paging", {}).get("next", "")).query)
        place = told.get("address", [""])[0]
        return Page(entries=entries, cursor=place if answer["items"] else "")

    def remove(options: Mapping[str, str], address: str) -> Request:
        path = f"{options['sender_domain']}/{name}/{quote(address, safe='')}"
        return Request(path=path, method="DELETE")

    return ListOf(name=name, ask=ask, read=read, remove=remove)


# --- Postmark: of one message stream, all at once, from a day on ---

_POSTMARK = {"HardBounce": Reason.HARD_BOUNCE, "SpamComplaint": Reason.COMPLAINT}


def _postmark_stream(options: Mapping[str, str]) -> str:
    return f"message-streams/{options.get('message_stream') or 'outbound'}/suppressions"


def _postmark_ask(round_: Round, _: str) -> Request:
    query = {"fromdate": f"{(round_.since - OVERLAP).date()}"} if round_.since else {}
    path = f"{_postmark_stream(round_.options)}/dump"
    return Request(path=path, query=query, most_octets=WHOLE_OCTETS)


def _postmark_read(answer: Any, _: str) -> Page:
    return Page(
        entries=[
            Entry(
                address=one["EmailAddress"],
                reason=_POSTMARK.get(one["SuppressionReason"])
                # a manual one is the recipient's wish, or somebody's at the provider
                or (Reason.UNSUBSCRIBE if one.get("Origin") == "Recipient" else Reason.MANUAL),
                since=_iso(one.get("CreatedAt")),
                words=f"{one['SuppressionReason']}, by {one.get('Origin', 'nobody named')}",
            )
            for one in answer["Suppressions"]
        ]
    )


def _postmark_remove(options: Mapping[str, str], address: str) -> Request:
    return Request(
        path=f"{_postmark_stream(options)}/delete",
        method="POST",
        body={"Suppressions": [{"EmailAddress": address}]},
    )


def _postmark_refusal(answer: Any) -> str:
    """Return why an address stays, which an answer of 200 may say."""
    kept = [one for one in answer["Suppressions"] if one["Status"] != "Deleted"]
    return "; ".join(str(one.get("Message") or one["Status"]) for one in kept)


# --- SparkPost: by the time of the last change, by cursor ---

_SPARKPOST = {
    "Spam Complaint": Reason.COMPLAINT,
    "List Unsubscribe": Reason.UNSUBSCRIBE,
    "Unsubscribe Link": Reason.UNSUBSCRIBE,
    "Bounce Rule": Reason.HARD_BOUNCE,
}


def _sparkpost_ask(round_: Round, cursor: str) -> Request:
    query = {"cursor": cursor or "initial", "per_page": str(PAGE)}
    if round_.since:
        query["from"] = f"{round_.since - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
    return Request(path="suppression-list", query=query)


def _sparkpost_read(answer: Any, _: str) -> Page:
    entries = [
        Entry(
            address=one["recipient"],
            reason=_SPARKPOST.get(one.get("source", ""), Reason.MANUAL),
            since=_iso(one.get("updated")),
            words=": ".join(filter(None, [one.get("source", ""), one.get("description", "")])),
        )
        for one in answer["results"]
    ]
    links = [link["href"] for link in answer.get("links", []) if link.get("rel") == "next"]
    told = parse_qs(urlsplit(links[0]).query) if links else {}
    return Page(entries=entries, cursor=told.get("cursor", [""])[0])


def _sparkpost_remove(_: Mapping[str, str], address: str) -> Request:
    return Request(path=f"suppression-list/{quote(address, safe='')}", method="DELETE")


# --- Brevo: between two days, by offset, a hundred at most ---

_BREVO_PAGE = 100
_BREVO = {
    "hardBounce": Reason.HARD_BOUNCE,
    "contactFlaggedAsSpam": Reason.COMPLAINT,
    "unsubscribedViaMA": Reason.UNSUBSCRIBE,
    "unsubscribedViaEmail": Reason.UNSUBSCRIBE,
    "unsubscribedViaApi": Reason.UNSUBSCRIBE,
}


def _brevo_ask(round_: Round, cursor: str) -> Request:
    query = {"limit": str(_BREVO_PAGE), "offset": cursor or "0", "sort": "asc"}
    if round_.since:
        begin = (round_.since - OVERLAP).date()
        query |= {"startDate": f"{begin}", "endDate": f"{round_.today}"}
    return Request(path="smtp/blockedContacts", query=query)


def _brevo_read(answer: Any, cursor: str) -> Page:
    entries = [
        Entry(
            address=one["email"],
            reason=_BREVO.get(one.get("reason", {}).get("code", ""), Reason.MANUAL),
            since=_iso(one.get("blockedAt")),
            words=str(one.get("reason", {}).get("message", "")),
        )
        for one in answer.get("contacts", [])
    ]
    more = _next_offset(cursor, _BREVO_PAGE) if len(entries) == _BREVO_PAGE else ""
    return Page(entries=entries, cursor=more)


def _brevo_remove(_: Mapping[str, str], address: str) -> Request:
    return Request(path=f"smtp/blockedContacts/{quote(address, safe='')}", method="DELETE")


# --- Amazon SES: API v2, the account's list ---

_SES = {"BOUNCE": Reason.HARD_BOUNCE, "COMPLAINT": Reason.COMPLAINT}


def _ses_ask(round_: Round, cursor: str) -> Request:
    query = {"PageSize": str(PAGE)}
    if cursor:
        query["NextToken"] = cursor
    if round_.since:
        query["StartDate"] = f"{round_.since - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
    return Request(path="v2/email/suppression/addresses", query=query)


def _ses_read(answer: Any, _: str) -> Page:
    entries = [
        Entry(
            address=one["EmailAddress"],
            reason=_SES.get(one["Reason"], Reason.MANUAL),
            since=datetime.fromtimestamp(float(one["LastUpdateTime"]), tz=UTC),
            words=str(one["Reason"]).lower(),
        )
        for one in answer["SuppressedDestinationSummaries"]
    ]
    return Page(entries=entries, cursor=answer.get("NextToken") or "")


def _ses_remove(_: Mapping[str, str], address: str) -> Request:
    path = f"v2/email/suppression/addresses/{quote(address, safe='')}"
    return Request(path=path, method="DELETE")


def _one(name: str, ask: Any, read: Any, remove: Any, **more: Any) -> tuple[ListOf, ...]:
    return (ListOf(name=name, ask=ask, read=read, remove=remove, **more),)


LISTS: Mapping[str, ProviderLists] = {
    "amazon_ses": ProviderLists(
        lists=_one("suppression list", _ses_ask, _ses_read, _ses_remove),
        right="Allow the IAM key ses:ListSuppressedDestinations and ses:DeleteSuppressedDestination.",
    ),
    "brevo": ProviderLists(
        lists=_one("blocked contacts", _brevo_ask, _brevo_read, _brevo_remove, is_by_offset=True),
        right="Check that the API key (v3) is current, and this address allowed where the account names addresses.",
    ),
    "mailgun": ProviderLists(
        lists=(
            _mailgun("bounces", Reason.HARD_BOUNCE),
            _mailgun("complaints", Reason.COMPLAINT),
            _mailgun("unsubscribes", Reason.UNSUBSCRIBE),
        ),
        right="A domain's sending key may only send: give the transport an API key of the account.",
    ),
    "postmark": ProviderLists(
        lists=_one(
            "suppressions", _postmark_ask, _postmark_read, _postmark_remove,
            refusal=_postmark_refusal, is_whole=True,
        ),
        right="Check that the server's token is current.",
    ),
    "sendgrid": ProviderLists(
        lists=(
            _sendgrid("bounces", "suppression/bounces", Reason.HARD_BOUNCE, "suppression/bounces"),
            _sendgrid("spam reports", "suppression/spam_reports", Reason.COMPLAINT, "suppression/spam_reports"),
            _sendgrid("global unsubscribes", "suppression/unsubscribes", Reason.UNSUBSCRIBE, "asm/suppressions/global"),
        ),
        right="Give the API key the right Suppressions, to read and to delete.",
    ),
    "sparkpost": ProviderLists(
        lists=_one("suppression list", _sparkpost_ask, _sparkpost_read, _sparkpost_remove),
        right="Give the API key the right Suppression Lists: Read/Write.",
    ),
}  # fmt: skip

# Why the others' lists are not kept in step, for a person.
NO_LIST: Mapping[str, str] = {
    "mailersend": "MailerSend keeps its lists by domains whose ids a transport doesn't know; its webhook tells of each address.",
    "mailjet": "Mailjet has no API for the addresses it blocks; its webhook tells of each.",
    "mailtrap": "Mailtrap keeps its list by an account's id, which a transport doesn't know; its webhook tells of each address.",
    "mandrill": "Mandrill lists a thousand addresses at most and can't be asked for those since a time; its webhook tells of each.",
    "postal": "Postal's API has no suppression list; its webhook tells of each address.",
    "resend": "Resend has no API for the addresses it suppresses; its webhook tells of each.",
    "scaleway": "Scaleway keeps its list by domains whose ids a transport doesn't know.",
    "unisender_go": "Unisender Go's list holds reasons of its own for its account alone; its webhook tells of each address.",
}


def _next_offset(cursor: str, page: int) -> str:
    """Return where the next page begins: somewhat before the end of this one, since what is removed meanwhile moves it up."""
    return str(int(cursor or 0) + page - page // 10)


def _iso(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _mail_date(text: str) -> datetime | None:
    """Return the time of a date as mail writes it, with UTC for a zone."""
    try:
        found = parsedate_to_datetime(text.replace("UTC", "+0000"))
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
