"""The pages of uncertain messages: the list, settling many, and a relay's log."""

import gzip
import html
import re
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from mailops.outbox import doubtful_forms
from mailops.outbox.bulk_settling import plan, start_settlement
from mailops.outbox.doubtful import doubtful
from mailops.outbox.models import Message, RelayLog, Settlement
from mailops.outbox.tasks import continue_relay_log, continue_settlement, continue_settling
from tests.factories import (
    make_campaign,
    make_message,
    make_stream,
    make_suppression,
    make_transport,
)
from tests.feedback.conftest import receive, report_on, sender_of
from tests.outbox.doubts import make_doubtful, make_relay_log, make_settlement
from tests.outbox.test_relay_logs import Log

pytestmark = pytest.mark.django_db

LIST = reverse("outbox:doubtful")
SETTLE = reverse("outbox:settle-many")
UPLOAD = reverse("outbox:relay-log-upload")


HOLD_MANY = """
INSERT INTO outbox_message SELECT (jsonb_populate_record(one, jsonb_build_object(
    'id', one.id + n, 'public_id', gen_random_uuid(), 'address_key', n || '@example.net'))).*
  FROM outbox_message one, generate_series(1, 3000) n WHERE one.id = %s
"""


@pytest.fixture
def press():
    """Return a function that looks at a preview and presses its button, as a browser would, and works it off."""

    def on(client, url, *, times=1, **chosen):
        page = client.get(url, chosen)
        assert page.status_code == 200
        until = page.context.get("until") or page.context["plan"].until
        data = {**chosen, "key": page.context["key"], "until": until.isoformat()}
        for _ in range(times):
            answer = client.post(url, data)
        for run in Settlement.objects.all():
            continue_settlement(run.pk)
        return answer

    return on


