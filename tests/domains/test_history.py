import datetime as dt

import pytest
from django.utils import timezone

from mailops.domains import history as of_domains
from mailops.domains.history import history
from mailops.domains.models import DnsObservation, FindingChange
from mailops.reports.marks import beside
from mailops.reports.periods import last_days
from tests.factories import make_domain

pytestmark = pytest.mark.django_db


@pytest.fixture
def domain():
    domain = make_domain(name="example.com")
    for before, after in (("unknown", "ok"), ("ok", "error")):
        FindingChange.objects.create(
            domain=domain, check_name="spf", before=before, after=after, sentence="As DNS shows."
        )
    return domain


class TestFirstLook:
    def test_is_told_as_such_and_a_change_as_a_change(self, domain):
        titles = {entry.title for entry in history(domain)}
        assert titles == {"SPF: OK at the first look", "SPF: OK → Broken"}

    def test_is_no_mark_on_a_chart(self, domain):
        drawn = beside(last_days(timezone.now(), 7, dt.UTC), {}).drawn["marks"]
        assert [mark["label"] for mark in drawn] == ["example.com: SPF: OK → Broken"]


class TestRecords:
    def test_one_that_changes_often_hides_no_other_and_is_not_told_as_new(self, monkeypatch):
        monkeypatch.setattr(of_domains, "LIMIT", 3)
        domain, now = make_domain(name="example.com"), timezone.now()
        often, once = (
            domain.records.create(purpose=purpose, host=host, rtype="TXT")
            for purpose, host in (("spf", "example.com"), ("dmarc", "_dmarc.example.com"))
        )
        for record, number in [*((often, n) for n in range(1, 9)), (once, 0)]:
            at = now - dt.timedelta(hours=number)
            DnsObservation.objects.create(
                record=record, values=[str(number)], first_seen_at=at, last_seen_at=at
            )
        assert [entry.title for entry in history(domain)] == [
            "TXT _dmarc.example.com was seen for the first time",
            "TXT example.com changed",
            "TXT example.com changed",
        ]
