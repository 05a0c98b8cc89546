"""Opens and clicks that providers tell of are kept where a stream asks for them, and scanners' are said to be."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from mailops.feedback.endpoints import make_endpoint
from mailops.feedback.models import RawFeedback
from mailops.feedback.processing import process_pending
from mailops.outbox.models import Event, EventKind, Message
from mailops.tracking.counting import LinkFigure, look_differences, top_links
from mailops.tracking.machines import why_no_person
from tests.factories import make_suppression, make_transport
from tests.feedback.conftest import make_sent
from tests.feedback.esp_calls import signed

ACCEPTED = datetime(2026, 5, 1, 12, tzinfo=UTC)
PERSON = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"


def why(user_agent=PERSON, told=None, after=timedelta(minutes=5)):
    return why_no_person(
        user_agent=user_agent,
        told=told or {},
        happened_at=ACCEPTED + after,
        accepted_at=ACCEPTED,
    )


class TestWhy:
    @pytest.mark.parametrize(
        "user_agent",
        [PERSON, "", "Mozilla/5.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
         "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"],
    )  # fmt: skip
    def test_a_person_is_none(self, user_agent):
        assert why(user_agent) == ""

    @pytest.mark.parametrize(
        "user_agent", ["Googlebot/2.1", "curl/8", "python-requests/2", "BarracudaCentral", "Mozilla/5.0 HeadlessChrome/140"]
    )  # fmt: skip
    def test_who_names_itself_is_one(self, user_agent):
        assert "names itself" in why(user_agent)

    def test_who_is_quicker_than_a_person_is_one(self):
        assert "2 s after" in why(after=timedelta(seconds=2))
        assert "0 s after" in why(after=timedelta(seconds=-3))

    @pytest.mark.parametrize(
        "told", [{"sg_machine_open": True}, {"event-data": {"client-info": {"bot": "apple"}}}]
    )
    def test_whom_the_provider_calls_one_is_one(self, told):
        assert "provider calls it" in why(told=told)

    @pytest.mark.parametrize("told", [{"event-data": 3}, {"event-data": {"client-info": []}}, {"sg_machine_open": "no"}])  # fmt: skip
    def test_what_it_does_not_say_is_nothing(self, told):
        assert why(told=told) == ""


class TestKept:
    @pytest.fixture
    def look(self, db, client, admin):
        """Return a function by which Postmark tells of an open or click, and what came of it."""
        transport = make_transport(kind="postmark")
        endpoint = make_endpoint(transport=transport, actor=admin)
        sent = make_sent(transport=transport, transport_message_id="m1", accepted_at=ACCEPTED)

        def look(kind, *, user_agent=PERSON, minutes=5, url="https://example.com/", **asks):
            type(sent.stream).objects.filter(pk=sent.stream_id).update(**asks)
            at = (ACCEPTED + timedelta(minutes=minutes)).isoformat()
            body = {
                "RecordType": kind, "MessageID": "m1", "Recipient": sent.recipient, "ReceivedAt": at,
                "UserAgent": user_agent, "OriginalLink": url, "FirstOpen": True,
                "Metadata": {}, "Tag": "", "Client": {}, "OS": {}, "Geo": {},
            }  # fmt: skip
            _, headers = signed("postmark", body, endpoint.url, endpoint.revealed_key())
            door = reverse("feedback:webhook", args=[endpoint.secret])
            client.post(door, json.dumps(body), content_type="application/json", headers=headers)
            process_pending()
            return RawFeedback.objects.latest("id")

        return look

    @pytest.mark.parametrize(("kind", "word"), [("Open", "opens"), ("Click", "clicks")])
    def test_a_stream_that_does_not_ask_keeps_none(self, kind, word, look):
        row = look(kind)
        assert (row.state, row.is_verified) == (RawFeedback.State.PROCESSED, True)
        assert f"{word} are not kept" in row.reason
        assert not Event.objects.exists()

    def test_a_stream_that_asks_keeps_a_persons(self, look):
        assert "Recorded" in look("Open", counts_opens=True).reason
        assert "are not kept" in look("Click").reason
        assert Event.objects.get().kind == EventKind.OPENED

    def test_a_scanners_is_kept_as_one_and_said_so(self, look):
        assert "Recorded" in look("Click", counts_clicks=True, minutes=0).reason
        event = Event.objects.get()
        assert (event.reason, event.data["who"]) == ("machine", "machine")
        assert event.sentence.startswith("By a machine, since it came 0 s after")

    def test_what_is_told_often_is_one(self, look):
        for minutes in (5, 6, 7):
            look("Click", counts_clicks=True, minutes=minutes)
        assert Event.objects.get().reason == ""
        (link,) = top_links()
        assert link == LinkFigure("https://example.com/", people=1, machines=0)
        assert look_differences() == []

    def test_a_page_of_ones_own_is_counted_as_everybodys(self, look):
        look(
            "Click",
            counts_clicks=True,
            url="https://example.com/shop/u/8f14e45fceea167a/12345?t=secret#x",
        )
        (link,) = top_links()
        assert link.written == "https://example.com/shop/u/…/…"

    def test_of_who_unsubscribed_none_is_kept(self, look):
        key = Message.objects.get().address_key
        make_suppression(address=key, address_key=key, reason="unsubscribe")
        assert "of people who unsubscribed" in look("Open", counts_opens=True).reason
        assert not Event.objects.exists()
