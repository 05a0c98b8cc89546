"""A provider that takes mail and tells nothing of it wakes somebody, until it is heard again."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailops.feedback.endpoints import make_endpoint, set_key
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.feedback.processing import process_pending
from mailops.incidents import handling
from mailops.incidents.detection import detect
from mailops.incidents.models import Incident, Level, Threshold
from mailops.outbox.models import EventKind, Message, Tally
from mailops.outbox.recording import Outcome, record
from mailops.reports.attention import matters
from mailops.reports.folding import fold_tallies
from mailops.reports.models import RolledFigure, Rollup
from mailops.reports.rolling import roll_up
from mailops.reports.unheard import FEW
from mailops.reports.unheard import LEAST as LEAST_SHOWN
from tests.factories import make_message, make_stream, make_transport
from tests.feedback.esp_calls import ID, KEYS, PAYLOADS, TO, now, signed

pytestmark = pytest.mark.django_db
LEAST = 3  # in place of fifty, so that few rows are made


@pytest.fixture(autouse=True)
def threshold(db):
    threshold = Threshold.objects.get(measure="silent", subject_kind="transport")
    threshold.sample_floor = LEAST
    threshold.save()
    return threshold


class Provider:
    """A transport over SendGrid, with its stream and, unless told otherwise, a webhook that was set up long ago."""

    def __init__(self, client, admin, *, name="SendGrid", has_webhook=True):
        self.client, self.admin = client, admin
        self.transport = make_transport(kind="sendgrid", name=name)
        self.stream = make_stream(name=f"News by {name}", transport=self.transport)
        if has_webhook:
            endpoint = make_endpoint(transport=self.transport, actor=admin)
            set_key(endpoint=endpoint, key=KEYS["sendgrid"], actor=admin)
            WebhookEndpoint.objects.update(created_at=timezone.now() - timedelta(days=30))

    def take(self, n=LEAST, *, hours_ago=3.0):
        """Have the provider accept so many messages, that long ago."""
        at = timezone.now() - timedelta(hours=hours_ago)
        one = make_message(with_entry=False, recipient=TO, stream=self.stream)
        alike = {"recipient": TO, "stream": self.stream, "identity": one.identity, "version": one.version}  # fmt: skip
        messages = [one, *(make_message(with_entry=False, **alike) for _ in range(n - 1))]
        record(
            Outcome(
                message_id=message.pk, kind=EventKind.ACCEPTED, source="dispatch", external_id=str(message.pk),
                occurred_at=at, transport_id=self.transport.pk, transport_message_id=f"{ID}-{message.pk}",
            )
            for message in messages
        )  # fmt: skip

    def tell(self, what="delivered", *, n=1, key=None, read=True, hours_ago=0):
        """Have its webhook called about the newest `n` messages, that long ago; where a `key` is added, signed wrongly."""
        endpoint = WebhookEndpoint.objects.get(transport=self.transport)
        for message in Message.objects.filter(stream=self.stream).order_by("-pk")[:n]:
            told = json.dumps(PAYLOADS["sendgrid"](what, now()))
            told = told.replace(ID, message.transport_message_id)
            text, headers = signed("sendgrid", told, endpoint.url)
            response = self.client.post(
                reverse("feedback:webhook", args=[endpoint.secret]),
                text if key is None else text.replace('"email"', f'"{key}": 1, "email"'),
                content_type="application/json",
                headers=headers,
            )
            assert response.status_code == 200
        while read and process_pending():
            pass
        at = timezone.now() - timedelta(hours=hours_ago)
        RawFeedback.objects.filter(received_at__gt=at).update(received_at=at)
        WebhookEndpoint.objects.filter(transport=self.transport).update(last_heard_at=at)
        WebhookEndpoint.objects.filter(last_proven_at__gt=at).update(last_proven_at=at)


@pytest.fixture
def provider(client, admin):
    return Provider(client, admin)


def looked():
    """Look once, and return the incident that is open, or None."""
    detect()
    return Incident.objects.open().filter(calm_since_at=None).first()


def named_on_the_overview():
    return [one for one in matters() if "Nothing is heard of what SendGrid" in one.title]


class TestSilence:
    def test_after_mail_that_was_told_of_wakes_somebody(self, provider):
        provider.take(hours_ago=30)
        provider.tell(n=LEAST, hours_ago=30)
        assert looked() is None
        provider.take(hours_ago=4)
        provider.take(hours_ago=3)
        incident = looked()
        assert str(incident) == "Webhook silent: SendGrid"
        assert incident.level == Level.ACT
        assert f"SendGrid took {2 * LEAST} messages since " in incident.sentence
        assert (
            "told of none of them what became of it. No call has come since " in incident.sentence
        )
        assert incident.to_do.startswith("See at the provider whether the webhook's address")
        assert incident.sentence.endswith("Its streams: News by SendGrid.")
        assert "Last proven: 20" in incident.evidence["technical"]

    def test_of_fewer_than_that_or_of_an_hour_wakes_nobody(self, provider):
        provider.take(hours_ago=30)
        provider.tell(hours_ago=30)
        provider.take(LEAST - 1, hours_ago=3)
        provider.take(hours_ago=0.1)
        assert looked() is None

    def test_of_a_relay_wakes_nobody(self, provider):
        type(provider.transport).objects.update(kind="smtp")
        provider.take()
        assert looked() is None

    def test_of_what_was_taken_before_there_was_a_webhook_wakes_nobody(self, provider):
        provider.take()
        WebhookEndpoint.objects.update(created_at=timezone.now() - timedelta(hours=1))
        assert looked() is None

    def test_that_began_amid_a_campaign_is_seen(self, provider):
        provider.take(hours_ago=30)
        provider.tell(n=LEAST, hours_ago=30)
        provider.take(30)
        provider.tell(n=2)
        assert "told of only 2 of them" in looked().sentence

    def test_is_an_incident_alone_until_a_person_judged_it(self, provider, oncall):
        provider.take(LEAST_SHOWN)
        incident = looked()
        assert not named_on_the_overview()
        handling.close(incident=incident, actor=oncall, reason="They tell of failures alone.")
        assert not named_on_the_overview()

    def test_of_a_webhook_that_was_never_called_warns(self, provider):
        provider.take()
        incident = looked()
        assert incident.level == Level.WARN
        assert "Its webhook was never called. Bounces" in incident.sentence
        assert incident.to_do.startswith("Register the webhook's address at the provider")

    def test_of_failures_wants_many_more_messages(self, provider):
        provider.take(hours_ago=30)
        provider.tell("bounced", hours_ago=30)
        provider.take(LEAST, hours_ago=3)
        assert looked() is None
        provider.take((FEW - 1) * LEAST, hours_ago=3)
        incident = looked()
        assert incident.level == Level.WARN
        assert "tells of failures alone, but of so many some fail" in incident.sentence

    def test_ends_with_the_first_mail_that_is_told_of(self, provider):
        provider.take(hours_ago=30)
        provider.tell(n=LEAST, hours_ago=30)
        provider.take()
        incident = looked()
        provider.take(1, hours_ago=0)
        provider.tell()
        detect()
        incident.refresh_from_db()
        assert incident.is_calm
        Incident.objects.update(calm_since_at=timezone.now() - timedelta(minutes=6))
        detect()
        incident.refresh_from_db()
        assert not incident.is_open

    def test_that_a_person_judged_is_held_against_nobody_again(self, provider, oncall):
        provider.take()
        handling.close(incident=looked(), actor=oncall, reason="They tell of failures alone.")
        assert looked() is None
        provider.take(LEAST, hours_ago=2)
        assert looked() is None


class TestCalls:
    def test_that_are_refused_say_so(self, provider):
        provider.take(hours_ago=30)
        provider.take()
        provider.tell(n=3, key="changed")
        assert set(RawFeedback.objects.values_list("state", flat=True)) == {"quarantined"}
        incident = looked()
        assert incident.level == Level.ACT
        assert "It calls and is refused, 3 times: Its signature is wrong" in incident.sentence
        assert "both sides the same key" in incident.to_do
        assert incident.evidence["technical"].startswith("3 × Its signature is wrong")

    def test_of_the_mail_before_are_no_calls_since(self, provider):
        provider.take(hours_ago=30)
        hour = (timezone.now() - timedelta(hours=4)).replace(minute=0, second=0, microsecond=0)
        into_it = (timezone.now() - hour) / timedelta(hours=1) - 0.5
        provider.tell(n=LEAST, hours_ago=into_it)
        provider.take(hours_ago=into_it)
        assert "No call has come since " in looked().sentence

    def test_that_nobody_reads_say_so(self, provider):
        provider.take()
        provider.tell(read=False, hours_ago=1)
        incident = looked()
        assert "mailops has not read that. Bounces" in incident.sentence
        assert "in the log of mailops" in incident.to_do

    def test_of_other_mail_say_so(self, provider):
        provider.take(hours_ago=30)
        provider.tell(n=LEAST, hours_ago=30)
        provider.take()
        provider.tell("delivered")
        Tally.objects.filter(kind="delivered", cohort_at__gt=timezone.now() - timedelta(hours=9)).delete()  # fmt: skip
        assert "It calls and is believed, but speaks of other things" in looked().sentence


class TestWithoutAWebhook:
    def test_is_on_the_overview_and_wakes_nobody(self, client, admin):
        provider = Provider(client, admin, has_webhook=False)
        provider.take(LEAST_SHOWN)
        assert looked() is None
        (matter,) = named_on_the_overview()
        assert "has no webhook" in matter.sentence
        assert matter.url == reverse("feedback:webhook-of", args=[provider.transport.pk])


class TestPages:
    def test_lead_to_the_webhook_and_to_its_messages(self, provider, logged_in, oncall, admin):
        set_key(endpoint=WebhookEndpoint.objects.get(), key="another", actor=admin)
        provider.take()
        incident = looked()
        assert {change["of"] for change in incident.evidence["changes"]} == {"Webhook of SendGrid"}
        page = logged_in(oncall).get(reverse("incidents:detail", args=[incident.pk])).text
        webhook = reverse("feedback:webhook-of", args=[provider.transport.pk])
        assert f'href="{webhook}"' in page
        assert "Mend its webhook" in page
        assert f"transport={provider.transport.pk}" in page
        assert "Its accepted messages" in page
        panel = reverse("incidents:transport-panel", args=[provider.transport.pk])
        assert panel in logged_in(oncall).get(webhook).text
        assert "Webhook silent: SendGrid" in logged_in(oncall).get(panel).text

    def test_of_thresholds_say_when(self, logged_in, viewer):
        page = logged_in(viewer).get(reverse("incidents:thresholds")).text
        assert "Transport: webhook silent" in page
        assert f"of {LEAST} messages or more, an hour after the one" in page


class TestCost:
    def questions(self):
        with CaptureQueriesContext(connection) as asked:
            detect()
        return len(asked)

    def test_is_the_same_however_many_are_well(self, provider, client, admin):
        provider.take(1)
        before = self.questions()
        for number in range(3):
            Provider(client, admin, name=f"Other {number}").take(1)
        assert self.questions() == before

    def test_reads_what_is_rolled_up_by_an_index(self, provider):
        provider.take(1)
        while fold_tallies():
            pass
        while roll_up():
            pass
        ids = RolledFigure.objects.filter(dimension="transport_id").values_list("value", flat=True)
        assert str(provider.transport.pk) in set(ids)
        at = timezone.now() - timedelta(days=60)
        Rollup.objects.bulk_create(
            Rollup(step=60, dimension="stream_id", value=str(number % 100), at=at + timedelta(hours=number // 100),
                   measure="event", kind="accepted", n=1)
            for number in range(20_000)
        )  # fmt: skip
        plans = []

        def explain(execute, sql, given, many, context):
            if "reports_rolledfigure" in sql:
                with context["cursor"].db.cursor() as asking:
                    asking.cursor.execute(f"EXPLAIN {sql}", given)
                    plans.append("\n".join(line for (line,) in asking.cursor.fetchall()))
            return execute(sql, given, many, context)

        with connection.cursor() as cursor:
            cursor.execute("ANALYZE reports_rollup")
        with connection.execute_wrapper(explain):
            detect()
        assert len(plans) == 2
        for plan in plans:
            assert "Seq Scan on reports_rollup" not in plan
            assert "reports_count" not in plan
            assert "outbox_message" not in plan
