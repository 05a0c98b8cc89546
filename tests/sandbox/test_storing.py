import pytest

from mailops.sandbox.models import CapturedMessage
from mailops.sandbox.storing import HEADERS_READ, headers_of, prune
from tests.costs import costing_less_than
from tests.factories import make_captured


class TestHeaders:
    @pytest.mark.parametrize(
        "written",
        [
            "Grüße an alle",
            "=?utf-8?q?Gr=C3=BC=C3=9Fe?= an alle",
            "=?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?q?=C3=9Fe?=\r\n an alle",
            "Grüße an\r\n =?utf-8?q?alle?=",
        ],
    )
    def test_are_words_on_one_line(self, written):
        assert headers_of(f"Subject: {written}\r\n\r\n".encode()).subject == "Grüße an alle"

    def test_made_to_hurt_cost_no_time(self):
        words = "=?a?q? " * (HEADERS_READ // 7 - 5)  # none of which ends
        with costing_less_than(0.5):
            found = headers_of(f"Subject: {words}\r\n\r\n".encode())
        assert found.subject == words[:500].strip()


@pytest.mark.django_db
class TestPrune:
    def test_keeps_the_newest_of_each_inbox(self, settings):
        settings.MAILOPS_SANDBOX_KEEP = 2
        first, *kept = [make_captured(recipient="a@one.example") for _ in range(3)]
        kept.append(make_captured(recipient="a@two.example"))
        assert prune() == 1
        assert set(CapturedMessage.objects.values_list("pk", flat=True)) == {one.pk for one in kept}
        assert first not in kept
