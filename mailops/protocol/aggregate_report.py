"""DMARC aggregate reports (RFC 9990; RFC 7489, appendix C) and SMTP TLS reports (RFC 8460), read within limits.

The XML is read as it streams by, without a tree; a document type, and so any entity, is refused.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.parsers import expat  # refuses what defusedxml would: document types, by our handler

from mailops.protocol.charsets import clean
from mailops.protocol.report import Report
from mailops.protocol.unpacking import TooBig, unpack

MAX_RECORDS = 20_000
MAX_DEPTH = 12
MAX_VALUE = 500
MAX_ELEMENTS = 500_000
MAX_JSON = 3_000_000  # octets; read, it takes thirty times as many
# neither kind of report is that old; a time of the year 1 leaves the calendar in zones west of Greenwich
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_ARCHIVES = frozenset(
    {
        "application/gzip", "application/x-gzip", "application/zip", "application/x-zip-compressed",
        "application/x-zip", "application/octet-stream", "text/xml", "application/xml",
        "application/tlsrpt+gzip", "application/tlsrpt+json", "application/json",
    }
)  # fmt: skip


class NotAReport(ValueError):
    """The sentence says why it can't be read."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one sending address did in the name of the domain."""

    source_ip: str
    count: int
    disposition: str
    dkim_aligned: bool
    spf_aligned: bool
    header_from: str
    dkim_domain: str
    dkim_selector: str
    spf_domain: str
    override: str  # why the receiver did otherwise than the policy says: forwarded, mailing_list …


@dataclass(frozen=True, slots=True)
class DmarcReport:
    organization: str
    report_id: str
    domain: str
    policy: str
    begins_at: datetime
    ends_at: datetime
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class TlsReport:
    organization: str
    report_id: str
    domain: str
    begins_at: datetime
    ends_at: datetime
    succeeded: int
    failed: int
    failures: tuple[str, ...]  # result types, the most frequent first


def find(report: Report) -> DmarcReport | TlsReport | None:
    """Return the aggregate report that a mail carries, or None; raise NotAReport where it is one but can't be read."""
    for part in report.parts[:10]:
        if part.content_type in _ARCHIVES and part.content:
            content = _unpacked(part.content)
            if content is None:
                continue
            if content.lstrip()[:1] == b"<" and b"<feedback" in content[:2000]:
                return read_dmarc(content)
            if content.lstrip()[:1] == b"{" and b'"policies"' in content:
                return read_tls(content)
    return None


def _unpacked(content: bytes) -> bytes | None:
    try:
        return unpack(content)
    except TooBig as refused:
        if content.startswith((b"\x1f\x8b", b"PK\x03\x04")):
            raise NotAReport(str(refused)) from None
        return None


@dataclass
class _Reader:
    """Collects the values of records by their path, as the parser tells of them."""

    path: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    length: int = 0
    elements: int = 0
    head: dict[str, str] = field(default_factory=dict)
    record: dict[str, list[str]] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)

    def start(self, name: str, _attributes: object) -> None:
        self.elements += 1
        self.path.append(name.rpartition(":")[2].lower())
        self.text, self.length = [], 0
        if len(self.path) > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise NotAReport("Its XML is deeper or longer than any report.")
        if self.path == ["feedback", "record"]:
            self.record = {}

    def characters(self, data: str) -> None:
        if self.length < MAX_VALUE:
            self.text.append(data[: MAX_VALUE - self.length])
            self.length += len(data)

    def end(self, _name: str) -> None:
        value, inner = "".join(self.text).strip(), "/".join(self.path[2:])
        if self.path[:2] == ["feedback", "record"]:
            if inner:
                self.record.setdefault(inner, []).append(value)
            elif len(self.sources) < MAX_RECORDS:
                self.sources.append(_source(self.record))
        else:
            self.head.setdefault("/".join(self.path[1:]), value)
        self.path.pop()
        self.text, self.length = [], 0


