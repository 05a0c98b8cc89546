from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.incidents.models import Threshold
from mailops.lib.secrets import Secret
from mailops.reports.models import Count
from mailops.rollouts.captured import in_use, newest_of_stream
from mailops.rollouts.probes import PROBES
from mailops.rollouts.probes.captures import captures
from mailops.sandbox.models import CapturedMessage
from mailops.transports.models import Credential, Route
from tests.factories import make_campaign, make_domain, make_identity, make_stream, make_version
from tests.rollouts.conftest import HTML, TEXT

pytestmark = pytest.mark.django_db(transaction=True)


def probe(name, stream):
    stream.refresh_from_db()
    return PROBES[name](stream)


class TestAuthentication:
    def test_holds_when_the_domains_checks_do(self, stream):
        assert probe("authentication", stream).is_ok

    def test_names_the_check_that_fails_and_its_fix(self, stream):
        stream.domain.findings.filter(check_name="spf").update(status="error", fix="Do this.")
        proof = probe("authentication", stream)
        assert not proof.is_ok
        assert proof.fix == "Do this."

    def test_names_what_follows_from_others_last(self, stream):
        findings = stream.domain.findings
        findings.filter(check_name="bulk_senders").update(status="error", fix="Mend the others.")
        findings.filter(check_name="spf").update(status="error", fix="Do this.")
        assert probe("authentication", stream).fix == "Do this. Mend the others."

    def test_concludes_nothing_from_checks_of_yesterday(self, stream):
        stream.domain.findings.update(checked_at=timezone.now() - timedelta(hours=25))
        assert probe("authentication", stream).is_ok is None

    @pytest.mark.parametrize("check", ["dnsbl", "mta_sts", "authority", "dnssec"])
    def test_holds_where_others_never_answer_us(self, stream, check):
        yesterday = timezone.now() - timedelta(hours=25)
        found = {"status": "unknown", "since_at": yesterday, "checked_at": yesterday}
        stream.domain.findings.update_or_create(check_name=check, defaults=found)
        assert probe("authentication", stream).is_ok

    def test_fails_by_what_a_list_said_before_it_fell_silent(self, stream):
        yesterday = timezone.now() - timedelta(hours=25)
        found = {"status": "error", "since_at": yesterday, "checked_at": yesterday}
        stream.domain.findings.update_or_create(check_name="dnsbl", defaults=found)
        assert probe("authentication", stream).is_ok is False

    def test_concludes_nothing_before_the_first_check(self, stream):
        stream.domain.findings.all().delete()
        assert probe("authentication", stream).is_ok is None


class TestActiveDomains:
    def test_holds_while_all_domains_in_use_are_well(self, stream):
        make_domain(status="error")  # no stream sends from it
        assert probe("active_domains", stream).is_ok

    def test_names_the_broken_and_the_unchecked(self, stream):
        make_stream(domain=make_domain(name="b.example", status="error", checked_at=timezone.now()))
        make_stream(domain=make_domain(name="c.example"))
        sentence = probe("active_domains", stream).sentence
        assert "b.example is broken" in sentence
        assert "c.example was not checked" in sentence


class TestCredentials:
    def test_a_trusted_relay_needs_none(self, stream):
        assert probe("credentials", stream).is_ok

    def test_another_transport_does(self, stream, settings):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset()
        assert "has no credential" in probe("credentials", stream).sentence

    def test_an_encrypted_row_and_a_reference_are_kept_well(self, stream):
        first, second = (route.transport for route in stream.routes.order_by("position"))
        sealed = Credential.objects.create(transport=first, label="a", is_active=True)
        sealed.set_secret(Secret("not in the evidence"))
        Credential.objects.create(
            transport=second, label="b", is_active=True, reference="env:MAILOPS_SECRET_X"
        )
        proof = probe("credentials", stream)
        assert proof.is_ok
        assert list(proof.data.values()) == ["encrypted row", "reference env"]

    def test_a_secret_of_last_year_is_too_old(self, stream):
        first = stream.routes.get(position=0).transport
        sealed = Credential.objects.create(transport=first, label="a", is_active=True)
        sealed.set_secret(Secret("x" * 20))
        Credential.objects.update(secret_set_at=timezone.now() - timedelta(days=400))
        assert "400 days old" in probe("credentials", stream).sentence


class TestTransports:
    def test_tests_those_that_were_not_tested_today(self, stream):
        proof = probe("transports", stream)
        assert proof.is_ok, proof
        assert "Trusted relays" in proof.sentence
        assert stream.routes.get(position=0).transport.last_test["is_ok"]

    def test_says_what_the_test_says(self, stream):
        transport = stream.routes.get(position=0).transport
        transport.last_test = {"is_ok": False, "what": "It was refused.", "fix": "Open the port."}
        transport.last_tested_at = timezone.now()
        transport.save()
        proof = probe("transports", stream)
        assert "It was refused." in proof.sentence
        assert proof.fix == "Open the port."

    def test_a_test_that_failed_is_done_again_before_long(self, stream):
        transport = stream.routes.get(position=0).transport
        transport.last_test = {"is_ok": False, "what": "It was refused."}
        transport.last_tested_at = timezone.now() - timedelta(minutes=6)
        transport.save()
        assert probe("transports", stream).is_ok

    @pytest.mark.parametrize(
        ("test", "words"),
        [
            ({"tls": None, "auth": {"is_logged_in": True}}, "does not use TLS"),
            ({"tls": {"days_left": 3}, "auth": {"is_logged_in": True}}, "ends in 3 days"),
            ({"tls": {"days_left": 90}, "auth": {"is_logged_in": False}}, "without a log-in"),
        ],
    )
    def test_a_test_that_passed_may_still_be_unsafe(self, stream, settings, test, words):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset()
        for route in stream.routes.all():
            route.transport.last_test = {"is_ok": True, **test}
            route.transport.last_tested_at = timezone.now()
            route.transport.save()
        assert words in probe("transports", stream).sentence


