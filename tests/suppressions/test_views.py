from datetime import timedelta
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry, User
from mailops.suppressions.importing import import_chunk
from mailops.suppressions.models import Suppression, SuppressionImport
from mailops.suppressions.suppressing import suppress
from tests.factories import make_stream, make_suppression
from tests.wrong_input.reading_forms import forms_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
ADDRESS = "ada@example.com"


def url(name, *args):
    return reverse(f"suppressions:{name}", args=args)


@pytest.fixture
def entry():
    return suppress(address=ADDRESS, stream=None, reason="unsubscribe", evidence_text="one click")


@pytest.fixture(autouse=True)
def hints(monkeypatch):
    """Keep the hints to Celery, which has no worker here."""
    kept = []
    monkeypatch.setattr("mailops.suppressions.views.continue_suppression_import.delay", kept.append)
    return kept


@pytest.fixture
def run(operator):
    return SuppressionImport.objects.create(
        file_name="list.csv", reason="imported", created_by=operator
    )


class TestEveryPage:
    @pytest.fixture
    def open_pages(self, run):
        return [url("list"), url("export"), url("import", run.pk), url("import-export", run.pk)]

    @pytest.fixture
    def guarded_pages(self, entry):
        return [url("add"), url("remove", entry.pk), url("imports")]

    def test_works(self, open_pages, guarded_pages, operator, logged_in):
        client = logged_in(operator)
        for page in open_pages + guarded_pages:
            assert client.get(page).status_code == 200, page

    def test_sends_the_anonymous_to_log_in(self, open_pages, guarded_pages, client):
        for page in open_pages + guarded_pages:
            assert client.get(page).status_code == 302, page

    def test_changes_nothing_for_those_who_may_only_see(
        self, open_pages, guarded_pages, oncall, logged_in
    ):
        client = logged_in(oncall)
        for page in open_pages:
            assert client.get(page).status_code == 200, page
        for page in guarded_pages:
            assert client.get(page).status_code == 403, page
        listed = client.get(url("list")).content.decode()
        assert "Remove" not in listed
        assert "Add an address" not in listed

    def test_asks_the_database_a_fixed_number_of_questions(
        self, open_pages, guarded_pages, operator, logged_in, django_assert_max_num_queries
    ):
        stream = make_stream()
        for n in range(30):
            suppress(address=f"a{n}@example.com", stream=stream, reason="manual")
        client = logged_in(operator)
        for page in open_pages + guarded_pages:
            with django_assert_max_num_queries(9):
                client.get(page)


class TestList:
    def shown(self, client, **query):
        return client.get(url("list"), query).content.decode()

    def test_finds_by_address_reason_and_stream(self, entry, viewer, logged_in):
        stream = make_stream(name="News")
        suppress(address="eve@example.net", stream=stream, reason="complaint")
        client = logged_in(viewer)
        for query in [
            {"q": "ADA@"},
            {"reason": "unsubscribe"},
            {"stream": "all"},
        ]:
            page = self.shown(client, **query)
            assert ADDRESS in page, query
            assert "eve@example.net" not in page, query
        assert ADDRESS not in self.shown(client, stream=stream.pk)

    def test_shows_expired_ones_when_asked(self, viewer, logged_in):
        past = timezone.now() - timedelta(days=1)
        suppress(address=ADDRESS, stream=None, reason="manual", expires_at=past)
        client = logged_in(viewer)
        assert ADDRESS not in self.shown(client)
        assert ADDRESS in self.shown(client, expired="on")

    def test_finds_an_international_address_as_it_is_shown(self, logged_in, viewer):
        shown = "bob@münchen.de"
        make_suppression(address=shown, address_key="bob@xn--mnchen-3ya.de")
        assert shown in logged_in(viewer).get(url("list"), {"q": shown}, headers=HTMX).text
        assert shown not in logged_in(viewer).get(url("list"), {"q": "@münchem"}, headers=HTMX).text

    @pytest.mark.parametrize("query", [{"reason": "mood"}, {"stream": "0"}, {"q": "x" * 400}])
    def test_refuses_a_filter_that_is_none(self, query, viewer, logged_in):
        assert logged_in(viewer).get(url("list"), query).status_code == 422

    def test_gives_htmx_the_rows_only(self, entry, viewer, logged_in):
        page = logged_in(viewer).get(url("list"), headers=HTMX).content.decode()
        assert 'id="results"' in page
        assert "<html" not in page

    def test_exports_what_the_filter_finds(self, entry, viewer, logged_in):
        suppress(address="-eve@example.net", stream=None, reason="complaint")
        client = logged_in(viewer)
        whole = client.get(url("export")).getvalue().decode()
        assert ADDRESS in whole
        assert "'-eve@example.net" in whole
        assert ADDRESS not in client.get(url("export"), {"q": "eve"}).getvalue().decode()


