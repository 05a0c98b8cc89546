"""One spike, followed in a browser: chart, mark of the change, signature of the replies, messages, exactly those again."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from mailops.accounts.auditing import audit
from mailops.accounts.models import AuditEntry
from mailops.outbox.models import EventKind, Message, Resending, Status
from mailops.outbox.sightings import fold_sightings
from mailops.outbox.tasks import continue_resending
from mailops.protocol.reply import Reply
from mailops.reports.folding import fold_tallies
from tests.browser import assert_clean, press_the_mark
from tests.factories import make_message, make_stream
from tests.outbox.answers import NO_SUCH, OK, answer

pytestmark = [
    pytest.mark.broad,
    pytest.mark.needs("chromium"),
    pytest.mark.django_db(transaction=True),
]

REFUSED = "5.7.1 Message refused by policy (Q7712). [{}.prod.outlooky.example 2026-11-21T10:00:00Z]"


def blocked(number):
    return Reply(550, REFUSED.format(f"am{number}eur"), "5.7.1", "DATA")


@pytest.fixture
def spike(admin):
    """Make a stream whose mail went well until its transport was changed, an hour ago."""
    stream = make_stream(name="Letters")
    transport = stream.routes.get().transport
    now = timezone.now()
    for number in range(6):
        message = make_message(stream=stream, mailbox_provider="outlook", transport=transport)
        answer(message, OK, EventKind.ACCEPTED, at=now - timedelta(hours=3, minutes=number))
    entry = audit(
        actor=admin,
        verb="transport.change",
        subject=transport,
        before={"max_sessions": 2},
        after={"max_sessions": 40},
        reason="Faster.",
    )
    AuditEntry.objects.filter(pk=entry.pk).update(at=now - timedelta(minutes=50))
    for number in range(5):
        message = make_message(stream=stream, mailbox_provider="outlook", transport=transport)
        answer(message, blocked(number), at=now - timedelta(minutes=20))
    stranger = make_message(stream=stream, mailbox_provider="outlook", transport=transport)
    answer(stranger, NO_SUCH, at=now - timedelta(minutes=20))
    fold_sightings()
    fold_tallies()
    return stream


def test_leads_from_the_chart_to_the_retry_of_exactly_those(spike, operator, open_page):
    page = open_page(f"/reports/?range=24h&stream={spike.pk}", operator)
    rows = page.locator("#signatures tbody tr")
    rows.first.wait_for()  # the last part of the page, so that nothing moves from here on

    # the mark of the change, on the axis of every chart, opens it
    change = press_the_mark(page)
    assert "Transport changed" in change
    assert "max sessions" in change.lower()

    # what servers answered in that time, the spike's reply first
    expect(rows).to_have_count(2)
    assert "5" in rows.nth(0).locator("td.number").inner_text()
    rows.nth(0).get_by_role("link").click()
    refused = page.get_by_role("heading", level=1)
    expect(refused).to_have_text(re.compile(r"^\s*550 5\.7\.1 message refused by policy"))
    page.wait_for_selector("[data-chart] svg")
    assert_clean(page)
    page.set_viewport_size({"width": 1440, "height": 900})

    # its messages, and no other
    page.get_by_role("link", name="All of them").click()
    expect(page.locator("#results tbody tr")).to_have_count(5)

    # exactly those again: the numbers first, the button pressed twice
    page.get_by_role("link", name="Send these again").click()
    expect(page.locator("#chosen")).to_contain_text("5 refused, failed or expired")
    page.get_by_role("button", name="Send 5 messages again").dblclick()
    page.wait_for_url("**/messages/send-again/*/")
    run = Resending.objects.get()
    continue_resending(run.pk)
    page.get_by_text("Completed").wait_for()
    assert "5 of 5" in page.locator("#progress").inner_text()
    assert page.complaints == []
    statuses = Message.objects.values_list("reason", "status", "round").distinct()
    assert sorted(statuses) == [
        ("", Status.ACCEPTED, 0),
        ("", Status.QUEUED, 1),
        ("unknown_mailbox", Status.BOUNCED, 0),
    ]
