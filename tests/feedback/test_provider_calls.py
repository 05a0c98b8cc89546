"""Every provider's calls count once, in any order, and only with proof; what proves nothing changes nothing."""

import hmac
import json
import time
from urllib.parse import parse_qs, urlencode

import pytest
from django.urls import reverse

from mailops.feedback import proving
from mailops.feedback.endpoints import make_endpoint, set_key
from mailops.feedback.models import RawFeedback
from mailops.feedback.processing import process_one, process_pending
from mailops.outbox.models import Event, EventKind, Status
from mailops.outbox.tokens import envid
from mailops.reports.models import Figure
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import unsuppress
from tests.factories import make_transport
from tests.feedback.conftest import make_sent, receive, report_on, sender_of
from tests.feedback.esp_calls import ID, KEYS, MESSAGE_IDS, PAYLOADS, TO, now, signed

STATE = RawFeedback.State


class Provider:
    """One transport with its webhook, and a message it took."""

    def __init__(self, kind, client, admin):
        self.kind, self.client = kind, client
        self.transport = make_transport(kind=kind)
        self.endpoint = make_endpoint(transport=self.transport, actor=admin)
        if kind in KEYS:
            set_key(endpoint=self.endpoint, key=KEYS[kind], actor=admin)
        self.sent = make_sent(
            transport=self.transport, transport_message_id=MESSAGE_IDS.get(kind, ID)
        )

    def call(self, what, *, at=None, proven=True, read=True):
        is_word = isinstance(what, str) and what.isalpha()
        body = PAYLOADS[self.kind](what, at or now()) if is_word else what
        password = self.endpoint.revealed_key() if self.kind not in KEYS else ""
        text, headers = signed(self.kind, body, self.endpoint.url, password)
        return self.post(text, headers if proven else {}, read=read)

    def post(self, text, headers, *, read=True, content_type=""):
        form = self.kind == "mandrill" and "=" in text[:40]
        response = self.client.post(
            reverse("feedback:webhook", args=[self.endpoint.secret]),
            text,
            content_type=content_type
            or ("application/x-www-form-urlencoded" if form else "application/json"),
            headers=headers,
        )
        assert response.status_code == 200
        while read and process_pending():
            pass
        return RawFeedback.objects.latest("id")

    @property
    def state(self):
        self.sent.refresh_from_db()
        kinds = sorted(self.sent.events.values_list("kind", flat=True))
        reasons = list(Suppression.objects.values_list("reason", flat=True))
        return self.sent.status, kinds, reasons


@pytest.fixture
def provider(client, admin):
    return lambda kind: Provider(kind, client, admin)


@pytest.mark.parametrize("kind", PAYLOADS)
class TestEveryProvider:
    def test_a_bounce_settles_and_suppresses(self, kind, provider):
        told = provider(kind)
        row = told.call("bounced")
        assert (row.state, row.is_verified, row.message) == (STATE.PROCESSED, True, told.sent), row.reason  # fmt: skip
        assert told.state == (Status.BOUNCED, [EventKind.RETURNED], ["hard_bounce"])
        told.endpoint.refresh_from_db()
        assert told.endpoint.last_proven_at

    def test_once_three_times_and_shuffled_end_the_same(self, kind, provider):
        ends = set()
        at = now()
        whats = ["delivered", "bounced"] if kind == "postal" else ["delivered", "bounced", "complained"]  # fmt: skip
        for order in (whats, [*whats * 2, *whats[::-1]], whats[::-1]):
            Event.objects.all().delete()
            Suppression.objects.all().delete()
            RawFeedback.objects.all().delete()
            told = provider(kind)
            for what in order:
                told.call(what, at=at + whats.index(what), read=False)
            while process_pending():
                pass
            ends.add(str(told.state))
            told.sent.delete()
            told.transport.delete()
        assert len(ends) == 1, ends

    def test_without_proof_changes_nothing(self, kind, provider):
        told = provider(kind)
        if kind in {"mailgun", "unisender_go"}:  # their proof is in the body
            at = now()
            body, _ = signed(kind, PAYLOADS[kind]("bounced", at), told.endpoint.url)
            row = told.post(body.replace(f'"token": "bounced-{at}"', '"token": "x"').replace('"auth": "', '"auth": "0')[:-1] + "}", {})  # fmt: skip
        else:
            row = told.call("bounced", proven=False)
        assert (row.state, row.is_verified) == (STATE.QUARANTINED, False)
        assert row.reason
        assert told.state == (Status.ACCEPTED, [], [])

    def test_proven_but_nonsense_is_kept_for_a_person(self, kind, provider):
        told = provider(kind)
        if kind == "mailgun":
            body = PAYLOADS[kind]("bounced", now()) | {"event-data": []}
        else:
            body = {"auth": "AUTH", "x": [[[1]]]}
        row = told.call(body)
        assert row.state == STATE.QUARANTINED or "nothing that mailops records" in row.reason
        assert told.state == (Status.ACCEPTED, [], [])

    def test_of_another_transports_message_changes_nothing(self, kind, provider):
        told = provider(kind)
        told.sent.transport = make_transport(kind=kind, name="another")
        told.sent.save()
        row = told.call("bounced")
        assert row.state == STATE.QUARANTINED
        assert told.state == (Status.ACCEPTED, [], [])