def read_dmarc(content: bytes) -> DmarcReport:
    """Return the DMARC aggregate report that `content` is; raise NotAReport."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise NotAReport(f"Its XML is broken: {error}.") from None
    except (LookupError, ValueError) as error:
        raise NotAReport(str(error) or "Its XML can't be read.") from None
    head = reader.head
    if not head.get("policy_published/domain"):
        raise NotAReport("It names no domain.")
    return DmarcReport(
        organization=head.get("report_metadata/org_name", "")[:200],
        report_id=head.get("report_metadata/report_id", "")[:200],
        domain=head["policy_published/domain"].lower().rstrip(".")[:253],
        policy=head.get("policy_published/p", "").lower()[:20],
        begins_at=_moment(head.get("report_metadata/date_range/begin", "")),
        ends_at=_moment(head.get("report_metadata/date_range/end", "")),
        sources=tuple(reader.sources),
    )


def _refuse(*_: object) -> None:
    raise NotAReport("Its XML declares a document type or an entity, which no report needs.")


def _source(record: dict[str, list[str]]) -> Source:
    def one(name: str) -> str:
        return record.get(name, [""])[0].lower()

    passed = [
        number
        for number, result in enumerate(record.get("auth_results/dkim/result", []))
        if result.lower() == "pass"
    ]
    best = passed[0] if passed else 0

    def dkim(name: str) -> str:
        found = record.get(f"auth_results/dkim/{name}", [])
        return found[best].lower()[:253] if best < len(found) else ""

    return Source(
        source_ip=one("row/source_ip")[:45],
        count=_number(one("row/count")),
        disposition=one("row/policy_evaluated/disposition")[:20],
        dkim_aligned=one("row/policy_evaluated/dkim") == "pass",
        spf_aligned=one("row/policy_evaluated/spf") == "pass",
        header_from=one("identifiers/header_from")[:253],
        dkim_domain=dkim("domain"),
        dkim_selector=dkim("selector")[:63],
        spf_domain=one("auth_results/spf/domain")[:253],
        override=one("row/policy_evaluated/reason/type")[:30],
    )


def read_tls(content: bytes) -> TlsReport:
    """Return the TLS report that `content` is; raise NotAReport."""
    if len(content) > MAX_JSON:
        raise NotAReport("Its JSON is longer than any report.")
    try:
        told = json.loads(content)
        policies = [one for one in told["policies"][:100] if isinstance(one, dict)]
        span = told["date-range"]
        summaries = [one.get("summary", {}) for one in policies]
        details = [each for one in policies for each in one.get("failure-details", [])[:1000]]
        types = [(-_number(each.get("failed-session-count")), _text(each.get("result-type"), 60)) for each in details]  # fmt: skip
        return TlsReport(
            organization=_text(told.get("organization-name", ""), 200),
            report_id=_text(told.get("report-id", ""), 200),
            domain=_text(str(policies[0]["policy"]["policy-domain"]).lower(), 253),
            begins_at=_moment(str(span["start-datetime"])),
            ends_at=_moment(str(span["end-datetime"])),
            succeeded=sum(_number(one.get("total-successful-session-count")) for one in summaries),
            failed=sum(_number(one.get("total-failure-session-count")) for one in summaries),
            failures=tuple(dict.fromkeys(name for _, name in sorted(types)))[:20],
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NotAReport(f"Its JSON is no TLS report ({error!r:.100}).") from None


def _text(value: Any, limit: int) -> str:
    return clean(str(value))[:limit]


def _number(value: Any) -> int:
    text = str(value).strip()
    return min(int(text), 2**31 - 1) if text.isdecimal() and len(text) < 12 else 0


def _moment(text: str) -> datetime:
    try:
        found = _time_in(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise NotAReport("Its dates can't be read.") from None
    if found < EARLIEST:
        raise NotAReport("It reports on a time before there were reports.")
    return found


def _time_in(text: str) -> datetime:
    if text.isdecimal():
        return datetime.fromtimestamp(int(text), tz=UTC)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
