"""DMARC and TLS reports are read in every packing, and what is made to hurt is refused."""

import contextlib
import gzip
import io
import json
import tracemalloc
import zipfile
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart

import pytest

from mailops.protocol.aggregate_report import NotAReport, find, read_dmarc, read_tls
from mailops.protocol.feedback_mail import describe, read
from mailops.protocol.report import open_report
from mailops.protocol.unpacking import TooBig, unpack
from tests.costs import costing_less_than

RECORD = """<record><row><source_ip>192.0.2.7</source_ip><count>{count}</count><policy_evaluated>
<disposition>none</disposition><dkim>{dkim}</dkim><spf>{spf}</spf>{reason}</policy_evaluated></row>
<identifiers><header_from>d.example</header_from><envelope_from>{envelope}</envelope_from></identifiers>
<auth_results><dkim><domain>other.example</domain><selector>x</selector><result>fail</result></dkim>
<dkim><domain>{signer}</domain><selector>s1</selector><result>pass</result></dkim>
<spf><domain>{envelope}</domain><result>pass</result></spf></auth_results></record>"""


def record(*, count=7, dkim="pass", spf="fail", envelope="bounces.example", signer="d.example", reason=""):  # fmt: skip
    return RECORD.format(count=count, dkim=dkim, spf=spf, envelope=envelope, signer=signer, reason=reason)  # fmt: skip


def dmarc(*records, begin=1_767_225_600, days=20, report_id="r1", domain="d.example", head="", space=""):  # fmt: skip
    return (
        f'<?xml version="1.0"?>{head}<feedback{space}><version>1.0</version><report_metadata><org_name>isp.example</org_name>'
        f"<email>x@isp.example</email><report_id>{report_id}</report_id><date_range><begin>{begin}</begin><end>{begin + days * 86400}</end></date_range></report_metadata>"
        f"<policy_published><domain>{domain}</domain><adkim>r</adkim><p>none</p><np>reject</np></policy_published>"
        f"{''.join(records)}</feedback>"
    ).encode()