class TestList:
    def test_shows_phase_peer_time_and_what_would_settle_it(self, logged_in, viewer):
        make_doubtful(transport=make_transport(host="relay.example"))
        page = logged_in(viewer).get(LIST).content.decode()
        for words in ("192.0.2.1:25", "after the content", "the log of relay.example"):
            assert words in page

    def test_shows_those_that_ask_beside_those_at_rest(self, logged_in, viewer):
        make_doubtful()
        make_doubtful(guarantee="ask")
        make_message()
        assert logged_in(viewer).get(LIST).context["n"] == 2

    def test_filters(self, logged_in, viewer):
        campaign = make_campaign()
        one = make_doubtful(campaign=campaign, stream=campaign.stream)
        two = make_doubtful(guarantee="ask", reason="worker_lost")
        client = logged_in(viewer)

        def found(**query):
            return [row["message"].pk for row in client.get(LIST, query).context["rows"]]

        assert found() == [two.pk, one.pk]
        assert found(campaign=campaign.pk) == [one.pk]
        assert found(reason="worker_lost") == [two.pk]
        assert found(transport=two.transport_id) == [two.pk]
        assert found(kind="rest") == [one.pk]
        assert found(stream=two.stream_id, kind="rest") == []

    def test_turns_pages_by_id(self, logged_in, viewer, monkeypatch):
        monkeypatch.setattr("mailops.outbox.doubtful_views.PAGE", 1)
        first, second = make_doubtful(), make_doubtful(guarantee="ask")
        client = logged_in(viewer)
        page = client.get(LIST)
        assert [row["message"] for row in page.context["rows"]] == [second]
        older = client.get(LIST, {"before": page.context["last"]})
        assert [row["message"] for row in older.context["rows"]] == [first]

    def test_gives_htmx_the_results_only(self, logged_in, viewer):
        page = logged_in(viewer).get(LIST, headers={"HX-Request": "true"}).content.decode()
        assert page.lstrip().startswith('<div id="results"')

    @pytest.mark.parametrize(
        "query", [{"kind": "x"}, {"before": "-1"}, {"campaign": "x"}, {"transport": "9" * 30}]
    )
    def test_a_bad_filter_is_422(self, logged_in, viewer, query):
        client = logged_in(viewer)
        assert client.get(LIST, query).status_code == 422
        assert client.get(reverse("outbox:doubtful-export"), query).status_code == 422

    def test_takes_few_queries_however_many_rows(
        self, logged_in, viewer, django_assert_max_num_queries
    ):
        for _ in range(5):
            make_doubtful()
        client = logged_in(viewer)
        with django_assert_max_num_queries(14):
            client.get(LIST)

    def test_is_exported_with_all_there_is_to_know(self, logged_in, viewer):
        message = make_doubtful()
        answer = logged_in(viewer).get(reverse("outbox:doubtful-export"))
        rows = b"".join(answer.streaming_content).decode().splitlines()
        assert len(rows) == 2
        assert message.message_id in rows[1]
        assert "192.0.2.1:25" in rows[1]

    def test_only_those_who_may_see_the_buttons(self, logged_in, viewer, oncall):
        make_doubtful()
        assert SETTLE not in logged_in(viewer).get(LIST).content.decode()
        assert SETTLE in logged_in(oncall).get(LIST).content.decode()

    def test_is_offered_to_settle_by_a_campaign_only_to_those_who_may(
        self, logged_in, viewer, oncall
    ):
        campaign = make_campaign(state="completed", started_at=timezone.now())
        make_doubtful(campaign=campaign, stream=campaign.stream)
        failures = reverse("outbox:campaign-failures", args=[campaign.pk])
        seen = logged_in(viewer).get(failures).content.decode()
        assert "Settle…" not in seen
        assert f"{LIST}?campaign={campaign.pk}" in seen
        assert "Settle…" in logged_in(oncall).get(failures).content.decode()

    @pytest.mark.parametrize("guarantee", ["leave", "ask"])
    def test_a_group_of_a_campaign_s_doubts_is_settled_by_itself(
        self, logged_in, operator, press, guarantee
    ):
        stream = make_stream(transport=make_transport(), guarantee=guarantee)
        campaign = make_campaign(stream=stream, state="running", started_at=timezone.now())
        groups = {}
        for why in ("no_final_reply", "worker_lost", "suppressed", ""):
            made = [make_doubtful(campaign=campaign, stream=stream) for _ in range(2)]
            groups[why] = {message.pk for message in made}
            Message.objects.filter(pk__in=groups[why]).update(reason=why)
        # deferred between, as one that was sent again may be
        Message.objects.filter(pk=min(groups["suppressed"])).update(reply_code=450)
        make_doubtful(reason="no_final_reply")  # of another campaign
        make_message(campaign=campaign, stream=stream, status="held")  # nobody doubts it
        client, failures = (
            logged_in(operator),
            reverse("outbox:campaign-failures", args=[campaign.pk]),
        )
        links = re.findall(rf'href="({LIST}[^"]+)"', client.get(failures).text)
        assert len(links) == len(groups)
        for link in links:
            page = client.get(html.unescape(link))
            shown = {row["message"].pk for row in page.context["rows"]}
            (why,) = (why for why, ids in groups.items() if ids == shown)
            chosen = dict(parse_qsl(urlsplit(html.unescape(link)).query))
            assert (
                "Count 2 messages as accepted"
                in client.get(SETTLE, chosen | {"act": "accept"}).text
            )
            press(client, SETTLE, act="accept", **chosen)
            settled = Message.objects.filter(status="accepted").values_list("pk", flat=True)
            assert set(settled) == groups.pop(why)
            Message.objects.filter(status="accepted").update(status="delivered")
        assert not groups

    def test_is_linked_from_overview_campaign_and_message(self, logged_in, operator):
        campaign = make_campaign(state="completed", started_at=timezone.now())
        message = make_doubtful(campaign=campaign, stream=campaign.stream)
        client = logged_in(operator)
        assert LIST in client.get(reverse("reports:overview")).content.decode()
        failures = reverse("outbox:campaign-failures", args=[campaign.pk])
        assert f"{LIST}?campaign={campaign.pk}" in client.get(failures).content.decode()
        page = client.get(reverse("outbox:detail", args=[message.public_id])).content.decode()
        assert LIST in page
        assert "192.0.2.1:25" in page


