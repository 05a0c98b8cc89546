import pytest

from mailops.sandbox.models import CapturedMessage
from mailops.sandbox.storing import prune
from tests.factories import make_captured

pytestmark = pytest.mark.django_db


class TestPrune:
    def test_keeps_the_newest_of_each_inbox(self, settings):
        settings.MAILOPS_SANDBOX_KEEP = 2
        first, *kept = [make_captured(recipient="a@one.example") for _ in range(3)]
        kept.append(make_captured(recipient="a@two.example"))
        assert prune() == 1
        assert set(CapturedMessage.objects.values_list("pk", flat=True)) == {one.pk for one in kept}
        assert first not in kept
