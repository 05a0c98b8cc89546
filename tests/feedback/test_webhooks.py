"""A webhook counts only with a signature from Amazon's certificate and a topic that a person let in."""

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from django.db import connection
from django.urls import reverse

from mailops.accounts.models import AuditEntry
from mailops.feedback import sns_fetching, taking
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.feedback.processing import process_one, process_pending
from mailops.feedback.reading_webhooks import PATIENCE
from mailops.feedback.replaying import replay
from mailops.outbox.models import Event, EventKind, Status
from mailops.outbox.tokens import envid
from mailops.suppressions.models import Suppression
from tests.factories import make_transport
from tests.feedback.conftest import make_sent

TOPIC = "arn:aws:sns:eu-west-1:123456789012:mailops"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c3d.pem"
SUBSCRIBE = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
STATE = RawFeedback.State


def make_certificate(key, *, days=30):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(key):
    return make_certificate(key)


@pytest.fixture
def amazon(monkeypatch, pem):
    """What leaves the machine: Amazon's answers, by address."""
    answers = {CERTIFICATE: pem, SUBSCRIBE: b"<ConfirmSubscriptionResponse/>"}
    asked = []

    def get(url):
        asked.append(url)
        if url not in answers:
            raise sns_fetching.FetchFailed("no route to Amazon")
        return answers[url]

    monkeypatch.setattr(sns_fetching, "get", get)
    monkeypatch.setattr(sns_fetching, "_certificates", {})
    answers["asked"] = asked
    return answers


@pytest.fixture
def transport(db):
    return make_transport(kind="amazon_ses")


@pytest.fixture
def endpoint(transport):
    return WebhookEndpoint.objects.create(transport=transport, topics=[TOPIC])


@pytest.fixture
def sent(transport):
    return make_sent(transport=transport, transport_message_id="0100-abc")


def signed(key, *, version="2", **fields):
    fields = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": "{}",
        "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **fields,
    }
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn"]
    text = "".join(f"{name}\n{fields[name]}\n" for name in [*names, "Type"] if name in fields)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = key.sign(text.encode(), padding.PKCS1v15(), algorithm)
    return {**fields, "Signature": b64encode(signature).decode()}


def ses(kind, **details):
    mail = {"messageId": "0100-abc", "destination": ["bob@example.net"], "headers": []}
    return json.dumps({"eventType": kind, "mail": mail, kind[0].lower() + kind[1:]: details})


def bounce(**recipient):
    return ses(
        "Bounce",
        bounceType="Permanent",
        bounceSubType="General",
        bouncedRecipients=[
            {
                "emailAddress": "bob@example.net",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
                **recipient,
            }
        ],
    )


def call(client, endpoint, body):
    post(client, endpoint, body)
    process_pending()
    return RawFeedback.objects.latest("id")


def post(client, endpoint, body):
    response = client.post(
        reverse("feedback:webhook", args=[endpoint.secret]),
        body if isinstance(body, (str, bytes)) else json.dumps(body),
        content_type="text/plain; charset=utf-8",
    )
    assert response.status_code == 200


