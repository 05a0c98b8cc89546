import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from moto import mock_aws

from mailops.lib.secrets import Secret
from mailops.transports.credentials import add_credential
from mailops.transports.diagnosis import diagnose, run_test
from mailops.transports.kinds.ses import SesSession
from tests.factories import make_transport
from tests.smtp_server import EXTENSIONS, STALL, SmtpServer
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

    def test_explains_a_refused_recipient_by_the_one_table_of_replies(self, relay):
        with SmtpServer(script={"RCPT": "550 5.7.1 relaying denied"}) as server:
            found = diagnose(
                relay(server, security="none", with_credential=False), recipient="ada@example.net"
            )
        assert (found.is_ok, found.cause) == (False, "recipient_refused")
        assert found.what
        assert found.fix

    def test_ends_in_time_when_the_server_is_silent(self, relay, monkeypatch):
        monkeypatch.setattr("mailops.transports.diagnosis.STEP_SECONDS", 0.2)
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
    def test_asks_amazon_for_the_account(self, monkeypatch, account, is_ok, status):
        monkeypatch.setattr(SesSession, "check_account", lambda _: account)
        transport = make_transport(kind="amazon_ses", options={"region": "eu-west-1"})
        add_credential(
            transport=transport, label="Key", username="AKIA", secret=Secret(CANARY), actor=None
        )
        with mock_aws():
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


class TestCheckTransport:
    def test_prints_json_and_succeeds(self, relay):
        out = StringIO()
        with SmtpServer() as server:
            relay(server, security="none", with_credential=False)
            call_command("check_transport", "Relay", "--json", stdout=out)
        assert json.loads(out.getvalue())["is_ok"] is True

    def test_fails_with_cause_and_fix(self, relay):
        with SmtpServer(script={"banner": "554 5.7.1 blocked"}) as server:
            relay(server, security="none", with_credential=False)
            with pytest.raises(CommandError, match="refused to talk"):
                call_command("check_transport", "Relay", stdout=StringIO())

    def test_says_when_there_is_no_such_transport(self):
        with pytest.raises(CommandError, match="no transport"):
            call_command("check_transport", "Nothing")
