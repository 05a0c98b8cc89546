"""DMARC reports tell who sends in a domain's name, and whether p=reject would cost mail of ours."""

import gzip
import time

import pytest
from django.urls import reverse

from mailops.feedback import domain_reports, forgetting
from mailops.feedback.domain_reports import verdict_of
from mailops.feedback.models import AggregateReport, RawFeedback, ReportedSource
from mailops.feedback.replaying import replay
from mailops.feedback.tasks import forget_old_feedback
from mailops.lib.daily_counts import DailyCounts
from tests.factories import make_domain, make_transport
from tests.feedback.conftest import receive
from tests.protocol.test_aggregate_report import TestTls, dmarc, mailed, record

STATE = RawFeedback.State
OURS = {"envelope": "bounces.example"}
STRANGE = {"envelope": "spam.example", "signer": "spam.example", "dkim": "fail"}


@pytest.fixture
def domain(db):
    make_transport(name="relay", return_path_host="bounces.example")
    return make_domain(name="d.example")


def report(*records, **fields):
    begin = int(time.time()) - 20 * 86400
    return receive(mailed(gzip.compress(dmarc(*records, begin=begin, days=19, **fields)), "gzip"), "dmarc@bounces.example")  # fmt: skip


def test_a_report_is_kept_once(domain):
    row = report(record())
    assert (row.state, row.kind) == (STATE.PROCESSED, "dmarc"), row.reason
    replay(row=row, actor=None)
    report(record(), record())  # the same id again
    assert AggregateReport.objects.count() == 1
    assert ReportedSource.objects.count() == 1


def test_of_one_domain_no_more_is_kept_than_a_day_has_room_for(domain, monkeypatch):
    monkeypatch.setattr(domain_reports, "MOST_OF_DAY", 5)
    monkeypatch.setattr(domain_reports, "_kept_today", DailyCounts())
    other = make_domain(name="e.example")
    rows = [report(record(), record(), report_id=str(number)) for number in range(2)]
    rows.append(report(record(), report_id="1", domain=other.name))
    assert [row.state for row in rows] == [STATE.PROCESSED, STATE.QUARANTINED, STATE.PROCESSED]
    assert "More was reported on d.example today" in rows[1].reason
    monkeypatch.setattr(domain_reports, "_kept_today", DailyCounts())  # the next day
    replay(row=rows[1], actor=None)
    rows[1].refresh_from_db()
    assert rows[1].state == STATE.PROCESSED
    assert AggregateReport.objects.count() == 3


def test_of_a_time_to_come_is_quarantined(domain):
    begin = int(time.time())
    for days, kept in ((1, 1), (3, 1), (300_000, 1)):
        mail = mailed(gzip.compress(dmarc(record(), begin=begin, days=days)), "gzip")
        row = receive(mail, "dmarc@bounces.example")
        assert AggregateReport.objects.count() == kept
    assert (row.state, row.reason) == (STATE.QUARANTINED, "It reports on a time that is yet to come.")  # fmt: skip


def test_of_the_year_1_is_quarantined_and_stops_no_page(domain, viewer, logged_in):
    told = dmarc(record(), begin=100, days=0).replace(b">100<", b">0001-01-01T00:00:00<")
    row = receive(mailed(gzip.compress(told), "gzip"), "dmarc@bounces.example")
    viewer.time_zone = "America/New_York"  # where that time is before the calendar begins
    viewer.save()
    page = logged_in(viewer).get(reverse("feedback:reports-of", args=[domain.pk]))
    assert page.status_code == 200
    assert row.state == STATE.QUARANTINED
    assert "a time before there were reports" in row.reason


@pytest.mark.parametrize(("days_ago", "days"), [(1, -1), (40, 32)])
def test_of_a_time_that_no_report_tells_of_is_quarantined(days_ago, days, domain):
    begin = int(time.time()) - days_ago * 86400
    mail = mailed(gzip.compress(dmarc(record(), begin=begin, days=days)), "gzip")
    row = receive(mail, "dmarc@bounces.example")
    assert row.state == STATE.QUARANTINED
    assert "ends before it begins, or is longer than 31 days" in row.reason
    assert not AggregateReport.objects.exists()


