import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from moto import mock_aws

from mailops.accounts.models import AuditEntry
from mailops.lib import egress
from mailops.lib.egress import EgressFault
from mailops.lib.secrets import Secret
from mailops.transports.configuring import change_transport
from mailops.transports.credentials import add_credential
from mailops.transports.diagnosis import diagnose, run_test
from mailops.transports.kinds.apis import APIS
from mailops.transports.kinds.ses import SesSession
from mailops.transports.models import Transport
from tests.factories import make_transport
from tests.smtp_server import EXTENSIONS, STALL, SmtpServer
from tests.transports.api_doubles import LOGINS, Answer
from tests.transports.api_doubles import SECRET as API_SECRET
from tests.transports.aws_double import AmazonDouble
from tests.transports.conftest import CANARY

pytestmark = pytest.mark.django_db

SECURE = (*EXTENSIONS, "STARTTLS")


@pytest.fixture
def relay(settings, authority):
    """Return a function that makes the transport of a scripted server."""

    def make(server, *, security="starttls", with_credential=True, **fields):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        settings.MAILOPS_EXTRA_CA_FILE = str(authority.file)
        transport = make_transport(
            host="127.0.0.1", port=server.port, security=security, name="Relay", **fields
        )
        if with_credential:
            add_credential(
                transport=transport,
                label="First",
                username="user@example.com",
                secret=Secret(CANARY),
                actor=None,
            )
        return transport

    return make


def open_breaker(transport):
    for _ in range(3):
        Transport.objects.update(backoff_until=None)
        transport.record_failure("The connection was refused.")
    assert transport.is_broken


class TestDiagnose:
    def test_times_each_step_and_describes_what_it_found(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context()) as server:
            found = diagnose(relay(server))
        assert found.is_ok
        assert [step.name for step in found.steps] == [
            "resolve",
            "connect",
            "banner",
            "ehlo",
            "tls",
            "auth",
        ]
        assert all(step.status == "ok" for step in found.steps)
        assert found.tls["version"] == "TLSv1.3"
        assert found.tls["days_left"] == 89
        assert found.auth == {"mechanisms": ["PLAIN", "LOGIN"], "is_logged_in": True}
        assert found.credential == {"label": "First", "last_four": CANARY[-4:]}
        assert "C: AUTH PLAIN ****" in found.transcript
        assert CANARY not in json.dumps(found.as_json())

    def test_warns_of_a_certificate_that_runs_out(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context(days=5)) as server:
            found = diagnose(relay(server))
        assert found.is_ok
        assert next(step for step in found.steps if step.name == "tls").status == "warning"

    def test_names_cause_and_fix_and_the_step_that_failed(self, relay, authority):
        script = {"AUTH": "535 5.7.8 authentication failed"}
        with SmtpServer(extensions=SECURE, tls=authority.server_context(), script=script) as server:
            found = diagnose(relay(server))
        assert (found.is_ok, found.cause) == (False, "auth_failed")
        assert "rotated" in found.fix
        assert "535" in found.detail
        assert (found.steps[-1].name, found.steps[-1].status) == ("auth", "failed")

    def test_asks_for_a_recipient_and_takes_it_back(self, relay):
        with SmtpServer() as server:
            found = diagnose(
                relay(server, security="none", with_credential=False), recipient="ada@example.net"
            )
            assert server.verbs == ["EHLO", "MAIL", "RCPT", "RSET", "QUIT"]
        assert found.is_ok
        assert [step.name for step in found.steps][-2:] == ["mail", "rcpt"]

    @pytest.mark.parametrize(
        ("reply", "cause"),
        [
            ("550 5.7.1 relaying denied", "auth_required"),
            ("530 5.7.0 Authentication required", "auth_required"),
            ("550 5.1.1 no such user", "recipient_refused"),
        ],
    )
    def test_explains_a_refused_recipient_by_the_one_table_of_replies(self, relay, reply, cause):
        with SmtpServer(script={"RCPT": reply}) as server:
            found = diagnose(
                relay(server, security="none", with_credential=False), recipient="ada@example.net"
            )
        assert (found.is_ok, found.cause) == (False, cause)
        assert found.what
        assert found.fix

    def test_ends_in_time_when_the_server_is_silent(self, relay, monkeypatch):
        monkeypatch.setattr("mailops.transports.findings.STEP_SECONDS", 0.2)
        with SmtpServer(script={"banner": STALL}) as server:
            found = diagnose(relay(server, security="none", with_credential=False))
        assert (found.is_ok, found.cause) == (False, "timeout")
        assert found.seconds < 2

    @pytest.mark.parametrize(
        ("account", "is_ok", "status"),
        [
            ({"SendingEnabled": True, "ProductionAccessEnabled": True}, True, "ok"),
            ({"SendingEnabled": True, "ProductionAccessEnabled": False}, True, "warning"),
            ({"SendingEnabled": False, "ProductionAccessEnabled": True}, False, "failed"),
        ],
    )
    def test_asks_amazon_for_the_account(self, monkeypatch, settings, account, is_ok, status):
        monkeypatch.setattr(SesSession, "check_account", lambda _: account)
        with mock_aws(), AmazonDouble() as amazon:
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", amazon.port)})
            options = {"region": "eu-west-1", "endpoint_url": amazon.url}
            transport = make_transport(kind="amazon_ses", options=options)
            add_credential(
                transport=transport, label="Key", username="AKIA", secret=Secret(CANARY), actor=None
            )
            found = diagnose(transport)
        assert found.is_ok is is_ok
        assert (found.steps[-1].name, found.steps[-1].status) == ("account", status)
        assert CANARY not in json.dumps(found.as_json())


