"""People see what came back and why it counted or not; the unsubscribe page changes nothing until a button is pressed."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.feedback.archiving import archive
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.outbox.models import Event
from mailops.protocol import unsubscribe
from mailops.reports.attention import matters
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress
from tests.factories import make_stream, make_transport
from tests.feedback.conftest import complaint_about, make_sent, receive, report_on, sender_of


@pytest.fixture
def bounced(sent):
    return receive(report_on(sent), sender_of(sent))


@pytest.fixture
def forged(db):
    return receive(b"Subject: <b>hello</b>\r\n\r\nhi", "eve@bounces.example")


class TestList:
    url = "/feedback/"

    def test_shows_what_came_back(self, bounced, viewer, logged_in):
        page = logged_in(viewer).get(self.url).content.decode()
        assert "Bob@Example.net" in page
        assert bounced.get_absolute_url() in page

    def test_filters_by_state_kind_and_recipient(self, bounced, forged, viewer, logged_in):
        client = logged_in(viewer)
        for query, shown, hidden in [
            ("state=quarantined", forged, bounced),
            ("kind=bounce", bounced, forged),
            ("source=smtp&q=BOB@example.net", bounced, forged),
        ]:
            page = client.get(f"{self.url}?{query}").content.decode()
            assert shown.get_absolute_url() in page
            assert hidden.get_absolute_url() not in page

    @pytest.mark.parametrize("query", ["state=nonsense", "before=x", "before=0", "q=nonsense"])
    def test_refuses_nonsense(self, query, viewer, logged_in):
        response = logged_in(viewer).get(f"{self.url}?{query}")
        assert response.status_code == 422

    def test_sends_only_the_results_to_htmx(self, bounced, viewer, logged_in):
        response = logged_in(viewer).get(self.url, headers={"HX-Request": "true"})
        page = response.content.decode()
        assert page.strip().startswith('<div id="results"')
        assert "<html" not in page

    def test_asks_the_database_a_fixed_number_of_times(
        self, viewer, logged_in, django_assert_max_num_queries
    ):
        for number in range(60):
            receive(b"Subject: %d\r\n\r\n" % number, "x@bounces.example")
        client = logged_in(viewer)
        with django_assert_max_num_queries(6):
            page = client.get(self.url).content.decode()
        assert "before=" in page

    def test_exports_what_is_filtered(self, bounced, forged, viewer, logged_in):
        response = logged_in(viewer).get("/feedback/export.csv?kind=bounce")
        lines = b"".join(response.streaming_content).decode().splitlines()
        assert len(lines) == 2
        assert "Bob@Example.net" in lines[1]

    def test_exports_all_of_it(self, viewer, logged_in):
        for number in range(60):
            receive(b"Subject: %d\r\n\r\n" % number, "x@bounces.example")
        response = logged_in(viewer).get("/feedback/export.csv")
        assert len(b"".join(response.streaming_content).decode().splitlines()) == 61

    def test_is_empty_at_first(self, viewer, logged_in):
        assert "No report came back yet" in logged_in(viewer).get(self.url).content.decode()


def test_what_could_not_be_read_is_named_on_the_overview(bounced):
    assert matters() == []
    RawFeedback.objects.update(state=RawFeedback.State.FAILED)
    (matter,) = matters()
    assert matter.title == "1 report not readable"
    assert matter.url == "/feedback/?state=failed"


class TestDetail:
    def test_shows_the_finding_and_the_source(self, bounced, viewer, logged_in):
        page = logged_in(viewer).get(bounced.get_absolute_url()).content.decode()
        assert "No such mailbox" in page
        assert "There is no such mailbox." in page
        assert "unknown_mailbox" not in page
        assert "multipart/report" in page

    def test_calls_nobody_suppressed_by_what_is_in_quarantine(self, sent, viewer, logged_in):
        row = receive(report_on(sent, recipient="eve@example.net"), "bounces@bounces.example")
        assert row.is_quarantined
        page = logged_in(viewer).get(row.get_absolute_url()).content.decode()
        assert "address is suppressed" not in page

    def test_escapes_what_came(self, forged, viewer, logged_in):
        page = logged_in(viewer).get(forged.get_absolute_url()).content.decode()
        assert "<b>hello</b>" not in page

    def test_hides_the_source_of_a_sensitive_stream(self, db, viewer, logged_in):
        sent = make_sent(stream=make_stream(is_sensitive=True))
        row = receive(report_on(sent), sender_of(sent))
        client = logged_in(viewer)
        assert "multipart/report" not in client.get(row.get_absolute_url()).content.decode()
        assert client.get(f"/feedback/{row.pk}/source").status_code == 403

    def test_hides_the_subject_that_an_answer_to_a_sensitive_mail_quotes(
        self, db, viewer, logged_in
    ):
        make_stream(is_sensitive=True)
        archive(
            source=RawFeedback.Source.MAIL,
            content=b"\r\n",
            peer="",
            headers={"subject": "Automatic reply: Your code is 4711"},
        )
        page = logged_in(viewer).get(RawFeedback.objects.get().get_absolute_url()).content.decode()
        assert "4711" not in page

    def test_shows_what_belongs_to_no_message_to_admins_only_where_a_stream_is_sensitive(
        self, forged, viewer, admin, logged_in
    ):
        make_stream(is_sensitive=True)
        page = logged_in(viewer).get(forged.get_absolute_url()).content.decode()
        assert "only administrators see it" in page
        assert logged_in(viewer).get(f"/feedback/{forged.pk}/source").status_code == 403
        assert logged_in(admin).get(f"/feedback/{forged.pk}/source").status_code == 200

    def test_gives_the_source_octet_for_octet(self, forged, viewer, logged_in):
        response = logged_in(viewer).get(f"/feedback/{forged.pk}/source")
        assert response.content == forged.raw
        assert "attachment" in response["Content-Disposition"]

    def test_of_nothing_is_404(self, viewer, logged_in):
        assert logged_in(viewer).get("/feedback/12345/").status_code == 404


class TestReplay:
    def test_is_for_those_who_operate(self, bounced, oncall, viewer, logged_in):
        url = reverse("feedback:replay", args=[bounced.pk])
        assert logged_in(viewer).post(url).status_code == 403
        assert url not in logged_in(viewer).get(bounced.get_absolute_url()).content.decode()
        assert url in logged_in(oncall).get(bounced.get_absolute_url()).content.decode()
        assert logged_in(oncall).post(url).status_code == 302
        assert AuditEntry.objects.get().verb == "feedback.replay"
        assert Event.objects.count() == 1

    def test_is_never_a_link(self, bounced, oncall, logged_in):
        assert logged_in(oncall).get(f"/feedback/{bounced.pk}/replay/").status_code == 405


class TestAccess:
    @pytest.mark.parametrize(
        "path", ["", "1/", "1/source", "1/replay/", "1/confirm/", "webhooks/", "export.csv"]
    )
    def test_the_anonymous_are_sent_to_log_in(self, db, client, path):
        response = client.get(f"/feedback/{path}")
        assert response.status_code == 302
        assert "login" in response["Location"]

    def test_a_stranger_sees_nothing(self, stranger, logged_in):
        assert logged_in(stranger).get("/feedback/").status_code == 403


class TestUnsubscribe:
    @pytest.fixture
    def url(self, sent):
        token = unsubscribe.make_token(sent.public_id, b"t" * 32)
        return reverse("feedback:unsubscribe", args=[token])

    def test_a_look_changes_nothing(self, url, client):
        response = client.get(url)
        assert response.status_code == 200
        assert "Unsubscribe?" in response.content.decode()
        assert response["X-Robots-Tag"] == "noindex, nofollow"
        assert not Suppression.objects.exists()
        assert not Event.objects.exists()

    def test_a_recipient_gets_no_cookie(self, url, client):
        for address in (url, "/feedback/unsubscribe/x/", "/digest/leave/x/"):
            assert not client.get(address).cookies
        assert not client.post(url, {"scope": "all"}, follow=True).cookies

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("multipart/form-data", b"List-Unsubscribe=One-Click"),
            ("multipart/form-data; boundary=\xff", b"x"),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name"),
            ("application/x-www-form-urlencoded", b"a=1&" * 5000),
        ],
    )
    def test_a_form_that_cannot_be_read_stops_the_stream(self, url, client, sent, kind, body):
        assert client.post(url, body, content_type=kind).status_code == 302
        assert Suppression.objects.get().stream == sent.stream

    def test_the_button_stops_the_stream_and_pressing_twice_is_once(self, url, client, sent):
        for _ in range(2):
            response = client.post(url, {"scope": "stream"}, follow=True)
            assert "no more mail of this kind" in response.content.decode()
        assert Suppression.objects.get().stream == sent.stream
        assert Event.objects.count() == 1

    def test_one_click_needs_no_cookie_and_no_page(self, url, sent):
        from django.test import Client

        client = Client(enforce_csrf_checks=True)
        response = client.post(url, {"List-Unsubscribe": "One-Click"})
        assert (response.status_code, response.content) == (200, b"Unsubscribed.\n")
        assert Suppression.objects.get().stream == sent.stream
        assert Event.objects.get().data["way"] == "one-click"

    def test_one_click_is_never_redirected(self, url, client):
        response = client.post(url.removesuffix("/"), {"List-Unsubscribe": "One-Click"})
        assert (response.status_code, response.content) == (200, b"Unsubscribed.\n")
        assert Suppression.objects.exists()

    def test_one_click_comes_url_encoded_too(self, url, client):
        client.post(
            url, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
        )
        assert Suppression.objects.exists()

    @pytest.mark.parametrize("charset", ["ISO-8859-1", "windows-1252", "utf-16", "nonsense"])
    @pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=B"])  # fmt: skip
    def test_one_click_is_heard_whatever_charset_it_names(self, kind, charset, url, client):
        body = "List-Unsubscribe=One-Click"
        if "multipart" in kind:
            name, _, value = body.partition("=")
            body = (
                f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--B--\r\n'
            )
        response = client.generic("POST", url, body, content_type=f"{kind}; charset={charset}")
        assert (response.status_code, response.content) == (200, b"Unsubscribed.\n")
        assert Suppression.objects.exists()

    def test_all_mail_can_be_stopped(self, url, client):
        page = client.post(url, {"scope": "all"}, follow=True).content.decode()
        assert "no more mail from" in page
        assert Suppression.objects.get().stream is None

    @pytest.mark.parametrize("reason", Suppression.Reason)
    @pytest.mark.parametrize("until", [None, timedelta(days=90)])
    def test_only_a_wish_for_good_takes_the_button_away(self, reason, until, url, client, sent):
        suppress(
            address=sent.recipient,
            stream=None,
            reason=reason,
            expires_at=until and timezone.now() + until,
        )
        is_wish = until is None and reason in Suppression.ASKED_FOR
        assert ("You are unsubscribed" in client.get(url).content.decode()) is is_wish
        client.post(url)
        assert "You are unsubscribed" in client.get(url).content.decode()

    def test_works_again_after_a_person_took_it_back(self, url, client):
        client.post(url)
        Suppression.objects.all().delete()
        client.post(url)
        assert Suppression.objects.exists()

    def test_does_not_show_the_whole_address(self, url, client):
        page = client.get(url).content.decode()
        assert "B…@Example.net" in page
        assert "Bob@" not in page

    @pytest.mark.parametrize("token", ["x", "0" * 32 + "." + "a" * 20, "a" * 5000])
    def test_a_wrong_token_is_a_clear_404(self, db, client, token):
        for ask in (client.get, client.post):
            response = ask(f"/feedback/unsubscribe/{token}/")
            assert response.status_code == 404
            assert "Nothing was changed" in response.content.decode()
        assert not Suppression.objects.exists()

    def test_a_token_of_a_foreign_key_is_unknown(self, sent, client):
        token = unsubscribe.make_token(sent.public_id, b"e" * 32)
        assert client.post(f"/feedback/unsubscribe/{token}/").status_code == 404


class TestWebhookPage:
    @pytest.mark.parametrize("kind", ["amazon_ses", "brevo", "mailgun"])
    def test_gives_each_provider_an_address_that_only_admins_see(
        self, kind, admin, viewer, logged_in
    ):
        url = reverse("feedback:webhook-of", args=[make_transport(kind=kind).pk])
        client = logged_in(admin)
        client.post(url)
        client.post(url)
        endpoint = WebhookEndpoint.objects.get()
        assert AuditEntry.objects.get().verb == "webhook.make"
        page, seen = client.get(url).content.decode(), logged_in(viewer).get(url).content.decode()
        assert endpoint.secret in page
        assert endpoint.secret not in seen
        if kind == "brevo":
            assert endpoint.revealed_key() in page
            assert endpoint.revealed_key() not in seen
        assert url in client.get("/feedback/webhooks/").content.decode()

    def test_is_made_by_admins(self, operator, logged_in):
        url = reverse("feedback:webhook-of", args=[make_transport(kind="amazon_ses").pk])
        client = logged_in(operator)
        assert client.post(url).status_code == 403
        assert '<button class="button primary"' not in client.get(url).content.decode()

    def test_a_key_is_kept_and_never_shown(self, admin, logged_in):
        transport = make_transport(kind="mailgun")
        client = logged_in(admin)
        client.post(reverse("feedback:webhook-of", args=[transport.pk]))
        url = reverse("feedback:webhook-key", args=[transport.pk])
        assert client.post(url, {"key": ""}).status_code == 422
        assert client.post(url, {"key": "schlüssel"}).status_code == 422
        client.post(url, {"key": " very-secret-key "})
        assert WebhookEndpoint.objects.get().revealed_key() == "very-secret-key"
        page = client.get(reverse("feedback:webhook-of", args=[transport.pk])).content.decode()
        assert "very-secret-key" not in page

    def test_a_new_address_makes_the_old_one_worthless(self, admin, logged_in):
        transport = make_transport(kind="brevo")
        client = logged_in(admin)
        client.post(reverse("feedback:webhook-of", args=[transport.pk]))
        old = WebhookEndpoint.objects.get()
        renew = reverse("feedback:webhook-renew", args=[transport.pk])
        assert old.secret not in client.get(renew).content.decode()
        client.post(renew)
        new = WebhookEndpoint.objects.get()
        assert (new.secret, new.revealed_key()) != (old.secret, old.revealed_key())
        assert client.post(reverse("feedback:webhook", args=[old.secret])).status_code == 404

    def test_a_transport_without_webhooks_has_no_page(self, admin, logged_in):
        url = reverse("feedback:webhook-of", args=[make_transport().pk])
        assert logged_in(admin).get(url).status_code == 404


def test_a_complaint_page_shows_who_complained(sent, viewer, logged_in):
    row = receive(complaint_about(sent), sender_of(sent))
    assert row.state == RawFeedback.State.PROCESSED
    assert "complaint" in logged_in(viewer).get(row.get_absolute_url()).content.decode()