class TestAdd:
    GIVEN = {"address": "Bob@Example.COM", "reason": "manual", "evidence_text": "by phone"}

    def test_suppresses(self, operator, logged_in):
        assert logged_in(operator).post(url("add"), self.GIVEN).status_code == 302
        entry = Suppression.objects.get()
        assert (entry.address_key, entry.created_by) == ("bob@example.com", operator.email)
        assert AuditEntry.objects.filter(verb="suppression.add").exists()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"address": "bob"},
            {"address": ""},
            {"reason": "soft_bounces"},
            {"evidence_text": ""},
            {"stream": "77"},
            {"expires_at": "2001-01-01T00:00"},
            {"expires_at": "soon"},
            {"expires_at": "9999-12-31T23:30"},
            {"expires_at": "9999-12-31"},
            {"expires_at": "0001-01-01T00:00"},
            {"expires_at": "10000-01-01T00:00"},
            {"expires_at": "2035-01-01T00:00+23:59"},
            {"expires_at": "2035-01-01T00:00-16:00"},
        ],
    )
    @pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
    def test_says_what_is_wrong_and_keeps_what_was_typed(self, wrong, zone, operator, logged_in):
        User.objects.update(time_zone=zone)
        response = logged_in(operator).post(url("add"), {**self.GIVEN, **wrong})
        assert response.status_code == 422
        assert not Suppression.objects.exists()
        if "evidence_text" not in wrong:
            assert "by phone" in response.content.decode()

    def test_ends_within_ten_years(self, operator, logged_in):
        client = logged_in(operator)
        for years, status in ((11, 422), (9, 302)):
            until = f"{timezone.now() + timedelta(days=366 * years):%Y-%m-%dT%H:%M}"
            given = {**self.GIVEN, "expires_at": until}
            assert client.post(url("add"), given).status_code == status

    def test_pressed_twice_makes_one_entry(self, operator, logged_in):
        client = logged_in(operator)
        for _ in range(2):
            client.post(url("add"), self.GIVEN)
        assert Suppression.objects.count() == 1


def removal_form(response, at):
    forms = forms_of(response.content.decode(), at)
    return next(form for form in forms if "reason" in form.names)


class TestRemove:
    def test_needs_a_reason(self, entry, operator, logged_in):
        response = logged_in(operator).post(url("remove", entry.pk), {"reason": " "})
        assert response.status_code == 422
        assert Suppression.objects.exists()

    def test_takes_the_address_off_and_audits_why(self, entry, operator, logged_in):
        said = {"reason": "wants it again", "seen": entry.mark}
        logged_in(operator).post(url("remove", entry.pk), said)
        assert not Suppression.objects.exists()
        assert AuditEntry.objects.get().reason == "wants it again"

    def test_says_that_the_recipient_asked_for_it(self, entry, operator, logged_in):
        page = logged_in(operator).get(url("remove", entry.pk)).content.decode()
        assert "They asked for no more mail" in page
        assert f"Mail may go to {entry.address} again in all streams." in page

    def test_says_what_stops_mail_all_the_same(self, entry, operator, logged_in):
        stream = make_stream(name="Letters")
        narrow = suppress(address=ADDRESS, stream=stream, reason="manual")
        client = logged_in(operator)
        for one, told in [
            (narrow, f"still doesn't go to {ADDRESS}: it is suppressed in all streams"),
            (entry, f"Mail may go to {ADDRESS} again in all streams but Letters."),
        ]:
            page = client.get(url("remove", one.pk))
            assert told in unescape(page.text)
        client.post(url("remove", narrow.pk), {"reason": "x", "seen": narrow.mark})
        assert "still doesn't go to" in unescape(client.get(url("list")).text)
        client.post(url("remove", entry.pk), {"reason": "x", "seen": entry.mark})
        told = f"Mail may go to {ADDRESS} again in all streams."
        assert told in unescape(client.get(url("list")).text)

    def test_pressed_twice_is_not_found(self, entry, operator, logged_in):
        client = logged_in(operator)
        said = {"reason": "x", "seen": entry.mark}
        client.post(url("remove", entry.pk), said)
        assert client.post(url("remove", entry.pk), said).status_code == 404

    def test_of_an_entry_that_became_another_is_shown_anew_first(self, operator, logged_in):
        entry = suppress(address="bob@example.net", stream=None, reason="hard_bounce")
        client, at = logged_in(operator), url("remove", entry.pk)
        shown = removal_form(client.get(at), at)
        said = {**shown.values, "reason": "The mailbox is back."}
        suppress(
            address="bob@example.net",
            stream=None,
            reason="complaint",
            evidence_text="He complained.",
        )
        response = client.post(at, said)
        page = response.content.decode()
        assert response.status_code == 422
        assert "this entry changed since you looked" in page
        assert "He complained." in page
        shown = removal_form(response, at)
        assert shown.values["reason"].strip() == "The mailbox is back."
        assert Suppression.objects.get().reason == "complaint"
        client.post(at, shown.values)
        assert not Suppression.objects.exists()