def zipped(content, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("isp.example!d.example!1!2.xml", content)
    return file.getvalue()


def mailed(content, subtype="octet-stream"):
    mail = MIMEMultipart()
    mail["From"], mail["Subject"] = "noreply@isp.example", "Report Domain: d.example"
    mail["Auto-Submitted"] = "auto-generated"
    mail.attach(MIMEApplication(content, subtype))
    return mail.as_bytes()


class TestDmarc:
    @pytest.mark.parametrize(
        ("pack", "subtype"),
        [(gzip.compress, "gzip"), (zipped, "zip"), (zipped, "octet-stream"), (bytes, "xml")],
    )
    def test_is_read_in_every_packing(self, pack, subtype):
        found = find(open_report(mailed(pack(dmarc(record())), subtype)))
        (source,) = found.sources
        assert (found.organization, found.domain, found.policy) == ("isp.example", "d.example", "none")  # fmt: skip
        assert (source.source_ip, source.count, source.dkim_aligned, source.spf_aligned) == ("192.0.2.7", 7, True, False)  # fmt: skip
        assert (source.dkim_domain, source.dkim_selector, source.spf_domain) == ("d.example", "s1", "bounces.example")  # fmt: skip

    def test_of_the_new_form_has_a_namespace(self):
        found = read_dmarc(dmarc(record(), space=' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"'))
        assert found.domain == "d.example"

    def test_is_no_answer_of_a_machine_to_parse_bounce(self):
        assert describe(read(mailed(gzip.compress(dmarc(record())))))["type"] == "other"

    @pytest.mark.parametrize("content", [b"<feedback>", b"<feedback></feedback>", b"\xff<feedback/>"])  # fmt: skip
    def test_that_is_broken_says_so(self, content):
        with pytest.raises(NotAReport):
            read_dmarc(content)


class TestBombs:
    def test_entities_are_refused(self):
        laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
        head = f'<!DOCTYPE feedback [<!ENTITY l0 "ha">{laughs}]>'
        with pytest.raises(NotAReport, match="entity"):
            read_dmarc(dmarc("<x>&l11;</x>", head=head))

    def test_files_of_this_machine_are_not_read(self):
        head = '<!DOCTYPE feedback [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        with pytest.raises(NotAReport):
            read_dmarc(dmarc("<x>&x;</x>", head=head))

    @pytest.mark.parametrize("pack", [gzip.compress, zipped])
    def test_archives_that_grow_are_refused(self, pack):
        with pytest.raises(TooBig):
            unpack(pack(b"\0" * 40_000_000))

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_archives_that_python_unpacks_without_a_limit_are_not_unpacked(self, method):
        content = zipped(b"\0" * 40_000_000, method)
        tracemalloc.start()
        try:
            with pytest.raises(TooBig, match=r"^Its archive is packed by another method"):
                unpack(content)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("place", [20, 24])
    @pytest.mark.parametrize("told", [0, 1, 20_000_000, 2**32 - 2])
    def test_sizes_that_lie_are_only_told(self, place, told):
        content = bytearray(zipped(b"\0" * 40_000_000))
        begin = content.rindex(b"PK\x01\x02") + place
        content[begin : begin + 4] = told.to_bytes(4, "little")
        with contextlib.suppress(TooBig):
            assert len(unpack(bytes(content))) <= told

    def test_an_archive_without_a_name_in_it_is_refused(self):
        content = zipped(dmarc()).replace(b"isp.example!d", b"\0sp.example!d")
        with pytest.raises(TooBig):
            unpack(content)

    def test_an_archive_of_many_is_refused_in_plain_words(self):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for number in range(2000):
                archive.writestr(f"{number}.xml", dmarc())
        with pytest.raises(TooBig, match=r"^It is no archive of one report"):
            unpack(file.getvalue())

    def test_an_archive_in_an_archive_is_left_packed(self):
        inner = zipped(dmarc(record()))
        assert unpack(zipped(inner)) == inner

    def test_a_mail_with_one_is_quarantined_with_the_reason(self):
        assert "more than any report" in read(mailed(gzip.compress(b" " * 50_000_000), "gzip")).flaw

    @pytest.mark.parametrize(
        "content",
        [
            dmarc(*["<a>" * 100_000]),
            dmarc(*["<a/>" * 2_000_000]),
            dmarc("<x>" + "y" * 9_000_000 + "</x>"),
            dmarc(record() * 6_000),
            b"<feedback " + b"a='1' " * 500_000 + b">",
        ],
        ids=range(5),
    )
    def test_xml_made_to_hurt_costs_no_time(self, content):
        with costing_less_than(2), contextlib.suppress(NotAReport):
            read_dmarc(content[:10_000_000])


class TestTls:
    REPORT = {
        "organization-name": "Isp", "date-range": {"start-datetime": "2026-01-01T00:00:00Z", "end-datetime": "2026-01-01T23:59:59Z"},
        "report-id": "t1", "policies": [{"policy": {"policy-type": "sts", "policy-domain": "d.example"}, "summary": {"total-successful-session-count": 90, "total-failure-session-count": 10},
        "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 3}, {"result-type": "validation-failure", "failed-session-count": 7}]}],
    }  # fmt: skip

    def test_is_read(self):
        found = find(open_report(mailed(gzip.compress(json.dumps(self.REPORT).encode()), "tlsrpt+gzip")))  # fmt: skip
        assert (found.domain, found.succeeded, found.failed) == ("d.example", 90, 10)
        assert found.failures == ("validation-failure", "certificate-expired")

    def test_longer_than_any_is_not_read(self):
        told = {**self.REPORT, "policies": self.REPORT["policies"] + [{}] * 1_000_000}
        with pytest.raises(NotAReport, match="longer"):
            read_tls(json.dumps(told).encode())

    @pytest.mark.parametrize("half", ["\0", "\ud800"])
    def test_of_half_characters_is_text_all_the_same(self, half):
        told = {**self.REPORT, "organization-name": f"I{half}sp", "report-id": half}
        found = read_tls(json.dumps(told).encode())
        assert (found.organization, found.report_id) == ("I\ufffdsp", "\ufffd")

    def test_by_a_clock_that_nobody_has_is_kept_in_utc(self):
        span = {"start-datetime": "2026-01-01T00:00:00+23:59", "end-datetime": "2026-01-02T00:00:00-16:00"}  # fmt: skip
        found = read_tls(json.dumps({**self.REPORT, "date-range": span}).encode())
        assert found.begins_at.isoformat() == "2025-12-31T00:01:00+00:00"
        assert found.ends_at.isoformat() == "2026-01-02T16:00:00+00:00"

    def test_outside_of_the_calendar_says_so(self):
        span = {"start-datetime": "0001-01-01T00:00:00+14:00", "end-datetime": "9999-12-31T23:59:59-14:00"}  # fmt: skip
        with pytest.raises(NotAReport):
            read_tls(json.dumps({**self.REPORT, "date-range": span}).encode())

    @pytest.mark.parametrize("content", [b"{}", b'{"policies": []}', b'{"policies": [1]}', b"[" * 100_000, b"\xff"])  # fmt: skip
    def test_that_is_broken_says_so(self, content):
        with pytest.raises(NotAReport):
            read_tls(content)