class TestProven:
    @pytest.mark.parametrize("version", ["1", "2"])
    @pytest.mark.usefixtures("amazon")
    def test_a_bounce_settles_and_suppresses(self, version, key, client, endpoint, sent):
        row = call(client, endpoint, signed(key, version=version, Message=bounce()))
        sent.refresh_from_db()
        assert (row.state, row.is_verified, row.message, sent.status) == (
            STATE.PROCESSED, True, sent, Status.BOUNCED,
        )  # fmt: skip
        assert Suppression.objects.get().reason == Suppression.Reason.HARD_BOUNCE
        assert Event.objects.get().source == "webhook:amazon_ses"

    @pytest.mark.parametrize(
        "case",
        [({}, Status.DELIVERED), ({"diagnosticCode": "smtp; 450 4.2.0 try later"}, Status.BOUNCED)],
    )
    @pytest.mark.usefixtures("amazon")
    def test_an_automatic_answer_that_amazon_calls_a_bounce_is_none(
        self, case, key, client, endpoint, sent
    ):
        fields, status = case
        call(client, endpoint, signed(key, MessageId="1", Message=ses("Delivery", recipients=["bob@example.net"])))  # fmt: skip
        about = [{"emailAddress": "bob@example.net", **fields}]
        told = ses("Bounce", bounceType="Transient", bounceSubType="General", bouncedRecipients=about)  # fmt: skip
        row = call(client, endpoint, signed(key, MessageId="2", Message=told))
        sent.refresh_from_db()
        assert (row.state, row.is_verified, sent.status) == (STATE.PROCESSED, True, status)
        assert not Suppression.objects.exists()

    def test_the_same_call_three_times_is_one(self, key, amazon, client, endpoint, sent):
        body = signed(key, Message=bounce())
        for _ in range(3):
            call(client, endpoint, body)
        assert (RawFeedback.objects.count(), Event.objects.count()) == (1, 1)
        assert amazon["asked"] == [CERTIFICATE]

    @pytest.mark.usefixtures("amazon")
    def test_in_any_order_and_three_times_it_ends_the_same(self, key, client, endpoint, transport):
        ends = set()
        for number, order in enumerate(permutations(["Delivery", "Bounce", "Complaint"])):
            who, esp_id = f"bob{number}@example.net", f"0100-{number}"
            sent = make_sent(transport=transport, transport_message_id=esp_id, recipient=who)
            told = {
                "Delivery": ses("Delivery", recipients=[who], smtpResponse="250 ok"),
                "Bounce": bounce(emailAddress=who),
                "Complaint": ses("Complaint", complainedRecipients=[{"emailAddress": who}]),
            }
            bodies = [
                signed(key, Message=told[kind].replace("0100-abc", esp_id), MessageId=f"{kind}{number}")
                for kind in order
            ]  # fmt: skip
            for body in bodies * 3:
                call(client, endpoint, body)
            sent.refresh_from_db()
            reason = Suppression.objects.get(address=who).reason
            ends.add(
                (sent.status, tuple(sorted(sent.events.values_list("kind", flat=True))), reason)
            )
        assert ends == {(Status.BOUNCED, ("complained", "delivered", "returned"), "complaint")}

    def test_a_delivery_delivers(self, key, amazon, client, endpoint, sent):
        message = ses("Delivery", recipients=["bob@example.net"], smtpResponse="250 ok")
        call(client, endpoint, signed(key, Message=message))
        sent.refresh_from_db()
        assert sent.status == Status.DELIVERED

    def test_a_complaint_suppresses(self, key, amazon, client, endpoint, sent):
        message = ses("Complaint", complainedRecipients=[{"emailAddress": "BOB@example.net"}])
        call(client, endpoint, signed(key, Message=message))
        assert Suppression.objects.get().reason == Suppression.Reason.COMPLAINT

    def test_a_delay_is_an_event_alone(self, key, amazon, client, endpoint, sent):
        message = ses(
            "DeliveryDelay",
            delayedRecipients=[{"emailAddress": "bob@example.net", "status": "4.4.1"}],
        )
        call(client, endpoint, signed(key, Message=message))
        assert Event.objects.get().kind == EventKind.DELAYED

    def test_the_token_in_the_tags_finds_the_message(self, key, amazon, client, endpoint, sent):
        message = json.loads(bounce())
        message["mail"]["messageId"] = "another"
        token = envid(sent.public_id, 0, "k1")
        message["mail"]["tags"] = {"mailops": [token.replace(".", "_")]}
        row = call(client, endpoint, signed(key, Message=json.dumps(message)))
        assert row.message == sent

    def test_anothers_message_is_quarantined(self, key, amazon, client, endpoint, sent):
        row = call(client, endpoint, signed(key, Message=bounce(emailAddress="eve@example.net")))
        assert (row.state, row.is_verified) == (STATE.QUARANTINED, True)
        assert not Event.objects.exists()

    @pytest.mark.parametrize(
        "message",
        ["{}", "[]", "null", "not json", '{"eventType": "Bounce"}', '{"eventType": "New"}',
         '{"eventType": "Bounce", "mail": [], "bounce": 3}', "[" * 50_000,
         '{"eventType": "DeliveryDelay"}', '{"notificationType": "Received"}'],
    )  # fmt: skip
    @pytest.mark.usefixtures("amazon", "sent")
    def test_a_form_it_does_not_know_changes_nothing(self, message, key, client, endpoint):
        row = call(client, endpoint, signed(key, Message=message))
        assert row.state in {STATE.QUARANTINED, STATE.PROCESSED}
        assert not Event.objects.exists()


