"""The message pages, and what the ledger adds to a campaign's."""

import html
import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.content.models import MailTemplate
from mailops.content.testing import version_for_test
from mailops.lib.moments import NOT_LATER
from mailops.outbox import campaign_views, failures, listing, views
from mailops.outbox.canceling import cancel_campaign
from mailops.outbox.failures import group_failures
from mailops.outbox.forms import MessageFilterForm
from mailops.outbox.ledger import draw_fence
from mailops.outbox.models import Event, EventKind, Message, QueueEntry, Resending, Status
from mailops.outbox.recording import Outcome, record
from mailops.outbox.resending import resend_chunk
from mailops.outbox.retrying import CHUNK, Plan, retry_message
from mailops.outbox.searching import chosen_by
from mailops.outbox.settling import hold
from mailops.outbox.testing import send_test
from mailops.protocol.reply import Reply
from mailops.transports.ties import foreign_sender
from tests.factories import (
    make_campaign,
    make_message,
    make_stream,
    make_suppression,
    make_transport,
    make_version,
)
from tests.outbox.doubts import make_doubtful

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bounce(message, text="5.1.1 No such user", code=550, at=None):
    record(
        [
            Outcome(
                message_id=message.pk,
                kind=EventKind.RETURNED,
                source="dsn",
                external_id=str(message.pk),
                occurred_at=at,
                reply=Reply(code, text, "5.1.1", "RCPT"),
                reason="unknown_mailbox",
                sentence="There is no such mailbox.",
            )
        ]
    )


def uncertain(message):
    fence = draw_fence()
    QueueEntry.objects.filter(pk=message.pk).update(
        worker_id=1, fence=fence, marked_at="2026-01-01T00:00Z"
    )
    record(
        [
            Outcome(
                message_id=message.pk,
                kind=EventKind.UNCERTAIN,
                source="dispatch",
                external_id=f"{fence}:uncertain",
                fence=fence,
            )
        ]
    )
    message.refresh_from_db()


def at(name, message):
    return reverse(f"outbox:{name}", args=[message.public_id])