class TestImportPages:
    def post(self, client, content, **fields):
        file = SimpleUploadedFile("list.csv", content, "text/csv")
        return client.post(url("imports"), {"file": file, "reason": "imported", **fields})

    def test_take_in_a_file_and_show_its_account(
        self, operator, logged_in, hints, django_capture_on_commit_callbacks
    ):
        client = logged_in(operator)
        with django_capture_on_commit_callbacks(execute=True):
            response = self.post(client, b"ada@example.com\nnobody at all\n")
        run = SuppressionImport.objects.get()
        assert response["Location"] == url("import", run.pk)
        assert hints == [run.pk]
        while import_chunk(run_id=run.pk):
            pass
        page = client.get(url("import", run.pk)).content.decode()
        assert "The address has no @." in page
        page = client.get(url("import", run.pk), {"outcome": "added"}).content.decode()
        assert "The address has no @." not in page

    def test_lead_to_each_earlier_import(self, run, operator, logged_in):
        for _ in range(10):
            SuppressionImport.objects.create(file_name="another.csv", reason="imported")
        client = logged_in(operator)
        assert url("import", run.pk) not in client.get(url("imports")).text
        assert url("import", run.pk) in client.get(url("imports"), {"page": 2}).text

    @pytest.mark.parametrize("content", [b"", b"name\nBob\n", b"PK\x03\x04"])
    def test_refuse_a_file_that_holds_no_addresses(self, content, operator, logged_in):
        assert self.post(logged_in(operator), content).status_code == 422
        assert not SuppressionImport.objects.exists()

    def test_poll_until_the_work_is_done(self, run, operator, logged_in):
        client = logged_in(operator)
        headers = {**HTMX, "HX-Target": "progress"}
        response = client.get(url("import", run.pk), headers=headers)
        assert response.status_code == 200
        assert 'id="progress"' in response.content.decode()
        SuppressionImport.objects.update(state="completed", numbers={"": 1, "added": 2})
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url("import", run.pk), headers=headers)
        assert response.status_code == 286
        assert "?outcome=added" in response.content.decode()
        assert not [one for one in queries if "suppressions_importedrow" in one["sql"]]

    def test_can_be_stopped(self, run, operator, viewer, logged_in):
        at = url("import-stop", run.pk)
        assert at in logged_in(operator).get(url("import", run.pk)).text
        assert at not in logged_in(viewer).get(url("import", run.pk)).text
        assert logged_in(viewer).post(at).status_code == 403
        client = logged_in(operator)
        assert client.get(at).status_code == 405
        assert "stopped it after 0 rows" in client.post(at, follow=True).text
        assert "is stopped already" in client.post(at, follow=True).text
        assert AuditEntry.objects.get().verb == "suppression.stop_import"

    def test_refuse_an_outcome_that_is_none(self, run, operator, logged_in):
        response = logged_in(operator).get(url("import", run.pk), {"outcome": "maybe"})
        assert response.status_code == 422

    def test_export_the_account(self, run, operator, logged_in):
        run.rows.create(line=3, address="=x", outcome="rejected", why="bad")
        whole = logged_in(operator).get(url("import-export", run.pk)).getvalue().decode()
        assert "3,'=x,,rejected,bad" in whole

    def test_tell_that_the_same_file_was_imported_before(self, operator, logged_in):
        client = logged_in(operator)
        pages = [
            client.get(self.post(client, content)["Location"]).text
            for content in (b"a@x.example", b"b@x.example", b"a@x.example")
        ]
        first = SuppressionImport.objects.order_by("pk")[0]
        assert ["This file was imported before" in page for page in pages] == [False, False, True]
        assert url("import", first.pk) in pages[2]
        assert SuppressionImport.objects.count() == 3

    @pytest.mark.needs("chromium")
    @pytest.mark.django_db(transaction=True)
    def test_show_the_rows_once_the_work_is_done(self, run, operator, open_page):
        page = open_page(url("import", run.pk), operator)
        assert "No rows here" in page.locator("#rows").inner_text()
        run.rows.create(line=3, address="nobody at all", outcome="rejected", why="It has no @.")
        SuppressionImport.objects.update(state="completed", numbers={"rejected": 1})
        page.locator("#rows").get_by_text("It has no @.").wait_for()
        assert page.complaints == []
