import pytest
from django.urls import reverse

from mailops.accounts.models import AuditEntry
from mailops.lib.env import host_and_port
from mailops.lib.foreign_html import POLICY
from mailops.sandbox.models import Inbox
from tests.factories import make_captured
from tests.sandbox.test_reading import whole
from tests.wrong_input.reading_forms import forms_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def url(name, *args):
    return reverse(f"sandbox:{name}", args=args)


@pytest.fixture
def captured():
    return make_captured(whole(), subject="Grüße", recipient="ada@example.net")


@pytest.fixture
def pages(captured):
    one, inbox = captured.id, captured.inbox_id
    return [
        url("list"),
        url("simulator"),
        url("inbox", inbox),
        url("inbox-news", inbox) + "?after=0",
        url("message", one),
        url("message-html", one),
        url("message-source", one),
        url("attachment", one, 1),
        url("inbox-delete", inbox),
    ]


class TestSimulator:
    HINT = "First set <code>MAILOPS_TRUSTED_RELAYS="

    def test_a_transport_can_be_made_as_it_says(self, admin, logged_in):
        client = logged_in(admin)
        page = client.get(url("simulator"))
        assert self.HINT not in page.content.decode()
        host, port = host_and_port(page.context["listener"])
        add = reverse("transports:add") + "?preset=smtp"
        form = forms_of(client.get(add).text, add)[-1].values
        told = {"name": "Sandbox", "host": host, "port": port, "security": "none"}
        assert client.post(add, form | told).status_code == 302

    def test_it_says_what_to_set_where_the_sandbox_is_elsewhere(self, viewer, logged_in, settings):
        settings.MAILOPS_SANDBOX_LISTENER = "192.0.2.1:1025"
        page = logged_in(viewer).get(url("simulator")).content.decode()
        assert f"{self.HINT}192.0.2.1:1025</code>" in page


class TestEveryPage:
    def test_works_for_a_viewer(self, pages, viewer, logged_in):
        client = logged_in(viewer)
        for page in pages:
            assert client.get(page).status_code == 200, page

    def test_sends_the_anonymous_to_log_in(self, pages, client):
        for page in pages:
            assert client.get(page).status_code == 302, page

    def test_is_closed_to_one_without_a_role(self, pages, stranger, logged_in):
        client = logged_in(stranger)
        for page in pages:
            assert client.get(page).status_code == 403, page

    def test_asks_the_database_a_fixed_number_of_questions(
        self, pages, viewer, logged_in, django_assert_max_num_queries
    ):
        for n in range(30):
            make_captured(recipient=f"a@{n}.example")
        client = logged_in(viewer)
        for page in pages:
            with django_assert_max_num_queries(8):
                client.get(page)


class TestInboxes:
    def test_are_listed_with_their_numbers(self, captured, viewer, logged_in):
        page = logged_in(viewer).get(url("list")).content.decode()
        assert "example.net" in page

    def test_show_a_way_on_where_there_are_none(self, viewer, logged_in):
        assert "No test inbox yet" in logged_in(viewer).get(url("list")).content.decode()

    def test_refresh_by_fragment(self, captured, viewer, logged_in):
        page = logged_in(viewer).get(url("list"), headers=HTMX).content.decode()
        assert 'id="inboxes"' in page
        assert "<html" not in page