class TestNotProven:
    @pytest.fixture(autouse=True)
    def nothing_changes(self, amazon, endpoint, sent):
        yield
        sent.refresh_from_db()
        assert sent.status == Status.ACCEPTED
        assert not Event.objects.exists()
        assert not Suppression.objects.exists()
        assert RawFeedback.objects.get().state == STATE.QUARANTINED

    def test_a_changed_message(self, key, client, endpoint):
        body = {**signed(key, Message=ses("Delivery")), "Message": bounce()}
        assert "signature is wrong" in call(client, endpoint, body).reason

    def test_another_key(self, client, endpoint):
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        call(client, endpoint, signed(other, Message=bounce()))

    @pytest.mark.parametrize(
        "url",
        [
            "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0a.pem",
            "https://evil.example/SimpleNotificationService-0a.pem",
            "https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns.eu-west-1.amazonaws.com/evil/SimpleNotificationService-0a.pem",
            "https://x@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0a.pem",
            "https://[bad/SimpleNotificationService-0a.pem",
            "",
        ],
    )
    def test_a_certificate_elsewhere_is_never_fetched(self, url, key, amazon, client, endpoint):
        row = call(client, endpoint, signed(key, Message=bounce(), SigningCertURL=url))
        assert "certificate" in row.reason
        assert amazon["asked"] == []

    def test_a_certificate_out_of_date(self, key, amazon, client, endpoint):
        amazon[CERTIFICATE] = make_certificate(key, days=-1)
        assert "not valid" in call(client, endpoint, signed(key, Message=bounce())).reason

    def test_a_certificate_that_is_none(self, key, amazon, client, endpoint):
        amazon[CERTIFICATE] = b"<html>"
        call(client, endpoint, signed(key, Message=bounce()))

    @pytest.mark.parametrize("timestamp", ["2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z", "soon", ""])  # fmt: skip
    def test_another_time(self, timestamp, key, client, endpoint):
        call(client, endpoint, signed(key, Message=bounce(), Timestamp=timestamp))

    def test_a_foreign_topic(self, key, client, endpoint):
        topic = "arn:aws:sns:eu-west-1:999999999999:evil"
        row = call(client, endpoint, signed(key, Message=bounce(), TopicArn=topic))
        assert "not let in" in row.reason

    @pytest.mark.parametrize("version", ["3", "", "0"])
    def test_another_signature_version(self, version, key, client, endpoint):
        body = {**signed(key, Message=bounce()), "SignatureVersion": version}
        call(client, endpoint, body)

    @pytest.mark.parametrize(
        "body", ["", "{}", "[]", "null", '{"Type": []}', "x" * 1000, b"\xff\x00", '{"Type": 3}']
    )
    def test_garbage(self, body, client, endpoint):
        call(client, endpoint, body)


class TestAmazonAway:
    def test_it_is_read_later_and_at_last_quarantined(self, key, amazon, client, endpoint, sent):
        pem = amazon.pop(CERTIFICATE)
        row = call(client, endpoint, signed(key, Message=bounce()))
        assert (row.state, row.attempts) == (STATE.PENDING, 1)
        assert "no route to Amazon" in row.reason
        amazon[CERTIFICATE] = pem
        sns_fetching._certificates.clear()  # as after a minute
        RawFeedback.objects.update(due_at=row.received_at)
        process_pending()
        row.refresh_from_db()
        assert row.state == STATE.PROCESSED

    def test_it_is_read_though_it_was_away_for_two_days(self, key, amazon, client, endpoint, sent):
        pem = amazon.pop(CERTIFICATE)
        row = call(client, endpoint, signed(key, Message=bounce()))
        waited = timedelta()
        while waited < timedelta(days=2):
            row.refresh_from_db()
            assert row.state == STATE.PENDING
            waited += max(row.due_at - row.received_at, timedelta(minutes=1))
            RawFeedback.objects.update(due_at=row.received_at)
            process_pending()
        amazon[CERTIFICATE] = pem
        sns_fetching._certificates.clear()
        RawFeedback.objects.update(due_at=row.received_at)
        process_pending()
        row.refresh_from_db()
        assert row.state == STATE.PROCESSED

    def test_it_is_asked_once_for_all_and_before_any_transaction(
        self, key, amazon, client, endpoint, monkeypatch
    ):
        outside, inside = list(connection.savepoint_ids), []
        amazon.pop(CERTIFICATE)
        get = sns_fetching.get

        def noted(url):
            inside.append(list(connection.savepoint_ids))
            return get(url)

        monkeypatch.setattr(sns_fetching, "get", noted)
        monkeypatch.setattr(taking, "nudge", lambda: None)
        for n in range(5):
            post(client, endpoint, signed(key, Message=bounce(), MessageId=str(n)))
        assert process_pending() == 5
        assert set(RawFeedback.objects.values_list("state", "attempts")) == {(STATE.PENDING, 1)}
        process_one(RawFeedback.objects.earliest("id"))
        assert inside == [outside]

    def test_a_failure_is_forgotten_after_a_minute(self, amazon, monkeypatch):
        clock = [1000.0]
        monkeypatch.setattr(sns_fetching.time, "monotonic", lambda: clock[0])
        pem = amazon.pop(CERTIFICATE)
        for _ in range(2):
            sns_fetching.fetch_certificates([CERTIFICATE, CERTIFICATE])
            with pytest.raises(sns_fetching.FetchFailed, match="no route"):
                sns_fetching.certificate_at(CERTIFICATE)
        assert amazon["asked"] == [CERTIFICATE]
        clock[0] += sns_fetching.FAILURE_SECONDS + 1
        amazon[CERTIFICATE] = pem
        with pytest.raises(sns_fetching.FetchFailed, match="not asked"):
            sns_fetching.certificate_at(CERTIFICATE)
        sns_fetching.fetch_certificates([CERTIFICATE])
        assert sns_fetching.certificate_at(CERTIFICATE) == pem

    def test_where_amazon_is_silent_one_thread_alone_waits_for_it(self, amazon, monkeypatch):
        asked = []

        def ask_meanwhile(url):
            asked.append(url)
            if len(asked) == 1:
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(sns_fetching.fetch_certificates, [url]).result()
            return b"PEM"

        monkeypatch.setattr(sns_fetching, "get", ask_meanwhile)
        sns_fetching.fetch_certificates([CERTIFICATE])
        assert asked == [CERTIFICATE]

    def test_many_addresses_are_not_asked_at_once(self, amazon):
        sns_fetching.fetch_certificates(CERTIFICATE.replace("c3d", f"{n:x}") for n in range(30))
        assert len(amazon["asked"]) == sns_fetching.MOST_AT_ONCE

    def test_patience_ends(self, key, amazon, client, endpoint, sent):
        amazon.pop(CERTIFICATE)
        row = call(client, endpoint, signed(key, Message=bounce()))
        for _ in PATIENCE:
            RawFeedback.objects.update(due_at=row.received_at)
            process_pending()
        row.refresh_from_db()
        assert row.state == STATE.QUARANTINED


