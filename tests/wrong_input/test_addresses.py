"""One person's address in two spellings: who is suppressed by one is not written to by the other."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.html import escape

from mailops.audiences.importing import import_chunk
from mailops.audiences.models import Import
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.expansion import expand_running
from mailops.dispatch.models import Worker
from mailops.dispatch.sweeping import sweep_suppressed
from mailops.outbox.models import Message
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress
from tests.factories import make_audience, make_campaign, make_identity, make_stream, make_version

SPELLINGS = [
    ("Bob@Example.COM", "bob@example.com"),
    ("bob@example.com", "BOB@EXAMPLE.COM"),
    (" bob@example.com ", "bob@example.com"),
    ("bob@example.com.", "bob@example.com"),
    ("bob@example.com", "Bob@Example.Com."),
    ("bob@bücher.example", "bob@xn--bcher-kva.example"),
    ("bob@xn--bcher-kva.example", "Bob@BÜCHER.example"),
    ('"bob"@example.com', "bob@example.com"),
    ("bob@faß.example", "bob@xn--fa-hia.example"),
]


@pytest.fixture(autouse=True)
def hints(monkeypatch):
    """Keep the hints to Celery, which has no worker here."""
    monkeypatch.setattr("mailops.audiences.import_views.continue_import.delay", lambda run_id: None)


@pytest.fixture
def claimed():
    """Return a function that claims what is due, as a worker does; gives the recipients."""

    def claim() -> list[str]:
        worker = Worker.objects.create(lane="bulk", host="test", pid=1)
        (carrier,) = usable_carriers("bulk")
        return [job.recipient for job in Claimer(worker.pk).claim(carrier, 10)]

    return claim


@pytest.mark.parametrize(("suppressed", "typed"), SPELLINGS)
class TestTwoSpellings:
    def test_the_import_counts_it_as_suppressed_and_nothing_is_sent(
        self, suppressed, typed, browser, claimed
    ):
        form = {"address": suppressed, "reason": "unsubscribe", "evidence_text": "asked"}
        add = browser.post(reverse("suppressions:add"), form)
        assert add.status_code == 302, add.text
        audience = make_audience()
        run = self.take_in(browser, audience, typed)
        assert (run.suppressed, run.rows) == (1, 1)
        campaign = make_campaign(audience=audience, state="running")
        expand_running()
        assert claimed() == []
        sweep_suppressed()
        assert Message.objects.get(campaign=campaign).status == "suppressed"

    def take_in(self, browser, audience, typed):
        file = SimpleUploadedFile("a.csv", f"email\n{typed}\n".encode())
        browser.post(reverse("audiences:import", args=[audience.pk]), {"file": file})
        run = Import.objects.get()
        form = {"use_0": "address", "name_0": "", "consent": "a form"}
        browser.post(reverse("audiences:import-map", args=[run.pk]), form)
        while import_chunk(run_id=run.pk):
            pass
        run.refresh_from_db()
        return run

    def test_a_test_send_to_it_is_not_sent(self, suppressed, typed, browser, claimed):
        suppress(address=suppressed, stream=None, reason="complaint")
        stream = make_stream()
        form = {
            "recipient": typed,
            "stream": stream.pk,
            "identity": make_identity(domain=stream.domain).pk,
        }
        url = f"{reverse('outbox:test-send')}?version={make_version().pk}"
        assert browser.post(url, form).status_code == 302
        assert claimed() == []
        sweep_suppressed()
        assert Message.objects.get().status == "suppressed"

    def test_it_is_one_entry(self, suppressed, typed, browser):
        for address in (suppressed, typed):
            form = {"address": address, "reason": "unsubscribe", "evidence_text": "asked"}
            browser.post(reverse("suppressions:add"), form)
        assert Suppression.objects.count() == 1
        found = browser.get(reverse("suppressions:list"), {"q": typed})
        assert escape(Suppression.objects.get().address) in found.text


def test_a_quoted_at_before_the_domain_is_no_part_of_it(db):
    audience = make_audience('"bob@home"@example.net', "ann@example.net")
    campaign = make_campaign(audience=audience, state="running")
    expand_running()
    messages = Message.objects.filter(campaign=campaign)
    assert list(messages.values_list("mailbox_provider", flat=True)) == ["example.net"] * 2
