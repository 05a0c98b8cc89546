"""The filters of messages, reports and the search, each asked nonsense by itself: a page that says so, never a 500."""

from typing import Any

import pytest
from django.urls import reverse

from mailops.transports.models import Credential, ProviderLimit
from tests.factories import make_campaign, make_message, make_transport
from tests.outbox.answers import make_refused
from tests.wrong_input.test_walk import body_of

TIMES = [
    "9999-12-31", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00-14:00", "10000-01-01", "2100-01-01T23:59",
    "2026-02-30", "2026-11-22T10:00+23:59", "2026-11-22T10:00-16:00", "2026-11-22T10:00+99:99", "infinity",
]  # fmt: skip
NUMBERS = ["0", "-1", "9" * 30, "9" * 5000, "9223372036854775807", "9223372036854775808", "1e400", "NaN", "1.5"]  # fmt: skip
TEXTS = ["\0", "a\0b", "x" * 5000, b"\xed\xa0\x80", "%", "\\", "_", "__", "@", b"a@\xed\xaf\xbf", "\U0010ffff", "0" * 32]  # fmt: skip
LONG = "x" * 5000
WORDS = ["", "no such", "_", "\0", "9" * 30, "x" * 300]

KINDS: dict[str, list[Any]] = {
    "answered_since": TIMES, "answered_until": TIMES, "since": TIMES, "until": TIMES,
    "q": TEXTS, "mailbox_provider": TEXTS,
    **dict.fromkeys(("stream", "campaign", "signature", "transport", "domain", "before", "version", "page", "counted"), NUMBERS),
    **dict.fromkeys(("status", "reason", "reply", "range", "step", "by", "chart", "kind"), WORDS),
}  # fmt: skip
TIMED = ("since", "until", "stream", "transport", "domain", "campaign", "mailbox_provider", "reason", "range")  # fmt: skip
PAGES = {
    "outbox:list": (
        "q", "status", "stream", "campaign", "reason", "reply", "signature", "transport", "mailbox_provider", "domain",
        "answered_since", "answered_until", "before",
    ),
    "outbox:export": ("q", "reason", "answered_since"),
    "outbox:doubtful": ("reason", "transport", "stream", "kind", "campaign", "before"),
    "outbox:campaign-retry": ("status", "reason", "reply", "until", "counted"),
    "reports:reports": (*TIMED, "step", "by", "version", "chart"),
    "reports:campaign": ("since", "until", "range", "reason"),
    "reports:export-split": ("since", "by", "version"),
    "reports:search": ("q",),
    "reports:search-json": ("q",),
    "signatures:list": (*TIMED, "q", "page"),
}  # fmt: skip
REFUSED = {
    "accounts:audit": {"since": "31 June"}, "campaigns:list": {"state": "no such"}, "content:list": {"q": LONG},
    "domains:list": {"q": LONG}, "feedback:list": {"kind": "no such"}, "incidents:list": {"state": "no such"},
    "outbox:doubtful": {"stream": "no such"}, "outbox:list": {"answered_until": "31 June"},
    "reports:reports": {"until": "31 June"}, "reports:search": {"q": LONG}, "signatures:list": {"since": "31 June"},
    "suppressions:list": {"reason": "no such"}, "transports:credentials": {"q": LONG}, "transports:list": {"q": LONG},
    "transports:providers": {"q": LONG}, "transports:streams": {"q": LONG},
}  # fmt: skip
OF_A_CAMPAIGN = {"outbox:campaign-retry", "reports:campaign"}


@pytest.mark.parametrize("name", PAGES)
def test_each_part_of_a_filter_may_be_nonsense(name, browser):
    campaign = make_campaign()
    make_message(campaign=campaign, stream=campaign.stream)
    make_refused()
    path = reverse(name, args=[campaign.pk] if name in OF_A_CAMPAIGN else [])
    for part in PAGES[name]:
        values = KINDS[part]
        for given in [*values, values[:2]]:  # the last one is told twice
            response = browser.get(path, {part: given})
            body_of(response)
            assert response.status_code in {200, 422}, (part, given)


@pytest.mark.parametrize("name", ["outbox:list", "reports:reports", "signatures:list"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_times_at_the_edges_of_the_calendar_are_fine(name, zone, browser, admin):
    admin.time_zone = zone
    admin.save()
    begin, end = ("answered_since", "answered_until") if name == "outbox:list" else ("since", "until")  # fmt: skip
    for since, until in (("2000-01-01", "2001-12-31"), ("2098-12-31", "2100-01-01")):
        assert browser.get(reverse(name), {begin: since, end: until}).status_code == 200


@pytest.mark.parametrize("name", REFUSED)
def test_a_list_whose_filter_is_refused_says_so_and_never_that_nothing_matches(name, browser):
    make_refused()
    ProviderLimit.objects.create(mailbox_provider="gmail", max_sessions=5)
    Credential.objects.create(transport=make_transport(), label="Key")
    page = browser.get(reverse(name), REFUSED[name])
    assert page.status_code == 422
    text = page.content.decode()
    assert "These filters can't be used" in text
    assert text.count('class="empty"') == 1
    assert "field-errors" in text
    assert "Hidden field" not in text


def test_a_day_that_is_none_is_kept_in_its_field(browser):
    page = browser.get(reverse("accounts:audit"), {"since": "31 June", "until": "2026-06-30"})
    told = " ".join(page.content.decode().split())
    assert '<input type="text" name="since" value="31 June"' in told
    assert '<input type="date" name="until" value="2026-06-30"' in told
    assert "Write a day, such as 2026-11-21." in told
