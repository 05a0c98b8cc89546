import pytest

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


class TestLevels:
    @pytest.mark.parametrize(
        ("percent", "level"),
        [(1.99, None), (2, "warn"), (4.99, "warn"), (5, "act"), (10, "stop"), (90, "stop")],
    )
    def test_are_reached_from_their_number_on(self, percent, level):
        assert (
            Threshold.objects.get(measure="bounces", subject_kind="stream").level_of(percent)
            == level
        )