def dropped(reason):
    return [{"email": TO, "timestamp": now(), "smtp-id": "<x>", "anymail_id": ID, "event": "dropped", "sg_event_id": "d1", "sg_message_id": "y", "reason": reason}]  # fmt: skip


class TestProvidersOwnLists:
    """What a provider drops because of its own list was said or done before: no new complaint, but a reason."""

    CASES = (
        ("Unsubscribed Address", "suppress-unsubscribe", "unsubscribe", "recipient_refuses"),
        ("Spam Reporting Address", "suppress-complaint", "complaint", "recipient_refuses"),
        ("Bounced Address", "suppress-bounce", "hard_bounce", "mailbox_disabled"),
    )

    @pytest.mark.parametrize(("reason", "_", "suppression", "meaning"), CASES)
    def test_of_sendgrid(self, reason, _, suppression, meaning, provider):
        told = provider("sendgrid")
        told.call(dropped(reason))
        self.has_bounced(told, suppression, meaning)

    @pytest.mark.parametrize(("_", "reason", "suppression", "meaning"), CASES)
    def test_of_mailgun(self, _, reason, suppression, meaning, provider):
        told = provider("mailgun")
        body = PAYLOADS["mailgun"]("bounced", now())
        said = {"code": 605, "message": "Not delivering to this address", "description": ""}
        body["event-data"] |= {"reason": reason, "delivery-status": said}
        told.call(body)
        self.has_bounced(told, suppression, meaning)

    def has_bounced(self, told, suppression, meaning):
        assert told.state == (Status.BOUNCED, [EventKind.RETURNED], [suppression])
        assert (told.sent.reason, told.sent.reply_text != "") == (meaning, True)
        stream = told.sent.stream if suppression == "unsubscribe" else None
        assert Suppression.objects.get().stream == stream

    def test_other_words_are_shown_as_they_are(self, provider):
        told = provider("sendgrid")
        told.call(dropped("Some new reason"))
        assert told.state == (Status.BOUNCED, [EventKind.RETURNED], [])
        assert "Some new reason" in told.sent.reply_text

    @pytest.mark.parametrize(
        ("what", "why"), [("bounced", "HardBounce"), ("complained", "SpamComplaint")]
    )
    def test_postmarks_word_that_it_listed_an_address_counts_nothing_twice(
        self, what, why, provider
    ):
        told = provider("postmark")
        told.call(what)
        before = (told.state, told.sent.reason)
        row = told.call(self.changed(why))
        assert "nothing that mailops records" in row.reason
        assert (told.state, told.sent.reason) == before

    def test_postmarks_word_that_somebody_left_counts(self, provider):
        told = provider("postmark")
        told.call(self.changed("ManualSuppression"))
        assert told.state == (Status.ACCEPTED, [EventKind.UNSUBSCRIBED], ["unsubscribe"])

    def test_who_leaves_once_more_after_a_person_took_it_back_is_suppressed_again(
        self, provider, operator
    ):
        told = provider("postmark")
        told.call(self.changed("ManualSuppression"))
        entry = Suppression.objects.get()
        unsuppress(suppression=entry, reason="They asked to be back.", actor=operator)
        told.call(self.changed("ManualSuppression") | {"Tag": "told once more"})
        assert not Suppression.objects.exists()
        told.call(self.changed("ManualSuppression", at="2026-06-01T12:00:01Z"))
        assert Suppression.objects.get().stream == told.sent.stream

    def changed(self, why, at="2026-05-01T12:00:01Z"):
        return {"RecordType": "SubscriptionChange", "MessageID": ID, "Recipient": TO, "ChangedAt": at, "Origin": "Recipient", "SuppressSending": True, "SuppressionReason": why, "Metadata": {}, "Tag": ""}  # fmt: skip