class TestList:
    @pytest.fixture(autouse=True)
    def rows(self):
        self.ada, self.bob = (
            make_message(recipient="Ada@x.example"),
            make_message(recipient="bob@y.example"),
        )
        bounce(self.bob)

    def found(self, client, **query):
        response = client.get(reverse("outbox:list"), query)
        assert response.status_code == 200
        return [message.recipient for message in response.context["page"].rows]

    def test_shows_the_newest_first(self, logged_in, viewer):
        assert self.found(logged_in(viewer)) == ["bob@y.example", "Ada@x.example"]

    def test_finds_by_recipient_whatever_its_case(self, logged_in, viewer):
        assert self.found(logged_in(viewer), q="ADA@X.example") == ["Ada@x.example"]

    def test_finds_by_how_a_recipient_begins(self, logged_in, viewer):
        assert self.found(logged_in(viewer), q="bo") == ["bob@y.example"]

    def test_finds_by_message_id(self, logged_in, viewer):
        assert self.found(logged_in(viewer), q=self.ada.message_id) == ["Ada@x.example"]

    def test_filters_by_status(self, logged_in, viewer):
        assert self.found(logged_in(viewer), status="bounced") == ["bob@y.example"]
        assert self.found(logged_in(viewer), status="open") == ["Ada@x.example"]

    def test_pages_by_key(self, logged_in, viewer):
        assert self.found(logged_in(viewer), before=self.bob.pk) == ["Ada@x.example"]

    @pytest.mark.parametrize(
        "query",
        [
            {"status": "nonsense"},
            {"before": "x"},
            {"answered_since": "soon"},
            {"answered_since": "2026-03-02", "answered_until": "2026-03-01"},
            {"domain": "x"},
            {"stream": "9999999999999999999999"},
        ],
    )
    def test_refuses_a_bad_filter(self, logged_in, viewer, query):
        assert logged_in(viewer).get(reverse("outbox:list"), query).status_code == 422

    @pytest.mark.parametrize("until", ["2026-03-01", "2026-03-02"])
    def test_says_at_the_field_that_an_end_is_not_later(self, until, logged_in, viewer):
        query = {"answered_since": "2026-03-02", "answered_until": until}
        page = logged_in(viewer).get(reverse("outbox:list"), query)
        assert page.context["form"].errors == {"answered_until": [NOT_LATER]}
        assert 'hx-target="#results"' not in page.text  # or the words would stay when it is mended

    def test_a_refused_filter_leads_htmx_to_the_page_that_says_why(self, logged_in, viewer):
        at = reverse("outbox:list")
        asked = f"{at}?answered_since=soon"
        client = logged_in(viewer)
        headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{at}"}
        assert client.get(asked, headers=headers)["HX-Redirect"] == asked
        headers["HX-Current-URL"] += "?answered_since=soon"  # there already
        assert "HX-Redirect" not in client.get(asked, headers=headers)

    def test_htmx_gets_the_rows_only(self, logged_in, viewer):
        response = logged_in(viewer).get(reverse("outbox:list"), headers={"HX-Request": "true"})
        assert response.content.strip().startswith(b'<div id="results"')

    def test_costs_a_fixed_number_of_queries(
        self, logged_in, viewer, django_assert_max_num_queries
    ):
        for _ in range(10):
            make_message()
        client = logged_in(viewer)
        with django_assert_max_num_queries(6):
            client.get(reverse("outbox:list"))

    def test_finds_what_was_answered_in_a_time(self, logged_in, viewer):
        client = logged_in(viewer)
        Message.objects.filter(pk=self.bob.pk).update(settled_at="2026-03-01T10:00Z")
        Message.objects.filter(pk=self.ada.pk).update(
            accepted_at="2026-03-01T12:00Z", settled_at="2026-03-05T12:00Z"
        )
        for since, until, expected in [
            ("2026-03-01T10:00Z", "2026-03-01T12:00Z", ["bob@y.example"]),
            ("2026-03-01", "2026-03-02", ["Ada@x.example", "bob@y.example"]),
            ("2026-03-05", "", []),
            ("", "2026-03-01T12:00Z", ["bob@y.example"]),
        ]:
            assert self.found(client, answered_since=since, answered_until=until) == expected
        rest = self.found(client, answered_since="2026-03-01", before=self.ada.pk)
        assert rest == ["bob@y.example"]
        page = client.get(reverse("outbox:list"), {"answered_since": "2026-03-01T10:00Z"})
        assert "answered from 1 Mar 2026 10:00" in page.content.decode()

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"answered_since": NOON}, "message_by_answer"),
            ({"answered_until": NOON}, "message_by_answer"),
            # by that of recipients, or in a small table by any other that has the address
            ({"q": "bo"}, "Index Cond: (((address_key)::text >= 'bo'"),
        ],
    )
    def test_is_found_along_an_index(self, given, words):
        chosen = dict.fromkeys(MessageFilterForm.CHOSEN_BY) | {"q": "", "status": ""} | given
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert words in chosen_by(chosen).order_by().explain()

    def test_finds_addresses_of_any_letters(self, logged_in, viewer):
        client = logged_in(viewer)
        for text in ("\ud7ff", "\U0010ffff", "ß", "ada@x.example\U0010ffff", "~"):
            assert self.found(client, q=text) == []
        assert self.found(client, q="ada") == ["Ada@x.example"]

    def test_is_read_on_page_by_page_by_time(self, logged_in, viewer, monkeypatch):
        monkeypatch.setattr(listing, "PAGE", 2)
        ids = [make_message().pk for _ in range(5)]
        Message.objects.filter(pk__in=ids).update(accepted_at="2026-03-01T10:00Z")
        client, shown, before = logged_in(viewer), [], ""
        while True:
            query = {"answered_until": "2026-03-02", "before": before}
            page = client.get(reverse("outbox:list"), query).context["page"]
            shown += [message.pk for message in page.rows]
            if not (before := page.before):
                break
        assert shown == sorted(ids, reverse=True)

    @pytest.mark.parametrize(
        ("read", "index"),
        [
            (
                lambda campaign: listing._ids(campaign, "", None),
                "Backward using message_by_campaign",
            ),
            (
                lambda campaign: listing._ids(campaign, "failed", 7),
                "Backward using message_by_campaign",
            ),
            (lambda _: listing._ids(None, "bounced", None), "using message_by_status"),
            (group_failures, "Backward using message_by_campaign"),
        ],
    )
    def test_is_read_along_the_index_of_its_statuses(self, read, index):
        """Also of a campaign that is most of the table, and where the newest messages have other statuses."""
        campaign = make_campaign()
        one = make_message(campaign=campaign, stream=campaign.stream)
        statuses = ["accepted", "bounced", "queued", "suppressed"]
        Message.objects.bulk_create(
            Message(
                recipient=f"r{n}@x.example", address_key=f"r{n}@x.example", status=statuses[n % 4],
                campaign=campaign, stream=one.stream, identity=one.identity, token_key_id="k1",
            )
            for n in range(2000)
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE outbox_message")
            cursor.execute("SET LOCAL enable_seqscan = off")  # dear where it is larger
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
            cursor.execute("SET LOCAL enable_incremental_sort = off")
            with CaptureQueriesContext(connection) as asked:
                read(campaign.pk)
            cursor.execute(f"EXPLAIN {asked[0]['sql']}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert index in plan

    @pytest.mark.parametrize(
        "chosen", ["stream", "reason", "mailbox_provider", "domain", "transport"]
    )
    def test_looks_at_a_bounded_number_at_once(self, logged_in, viewer, monkeypatch, chosen):
        monkeypatch.setattr(listing, "LOOKED_AT", 4)
        odd = make_message(stream=make_stream(name="Odd"))
        transport = make_transport(name="Odd one")
        Message.objects.filter(pk=odd.pk).update(
            reason="policy", mailbox_provider="odd.example", transport=transport
        )
        for _ in range(9):
            make_message()
        wanted = {
            "stream": odd.stream_id,
            "reason": "policy",
            "mailbox_provider": "odd.example",
            "domain": odd.identity.domain_id,
            "transport": transport.pk,
        }
        client, before, shown = logged_in(viewer), "", []
        for _ in range(4):
            answer = client.get(reverse("outbox:list"), {chosen: wanted[chosen], "before": before})
            page = answer.context["page"]
            shown += [message.pk for message in page.rows]
            if not page.before:
                break
            assert "messages were looked at" in answer.content.decode()
            before = page.before
        assert not page.before
        assert odd.pk in shown
        assert len(shown) == len(set(shown))

    @pytest.mark.parametrize("chosen", ["stream", "campaign"])
    def test_passes_over_ids_that_nobody_has_at_once(self, logged_in, viewer, monkeypatch, chosen):
        monkeypatch.setattr(listing, "LOOKED_AT", 4)
        campaign = make_campaign()
        old = make_message(campaign=campaign, stream=campaign.stream)
        if chosen == "campaign":  # others since
            for _ in range(20):
                make_message()
        else:  # a restored database leaps
            leap = make_message()
            Message.objects.filter(pk=leap.pk).update(id=old.pk + 10_000_000)
        Message.objects.filter(pk=old.pk).update(reason="policy")
        query = {chosen: getattr(old, f"{chosen}_id"), "reason": "policy"}
        client, shown, pages = logged_in(viewer), [], 0
        before: int | None = 0
        while before is not None:
            page = client.get(reverse("outbox:list"), {**query, "before": before or ""}).context[
                "page"
            ]
            shown += [message.pk for message in page.rows]
            before, pages = page.before, pages + 1
            assert pages < 3
        assert shown == [old.pk]

    def test_of_a_campaign_that_got_one_reply_is_whole(self, logged_in, viewer, monkeypatch):
        monkeypatch.setattr(listing, "PAGE", 2)
        campaign = make_campaign()
        made = [make_message(campaign=campaign, recipient=f"p{n}@x.example") for n in range(6)]
        Message.objects.filter(pk__in=[one.pk for one in made[:3]]).update(signature_id=7)
        client, shown, before = logged_in(viewer), [], ""
        while True:
            query = {"campaign": campaign.pk, "signature": 7, "before": before}
            page = client.get(reverse("outbox:list"), query).context["page"]
            shown += [message.pk for message in page.rows]
            if not (before := page.before):
                break
        assert shown == [one.pk for one in reversed(made[:3])]

    @pytest.mark.parametrize("typed", ["<a.1@relay.example>", "a.1@relay.example"])
    def test_finds_by_an_id_of_the_next_hop_that_looks_like_an_address(
        self, logged_in, viewer, typed
    ):
        Message.objects.filter(pk=self.ada.pk).update(transport_message_id="<a.1@relay.example>")
        assert self.found(logged_in(viewer), q=typed) == ["Ada@x.example"]

    def test_of_a_campaign_is_in_order_whatever_became_of_them(
        self, logged_in, viewer, monkeypatch
    ):
        monkeypatch.setattr(listing, "PAGE", 2)
        campaign = make_campaign()
        made = [make_message(campaign=campaign, recipient=f"p{n}@x.example") for n in range(5)]
        bounce(made[1])
        bounce(made[3])
        client, shown, before = logged_in(viewer), [], ""
        while True:
            query = {"campaign": campaign.pk, "before": before}
            page = client.get(reverse("outbox:list"), query).context["page"]
            shown += [message.pk for message in page.rows]
            if not (before := page.before):
                break
        assert shown == [message.pk for message in reversed(made)]

    def test_exports_what_is_filtered_with_formulas_disarmed(self, logged_in, viewer):
        make_message(recipient="=cmd@z.example")
        response = logged_in(viewer).get(reverse("outbox:export"), {"status": "open"})
        text = b"".join(response.streaming_content).decode()
        assert "'=cmd@z.example" in text
        assert "bob@y.example" not in text


class TestDetail:
    def test_tells_the_whole_story(self, logged_in, viewer):
        message = make_message(merge_data={"first_name": "<Ada>"})
        bounce(message)
        page = logged_in(viewer).get(at("detail", message)).content.decode()
        assert "There is no such mailbox." in page
        assert "550 5.1.1 No such user" in page
        assert "Hello &lt;Ada&gt;" in page

    def test_shows_the_mail_in_a_frame_that_may_do_nothing(self, logged_in, viewer):
        response = logged_in(viewer).get(
            at("html", make_message(merge_data={"first_name": "<script>"}))
        )
        assert "sandbox" in response["Content-Security-Policy"]
        assert b"&lt;script&gt;" in response.content

    def test_never_shows_a_working_unsubscribe_link(self, logged_in, viewer):
        version = make_version(html="<a href='{{ unsubscribe_url }}'>out</a>")
        page = logged_in(viewer).get(at("html", make_message(version=version))).content.decode()
        assert "/unsubscribe/…" in page

    def test_a_sensitive_stream_shows_no_content(self, logged_in, admin):
        message = make_message(
            stream=make_stream(is_sensitive=True), merge_data={"first_name": "Secret"}
        )
        client = logged_in(admin)
        assert "Secret" not in client.get(at("detail", message)).content.decode()
        assert client.get(at("html", message)).status_code == 404

    def test_an_unknown_message_is_not_found(self, logged_in, viewer):
        address = reverse("outbox:detail", args=["00000000-0000-0000-0000-000000000000"])
        assert logged_in(viewer).get(address).status_code == 404


class TestActs:
    def test_hold_and_release(self, logged_in, oncall):
        message, client = make_message(), logged_in(oncall)
        client.post(at("hold", message))
        message.refresh_from_db()
        assert message.status == Status.HELD
        client.post(at("release", message))
        message.refresh_from_db()
        assert message.status == Status.QUEUED
        assert list(AuditEntry.objects.values_list("verb", flat=True)) == [
            "message.hold",
            "message.release",
        ]

    def test_a_double_press_is_one_act(self, logged_in, oncall):
        message, client = make_message(), logged_in(oncall)
        client.post(at("hold", message))
        client.post(at("hold", message))
        assert AuditEntry.objects.count() == 1

    def test_settles_an_uncertain_message(self, logged_in, oncall):
        message = make_message()
        uncertain(message)
        logged_in(oncall).post(at("settle", message))
        message.refresh_from_db()
        assert message.status == Status.ACCEPTED
        page = logged_in(oncall).get(at("detail", message)).content.decode()
        assert "counts as accepted from here on, because of what was told: “Settled”" in page

    @pytest.mark.parametrize(("act", "status"), [("settle", "accepted"), ("retry", "queued")])
    def test_a_doubt_that_the_page_did_not_show_stays(self, logged_in, oncall, act, status):
        message, client = make_message(), logged_in(oncall)
        uncertain(message)
        seen = client.get(at("detail", message)).context["seen"]
        retry_message(message=message, actor=oncall)
        uncertain(message)
        assert (
            "changed since you looked"
            in client.post(at(act, message), {"seen": seen}, follow=True).text
        )
        message.refresh_from_db()
        assert (message.status, message.round) == (Status.UNCERTAIN, 1)
        page = client.get(at("detail", message))
        assert page.text.count(f'name="seen" value="{page.context["seen"]}"') == 2
        client.post(at(act, message), {"seen": page.context["seen"]})
        message.refresh_from_db()
        assert message.status == status

    def test_on_call_sends_again_what_is_uncertain_but_not_what_bounced(self, logged_in, oncall):
        doubtful, bounced = make_message(), make_message()
        uncertain(doubtful)
        bounce(bounced)
        client = logged_in(oncall)
        assert client.post(at("retry", doubtful)).status_code == 302
        assert client.post(at("retry", bounced)).status_code == 403
        doubtful.refresh_from_db()
        assert (doubtful.status, doubtful.round) == (Status.QUEUED, 1)

    @pytest.mark.parametrize("has_campaign", [False, True])
    def test_on_call_does_not_send_again_what_bounced_as_they_pressed(
        self, logged_in, oncall, monkeypatch, has_campaign
    ):
        campaign = make_campaign(state=Campaign.State.RUNNING) if has_campaign else None
        stream = campaign.stream if campaign else make_stream()
        message = make_message(stream=stream, campaign=campaign)
        uncertain(message)
        may = views.may

        def bounce_and_ask(*asked):
            bounce(message)
            return may(*asked)

        monkeypatch.setattr(views, "may", bounce_and_ask)
        logged_in(oncall).post(at("retry", message))
        message.refresh_from_db()
        assert (message.status, message.round) == (Status.BOUNCED, 0)

    @pytest.mark.parametrize("is_sensitive", [False, True])
    def test_sends_again_what_is_held_to_ask_in_a_campaign_too(
        self, logged_in, oncall, is_sensitive
    ):
        stream = make_stream(guarantee="ask", is_sensitive=is_sensitive)
        campaign = make_campaign(stream=stream, state=Campaign.State.RUNNING)
        asking, held = (make_message(stream=stream, campaign=campaign) for _ in range(2))
        uncertain(asking)
        hold(message=held, actor=oncall)
        client = logged_in(oncall)
        assert client.post(at("retry", asking)).status_code == 302
        asking.refresh_from_db()
        assert (asking.status, asking.round) == (Status.QUEUED, 1)
        retry_message(message=held, actor=oncall)
        held.refresh_from_db()
        assert (held.status, held.round) == (Status.HELD, 0)

    def test_a_message_to_a_suppressed_address_stays_as_it_is(self, logged_in, operator):
        message = make_message()
        bounce(message)
        page = logged_in(operator).get(at("detail", message)).content.decode()
        assert "Send again" in page
        assert "Suppressed" not in page
        make_suppression(address=message.recipient)
        page = logged_in(operator).get(at("detail", message)).content.decode()
        assert "Send again" not in page
        assert "in all streams" in page
        page = logged_in(operator).post(at("retry", message), follow=True)
        assert "its address is suppressed" in page.content.decode()
        message.refresh_from_db()
        assert (message.status, message.round) == (Status.BOUNCED, 0)

    def test_buttons_are_shown_to_those_who_may(self, logged_in, viewer, oncall):
        message = make_message()
        assert "Hold" not in logged_in(viewer).get(at("detail", message)).content.decode()
        assert "Hold" in logged_in(oncall).get(at("detail", message)).content.decode()

    def test_a_sensitive_message_cannot_be_sent_again(self, logged_in, operator):
        message = make_message(stream=make_stream(is_sensitive=True))
        bounce(message)
        page = logged_in(operator).get(at("detail", message)).content.decode()
        assert "Send again" not in page
        logged_in(operator).post(at("retry", message))
        message.refresh_from_db()
        assert message.status == Status.BOUNCED


class TestCampaign:
    @pytest.fixture
    def campaign(self):
        state = {"state": Campaign.State.RUNNING, "started_at": timezone.now()}
        campaign = make_campaign(name="Spring", **state)
        for _ in range(3):
            make_message(stream=campaign.stream, campaign=campaign)
        return campaign

    def address(self, name, campaign):
        return reverse(f"outbox:campaign-{name}", args=[campaign.pk])

    def test_failures_are_grouped_among_the_newest_of_each_status(
        self, logged_in, viewer, monkeypatch
    ):
        campaign = make_campaign(state="completed", started_at=timezone.now())
        for status, n in (("bounced", 5), ("failed", 2)):
            for _ in range(n):
                make_message(
                    campaign=campaign, stream=campaign.stream, status=status, reason="policy"
                )
        for module in (failures, campaign_views):
            monkeypatch.setattr(module, "GROUPED", 3)
        page = logged_in(viewer).get(reverse("outbox:campaign-failures", args=[campaign.pk]))
        numbers = [(one.status, one.n, one.is_part) for one in page.context["groups"]]
        assert numbers == [("bounced", 3, True), ("failed", 2, False)]
        assert page.text.count("of the newest 3") == 1

    def test_cancel_wants_the_name_and_stops_what_has_not_left(self, campaign, logged_in, operator):
        client = logged_in(operator)
        assert "3 messages" in client.get(self.address("cancel", campaign)).content.decode()
        assert (
            client.post(self.address("cancel", campaign), {"typed_name": "Sprung"}).status_code
            == 422
        )
        client.post(self.address("cancel", campaign), {"typed_name": "Spring"})
        campaign.refresh_from_db()
        assert campaign.state == Campaign.State.CANCELED
        assert set(Message.objects.values_list("status", flat=True)) == {"canceled"}

    def test_cancel_says_what_will_become_of_what(self, campaign, logged_in, operator):
        stream = campaign.stream
        make_message(campaign=campaign, stream=stream, status="held", settling_fence=9)
        QueueEntry.objects.filter(message__status="held").update(is_held=True)
        client, url = logged_in(operator), self.address("cancel", campaign)
        page = client.get(url).text
        assert "3 messages have not left and will not be sent." in page
        assert "1 message is in doubt, and stays so until it is settled." in page
        assert "nobody in the rest of it gets it" in page
        Campaign.objects.update(expanded_at=timezone.now())
        assert "nobody in the rest of it gets it" not in client.get(url).text

    def test_cancel_of_what_has_not_started_says_that_nothing_was_sent(self, logged_in, operator):
        scheduled = make_campaign(state="scheduled", scheduled_at=timezone.now())
        page = logged_in(operator).get(self.address("cancel", scheduled)).text
        assert "Nothing of it was sent, and nothing will be." in page
        assert "being sent at this moment" not in page

    def test_cancel_of_what_is_over_leads_back(self, campaign, logged_in, operator):
        Campaign.objects.update(state="completed")
        page = logged_in(operator).get(self.address("cancel", campaign), follow=True)
        assert page.redirect_chain == [(reverse("campaigns:detail", args=[campaign.pk]), 302)]
        assert "is completed already." in page.text

    def test_groups_failures_by_reply(self, campaign, logged_in, viewer):
        for message in Message.objects.all()[:2]:
            bounce(message)
        page = logged_in(viewer).get(self.address("failures", campaign)).content.decode()
        assert "There is no such mailbox." in page
        assert "5.1.1 No such user" in page

    def test_failures_lead_to_exactly_the_messages_of_their_reply(
        self, campaign, logged_in, viewer
    ):
        given = {"campaign": campaign, "stream": campaign.stream, "with_entry": False}
        given |= {"status": "bounced", "reason": "unknown_mailbox"}
        replies = [(550, "5.1.1"), (550, "5.1.1"), (550, ""), (554, "5.1.1"), (None, "5.1.1")]
        replies += [(0, "")] * 4  # words alone, as some bounces are told
        for code, enhanced in [*replies, (None, ""), (None, ""), (None, "")]:
            make_message(**given, reply_code=code, reply_enhanced_status=enhanced)
        client = logged_in(viewer)
        make_message(**given | {"reason": ""})
        page = client.get(self.address("failures", campaign)).text
        links = re.findall(r'<a href="(/messages/\?[^"]+)">(\d+)</a>', page)
        assert sorted(n for _, n in links) == ["1", "1", "1", "1", "2", "3", "4"]
        for link, n in links:
            answer = client.get(html.unescape(link))
            assert len(answer.context["page"].rows) == int(n), link

    @pytest.mark.parametrize("is_large", [False, True])
    def test_a_group_of_failures_is_sent_again_by_itself(
        self, campaign, logged_in, operator, monkeypatch, is_large
    ):
        monkeypatch.setattr(campaign_views, "CHUNK", 0 if is_large else CHUNK)
        kinds = [
            ("mailbox_full", 552, "5.2.2"), ("mailbox_full", 552, ""), ("mailbox_full", None, ""),
            ("mailbox_full", 0, ""), ("", None, ""), ("", 552, "5.2.2"),
        ]  # fmt: skip
        groups = {kind: self.make_refused(campaign, *kind, n=2) for kind in kinds}
        client = logged_in(operator)
        page = client.get(self.address("failures", campaign)).text
        links = re.findall(rf'href="({self.address("retry", campaign)}[^"]+)"', page)
        assert len(links) == len(groups)
        for link in links:
            chosen = dict(parse_qsl(urlsplit(html.unescape(link)).query))
            assert "Send 2 messages again" in client.get(html.unescape(link)).text
            self.press_retry(client, campaign, **chosen)
            for run in Resending.objects.filter(state="running"):
                while resend_chunk(resending_id=run.pk):
                    pass
            again = set(Message.objects.filter(round=1).values_list("pk", flat=True))
            (kind,) = (kind for kind, ids in groups.items() if ids == again)
            Message.objects.filter(pk__in=groups.pop(kind)).update(round=2)
        assert not groups

    def make_refused(self, campaign, reason, code, enhanced, *, n):
        given = {"status": "bounced", "reason": reason, "settled_at": timezone.now()}
        given |= {"reply_code": code, "reply_enhanced_status": enhanced}
        made = (make_message(campaign=campaign, stream=campaign.stream, **given) for _ in range(n))
        return {message.pk for message in made}

    def test_the_reply_of_a_group_can_be_let_go(self, campaign, logged_in, operator):
        for code in (550, 554):
            self.make_refused(campaign, "policy", code, "", n=1)
        chosen = {"status": "bounced", "reason": "policy", "reply": "554"}
        client, url = logged_in(operator), self.address("retry", campaign)
        page = client.get(url, chosen)
        assert page.context["plan"] == Plan(does=1)
        assert "reply 554" in page.text
        assert client.get(url, chosen | {"reply": ""}).context["plan"] == Plan(does=2)
        odd = client.get(url, chosen | {"reply": "of any kind"})
        assert (odd.status_code, odd.context["plan"]) == (422, Plan(does=0))

    def test_counts_by_reason_only_what_may_be_chosen(self, campaign, logged_in, operator):
        self.make_refused(campaign, "", None, "", n=2)
        self.make_refused(campaign, "policy", 550, "", n=3)
        given = {"campaign": campaign, "stream": campaign.stream, "status": "held"}
        make_message(**given)
        make_message(**given, reason="worker_lost", settling_fence=9)
        client, url = logged_in(operator), self.address("retry", campaign)

        def reasons(status):
            form = client.get(url, {"status": status}).context["form"]
            return [(name, said.rpartition(" ")[2]) for name, said in form.fields["reason"].choices]

        assert reasons("bounced")[1:] == [("policy", "3"), ("none", "2")]
        assert reasons("held")[1:] == [("worker_lost", "1")]

    def test_retries_exactly_what_was_chosen(self, campaign, logged_in, operator):
        one, two, _ = Message.objects.order_by("pk")
        bounce(one)
        Campaign.objects.update(state=Campaign.State.COMPLETED)
        client = logged_in(operator)
        chosen = {"status": "bounced", "reason": "unknown_mailbox"}
        assert (
            "Send 1 message again"
            in client.get(self.address("retry", campaign), chosen).content.decode()
        )
        self.press_retry(client, campaign, **chosen)
        one.refresh_from_db()
        campaign.refresh_from_db()
        assert (one.status, one.round, campaign.state) == ("queued", 1, Campaign.State.RUNNING)
        two.refresh_from_db()
        assert two.round == 0

    def test_retries_nothing_of_a_campaign_that_is_still_being_canceled(
        self, campaign, logged_in, operator
    ):
        one, two, three = Message.objects.order_by("pk")
        bounce(one)
        QueueEntry.objects.filter(pk=two.pk).update(worker_id=1, fence=7, marked_at=timezone.now())
        cancel_campaign(campaign=campaign, actor=operator)
        client = logged_in(operator)
        page = self.press_retry(client, campaign, status="bounced").content.decode()
        assert "still being canceled" in page
        campaign.refresh_from_db()
        assert campaign.state == Campaign.State.CANCELED
        QueueEntry.objects.filter(pk=two.pk).delete()
        assert (
            "queued again" in self.press_retry(client, campaign, status="bounced").content.decode()
        )
        three.refresh_from_db()
        assert three.status == Status.CANCELED

    def test_leaves_who_is_suppressed_as_they_are(self, campaign, logged_in, operator):
        one, *others = Message.objects.order_by("pk")
        for message in (one, *others):
            bounce(message)
        for entry in ({"stream": None}, {"stream": campaign.stream}):
            make_suppression(address=others.pop().recipient, **entry)
        make_suppression(address=one.recipient, expires_at=NOON)
        client = logged_in(operator)
        page = client.get(self.address("retry", campaign), {"status": "bounced"})
        assert page.context["plan"] == Plan(does=1, suppressed=2)
        assert "2 must not be written to" in page.content.decode()
        done = self.press_retry(client, campaign, status="bounced").content.decode()
        assert "1 message is queued again." in done
        assert "changed meanwhile" not in done
        statuses = Message.objects.order_by("pk").values_list("status", flat=True)
        assert list(statuses) == ["queued", "bounced", "bounced"]

    def test_says_that_a_sensitive_stream_kept_no_content(self, campaign, logged_in, operator):
        campaign.stream.is_sensitive = True
        campaign.stream.save()
        bounce(Message.objects.first())
        page = logged_in(operator).get(self.address("retry", campaign), {"status": "bounced"})
        assert page.context["plan"] == Plan(does=0, forgotten=1)
        assert "No message can be sent again." in page.content.decode()

    def test_begins_with_what_can_be_sent_again(self, campaign, logged_in, operator):
        client, address = logged_in(operator), self.address("retry", campaign)

        def begins_with():
            return client.get(address).context["form"]["status"].value()

        first, second, third = Message.objects.order_by("pk")
        assert begins_with() == Status.FAILED
        hold(message=third, actor=operator)  # nobody doubts it
        assert begins_with() == Status.FAILED
        assert "These may have arrived" not in client.get(address, {"status": "held"}).text
        bounce(first)
        make_suppression(address=first.recipient)
        assert begins_with() == Status.BOUNCED  # which says why it stays
        uncertain(second)
        assert begins_with() == Status.UNCERTAIN
        bounce(second)
        page = client.get(address)
        assert page.context["form"]["status"].value() == Status.BOUNCED
        assert page.context["plan"] == Plan(does=1, suppressed=1)

    def test_a_second_press_retries_nothing(self, campaign, logged_in, operator):
        bounce(Message.objects.first())
        client = logged_in(operator)
        seen = self.seen(client, campaign, status="bounced")
        for _ in range(2):
            client.post(self.address("retry", campaign), seen)
        assert AuditEntry.objects.filter(verb="campaign.retry").count() == 1

    def seen(self, client, campaign, **chosen):
        """Return what the button of the page as it is now would send."""
        page = client.get(self.address("retry", campaign), chosen).content.decode()
        form = page[page.index('<form method="post"') :]
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
        return {name: html.unescape(value) for name, value in fields.items()}

    def press_retry(self, client, campaign, **chosen):
        return client.post(
            self.address("retry", campaign), self.seen(client, campaign, **chosen), follow=True
        )

    def test_what_asks_whether_it_was_sent_can_be_chosen_of_a_canceled_campaign(
        self, campaign, logged_in, operator
    ):
        asking = make_doubtful(guarantee="ask", campaign=campaign)
        cancel_campaign(campaign=campaign, actor=operator)
        Message.objects.exclude(pk=asking.pk).update(status=Status.ACCEPTED)
        client = logged_in(operator)
        # the one it begins with
        page = client.get(self.address("retry", campaign)).content.decode()
        assert "Send 1 message again" in page
        assert "These may have arrived" in page
        self.press_retry(client, campaign, status="held")
        asking.refresh_from_db()
        assert (asking.status, asking.round) == ("queued", 1)

    def test_what_is_just_held_stays_held(self, campaign, logged_in, operator):
        make_doubtful(guarantee="ask", campaign=campaign)
        held, *_ = Message.objects.order_by("pk")
        client = logged_in(operator)
        client.post(at("hold", held))
        page = self.press_retry(client, campaign, status="held").content.decode()
        assert "1 message is queued again." in page
        held.refresh_from_db()
        assert (held.status, held.round) == ("held", 0)

    def test_a_late_press_queues_no_doubt_that_came_since(self, campaign, logged_in, operator):
        one, *others = Message.objects.order_by("pk")
        uncertain(one)
        client = logged_in(operator)
        seen = self.seen(client, campaign, status="uncertain")
        for other in others:
            uncertain(other)
        page = client.post(self.address("retry", campaign), seen, follow=True)
        assert "1 message is queued again." in page.content.decode()
        statuses = Message.objects.order_by("pk").values_list("status", flat=True)
        assert list(statuses) == ["queued", "uncertain", "uncertain"]

    def test_a_stale_page_sends_no_second_doubt_of_a_message_again(
        self, campaign, logged_in, operator
    ):
        for message in Message.objects.all():
            uncertain(message)
        client = logged_in(operator)
        first = self.seen(client, campaign, status="uncertain")
        stale = self.seen(client, campaign, status="uncertain")
        client.post(self.address("retry", campaign), first)
        for message in Message.objects.all():
            uncertain(message)
        page = client.post(self.address("retry", campaign), stale, follow=True)
        assert "Nothing is queued: all that you saw" in page.content.decode()
        assert set(Message.objects.values_list("status", "round")) == {("uncertain", 1)}

    def test_says_how_many_changed_meanwhile(self, campaign, logged_in, operator):
        one, two, _ = Message.objects.order_by("pk")
        uncertain(one)
        uncertain(two)
        client = logged_in(operator)
        seen = self.seen(client, campaign, status="uncertain")
        bounce(two)
        page = client.post(self.address("retry", campaign), seen, follow=True).content.decode()
        assert "1 message is queued again. 1 that you saw changed meanwhile" in page

    def test_a_bounce_of_an_earlier_hour_that_is_told_later_was_not_counted(
        self, campaign, logged_in, operator
    ):
        one, two, _ = Message.objects.order_by("pk")
        bounce(one)
        client = logged_in(operator)
        seen = self.seen(client, campaign, status="bounced")
        bounce(two, at=NOON)
        client.post(self.address("retry", campaign), seen)
        two.refresh_from_db()
        assert (two.status, two.round) == ("bounced", 0)

    def test_more_than_was_counted_is_looked_at_anew(self, campaign, logged_in, operator):
        one, two, _ = Message.objects.order_by("pk")
        bounce(one)
        client = logged_in(operator)
        seen = self.seen(client, campaign, status="bounced")
        bounce(two)  # as if it had been committed late
        Event.objects.filter(message=two).update(recorded_at=NOON)
        page = client.post(self.address("retry", campaign), seen)
        assert page.status_code == 422
        assert "There are more than you saw." in page.content.decode()
        assert "Send 2 messages again" in page.content.decode()
        assert set(Message.objects.values_list("round", flat=True)) == {0}

    @pytest.mark.parametrize(
        "change", [{"until": NOON.isoformat()}, {"until": ""}, {"until": "x"}, {"counted": ""}]
    )
    def test_an_old_preview_is_shown_anew(self, campaign, logged_in, operator, change):
        bounce(Message.objects.first())
        client = logged_in(operator)
        seen = self.seen(client, campaign, status="bounced")
        page = client.post(self.address("retry", campaign), {**seen, **change})
        assert page.status_code == 422
        assert "then press again." in page.content.decode()
        assert "Send 1 message again" in page.content.decode()
        assert not AuditEntry.objects.filter(verb="campaign.retry").exists()

    @pytest.mark.parametrize("reason", ["\0", "a\0b", "\0" * 50])
    def test_a_reason_that_no_row_can_have_is_422(self, campaign, logged_in, operator, reason):
        chosen = {"status": "failed", "reason": reason}
        page = logged_in(operator).get(self.address("retry", campaign), chosen)
        assert page.status_code == 422


class TestTestSend:
    def test_sends_the_sample_through_the_stream(self, logged_in, editor):
        stream = make_stream()
        version = make_version(sample={"first_name": "Sam"})
        identity = make_campaign(stream=stream).identity
        address = reverse("outbox:test-send") + f"?version={version.pk}"
        client = logged_in(editor)
        assert client.get(address).status_code == 200
        data = {"recipient": "me@example.com", "stream": stream.pk, "identity": identity.pk}
        response = client.post(address, data)
        message = Message.objects.get()
        assert response["Location"] == at("detail", message)
        assert (message.merge_data, message.recipient) == ({"first_name": "Sam"}, "me@example.com")
        assert QueueEntry.objects.get().stream_id == stream.pk

    def test_is_one_mail_however_often_its_form_is_pressed(self, logged_in, editor):
        campaign, version, client = make_campaign(), make_version(), logged_in(editor)
        address = reverse("outbox:test-send") + f"?version={version.pk}"
        data = {
            "recipient": "me@example.com",
            "stream": campaign.stream_id,
            "identity": campaign.identity_id,
            "key": client.get(address).context["form"]["key"].value(),
        }
        first, second = (client.post(address, data, follow=True) for _ in range(2))
        message = Message.objects.get()
        assert "The test is on its way" in first.text
        assert "This test was sent already. For another, open its form anew." in second.text
        entry = AuditEntry.objects.get(verb="message.test")
        assert (entry.actor, entry.subject_id) == (editor, str(message.pk))
        client.post(address, data | {"recipient": "other@example.com"})
        client.post(address, data | {"key": client.get(address).context["form"]["key"].value()})
        assert Message.objects.count() == 3

    @pytest.mark.django_db(transaction=True)
    def test_is_one_mail_by_two_presses_at_once(self, editor, meanwhile):
        campaign = make_campaign()
        given = {
            "key": uuid4(),
            "version": make_version(),
            "stream": campaign.stream,
            "identity": campaign.identity,
            "recipient": "me@example.com",
            "actor": editor,
        }
        with transaction.atomic():
            message, is_new = send_test(**given)
            pressed = meanwhile(send_test, **given)
        assert is_new
        assert pressed.result() == (message, False)
        assert AuditEntry.objects.filter(verb="message.test").count() == 1

    def test_names_the_draft_that_is_tested_and_leads_back_to_it(self, logged_in, editor, viewer):
        draft = MailTemplate.objects.create(
            name="Spring", draft_subject="Hi", draft_html="<p>x</p>"
        )
        version = version_for_test(draft, editor)
        writing = reverse("content:edit", args=[draft.pk])
        asked = logged_in(editor).get(reverse("outbox:test-send"), {"version": version.pk}).text
        assert "Send a test of the draft of “Spring”" in asked
        assert f'<a class="button quiet" href="{writing}">Cancel</a>' in asked
        message = make_message(version=version)
        assert writing in logged_in(editor).get(at("detail", message)).text
        assert writing not in logged_in(viewer).get(at("detail", message)).text

    @pytest.mark.parametrize(
        ("role", "recipient", "status"),
        [
            ("editor", "ada@bank.test.nl", 422),
            ("editor", "ada@notexample.com", 422),
            ("editor", "accept@example.net", 302),
            ("editor", "ada@inbox.test", 302),
            ("editor", "OPERATOR@company.nl", 302),
            ("operator", "ada@bank.nl", 302),
        ],
    )
    def test_lets_an_editor_write_to_the_team_and_to_nobody(
        self, logged_in, request, role, recipient, status
    ):
        operator = request.getfixturevalue("operator")
        operator.email = "operator@company.nl"
        operator.save()
        campaign, version = make_campaign(), make_version()
        data = {
            "recipient": recipient,
            "stream": campaign.stream_id,
            "identity": campaign.identity_id,
        }
        client = logged_in(request.getfixturevalue(role))
        response = client.post(reverse("outbox:test-send") + f"?version={version.pk}", data)
        assert response.status_code == status
        assert Message.objects.exists() == (status == 302)

    def test_keeps_bad_input_and_says_why(self, logged_in, editor):
        stream, version, foreign = make_stream(), make_version(), make_campaign().identity
        data = {"recipient": "no address", "stream": stream.pk, "identity": foreign.pk}
        response = logged_in(editor).post(
            reverse("outbox:test-send") + f"?version={version.pk}", data
        )
        assert response.status_code == 422
        assert "The address has no @." in response.content.decode()
        assert "no address" in response.content.decode()
        assert foreign_sender(stream, foreign) in response.context["form"].errors["identity"]

    @pytest.mark.parametrize("version", ["", "x", "99999999999999999999", "0"])
    def test_an_unknown_version_is_not_found(self, logged_in, editor, version):
        assert (
            logged_in(editor).get(reverse("outbox:test-send"), {"version": version}).status_code
            == 404
        )