class TestRunTest:
    def test_keeps_the_result_with_the_transport_and_its_credential(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context()) as server:
            transport = relay(server)
            run_test(transport, by="admin@example.com")
        transport.refresh_from_db()
        assert transport.last_test["is_ok"] is True
        assert transport.last_test["by"] == "admin@example.com"
        assert transport.last_tested_at is not None

    def test_that_works_ends_what_sessions_found(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context()) as server:
            transport = relay(server)
            open_breaker(transport)
            run_test(transport)
        transport.refresh_from_db()
        assert (transport.is_backing_off, transport.backoff_until) == (False, None)
        close = AuditEntry.objects.get(verb="transport.breaker_close")
        assert close.reason == "The connection test works."

    def test_that_fails_leaves_what_sessions_found(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context()) as server:
            transport = relay(server)
        open_breaker(transport)
        run_test(transport)
        assert transport.is_broken

    def test_of_an_endpoint_that_it_has_no_more_is_not_kept(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context()) as server:
            transport = relay(server)
            Transport.objects.update(host="elsewhere.example")
            run_test(transport)
        assert not transport.was_tested

    def test_says_nothing_of_another_endpoint(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context()) as server:
            transport = relay(server)
            run_test(transport)
        open_breaker(transport)
        transport.host = "elsewhere.example"
        change_transport(transport=transport, secret=None, actor=None)
        transport.refresh_from_db()
        assert (transport.was_tested, transport.is_backing_off) == (False, False)
        assert not any(one.was_tested for one in transport.credentials.all())

    def test_a_credential_that_stands_by_leaves_the_transports_result_alone(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context()) as server:
            transport = relay(server)
            second = add_credential(
                transport=transport, label="Second", username="u", secret=Secret("x"), actor=None
            )
            run_test(transport, second)
        transport.refresh_from_db()
        second.refresh_from_db()
        assert transport.last_tested_at is None
        assert second.last_test["credential"]["label"] == "Second"


class TestAddresses:
    def test_are_each_tried_where_a_name_has_several(self, relay, monkeypatch, settings):
        connect = egress.connect

        def connect_to(endpoint, *, timeout):
            if endpoint.addresses == ("192.0.2.9",):
                raise EgressFault("refused", "connection refused")
            return connect(endpoint, timeout=timeout)

        monkeypatch.setattr(egress, "connect", connect_to)
        monkeypatch.setattr(egress, "_addresses_of", lambda _: ["127.0.0.1", "192.0.2.9"])
        with SmtpServer() as server:
            transport = relay(server, security="none", with_credential=False)
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("relay.test", server.port)})
            transport.host = "relay.test"
            found = diagnose(transport)
        assert [one["status"] for one in found.addresses] == ["ok", "warning"]
        step = next(step for step in found.steps if step.name == "connect")
        assert step.status == "warning"
        assert "192.0.2.9" in step.sentence


