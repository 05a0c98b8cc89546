"""What providers' answers over HTTP ask for."""

import pytest

from mailops.protocol.reply import Reply
from mailops.transports.kinds.api_replies import retry_after

NO = Reply(451, "4.3.2 not now", "4.3.2")


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("17", 17),
        ("99999999999", 86_400),
        ("9" * 5000, 86_400),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        (f"Wed, 21 Oct {10**20} 07:28:00 GMT", 0),
        (f"Wed, 21 Oct 2015 07:28:00 +{10**20}", 0),
        ("soon", 0),
        ("", 0),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wait_is_a_day_at_most_and_none_where_it_can_not_be_read(wish, seconds):
    assert retry_after({"retry-after": wish}, NO) == seconds