class TestFeedbackSettlesByItself:
    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({}, "bounced"),
            ({"action": "delivered", "status": "2.0.0", "diagnostic": "250 ok"}, "delivered"),
            ({"action": "delayed", "status": "4.2.1", "diagnostic": "450 later"}, "accepted"),
        ],
    )
    @pytest.mark.parametrize("guarantee", ["leave", "ask"])
    def test_a_report_with_its_token(self, fields, status, guarantee):
        message = make_doubtful(guarantee=guarantee)
        receive(report_on(message, **fields), sender_of(message))
        message.refresh_from_db()
        assert (message.status, message.is_doubtful) == (status, False)


class TestSettleMany:
    def test_counts_before_anything_happens(self, logged_in, oncall):
        make_doubtful()
        page = logged_in(oncall).get(SETTLE, {"act": "again"})
        assert "Send 1 message again" in page.content.decode()
        assert Message.objects.get().status == "uncertain"

    def test_names_the_campaign_it_is_limited_to_before_an_act_is_chosen(self, logged_in, oncall):
        campaign = make_campaign(name="Winter")
        make_doubtful(campaign=campaign, stream=campaign.stream)
        page = logged_in(oncall).get(SETTLE, {"campaign": campaign.pk, "kind": "rest"})
        words = page.content.decode()
        assert "Only messages of the campaign <strong>Winter</strong>." in words
        assert 'href="?kind=rest"' in words

    def test_leads_back_to_those_that_were_chosen(self, logged_in, oncall):
        page = logged_in(oncall).get(SETTLE, {"act": "again", "kind": "rest"})
        assert f'href="{LIST}?kind=rest"' in page.content.decode()

    def test_says_that_none_of_those_chosen_can_be_sent_again(self, logged_in, oncall):
        make_suppression(address=make_doubtful().recipient)
        page = logged_in(oncall).get(SETTLE, {"act": "again"}).content.decode()
        assert "None of them can be sent again" in page
        assert "No message fits" not in page

    def test_tells_of_campaigns_that_fit_their_stream_no_more(self, logged_in, oncall):
        stream = make_stream(transport=make_transport(), kind="transactional")
        make_doubtful(stream=stream, campaign=make_campaign(stream=stream, state="completed"))
        page = logged_in(oncall).get(SETTLE, {"act": "again"}).content.decode()
        assert "1 of completed campaigns stay as they are" in page
        assert "None of them can be sent again" in page

    def test_says_that_no_message_fits(self, logged_in, oncall):
        page = logged_in(oncall).get(SETTLE, {"act": "again"}).content.decode()
        assert "No message fits: there is nothing to settle." in page

    def test_does_nothing_that_was_not_chosen(self, logged_in, oncall):
        message, client = make_doubtful(), logged_in(oncall)
        chosen = {"reason": "no_final_reply", "stream": message.stream_id}
        page = client.get(SETTLE, chosen)
        assert (page.status_code, page.context["plan"]) == (200, None)
        assert "You see the numbers before anything happens." in page.content.decode()
        seen = {"key": uuid4(), "until": timezone.now().isoformat()}
        page = client.post(SETTLE, {**chosen, **seen})
        assert (page.status_code, page.context["plan"]) == (422, None)
        assert "choose first what to do with them" in page.content.decode()
        assert page.context["form"].given == {name: str(value) for name, value in chosen.items()}
        assert not Settlement.objects.exists()

    @pytest.mark.parametrize(("act", "status"), [("accept", "accepted"), ("again", "queued")])
    def test_does_it(self, logged_in, oncall, press, act, status):
        make_doubtful()
        answer = press(logged_in(oncall), SETTLE, act=act)
        run = Settlement.objects.get()
        assert answer["Location"] == reverse("outbox:settlement", args=[run.pk])
        assert Message.objects.get().status == status

    def test_keeps_to_what_was_chosen(self, logged_in, oncall, press):
        stream = make_stream(transport=make_transport())
        make_doubtful(stream=stream)
        other = make_doubtful()
        press(logged_in(oncall), SETTLE, act="accept", stream=stream.pk)
        other.refresh_from_db()
        assert other.status == "uncertain"

    def test_pressed_twice_is_done_once(self, logged_in, oncall, press):
        make_doubtful()
        press(logged_in(oncall), SETTLE, times=3, act="again")
        assert (Settlement.objects.count(), Message.objects.get().round) == (1, 1)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"until": ""},
            {"until": "x"},
            {"until": "2020-01-01T00:00:00+00:00"},
            {"until": "9999-01-01T00:00:00+00:00"},
            {"key": ""},
            {"key": "x"},
            {"act": "x"},
            {"stream": "0"},
        ],
    )
    def test_a_preview_that_is_old_or_forged_is_shown_anew(self, logged_in, oncall, wrong):
        make_doubtful()
        data = {"act": "accept", "key": uuid4(), "until": timezone.now().isoformat(), **wrong}
        answer = logged_in(oncall).post(SETTLE, data)
        assert answer.status_code == 422
        assert not Settlement.objects.exists()

    def test_what_is_gone_meanwhile_is_said(self, logged_in, oncall):
        data = {"act": "accept", "key": uuid4(), "until": timezone.now().isoformat()}
        answer = logged_in(oncall).post(SETTLE, data, follow=True)
        assert "was settled meanwhile" in answer.content.decode()

    def test_asks_for_the_password_first(self, client, oncall):
        client.force_login(oncall, backend="allauth.account.auth_backends.AuthenticationBackend")
        assert "reauthenticate" in client.get(SETTLE)["Location"]

    def test_is_for_those_who_operate(self, client, logged_in, viewer, editor):
        assert "/accounts/login/" in client.get(SETTLE)["Location"]
        for user in (viewer, editor):
            assert logged_in(user).get(SETTLE).status_code == 403

    def test_its_page_follows_it_and_stops(self, logged_in, oncall):
        run = make_settlement(state="running")
        client, url = logged_in(oncall), reverse("outbox:settlement", args=[run.pk])
        hx = {"HX-Request": "true"}
        assert 'hx-trigger="every 1s"' in client.get(url, headers=hx).content.decode()
        client.post(reverse("outbox:settlement-stop", args=[run.pk]))
        answer = client.get(url, headers=hx)
        assert answer.status_code == 286
        assert "stopped it after 2 of 3 messages" in answer.content.decode()

    def test_tells_of_who_was_suppressed_between_the_press_and_its_turn(self, logged_in, oncall):
        late, *_ = [make_doubtful() for _ in range(3)]
        run = start_settlement(
            key=uuid4(), act="again", actor=oncall, until=plan(act="again").until
        )
        make_suppression(address=late.recipient)
        client, url = logged_in(oncall), reverse("outbox:settlement", args=[run.pk])
        assert "Left out" not in client.get(url).content.decode()
        continue_settlement(run.pk)
        page = client.get(url).content.decode()
        assert "2 of 3" in page
        assert "<dt>Left out</dt><dd>1: suppressed or settled otherwise meanwhile" in page

    @pytest.mark.parametrize(
        ("fields", "left_out"),
        [
            ({}, 0),
            ({"passed_over": 0}, 1),
            ({"settled": 4}, 0),
            ({"state": "stopped", "settled": 0}, 0),
        ],
    )
    def test_leaves_out_only_what_its_end_did_not_meet(self, fields, left_out):
        assert make_settlement(**fields).left_out == left_out

    def test_what_lost_its_hint_is_picked_up(self, monkeypatch):
        run, log = (
            make_settlement(state="running"),
            make_relay_log(make_doubtful(), state="running"),
        )
        hinted = []
        for task in ("continue_settlement", "continue_relay_log"):
            monkeypatch.setattr(f"mailops.outbox.tasks.{task}.delay", hinted.append)
        continue_settling()
        assert hinted == [run.pk, log.pk]