class TestLive:
    def test_shows_each_step_while_it_runs(self, relay):
        seen = []
        with SmtpServer() as server:
            transport = relay(server, security="none", with_credential=False)
            diagnose(
                transport,
                watch=lambda found: seen.append((found.steps[-1].name, found.steps[-1].status)),
            )
        assert seen == [(name, "running") for name in ("resolve", "connect", "banner", "ehlo")]

    def test_the_page_asks_for_the_steps_so_far(self, relay, admin, logged_in):
        with SmtpServer() as server:
            transport = relay(server, security="none", with_credential=False)
        step = {"title": "Look up the name", "status": "running", "seconds": 0.0, "sentence": ""}
        transport.live_test = {"steps": [step]}
        transport.save()
        url = reverse("transports:test-steps", args=[transport.pk])
        client = logged_in(admin)
        page = client.get(url, {"n": "0"}, headers={"HX-Request": "true"})
        assert page.status_code == 200
        assert "Look up the name" in page.text
        assert "n=1" in page.text
        assert client.get(url, {"n": "99"}, headers={"HX-Request": "true"}).status_code == 286
        assert client.get(url, {"n": "x"}, headers={"HX-Request": "true"}).status_code == 286
        assert client.get(url).status_code == 302

    def test_nothing_of_it_is_left_behind(self, relay):
        with SmtpServer() as server:
            transport = relay(server, security="none", with_credential=False)
            run_test(transport)
        transport.refresh_from_db()
        assert transport.live_test == {}


class TestApis:
    @pytest.mark.parametrize("kind", [kind for kind in APIS if kind != "amazon_ses"])
    def test_prove_the_log_in_by_a_call_that_sends_nothing(self, double, api_transport, kind):
        api = APIS[kind]
        transport = api_transport(kind)
        double.answer = Answer(
            422 if api.probe.is_empty_send else 200, {"name": "Ann", "status": "success"}
        )
        found = diagnose(transport)
        assert found.is_ok, found.detail
        assert [step.name for step in found.steps] == ["connect", "account"]
        (asked,) = double.asked
        assert API_SECRET not in found.transcript
        header, value = LOGINS[kind]
        assert (asked.headers[header] if header else asked.json["key"]) == value
        if api.probe.is_empty_send:
            assert b"@" not in asked.body

    @pytest.mark.parametrize(
        ("kind", "answer", "cause"),
        [
            ("brevo", Answer(401, {"message": "Key not found"}), "auth_failed"),
            ("resend", Answer(401, {"name": "restricted_api_key"}), ""),
            (
                "postal",
                Answer(200, {"status": "error", "data": {"code": "InvalidServerAPIKey"}}),
                "auth_failed",
            ),
            ("postal", Answer(200, {"status": "error", "data": {"code": "MessageNotFound"}}), ""),
            ("mandrill", Answer(500, {"status": "error", "name": "Invalid_Key"}), "auth_failed"),
            ("mailgun", Answer(401, "Forbidden"), "auth_failed"),
            ("mailersend", Answer(503, "later"), "unavailable"),
        ],
    )
    def test_name_the_cause(self, double, api_transport, kind, answer, cause):
        transport = api_transport(kind)
        double.answer = answer
        found = diagnose(transport)
        assert (found.is_ok, found.cause) == (not cause, cause)
        assert API_SECRET not in json.dumps(found.as_json())


class TestCheckTransport:
    def check(self, *options):
        out = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("check_transport", "Relay", *options, stdout=out)
        return ended.value.code, out.getvalue()

    def test_prints_json_and_succeeds(self, relay):
        with SmtpServer() as server:
            relay(server, security="none", with_credential=False)
            code, text = self.check("--json")
        assert code == 0
        assert json.loads(text)["is_ok"] is True

    def test_fails_with_cause_and_fix(self, relay):
        with SmtpServer(script={"banner": "554 5.7.1 blocked"}) as server:
            relay(server, security="none", with_credential=False)
            code, text = self.check()
        assert code == 1
        assert "refused to talk" in text

    def test_may_fail_on_a_warning_too(self, relay, authority):
        with SmtpServer(extensions=SECURE, tls=authority.server_context(days=5)) as server:
            relay(server)
            assert self.check()[0] == 0
            assert self.check("--fail-on", "warning")[0] == 1

    def test_says_that_it_could_not_check(self, relay, monkeypatch):
        def fail(*_, **__):
            raise EgressFault("dns_silent", "no name server answered")

        monkeypatch.setattr(egress, "resolve", fail)
        with SmtpServer() as server:
            relay(server, security="none", with_credential=False)
            assert self.check()[0] == 2

    def test_says_when_there_is_no_such_transport(self, db):
        make_transport(name="Relay, new")
        told = "no transport “Nothing”; there are: “Relay, new”"
        with pytest.raises(CommandError, match=told) as error:
            call_command("check_transport", "Nothing")
        assert error.value.returncode == 2

    def test_asks_about_no_recipient_that_is_none(self):
        with pytest.raises(CommandError, match="--recipient"):
            call_command("check_transport", "Relay", "--recipient", "not an address")