MISSING = "Unable to find MX of domain example.net"


def soft(kind, word):
    """Return a bounce that bears no code, as a provider tells of one for now or for good."""
    body = PAYLOADS[kind]("bounced", now())
    if kind == "mandrill":
        (told,) = json.loads(parse_qs(body)["mandrill_events"][0])
        told["event"], told["msg"]["diag"] = word, MISSING
        return urlencode({"mandrill_events": json.dumps([told])})
    if kind == "mailjet":
        body[0] |= {"hard_bounce": word, "error": "no answer", "comment": MISSING}
        return body
    more = {
        "brevo": {"event": word, "reason": MISSING},
        "postmark": {"Type": word, "Details": MISSING},
        "mailersend": {"type": word, "morph": {"object": "recipient_bounce", "reason": MISSING}},
        "resend": {"bounce": {"message": MISSING, "type": word}},
    }[kind]
    body.get("data", body).update(more)
    return body


class TestSoftBounces:
    """What a provider says may pass suppresses nobody at once, where no code says that it won't."""

    @pytest.mark.parametrize(
        ("kind", "for_now", "for_good"),
        [
            ("brevo", "soft_bounce", "hard_bounce"),
            ("mailersend", "soft_bounced", "hard_bounced"),
            ("mailjet", False, True),
            ("mandrill", "soft_bounce", "hard_bounce"),
            ("postmark", "SoftBounce", "HardBounce"),
            ("resend", "Transient", "Permanent"),
        ],
    )
    def test_are_told_from_those_for_good(self, kind, for_now, for_good, provider):
        told = provider(kind)
        told.call(soft(kind, for_now))
        assert told.state == (Status.BOUNCED, [EventKind.RETURNED], [])
        assert told.sent.reason == "unknown_domain"
        again = provider(kind)
        again.call(soft(kind, for_good))
        assert again.state[2] == ["hard_bounce"]

    def test_with_a_code_for_good_suppress(self, provider):
        told = provider("brevo")
        told.call(PAYLOADS["brevo"]("bounced", now()) | {"event": "soft_bounce"})
        assert told.state[2] == ["hard_bounce"]


class TestBesideAMail:
    """A relay that reports by mail, and by its webhook, tells of one bounce."""

    @pytest.mark.parametrize("mail_is_first", [True, False])
    def test_one_bounce_is_counted(self, mail_is_first, provider):
        told = provider("postmark")
        ways = [lambda: receive(report_on(told.sent), sender_of(told.sent)), lambda: told.call("bounced")]  # fmt: skip
        for way in ways if mail_is_first else reversed(ways):
            way()
        assert told.state == (Status.BOUNCED, [EventKind.RETURNED] * 2, ["hard_bounce"])
        assert Figure.objects.events().by_kind() == {"returned": 1}

    def test_the_second_suppresses_where_the_first_does_not_say_enough(self, provider):
        told = provider("postmark")
        vague = report_on(told.sent, status="5.0.0", diagnostic="550 5.0.0 not delivered")
        receive(vague, sender_of(told.sent))
        assert told.state[2] == []
        told.call("bounced")
        assert told.state[2] == ["hard_bounce"]

    def test_both_stand_on_the_timeline(self, provider, logged_in, viewer):
        told = provider("postmark")
        receive(report_on(told.sent), sender_of(told.sent))
        told.call("bounced")
        page = logged_in(viewer).get(reverse("outbox:detail", args=[told.sent.public_id])).text
        assert page.count("Told before, so it counts once") == 1
        assert "Told too late" not in page