def test_is_forgotten_with_its_senders_once_nobody_goes_by_it(domain, monkeypatch):
    monkeypatch.setattr(forgetting, "REPORTS", 1)
    for days in (100, 95, 90):
        begin = int(time.time()) - days * 86400
        mail = mailed(
            gzip.compress(dmarc(record(), begin=begin, days=0, report_id=f"r{days}")), "gzip"
        )
        receive(mail, "dmarc@bounces.example")
    forget_old_feedback()
    assert AggregateReport.objects.get().report_id == "r90"
    assert ReportedSource.objects.count() == 1


def test_of_a_foreign_domain_is_quarantined(domain):
    row = report(record(), domain="other.example")
    assert (row.state, row.reason) == (STATE.QUARANTINED, "It reports on other.example, which is no domain of ours.")  # fmt: skip


def test_a_bomb_is_quarantined_with_the_reason(domain):
    row = receive(mailed(gzip.compress(b" " * 30_000_000), "gzip"), "dmarc@bounces.example")
    assert row.state == STATE.QUARANTINED
    assert "more than any report" in row.reason


class TestVerdict:
    def test_is_yes_where_all_of_ours_passes(self, domain):
        report(record(count=5000, **OURS), record(count=3, **STRANGE))
        verdict = verdict_of(domain)
        assert verdict.is_safe, verdict.because
        assert (verdict.passing, verdict.total) == (5000, 5003)

    def test_is_no_where_a_transport_of_ours_fails(self, domain):
        report(record(count=5000, **OURS), record(count=40, dkim="fail", **OURS))
        verdict = verdict_of(domain)
        assert not verdict.is_safe
        assert "40 of 5,040 messages from 192.0.2.7 (relay) are yours and fail." in verdict.because

    def test_is_no_where_much_comes_from_strangers(self, domain):
        report(record(count=500, **OURS), record(count=100, **STRANGE))
        assert "100 messages come from senders nobody here knows" in str(verdict_of(domain).because)

    def test_is_no_where_many_strangers_send_little_each(self, domain):
        strangers = [
            record(count=1, **STRANGE).replace("192.0.2.7", f"198.51.100.{n}") for n in range(200)
        ]
        report(record(count=5000, **OURS), *strangers)
        assert "200 messages come from senders nobody here knows" in str(verdict_of(domain).because)

    def test_is_no_where_little_of_ours_fails_behind_many_others(self, domain, monkeypatch):
        monkeypatch.setattr(domain_reports, "SHOWN", 3)
        others = [record(count=9, **OURS).replace("192.0.2.7", f"198.51.100.{n}") for n in range(9)]
        failing = record(count=1, dkim="fail", **OURS).replace("192.0.2.7", "203.0.113.9")
        report(*others, failing, record(count=500, **OURS))
        verdict = verdict_of(domain)
        assert "1 of 1 messages from 203.0.113.9 (relay) are yours and fail." in verdict.because
        assert len(verdict.senders) == 3

    def test_leaves_out_what_was_forwarded(self, domain):
        reason = "<reason><type>forwarded</type></reason>"
        report(record(count=500, **OURS), record(count=100, reason=reason, **STRANGE))
        assert verdict_of(domain).is_safe

    def test_is_no_without_enough_to_go_by(self, domain):
        assert "No DMARC report" in verdict_of(domain).because[0]
        report(record(count=5, **OURS))
        assert "Only 5 messages" in verdict_of(domain).because[0]


class TestPages:
    def test_show_the_verdict_and_who_sends(self, domain, viewer, logged_in):
        report(record(count=5000, **OURS), record(count=400, **STRANGE))
        import json

        receive(mailed(json.dumps(TestTls.REPORT).encode(), "tlsrpt+json"), "tls@bounces.example")
        client = logged_in(viewer)
        page = client.get(f"/feedback/reports/{domain.pk}/").content.decode()
        for word in ("p=reject", "192.0.2.7", "relay", "spam.example", "validation-failure"):
            assert word in page
        assert "d.example" in client.get("/feedback/reports/").content.decode()

    def test_are_for_people_with_a_role(self, domain, client):
        assert client.get("/feedback/reports/").status_code == 302

    def test_cost_a_fixed_number_of_queries(self, domain, viewer, logged_in, django_assert_max_num_queries):  # fmt: skip
        report(*[record(count=n) for n in range(1, 200)])
        client = logged_in(viewer)
        with django_assert_max_num_queries(20):
            client.get(f"/feedback/reports/{domain.pk}/")