class TestInbox:
    def test_finds_by_text_and_by_mailbox(self, captured, viewer, logged_in):
        make_captured(subject="Other", recipient="bounce1@example.net", behavior="later-bounce")
        client = logged_in(viewer)
        page = client.get(url("inbox", captured.inbox_id), {"q": "grüSSE"}).content.decode()
        assert "Other" not in page
        page = client.get(url("inbox", captured.inbox_id), {"q": "GRÜ"}).content.decode()
        assert "Grüße" in page
        page = client.get(url("inbox", captured.inbox_id), {"behavior": "later-bounce"})
        assert "Grüße" not in page.content.decode()

    def test_refuses_a_filter_that_is_none(self, captured, viewer, logged_in):
        response = logged_in(viewer).get(url("inbox", captured.inbox_id), {"behavior": "dance"})
        assert response.status_code == 422

    def test_tells_of_news_without_moving_a_row(self, captured, viewer, logged_in):
        make_captured(recipient="eve@example.net")
        response = logged_in(viewer).get(
            url("inbox-news", captured.inbox_id), {"after": captured.id}, headers=HTMX
        )
        assert "1 new message:" in response.content.decode()
        assert "<table" not in response.content.decode()

    def test_refuses_news_since_nonsense(self, captured, viewer, logged_in):
        response = logged_in(viewer).get(url("inbox-news", captured.inbox_id), {"after": "x"})
        assert response.status_code == 422

    def test_is_deleted_with_all_it_holds(self, captured, editor, logged_in):
        response = logged_in(editor).post(url("inbox-delete", captured.inbox_id))
        assert response.status_code == 302
        assert not Inbox.objects.exists()
        assert AuditEntry.objects.get().before == {"inbox": "example.net", "messages": 1}

    def test_is_not_a_viewers_to_delete(self, captured, viewer, logged_in):
        client = logged_in(viewer)
        assert client.post(url("inbox-delete", captured.inbox_id)).status_code == 403
        assert "Delete inbox" not in client.get(url("inbox", captured.inbox_id)).content.decode()


class TestMessage:
    def test_is_shown_from_every_side(self, captured, viewer, logged_in):
        client = logged_in(viewer)
        for view, expected in [
            ("html", "<iframe"),
            ("text", "Hello Ada"),
            ("headers", "MIME-Version"),
            ("source", "multipart/mixed"),
            ("attachments", "b_ill ü.pdf"),
        ]:
            page = client.get(url("message", captured.id), {"view": view}).content.decode()
            assert expected in page, view

    @pytest.mark.parametrize("view", ["text", "headers", "source", "attachments"])
    def test_is_shown_as_far_as_a_browser_can_bear(self, view, viewer, logged_in):
        folded = b"\r\n\t".join([b"word " * 100] * 1000)
        captured = make_captured(
            b"Subject: %b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n%b\r\n--b\r\n"
            b"Content-Type: a/%b\r\n\r\n" % (folded, folded, folded)
        )
        page = logged_in(viewer).get(url("message", captured.id), {"view": view}).text
        assert len(page) < 250_000
        assert ("Only the beginning" in page) == (view in {"text", "source"})

    def test_refuses_another_side(self, captured, viewer, logged_in):
        response = logged_in(viewer).get(url("message", captured.id), {"view": "inside"})
        assert response.status_code == 422

    def test_changes_its_side_by_fragment(self, captured, viewer, logged_in):
        page = logged_in(viewer).get(url("message", captured.id), headers=HTMX).content.decode()
        assert 'id="look"' in page
        assert "<html" not in page

    def test_serves_foreign_html_where_it_can_do_nothing(self, captured, viewer, logged_in):
        response = logged_in(viewer).get(url("message-html", captured.id))
        assert response["Content-Security-Policy"] == POLICY.format("")
        assert response["X-Frame-Options"] == "SAMEORIGIN"
        assert response["X-DNS-Prefetch-Control"] == "off"
        assert response["Referrer-Policy"] == "no-referrer"

    def test_hands_out_a_file_as_something_to_save(self, captured, viewer, logged_in):
        response = logged_in(viewer).get(url("attachment", captured.id, 2))
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"].startswith("attachment;")
        assert response.content == b"%PDF"

    def test_has_no_file_of_another_number(self, captured, viewer, logged_in):
        assert logged_in(viewer).get(url("attachment", captured.id, 9)).status_code == 404

    def test_escapes_a_subject(self, viewer, logged_in):
        captured = make_captured(b"x", subject="<script>alert(1)</script>")
        page = logged_in(viewer).get(url("message", captured.id)).content.decode()
        assert "<script>alert" not in page