class TestProof:
    @pytest.mark.parametrize("kind", ["brevo", "mailjet", "postmark", "sparkpost", "resend"])
    def test_a_call_that_comes_again_with_its_proof_counts(self, kind, provider):
        told, at = provider(kind), now()
        assert told.call("bounced", at=at, proven=False).state == STATE.QUARANTINED
        assert told.call("bounced", at=at).state == STATE.PROCESSED
        assert told.state == (Status.BOUNCED, [EventKind.RETURNED], ["hard_bounce"])

    def test_the_same_words_to_two_transports_are_two_calls(self, provider):
        first, second = provider("postmark"), provider("postmark")
        at = now()
        rows = [told.call("bounced", at=at) for told in (first, second)]
        assert [row.message for row in rows] == [first.sent, second.sent]

    def test_a_key_that_is_missing_is_asked_for_and_replay_then_reads_it(self, provider, admin):
        told = provider("mailtrap")
        told.endpoint.key = b""
        told.endpoint.save()
        row = told.call("bounced")
        assert "enter the signature key" in row.reason
        set_key(endpoint=told.endpoint, key=KEYS["mailtrap"], actor=admin)
        from mailops.feedback.replaying import replay

        replay(row=row, actor=admin)
        assert told.state[0] == Status.BOUNCED

    def test_a_password_is_never_archived(self, provider):
        told = provider("brevo")
        row = told.call("bounced")
        assert told.endpoint.revealed_key() not in str(row.headers)
        assert row.headers[proving.BASIC] == "right"

    @pytest.mark.parametrize("given", ["Basic \xfc", "Basic =", "Basic", "mailops"])
    def test_a_password_that_is_none_is_a_wrong_one(self, given, provider):
        told = provider("postmark")
        body, _ = signed("postmark", PAYLOADS["postmark"]("bounced", now()), "", "")
        row = told.post(body, {"Authorization": given})
        assert (row.state, row.headers[proving.BASIC]) == (STATE.QUARANTINED, "wrong")

    def test_a_note_of_ours_can_not_be_brought_along(self, provider):
        told = provider("postmark")
        body, _ = signed("postmark", PAYLOADS["postmark"]("bounced", now()), "", "")
        row = told.post(body, {proving.BASIC: "right"})
        assert row.state == STATE.QUARANTINED

    def test_an_old_signature_is_a_replay(self, provider):
        told = provider("mailgun")
        row = told.call("bounced", at=now() - 3 * 86400)
        assert "replay" in row.reason
        assert told.state == (Status.ACCEPTED, [], [])

    def test_a_token_that_somebody_saw_proves_no_other_content(self, provider):
        """Mailgun signs the token and not the content, so it may be said once (Securing webhooks)."""
        told = provider("mailgun")
        seen = PAYLOADS["mailgun"]("delivered", now())
        first = told.call(seen)
        assert told.call(seen) == first  # a retry of the same call
        forged = {**seen, "event-data": PAYLOADS["mailgun"]("bounced", now())["event-data"]}
        row = told.call(forged)
        assert (row.state, row.is_verified) == (STATE.QUARANTINED, False)
        assert "said before" in row.reason
        assert told.state == (Status.DELIVERED, ["delivered"], [])
        for one in (first, row):  # reading both again changes nothing
            process_one(one)
            one.refresh_from_db()
        assert (first.state, row.state) == (STATE.PROCESSED, STATE.QUARANTINED)

    def test_nor_does_a_part_of_it_whose_beginning_was_made_a_part_of_the_time(self, provider):
        """Time and token are signed with nothing between, and “1700000000e0” is a number, too."""
        told = provider("mailgun")
        at, token = str(now()), "e0" + "5a" * 24
        signature = hmac.new(
            KEYS["mailgun"].encode(), f"{at}{token}".encode(), "sha256"
        ).hexdigest()
        fields = {"timestamp": at, "token": token, "signature": signature}
        told.call({**PAYLOADS["mailgun"]("delivered", now()), "signature": fields})
        assert told.state[0] == Status.DELIVERED
        parted = {**fields, "timestamp": f"{at}e0", "token": token[2:]}
        row = told.call({**PAYLOADS["mailgun"]("bounced", now()), "signature": parted})
        assert (row.state, row.is_verified) == (STATE.QUARANTINED, False)
        assert told.state == (Status.DELIVERED, ["delivered"], [])

    def test_what_is_to_happen_in_days_by_the_provider_s_clock_happened_when_it_was_told(
        self, provider
    ):
        told = provider("mailgun")
        body = PAYLOADS["mailgun"]("bounced", now())
        body["event-data"]["timestamp"] = now() + 3 * 86400
        row = told.call(body)
        assert told.sent.events.get().occurred_at == row.received_at

    def test_a_token_of_ours_in_the_metadata_names_the_message(self, provider):
        told = provider("postmark")
        token = envid(told.sent.public_id, told.sent.round, told.sent.token_key_id)
        body = PAYLOADS["postmark"]("bounced", now())
        row = told.call({**body, "MessageID": "unknown", "Metadata": {"mailops": token}})
        assert row.message == told.sent

    def test_an_id_that_is_a_number_names_the_message(self, provider):
        told = provider("postal")
        told.sent.transport_message_id = "4711"
        told.sent.save()
        body = PAYLOADS["postal"]("bounced", now())
        body["payload"]["original_message"]["id"] = 4711
        told.call(body)
        assert told.state[0] == Status.BOUNCED

    def test_a_foreign_token_names_nothing(self, provider):
        told = provider("postmark")
        token = f"{told.sent.public_id.hex}.0.{'a' * 20}"
        body = PAYLOADS["postmark"]("bounced", now())
        row = told.call({**body, "MessageID": "unknown", "Metadata": {"mailops": token}})
        assert row.state == STATE.QUARANTINED