class TestPatience:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"backoff_seconds": []}, "No back-off"),
            ({"backoff_seconds": [0, 5]}, "between a second and a day"),
            ({"backoff_seconds": [300, 60]}, "don't grow"),
            ({"expiry_seconds": 30 * 86400}, "seven days"),
            (
                {"backoff_seconds": [3600], "expiry_seconds": 120},
                "before it is tried a second time",
            ),
        ],
    )
    def test_names_what_is_out_of_bounds(self, stream, fields, words):
        type(stream).objects.filter(pk=stream.pk).update(**fields)
        assert words in probe("patience", stream).sentence

    def test_holds_within_them(self, stream):
        assert probe("patience", stream).is_ok


class TestFeedback:
    def test_wants_something_heard_and_an_owner(self, stream):
        type(stream).objects.filter(pk=stream.pk).update(owner=None)
        proof = probe("feedback", stream)
        assert "No bounce, complaint" in proof.sentence
        assert "no owner" in proof.sentence
        assert proof.fix.endswith(" Name an owner on the stream's page.")

    def test_wants_alarms(self, stream, heard, unwatched):
        assert "No alarm watches bounces and complaints." in probe("feedback", stream).sentence

    def test_wants_alarms_that_may_be_raised(self, stream, heard, watched):
        Threshold.objects.filter(measure="bounces").update(warn=None, act=None, stop=None)
        assert "No alarm watches bounces." in probe("feedback", stream).sentence

    def test_holds_with_all_three(self, stream, heard, watched):
        assert probe("feedback", stream).is_ok

    def test_hears_what_was_counted_for_this_stream(self, stream, heard):
        assert "No bounce, complaint" not in probe("feedback", stream).sentence


class TestCaptures:
    def test_sends_each_version_to_a_test_inbox_and_asserts_it(self, stream, version):
        proof = probe("captures", stream)
        assert proof.is_ok, proof
        assert proof.versions == (version.pk,)
        captured = CapturedMessage.objects.get()
        assert captured.subject == "Hello Ada"
        assert captured.envelope_sender.endswith("@bounces.acme.example")

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"subject": " "}, "subject is empty"),
            ({"html": "<p>Hello</p>"}, "no link for unsubscribing"),
            (
                {"html": '<a href="{{ unsubscribe_url }}">x</a><a href="www.acme.example">y</a>'},
                "lead nowhere",
            ),
            ({"html": '<a href="{{ unsubscribe_url }}">x</a> {{ "{{" }} name }}'}, "left unfilled"),
            ({"html": "{{ first_name "}, "filled in"),
        ],
    )
    def test_names_what_is_wrong_with_the_mail(self, stream, version, fields, words):
        worse = make_version(**{"html": HTML, "text": TEXT, "sample": version.sample, **fields})
        stream.campaigns.update(version=worse)
        proof = probe("captures", stream)
        assert not proof.is_ok
        assert words in proof.sentence
        assert proof.fix

    def test_concludes_nothing_without_the_receiver(self, stream, settings):
        settings.MAILOPS_SANDBOX_LISTENER = "127.0.0.1:1"
        proof = probe("captures", stream)
        assert proof.is_ok is None
        assert "could not be reached" in proof.sentence

    def test_concludes_nothing_without_a_campaign(self, inbox):
        assert captures(make_stream()).is_ok is None


class TestInUse:
    def test_is_every_version_of_an_open_campaign_else_of_the_last(self, stream, version):
        other = make_campaign(stream=stream, version=make_version())
        assert len(in_use(stream)) == 2
        Campaign.objects.exclude(pk=other.pk).update(state="completed")
        assert [use.version for use in in_use(stream)] == [other.version]
        Campaign.objects.update(state="completed")
        assert [use.version for use in in_use(stream)] == [other.version]

    def test_is_what_was_sent_lately_where_there_is_no_campaign(self, db):
        stream = make_stream(kind="transactional")
        identity, version = make_identity(domain=stream.domain), make_version()
        assert in_use(stream) == []
        Count.objects.create(
            bucket_at=timezone.now(),
            measure="status",
            kind="accepted",
            stream_id=stream.pk,
            domain_id=stream.domain_id,
            version_id=version.pk,
            n=1,
        )
        assert [(use.version, use.identity) for use in in_use(stream)] == [(version, identity)]

    def test_a_probe_is_not_mail_that_the_stream_sent(self, stream):
        probe("captures", stream)
        assert newest_of_stream(stream) is None


class TestWayBack:
    def test_needs_an_earlier_version_and_a_second_route(self, stream, version):
        assert probe("way_back", stream).is_ok
        stream.campaigns.update(version=make_version(number=1))
        Route.objects.filter(stream=stream, position=1).delete()
        proof = probe("way_back", stream)
        assert "no second transport" in proof.sentence
        assert "no earlier version" in proof.sentence
        assert proof.fix.startswith("Add a second transport to the routes")