class TestSubscription:
    @pytest.fixture
    def asked(self, key, amazon, client, transport):
        endpoint = WebhookEndpoint.objects.create(transport=transport)
        body = signed(
            key, Type="SubscriptionConfirmation", Token="t", SubscribeURL=SUBSCRIBE, Message="hello"
        )
        return call(client, endpoint, body)

    def test_waits_for_a_person(self, asked):
        assert (asked.state, asked.awaits_confirmation) == (STATE.QUARANTINED, True)
        assert WebhookEndpoint.objects.get().topics == []

    def test_is_confirmed_by_an_admin(self, asked, amazon, admin, operator, logged_in):
        url = reverse("feedback:confirm", args=[asked.pk])
        assert logged_in(operator).post(url).status_code == 403
        client = logged_in(admin)
        assert url in client.get(asked.get_absolute_url()).content.decode()
        client.post(url)
        assert amazon["asked"][-1] == SUBSCRIBE
        assert WebhookEndpoint.objects.get().topics == [TOPIC]
        assert AuditEntry.objects.get().verb == "webhook.confirm"
        asked.refresh_from_db()
        assert asked.state == STATE.PROCESSED

    def test_that_was_confirmed_stays_so_when_it_is_read_again(self, asked, admin, logged_in):
        logged_in(admin).post(reverse("feedback:confirm", args=[asked.pk]))
        asked.refresh_from_db()
        was = asked.reason
        replay(row=asked, actor=admin)
        assert (asked.state, asked.reason) == (STATE.PROCESSED, was)

    def test_says_when_amazon_is_away(self, asked, amazon, admin, logged_in):
        amazon.pop(SUBSCRIBE)
        response = logged_in(admin).post(reverse("feedback:confirm", args=[asked.pk]), follow=True)
        assert "Amazon could not be asked" in response.content.decode()
        assert WebhookEndpoint.objects.get().topics == []

    def test_its_end_is_told(self, key, amazon, client, endpoint):
        body = signed(
            key, Type="UnsubscribeConfirmation", Token="t", SubscribeURL=SUBSCRIBE, Message="bye"
        )
        assert "no more events" in call(client, endpoint, body).reason


class TestAddress:
    def test_a_wrong_secret_is_404_and_keeps_nothing(self, db, client):
        assert client.post("/feedback/webhooks/guess/", b"{}", content_type="text/plain").status_code == 404  # fmt: skip
        assert not RawFeedback.objects.exists()

    def test_who_only_looks_whether_it_is_there_keeps_nothing(self, client, endpoint):
        url = reverse("feedback:webhook", args=[endpoint.secret])
        assert client.get(url).status_code == 200
        assert client.head(url).status_code == 200
        assert not RawFeedback.objects.exists()

    def test_too_big_a_body_is_refused(self, client, endpoint):
        url = reverse("feedback:webhook", args=[endpoint.secret])
        response = client.post(url, b"x" * 2_000_001, content_type="text/plain")
        assert response.status_code == 413
        assert not RawFeedback.objects.exists()

    def test_a_call_is_heard(self, client, endpoint):
        call(client, endpoint, "{}")
        endpoint.refresh_from_db()
        assert endpoint.last_heard_at
