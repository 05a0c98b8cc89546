from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.protocol import arf, dsn
from mailops.sandbox.models import Reaction
from mailops.sandbox.reacting import react_to_due
from tests.factories import make_captured
from tests.http_server import HttpServer, QuietHandler
from tests.sandbox.conftest import receiver

pytestmark = pytest.mark.django_db
SENDER = "b+1.0.abc@bounces.mailops.localhost"
CONTENT = b"Message-ID: <one@news.example>\r\nSubject: Hello\r\n\r\nHello\r\n"


def make_reaction(kind, content=CONTENT, **fields):
    captured = make_captured(content, **{"envelope_sender": SENDER, **fields})
    return Reaction.objects.create(captured=captured, kind=kind, due_at=timezone.now())


@pytest.fixture
def feedback(settings):
    """Stand in for our feedback listener: a receiver whose messages are in the list."""
    taken = []
    with receiver(store=taken.extend) as port:
        settings.MAILOPS_FEEDBACK_LISTENER = f"127.0.0.1:{port}"
        yield taken


@contextmanager
def pages(status, settings):
    posts = []

    class Handler(QuietHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.append((self.path, body, self.headers["Content-Type"]))
            self.send_response(status)
            self.send_header("Location", "http://elsewhere.example/")
            self.end_headers()

    with HttpServer(Handler) as server:
        settings.MAILOPS_BASE_URL = f"http://127.0.0.1:{server.port}"
        yield posts


def leaving(url, post="List-Unsubscribe=One-Click"):
    return f"List-Unsubscribe: <mailto:u@x.example>,\r\n <{url}>\r\nList-Unsubscribe-Post: {post}\r\n\r\nx".encode()


class TestReports:
    def test_a_bounce_goes_to_the_envelope_sender(self, feedback):
        reaction = make_reaction("bounce", recipient="later-bounce1@example.net")
        assert react_to_due() == 1
        [taken] = feedback
        assert taken.envelope_sender == ""
        assert [one.address for one in taken.recipients] == [SENDER]
        report = dsn.parse(taken.content)
        assert report.recipients[0].final_recipient == "later-bounce1@example.net"
        assert report.recipients[0].action == dsn.Action.FAILED
        assert report.original_message_id == "<one@news.example>"
        reaction.refresh_from_db()
        assert reaction.has_succeeded

    def test_a_bounce_is_known_by_what_the_client_gave(self, feedback):
        make_reaction("bounce", envid="aB.0+c", orcpt="rfc822;Ada+x@example.net")
        react_to_due()
        content = feedback[0].content
        assert b"Original-Envelope-Id: aB.0+c\r\n" in content
        assert b"Original-Recipient: rfc822; Ada+x@example.net\r\n" in content
        assert dsn.parse(content).recipients[0].original_recipient == "Ada+x@example.net"

    def test_a_bounce_that_was_asked_for_without_an_address_gives_none_back(self, feedback):
        make_reaction("bounce")
        react_to_due()
        assert b"Original-Recipient" not in feedback[0].content
        assert b"Original-Envelope-Id" not in feedback[0].content

    def test_a_delivery_is_told_where_it_was_asked_for(self, feedback):
        make_reaction("delivery")
        react_to_due()
        assert dsn.parse(feedback[0].content).recipients[0].action == dsn.Action.DELIVERED

    def test_a_complaint_names_the_message(self, feedback):
        make_reaction("complaint", recipient="complain@example.net")
        react_to_due()
        report = arf.parse(feedback[0].content)
        assert report.feedback_type == "abuse"
        assert f"Original-Mail-From: <{SENDER}>".encode() in feedback[0].content
        assert report.original_message_id == "<one@news.example>"

    def test_reach_nobody_but_our_own_return_path(self, feedback):
        for sender in ["", "a@elsewhere.example", f"{SENDER}.elsewhere.example"]:
            reaction = make_reaction("bounce", envelope_sender=sender)
            react_to_due()
            reaction.refresh_from_db()
            assert not reaction.has_succeeded
            assert "writes to nobody else" in reaction.outcome
        assert feedback == []

    def test_happen_once(self, feedback):
        make_reaction("bounce")
        assert [react_to_due(), react_to_due()] == [1, 0]
        assert len(feedback) == 1

    def test_wait_until_they_are_due(self, feedback):
        reaction = make_reaction("bounce")
        Reaction.objects.update(due_at=reaction.due_at + timedelta(minutes=1))
        assert react_to_due() == 0

    def test_are_tried_again_when_nobody_listens(self, settings):
        settings.MAILOPS_FEEDBACK_LISTENER = "127.0.0.1:1"
        reaction = make_reaction("bounce")
        react_to_due()
        reaction.refresh_from_db()
        assert reaction.is_waiting
        assert reaction.due_at > timezone.now()
        assert "ConnectionRefused" in reaction.outcome
        assert reaction.waiting_sentence.startswith("It did not work yet")

    def test_are_given_up_in_the_end(self, settings):
        settings.MAILOPS_FEEDBACK_LISTENER = "127.0.0.1:1"
        reaction = make_reaction("bounce")
        Reaction.objects.update(attempts=19)
        react_to_due()
        reaction.refresh_from_db()
        assert not reaction.is_waiting
        assert reaction.outcome.startswith("Given up.")


class TestUnsubscribe:
    def test_performs_the_one_click_post(self, settings):
        with pages(200, settings) as posts:
            make_reaction("unsubscribe", leaving(settings.MAILOPS_BASE_URL + "/u/token?a=b"))
            react_to_due()
        assert posts == [
            ("/u/token?a=b", b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded")
        ]
        assert Reaction.objects.get().has_succeeded

    @pytest.mark.parametrize(
        ("url", "post"),
        [
            ("http://elsewhere.example/u", "List-Unsubscribe=One-Click"),
            ("{base}.elsewhere.example/u", "List-Unsubscribe=One-Click"),
            ("{base}@elsewhere.example/u", "List-Unsubscribe=One-Click"),
            ("{base}/u", "no"),
            ("ftp://x", "List-Unsubscribe=One-Click"),
        ],
    )
    def test_calls_nobody_else_and_only_where_offered(self, url, post, settings):
        with pages(200, settings) as posts:
            content = leaving(url.format(base=settings.MAILOPS_BASE_URL), post)
            make_reaction("unsubscribe", content)
            react_to_due()
        assert posts == []
        reaction = Reaction.objects.get()
        assert not reaction.is_waiting
        assert not reaction.has_succeeded

    def test_follows_no_redirect(self, settings):
        with pages(302, settings) as posts:
            make_reaction("unsubscribe", leaving(settings.MAILOPS_BASE_URL + "/u"))
            react_to_due()
        assert len(posts) == 1
        assert "refused" in Reaction.objects.get().outcome

    def test_is_tried_again_after_an_error_of_the_server(self, settings):
        with pages(503, settings):
            make_reaction("unsubscribe", leaving(settings.MAILOPS_BASE_URL + "/u"))
            react_to_due()
        assert Reaction.objects.get().is_waiting

    def test_survives_an_address_that_is_none(self, settings):
        make_reaction("unsubscribe", leaving(settings.MAILOPS_BASE_URL + "/ü\u2028"))
        react_to_due()
        assert not Reaction.objects.get().has_succeeded