class TestCampaignAfterARestore:
    @pytest.fixture
    def campaign(self):
        campaign = make_campaign(
            state="paused",
            pause_cause="restored",
            pause_sentence="Up to 2.",
            started_at=timezone.now(),
        )
        for _ in range(2):
            make_message(campaign=campaign, stream=campaign.stream)
        return campaign

    def url(self, campaign):
        return reverse("outbox:campaign-doubt", args=[campaign.pk])

    def press(self, client, campaign):
        form = client.get(self.url(campaign)).context["form"]
        data = {name: form[name].value() for name in ("key", "until")}
        for _ in range(2):
            client.post(self.url(campaign), data)
        for run in Settlement.objects.all():
            continue_settlement(run.pk)

    def test_what_it_owes_comes_into_doubt_and_the_log_tells(self, logged_in, oncall, campaign):
        client = logged_in(oncall)
        page = client.get(reverse("campaigns:detail", args=[campaign.pk])).content.decode()
        assert self.url(campaign) in page
        assert "2 messages that this database" in client.get(self.url(campaign)).content.decode()
        self.press(client, campaign)
        run = Settlement.objects.get()
        assert (run.settled, run.planned, run.state) == (2, 2, "completed")
        assert set(Message.objects.values_list("status", "reason")) == {("uncertain", "restored")}

    def test_stops_where_the_campaign_was_resumed(self, logged_in, oncall, campaign):
        client = logged_in(oncall)
        client.get(self.url(campaign))
        run = make_settlement(
            act="doubt",
            state="running",
            campaign=campaign,
            settled=0,
            passed_over=0,
            finished_at=None,
        )
        campaign.resume()
        continue_settlement(run.pk)
        run.refresh_from_db()
        assert (run.state, set(Message.objects.values_list("status", flat=True))) == (
            "stopped", {"queued"},
        )  # fmt: skip

    def test_is_only_for_those_that_wait_for_it(self, logged_in, oncall, campaign):
        campaign.resume()
        answer = logged_in(oncall).get(self.url(campaign), follow=True)
        assert "has nothing to find out" in answer.content.decode()

    def test_is_for_those_who_operate(self, client, logged_in, viewer, campaign):
        assert "/accounts/login/" in client.get(self.url(campaign))["Location"]
        assert logged_in(viewer).get(self.url(campaign)).status_code == 403


