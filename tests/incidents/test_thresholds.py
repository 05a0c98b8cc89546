from datetime import timedelta

import pytest

from mailops.domains.checking import RECHECK_AFTER
from mailops.domains.models import CheckStatus
from mailops.incidents.models import Threshold
from mailops.incidents.thresholds import DEFAULTS, add_missing

pytestmark = pytest.mark.django_db


class TestAddMissing:
    def test_brings_back_what_is_gone(self):
        Threshold.objects.all().delete()
        add_missing()
        assert Threshold.objects.count() == len(DEFAULTS)

    def test_leaves_what_people_set(self):
        Threshold.objects.update(act=7)
        add_missing()
        assert set(Threshold.objects.values_list("act", flat=True)) == {7}

    def test_says_why_of_each(self):
        assert all(fields["why"] for fields in DEFAULTS.values())

    def test_knows_what_to_do_about_each(self):
        assert all(threshold.to_do for threshold in Threshold.objects.all())


def test_a_broken_record_is_seen_when_dns_is_asked():
    assert RECHECK_AFTER[CheckStatus.OK] == RECHECK_AFTER[CheckStatus.WARNING] == timedelta(hours=1)
    assert "every hour" in Threshold.objects.get(measure="records").seen_when


class TestLevels:
    @pytest.mark.parametrize(
        ("bad", "whole", "level"),
        [
            (199, 10_000, None),
            (2, 100, "warn"),
            (499, 10_000, "warn"),
            (1, 20, "act"),
            (10, 100, "stop"),
            (90, 100, "stop"),
            (0, 0, None),
        ],
    )
    def test_are_reached_from_their_number_on(self, bad, whole, level):
        bounces = Threshold.objects.get(measure="bounces", subject_kind="stream")
        assert bounces.level_of(bad, whole) == level

    @pytest.mark.parametrize("whole", range(1000, 8000, 1000))
    def test_are_reached_exactly(self, whole):
        complaints = Threshold.objects.get(measure="complaints", subject_kind="stream")
        assert complaints.level_of(3 * whole // 1000, whole) == "stop"
        assert complaints.level_of(3 * whole // 1000 - 1, whole) != "stop"
