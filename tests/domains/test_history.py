import datetime as dt

import pytest
from django.utils import timezone

from mailops.domains.history import history
from mailops.domains.models import FindingChange
from mailops.reports.marks import marks
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
        drawn = marks(last_days(timezone.now(), 7, dt.UTC), {})["marks"]
        assert [mark["label"] for mark in drawn] == ["example.com: SPF: OK → Broken"]