class TestRelayLog:
    @pytest.fixture
    def upload(self):
        def send(client, content, **fields):
            data = {"file": SimpleUploadedFile("mail.log", content), "time_zone": "UTC", **fields}
            answer = client.post(UPLOAD, data)
            for log in RelayLog.objects.all():
                continue_relay_log(log.pk)
            return answer

        return send

    def test_previews_then_settles(self, logged_in, oncall, upload, press):
        message = make_doubtful()
        content = bytes(Log().taken(message).told(message, "sent")) + b"nonsense\n"
        client = logged_in(oncall)
        at = upload(client, gzip.compress(content), transport=message.transport_id)["Location"]
        page = client.get(at).content.decode()
        for words in ("Sent on", "Do as it says for 1", "nonsense", message.recipient):
            assert words in page
        press(client, f"{at}settle/")
        message.refresh_from_db()
        assert message.status == "accepted"
        assert "Do as it says" not in client.get(at).content.decode()

    def test_sends_again_what_was_not_taken(self, logged_in, oncall, upload, press):
        message = make_doubtful()
        known = make_message(with_entry=False, status="accepted", transport=message.transport)
        client = logged_in(oncall)
        at = upload(client, bytes(Log().around(known)), transport=message.transport_id)["Location"]
        assert "Was not taken: send 1 again" in client.get(at).content.decode()
        press(client, f"{at}settle/", act="again")
        message.refresh_from_db()
        assert (message.status, message.round) == ("queued", 1)

    def test_says_that_none_of_what_was_not_taken_can_be_sent_again(
        self, logged_in, oncall, upload
    ):
        message = make_doubtful()
        known = make_message(with_entry=False, status="accepted", transport=message.transport)
        make_suppression(address=message.recipient)
        client = logged_in(oncall)
        at = upload(client, bytes(Log().around(known)), transport=message.transport_id)["Location"]
        page = client.get(f"{at}settle/", {"act": "again"}).content.decode()
        assert "None of them can be sent again" in page
        assert "Nothing is left to settle" not in page

    def test_what_is_no_log_is_422_and_says_why(self, logged_in, oncall, upload):
        transport = make_transport()
        answer = upload(logged_in(oncall), b"PK\x03\x04", transport=transport.pk)
        assert (answer.status_code, RelayLog.objects.count()) == (422, 0)
        assert "zip or Office file" in answer.content.decode()
        assert f'value="{transport.pk}" selected' in answer.content.decode()

    @pytest.mark.parametrize("wrong", [{"transport": ""}, {"time_zone": "Mars/Base"}, {"file": ""}])
    def test_bad_input_is_422(self, logged_in, oncall, upload, wrong):
        fields = {"transport": make_transport().pk, **wrong}
        assert upload(logged_in(oncall), b"x\n", **fields).status_code == 422

    def test_a_large_file_is_refused(self, logged_in, oncall, upload, monkeypatch):
        monkeypatch.setattr(doubtful_forms, "MAX_FILE_BYTES", 10)
        answer = upload(logged_in(oncall), b"x" * 11, transport=make_transport().pk)
        assert answer.status_code == 422

    def test_shows_hostile_lines_as_text(self, logged_in, viewer):
        log = make_relay_log(make_doubtful())
        page = logged_in(viewer).get(reverse("outbox:relay-log", args=[log.pk])).content.decode()
        assert "&lt;b&gt;what?&lt;/b&gt;" in page

    def test_takes_few_queries(self, logged_in, viewer, django_assert_max_num_queries):
        log = make_relay_log(make_doubtful())
        client = logged_in(viewer)
        with django_assert_max_num_queries(22):
            client.get(reverse("outbox:relay-log", args=[log.pk]))

    def test_is_exported(self, logged_in, viewer):
        message = make_doubtful()
        log = make_relay_log(message)
        answer = logged_in(viewer).get(reverse("outbox:relay-log-export", args=[log.pk]))
        assert message.message_id in b"".join(answer.streaming_content).decode()

    def test_of_a_failed_reading_says_why(self, logged_in, viewer):
        log = make_relay_log(make_doubtful(), state="failed", sentence="It is cut off.")
        page = logged_in(viewer).get(reverse("outbox:relay-log", args=[log.pk])).content.decode()
        assert "It is cut off." in page

    @pytest.mark.parametrize("state", ["running", "failed"])
    @pytest.mark.parametrize("act", ["by_log", "again"])
    def test_settles_nothing_before_it_is_read(self, logged_in, oncall, state, act):
        message = make_doubtful()
        log = make_relay_log(message, state=state)
        client, url = logged_in(oncall), reverse("outbox:relay-log-settle", args=[log.pk])
        now = timezone.now().isoformat()
        for answer in (
            client.get(url, {"act": act}, follow=True),
            client.post(url, {"act": act, "key": uuid4(), "until": now}, follow=True),
        ):
            assert "it was not read to its end" in answer.content.decode()
        message.refresh_from_db()
        assert message.status == "uncertain"
        assert not Settlement.objects.exists()

    def test_of_long_ago_is_old_to_settle_by(self, logged_in, oncall):
        message = make_doubtful()
        log = make_relay_log(message)
        url = reverse("outbox:relay-log-settle", args=[log.pk])
        old = (timezone.now() - timedelta(hours=2)).isoformat()
        answer = logged_in(oncall).post(url, {"act": "by_log", "key": uuid4(), "until": old})
        assert answer.status_code == 422

    def test_upload_is_for_those_who_operate(self, client, logged_in, viewer):
        assert "/accounts/login/" in client.get(UPLOAD)["Location"]
        assert logged_in(viewer).get(UPLOAD).status_code == 403


def test_those_that_ask_are_found_among_many_that_are_held():
    old = make_doubtful(guarantee="ask")
    with connection.cursor() as cursor:
        cursor.execute(HOLD_MANY, [make_message(status="held").pk])
        cursor.execute("ANALYZE outbox_message")
    _, asked = doubtful()
    assert [message.pk for message in asked] == [old.pk]
    assert "message_asks" in asked.order_by("-id").explain()
