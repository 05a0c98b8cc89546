"""A secret once given is never seen again: not on a page, in a file, on the trail, in a log, or on its way to a worker."""

import base64
import inspect
import logging

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from mailops.accounts.models import AuditEntry, User
from mailops.celery import app
from mailops.incidents.models import NotificationChannel
from mailops.incidents.notifying import deliver_due
from mailops.lib.secrets import Secret
from mailops.transports.credentials import add_credential
from mailops.transports.diagnosis import run_test
from mailops.transports.models import Transport
from tests.examples import example
from tests.factories import make_transport
from tests.smtp_server import EXTENSIONS, CertificateAuthority, SmtpServer
from tests.wrong_input.test_walk import EXAMPLES, body_of

SECURE = (*EXTENSIONS, "STARTTLS")
CANARY = "canary-3f6c9d0e"
SPELLINGS = [
    CANARY,
    base64.b64encode(CANARY.encode()).decode(),
    base64.b64encode(f"\0user\0{CANARY}".encode()).decode(),
]


def is_told(text: str) -> bool:
    return any(spelling in text for spelling in SPELLINGS)


def trail() -> str:
    entries = " ".join(str(vars(entry)) for entry in AuditEntry.objects.all())
    return entries + " ".join(str(session.get_decoded()) for session in Session.objects.all())


@pytest.fixture
def echoing(tmp_path, settings):
    """A server that refuses the log-in and says the secret back, in clear and as it came."""
    authority = CertificateAuthority(tmp_path)
    settings.MAILOPS_EXTRA_CA_FILE = str(authority.file)
    refusal = f"535 5.7.8 wrong password {' '.join(SPELLINGS)}"
    with SmtpServer(
        extensions=SECURE,
        tls=authority.server_context(),
        script={"AUTH": refusal, "response": refusal},
    ) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        yield server


def keep_secrets(port: int) -> None:
    """Give every transport and webhook there is the canary, and let the test of one fail."""
    NotificationChannel.objects.create(name="Hook", kind="webhook")
    for channel in NotificationChannel.objects.filter(kind="webhook"):
        channel.set_url(f"https://hooks.example/{CANARY}?key={CANARY}", "hooks.example")
        channel.save()
    relay = make_transport()
    Transport.objects.update(port=port, security="starttls")
    credentials = {
        transport.pk: add_credential(
            transport=transport, label="x", username="user", secret=Secret(CANARY), actor=None
        )
        for transport in Transport.objects.all()
    }
    relay.refresh_from_db()
    found = run_test(relay, credentials[relay.pk])
    assert found.cause == "auth_failed"
    assert "535 5.7.8" in found.transcript


@pytest.mark.parametrize("some", EXAMPLES)
def test_no_page_and_no_file_tells_it(some, browser, echoing, caplog):
    caplog.set_level(logging.DEBUG)
    paths = [(address, example(address)) for address in some]
    keep_secrets(echoing.port)
    for address, path in paths:
        assert not is_told(body_of(browser.get(path))), address
    assert not is_told(caplog.text)
    assert not is_told(trail())


class TestFaults:
    @pytest.fixture(autouse=True)
    def _logs(self, caplog):
        caplog.set_level(logging.DEBUG)

    def test_a_form_refused_tells_it_nowhere(self, browser, caplog):
        url = reverse("transports:credential-add", args=[make_transport().pk])
        response = browser.post(url, {"label": "", "username": "\0", "secret": CANARY})
        assert response.status_code == 422
        assert not is_told(response.text + caplog.text + trail())

    @pytest.mark.parametrize(
        ("view", "broken"),
        [
            ("transports:credential-add", "mailops.transports.views.credentials.add_credential"),
            ("incidents:channel-add", "mailops.incidents.configuration_views.save_channel"),
        ],
    )
    def test_a_fault_of_ours_tells_it_nowhere(self, view, broken, browser, caplog, monkeypatch):
        def break_down(**_given):
            raise RuntimeError("on purpose")

        monkeypatch.setattr(broken, break_down)
        part = make_transport().pk if "transport" in view else "webhook"
        browser.raise_request_exception = False
        form = {
            "label": "x",
            "username": "user",
            "secret": CANARY,
            "name": "x",
            "least_level": "warn",
            "url": f"https://hooks.example/{CANARY}",
        }
        response = browser.post(reverse(view, args=[part]), form)
        assert response.status_code == 500
        assert "Something broke on our side" in response.text
        assert "on purpose" in caplog.text  # the log has the cause
        assert not is_told(response.text + caplog.text + trail())

    def test_there_is_no_technical_page(self):
        assert settings.DEBUG is False

    def test_a_webhook_that_fails_tells_it_nowhere(self, browser, caplog):
        channel = NotificationChannel(name="Hook", kind="webhook")
        channel.set_url(f"https://nowhere.invalid/{CANARY}", "nowhere.invalid")
        channel.save()
        browser.post(reverse("incidents:channel-test", args=[channel.pk]))
        deliver_due()
        page = browser.get(reverse("incidents:channels"))
        assert "nowhere.invalid" in page.text
        assert not is_told(page.text + caplog.text + trail())

    def test_a_wrong_password_is_told_nowhere(self, client, admin, caplog):
        form = {"login": admin.email, "password": CANARY}
        response = client.post(reverse("account_login"), form)
        assert not is_told(response.text + caplog.text + trail())

    def test_a_password_set_by_invitation_is_told_nowhere(self, browser, caplog):
        invited = {"email": "new@example.com", "name": "", "role": "editor"}
        page = browser.post(reverse("accounts:user-new"), invited, follow=True)
        link = page.context["link"]
        visitor = Client()
        form_at = visitor.get(link, follow=True).request["PATH_INFO"]
        visitor.post(form_at, {"password1": CANARY, "password2": CANARY})
        assert User.objects.get(email="new@example.com").check_password(CANARY)
        assert not is_told(caplog.text + trail())


def test_tasks_are_given_ids_and_names_of_ours_alone():
    ours = [task for task in app.tasks.values() if task.run.__module__.startswith("mailops.")]
    assert len(ours) > 10
    for task in ours:
        for name in inspect.signature(task.run).parameters:
            assert name.endswith("_id") or name == "lane", task.name
