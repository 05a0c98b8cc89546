"""The pages in a real browser: light and dark, wide and narrow, with and without JavaScript."""

import os
import socket

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from mailops.domains.models import Domain
from mailops.lib.secrets import Secret
from mailops.transports import diagnosis, findings
from mailops.transports.credentials import add_credential
from mailops.transports.diagnosis import run_test
from mailops.transports.models import Route
from tests.browser import assert_clean, go_on_to
from tests.examples import make_grant
from tests.factories import make_domain, make_stream, make_transport
from tests.smtp_server import EXTENSIONS, CertificateAuthority, SmtpServer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("chromium"),
    pytest.mark.broad,
]


@pytest.fixture
def setup(settings, tmp_path):
    authority = CertificateAuthority(tmp_path)
    server = SmtpServer(extensions=(*EXTENSIONS, "STARTTLS"), tls=authority.server_context())
    with server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        settings.MAILOPS_EXTRA_CA_FILE = str(authority.file)
        transport = make_transport(
            name="Example relay",
            host="127.0.0.1",
            port=server.port,
            security="starttls",
            options={"spf_include": "spf.example.com", "preset": "smtp"},
        )
        add_credential(
            transport=transport,
            label="March 2026",
            username="mailer@example.com",
            secret=Secret("a-long-secret-4711"),
            actor=None,
        )
        add_credential(
            transport=transport,
            label="April 2026",
            username="mailer@example.com",
            secret=Secret("another-secret-0815"),
            actor=None,
        )
        run_test(transport, by="checklist")
        broken = make_transport(
            name="Port 25",
            host="mail.example.org",
            port=25,
            security="starttls",
            state="paused",
            pause_cause="fault",
            pause_sentence="The server refused the log-in.",
            pause_detail="535 5.7.8 Error: authentication failed",
            breaker="open",
            failures=4,
            breaker_sentence="The connection was refused.",
        )
        stream = make_stream(
            routing="weight",
            name="Newsletter",
            transport=transport,
            domain=make_domain(name="news.example.com"),
        )
        Route.objects.create(stream=stream, transport=broken, position=1)
        yield transport, broken, stream


def make_api():
    return make_transport(
        name="Mailgun EU",
        kind="mailgun",
        host="",
        environment="staging",
        options={"preset": "mailgun_api", "sender_domain": "mg.example.com", "region": "eu"},
    )


def shoot(page, name):
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def paths(transport, broken, stream):
    credential = transport.credentials.get(is_active=False)
    return {
        "list": reverse("transports:list"),
        "choose": reverse("transports:add"),
        "form": reverse("transports:add") + "?preset=gmail",
        "ses": reverse("transports:add") + "?preset=ses_api",
        "api-form": reverse("transports:add") + "?preset=mailgun_api",
        "api": reverse("transports:detail", args=[make_api().pk]),
        "edit": reverse("transports:edit", args=[transport.pk]),
        "detail": reverse("transports:detail", args=[transport.pk]),
        "broken": reverse("transports:detail", args=[broken.pk]),
        "pause": reverse("transports:pause", args=[transport.pk]),
        "delete": reverse("transports:delete", args=[broken.pk]),
        "credential": reverse("transports:credential-add", args=[transport.pk]),
        "rotation": reverse("transports:rotation", args=[transport.pk]),
        "credentials": reverse("transports:credentials"),
        "credential-detail": reverse("transports:credential", args=[credential.pk]),
        "oauth": reverse("transports:oauth-add", args=[transport.pk]) + "?provider=microsoft",
        "sign-in": reverse("transports:oauth-sign-in", args=[make_grant().pk]),
        "activate": reverse("transports:credential-activate", args=[credential.pk]),
        "streams": reverse("transports:streams"),
        "stream": reverse("transports:stream-detail", args=[stream.pk]),
        "stream-form": reverse("transports:stream-add") + "?kind=transactional",
    }


def test_every_page_is_clean_in_both_lights_and_widths(setup, admin, open_page):
    page = open_page("/", admin)
    for name, path in paths(*setup).items():
        go_on_to(page, path)
        shoot(page, f"{name}-wide")
        assert_clean(page)
        shoot(page, f"{name}-narrow-dark")


def test_empty_pages_are_clean(admin, open_page):
    page = open_page("/", admin)
    for name in ("list", "credentials", "streams", "stream-add"):
        go_on_to(page, reverse(f"transports:{name}"))
        shoot(page, f"empty-{name}")
        assert_clean(page)


def test_the_connection_test_shows_its_result_in_place(setup, admin, open_page):
    page = open_page(reverse("transports:detail", args=[setup[0].pk]), admin)
    page.get_by_role("button", name="Test again").click()
    page.locator("#connection-test").get_by_text(f"by {admin.email}").wait_for()
    page.get_by_text("Transcript, secrets masked").click()
    assert "AUTH PLAIN ****" in page.locator("#connection-test pre").inner_text()
    assert page.complaints == []
    shoot(page, "tested")


def test_the_steps_of_a_connection_test_show_while_it_runs(settings, monkeypatch, admin, open_page):
    monkeypatch.setattr(findings, "STEP_SECONDS", 60)
    monkeypatch.setattr(diagnosis, "LIMIT_SECONDS", 60)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})
        transport = make_transport(host="127.0.0.1", port=port, security="none")
        page = open_page(reverse("transports:detail", args=[transport.pk]), admin)
        page.get_by_role("button", name="Test the connection").click()
        live = page.locator("#test-live")
        live.get_by_text("Hear the greeting").wait_for()
        expect(live.get_by_text("Running")).to_be_visible()
        connection, _ = silent.accept()
        connection.close()
        page.locator("#connection-test .callout").wait_for()
        expect(live.get_by_text("Running")).to_have_count(0)
    assert page.complaints == []


def test_weights_show_where_they_count(setup, admin, open_page):
    page = open_page(reverse("transports:stream-add"), admin)
    weight = page.get_by_label("Second weight")
    expect(weight).to_be_hidden()
    page.get_by_label("Routing").select_option("By weight")
    expect(weight).to_be_visible()


def test_what_is_wrong_in_a_closed_part_is_told(setup, admin, open_page):
    stream = setup[2]
    page = open_page(reverse("transports:stream-edit", args=[stream.pk]), admin)
    part = page.get_by_text("When it tries again, and how much leaves")
    part.click()
    page.get_by_label("Try again after").fill("")
    part.click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Try again after")).to_be_visible()
    shoot(page, "stream-wrong")


def test_all_of_it_works_without_javascript(setup, admin, open_page):
    transport = setup[0]
    page = open_page(reverse("transports:detail", args=[transport.pk]), admin, javascript=False)
    page.get_by_role("button", name="Test again").click()
    expect(page.get_by_text(f"by {admin.email}")).to_be_visible()
    page.get_by_role("link", name="Pause").click()
    page.get_by_label("Why").fill("A look at it.")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("A look at it.").first.wait_for()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("link", name="Pause")).to_be_visible()
    transport.refresh_from_db()
    assert not transport.is_paused


def test_a_stream_is_added_by_hand(setup, admin, open_page):
    page = open_page(reverse("transports:stream-add") + "?kind=bulk", admin)
    page.get_by_label("Name").fill("Invoices")
    page.get_by_label("Domain").select_option(label=Domain.objects.get().name)
    page.get_by_label("Transport", exact=True).select_option(label="Example relay")
    page.get_by_role("button", name="Add stream").click()
    page.get_by_role("heading", name="Invoices").wait_for()