class TestOdd:
    """What no provider writes by its documentation, though its call is proven, or claims to be."""

    @pytest.mark.parametrize("name", ["sg_event_id", "anymail_id", "email"])
    @pytest.mark.parametrize("value", ["a\0b", "\ud800", ["x"], {"a": 1}, 7, float("inf")])
    def test_an_event_costs_no_other_of_its_call(self, name, value, provider):
        told = provider("sendgrid")
        (bounce,) = PAYLOADS["sendgrid"]("bounced", now())
        row = told.call([{**bounce, name: value}, bounce])
        assert row.state == STATE.PROCESSED, row.reason
        assert told.state[0] == Status.BOUNCED

    @pytest.mark.parametrize("tags", [5, True, None, "x", {"a": 1}, [5, None]])
    def test_tags_cost_nothing(self, tags, provider):
        told = provider("mailgun")
        body = PAYLOADS["mailgun"]("bounced", now())
        row = told.call({**body, "event-data": {**body["event-data"], "tags": tags}})
        assert row.state == STATE.PROCESSED, row.reason
        assert told.state[0] == Status.BOUNCED

    @pytest.mark.parametrize("recipients", [["x"], [None], 7, "x", {"a": 1}])
    def test_a_list_of_recipients_costs_no_event_of_its_call(self, recipients, provider):
        told = provider("sendgrid")
        (bounce,) = PAYLOADS["sendgrid"]("bounced", now())
        row = told.call([{**bounce, "bounce": {"bouncedRecipients": recipients}}])
        assert row.state == STATE.PROCESSED, row.reason
        assert told.state[0] == Status.BOUNCED

    @pytest.mark.parametrize(
        "content_type",
        ["multipart/form-data; boundary=", "multipart/form-data"],
    )
    def test_a_form_is_left_to_a_person(self, content_type, provider):
        told = provider("mandrill")
        body = PAYLOADS["mandrill"]("bounced", now())
        text, headers = signed("mandrill", body, told.endpoint.url)
        row = told.post(text, headers, content_type=content_type)
        assert (row.state, row.is_verified) == (STATE.QUARANTINED, True), row.reason

    def test_a_time_is_left_to_a_person(self, provider):
        told = provider("sparkpost")
        (bounce,) = PAYLOADS["sparkpost"]("bounced", now())
        bounce["msys"]["message_event"]["timestamp"] = float("inf")
        assert told.call([bounce]).state == STATE.QUARANTINED

    @pytest.mark.parametrize("name", ["timestamp", "token"])
    def test_a_signature_proves_nothing(self, name, provider):
        told = provider("mailgun")
        body = PAYLOADS["mailgun"]("bounced", now())
        row = told.call({**body, "signature": {**body["signature"], name: "\ud800"}})
        assert (row.state, row.is_verified) == (STATE.QUARANTINED, False)


class TestBombs:
    @pytest.mark.parametrize(
        "text",
        [
            "[" + "{}," * 100_000 + "{}]",
            "[" * 500_000,
            '{"a":' * 100_000,
            "9" * 1_000_000,
            '[{"event": "bounce"}' + ',{"event": "bounce", "email": "a@b.example"}' * 40_000 + "]",
            "\x00" * 1_000_000,
        ],
        ids=range(6),
    )
    def test_are_put_away_quickly(self, text, provider):
        told = provider("brevo")
        _, headers = signed("brevo", {}, "", told.endpoint.revealed_key())
        begun = time.process_time()
        row = told.post(text, headers)
        assert row.state in {STATE.QUARANTINED, STATE.PROCESSED}
        assert not row.result.get("events", [])[100:]
        assert time.process_time() - begun < 2
        assert told.state == (Status.ACCEPTED, [], [])

    def test_too_big_a_body_is_refused(self, provider):
        told = provider("brevo")
        address = reverse("feedback:webhook", args=[told.endpoint.secret])
        answer = told.client.post(address, "x" * 10_000_000, content_type="application/json")
        assert answer.status_code == 413
        assert not RawFeedback.objects.exists()
