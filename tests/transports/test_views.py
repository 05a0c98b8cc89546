import logging

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mailops.accounts.meanwhile import first_come
from mailops.accounts.models import AuditEntry
from mailops.domains.models import Requirement
from mailops.lib.secrets import Secret
from mailops.suppressions.models import SuppressionImport
from mailops.suppressions.suppressing import suppress, unsuppress
from mailops.transports.configuring import (
    StillNeeded,
    change_stream_hours,
    delete_stream,
    delete_transport,
    save_stream,
)
from mailops.transports.credentials import add_credential, add_grant
from mailops.transports.models import Credential, OAuthGrant, Route, Stream, Transport
from mailops.transports.views import streams
from tests.factories import make_domain, make_message, make_stream, make_transport
from tests.smtp_server import EXTENSIONS, CertificateAuthority, SmtpServer
from tests.transports.conftest import CANARY
from tests.wrong_input.reading_forms import forms_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}

TRANSPORT = {
    "name": "Relay",
    "environment": "production",
    "host": "SMTP.example.com.",
    "port": "587",
    "security": "starttls",
    "return_path_host": "",
    "max_sessions": "2",
    "messages_per_session": "100",
    "rate_per_minute": "",
    "daily_quota": "",
    "spf_include": "spf.example.com",
    "dkim_selectors": "s1, s2",
}


@pytest.fixture
def transport():
    return make_transport(host="smtp.example.com", port=587, security="starttls")


@pytest.fixture
def credential(transport):
    return add_credential(
        transport=transport, label="March", username="user", secret=Secret(CANARY), actor=None
    )


@pytest.fixture
def client_of_admin(admin, logged_in):
    return logged_in(admin)


@pytest.fixture
def moving(transport, credential, standby, settings, tmp_path):
    """The server of the transport, with the secrets that were sealed for it."""
    authority = CertificateAuthority(tmp_path)
    settings.MAILOPS_EXTRA_CA_FILE = str(authority.file)
    secure = (*EXTENSIONS, "STARTTLS")
    with SmtpServer(extensions=secure, tls=authority.server_context()) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        transport.host, transport.port = "127.0.0.1", server.port
        transport.save()
        for one, secret in ((credential, CANARY), (standby, "x" * 20)):
            one.transport = transport
            one.set_secret(Secret(secret))
        yield server


@pytest.fixture
def standby(transport, credential):
    return add_credential(
        transport=transport, label="April", username="user", secret=Secret("x" * 20), actor=None
    )


@pytest.fixture
def stream(transport):
    return make_stream(transport=transport)


@pytest.fixture
def urls(transport, credential, standby, stream):
    """Return each address with the act that it needs."""
    t, c, s = [transport.pk], [standby.pk], [stream.pk]
    return {
        reverse("transports:list"): "see",
        reverse("transports:export"): "see",
        reverse("transports:add"): "configure",
        reverse("transports:detail", args=t): "see",
        reverse("transports:edit", args=t): "configure",
        reverse("transports:delete", args=t): "configure",
        reverse("transports:pause", args=t): "operate",
        reverse("transports:rotation", args=t): "see",
        reverse("transports:credentials"): "see",
        reverse("transports:credential-export"): "see",
        reverse("transports:credential", args=c): "see",
        reverse("transports:credential-add", args=t): "configure",
        reverse("transports:credential-edit", args=c): "configure",
        reverse("transports:credential-tested", args=c): "see",
        reverse("transports:credential-activate", args=c): "configure",
        reverse("transports:credential-delete", args=c): "configure",
        reverse("transports:streams"): "see",
        reverse("transports:stream-export"): "see",
        reverse("transports:stream-add"): "configure",
        reverse("transports:stream-detail", args=s): "see",
        reverse("transports:stream-edit", args=s): "configure",
        reverse("transports:stream-delete", args=s): "configure",
        reverse("transports:stream-pause", args=s): "operate",
    }


class TestEveryPage:
    def test_opens_for_an_admin(self, admin, logged_in, urls):
        client = logged_in(admin)
        for url in urls:
            assert client.get(url).status_code == 200, url

    def test_sends_the_anonymous_to_log_in(self, client, urls):
        for url in urls:
            assert client.get(url).status_code == 302, url

    @pytest.mark.parametrize(
        ("role", "acts"),
        [
            ("viewer", {"see"}),
            ("editor", {"see"}),
            ("oncall", {"see", "operate"}),
            ("operator", {"see", "operate"}),
            ("stranger", set()),
        ],
    )
    def test_opens_only_for_those_who_may(self, request, logged_in, role, acts, urls):
        client = logged_in(request.getfixturevalue(role))
        for url, act in urls.items():
            assert client.get(url).status_code == (200 if act in acts else 403), url

    def test_the_viewer_is_shown_no_button(self, viewer, logged_in, transport, credential, stream):
        client = logged_in(viewer)
        for url in (
            reverse("transports:list"),
            reverse("transports:detail", args=[transport.pk]),
            reverse("transports:rotation", args=[transport.pk]),
            reverse("transports:credentials"),
            reverse("transports:credential", args=[credential.pk]),
            reverse("transports:streams"),
            reverse("transports:stream-detail", args=[stream.pk]),
        ):
            page = client.get(url).content.decode()
            for word in (
                "/add/",
                "/edit/",
                "/pause/",
                "/test/",
                "/delete/",
                "/activate/",
                "/roll-back/",
            ):
                assert word not in page, (url, word)

    def test_never_shows_a_secret(self, admin, logged_in, urls):
        client = logged_in(admin)
        for url in urls:
            assert CANARY not in client.get(url).getvalue().decode(), url

    def test_asks_the_same_number_of_questions_however_long_the_list(
        self, admin, logged_in, transport, stream, django_assert_max_num_queries
    ):
        for _ in range(20):
            add_credential(transport=make_stream().transport, label="x", username="u", actor=None)
        client = logged_in(admin)
        for name in ("transports:list", "transports:streams", "transports:credentials"):
            with django_assert_max_num_queries(12):
                client.get(reverse(name))

    def test_answers_htmx_with_the_results_only(self, admin, logged_in, transport, stream):
        client = logged_in(admin)
        add_credential(transport=transport, label="x", username="u", actor=None)
        for name in ("transports:list", "transports:streams", "transports:credentials"):
            page = client.get(reverse(name), {"q": "x"}, headers=HTMX).content.decode()
            assert page.lstrip().startswith('<div id="results"')

    def test_a_filter_that_makes_no_sense_is_422(self, admin, logged_in, transport, stream):
        client = logged_in(admin)
        for name in ("transports:list", "transports:streams", "transports:credentials"):
            assert client.get(reverse(name), {"state": "flying"}).status_code == 422

    def test_empty_lists_hold_the_first_action(self, admin, logged_in):
        client = logged_in(admin)
        assert reverse("transports:add") in client.get(reverse("transports:list")).content.decode()
        streams = client.get(reverse("transports:streams")).content.decode()
        assert reverse("transports:stream-add") in streams


class TestAddTransport:
    def test_the_choice_of_a_provider_fills_in_the_form(self, admin, logged_in):
        client = logged_in(admin)
        url = reverse("transports:add")
        assert "preset=sendgrid" in client.get(url).content.decode()
        page = client.get(url, {"preset": "sendgrid"}).content.decode()
        assert 'value="smtp.sendgrid.net"' in page
        assert "apikey" in page

    def test_adds_and_writes_the_trail(self, admin, logged_in):
        url = reverse("transports:add") + "?preset=smtp"
        logged_in(admin).post(url, TRANSPORT)
        added = Transport.objects.get()
        assert added.host == "smtp.example.com"
        assert added.options["dkim_selectors"] == ["s1", "s2"]
        assert AuditEntry.objects.get().verb == "transport.add"

    def test_a_server_of_ones_own_has_no_name_yet(self, admin, logged_in):
        response = logged_in(admin).get(reverse("transports:add") + "?preset=smtp")
        assert response.context["form"]["name"].value() == ""
        assert "<h1>Add an SMTP server</h1>" in response.content.decode()

    @pytest.mark.parametrize(
        ("is_trusted", "words"), [(False, "Now give it something"), (True, "a trusted relay")]
    )
    def test_says_what_to_do_next(self, admin, logged_in, settings, is_trusted, words):
        pairs = {("smtp.example.com", 587)} if is_trusted else ()
        settings.MAILOPS_TRUSTED_RELAYS = frozenset(pairs)
        url = reverse("transports:add") + "?preset=smtp"
        page = logged_in(admin).post(url, TRANSPORT, follow=True).content.decode()
        assert ("Now give it something to log in with." in page) is not is_trusted
        assert words in page

    def test_adds_one_of_amazon(self, admin, logged_in):
        url = reverse("transports:add") + "?preset=ses_api"
        logged_in(admin).post(url, {**TRANSPORT, "region": "eu-west-1"})
        assert Transport.objects.get().options["region"] == "eu-west-1"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""},
            {"host": ""},
            {"host": "a b"},
            {"host": "x\r\ny"},
            {"port": "0"},
            {"port": "65536"},
            {"port": "smtp"},
            {"security": "none"},
            {"security": "maybe"},
            {"max_sessions": "0"},
            {"max_sessions": "99999"},
            {"messages_per_session": "-1"},
            {"rate_per_minute": "0"},
            {"spf_include": "not a domain"},
            {"dkim_selectors": "s1; s2"},
            {"return_path_host": "-"},
        ],
    )
    def test_nonsense_is_422_and_kept(self, admin, logged_in, wrong):
        url = reverse("transports:add") + "?preset=smtp"
        response = logged_in(admin).post(url, {**TRANSPORT, **wrong})
        assert response.status_code == 422
        assert "s1" in response.content.decode()
        assert not Transport.objects.exists()


class TestEditTransport:
    def edit(self, client, transport, **fields):
        data = {**TRANSPORT, "name": transport.name, **fields}
        return client.post(reverse("transports:edit", args=[transport.pk]), data)

    def test_the_same_endpoint_keeps_its_secret(self, admin, logged_in, transport, credential):
        assert self.edit(logged_in(admin), transport, rate_per_minute="5").status_code == 302
        credential.refresh_from_db()
        assert credential.reveal().reveal() == CANARY

    @pytest.mark.parametrize(
        "change", [{"host": "evil.example"}, {"port": "465"}, {"security": "tls"}]
    )
    def test_another_endpoint_wants_the_secret_again(
        self, admin, logged_in, transport, credential, change
    ):
        response = self.edit(logged_in(admin), transport, **change)
        assert response.status_code == 422
        transport.refresh_from_db()
        assert transport.endpoint == "smtp:smtp.example.com:587:starttls"

    def test_another_endpoint_with_the_secret_forgets_those_that_stand_by(
        self, admin, logged_in, transport, credential, standby
    ):
        response = self.edit(logged_in(admin), transport, port="465", security="tls", secret="anew")
        assert response.status_code == 302
        credential = Credential.objects.get(pk=credential.pk)
        standby.refresh_from_db()
        assert credential.reveal().reveal() == "anew"
        assert not standby.has_secret

    def test_a_reference_follows_no_host_unasked(self, admin, logged_in, transport, monkeypatch):
        monkeypatch.setenv("MAILOPS_SECRET_RELAY", CANARY)
        given = {"username": "user", "reference": "env:MAILOPS_SECRET_RELAY", "actor": None}
        credential, standby = (
            add_credential(transport=transport, label=label, **given)
            for label in ("March", "April")
        )
        client, moved = logged_in(admin), {"host": "smtp.evil.example"}
        assert self.edit(client, transport, rate_per_minute="5").status_code == 302
        for wrong in ({}, {"reference": "env:PATH"}, {"secret": "x"}):
            answer = self.edit(client, transport, **moved, **wrong)
            assert answer.status_code == 422
            assert "reference" in answer.context["form"].errors
        transport.refresh_from_db()
        assert transport.host == "smtp.example.com"
        answer = self.edit(client, transport, **moved, reference="env:MAILOPS_SECRET_RELAY")
        assert answer.status_code == 302
        credential.refresh_from_db()
        standby.refresh_from_db()
        assert credential.reveal().reveal() == CANARY
        assert not standby.has_secret

    def test_replaces_no_change_that_was_not_seen(self, admin, logged_in, transport, credential):
        client = logged_in(admin)
        url = reverse("transports:edit", args=[transport.pk])
        seen = {"seen": client.get(url).context["form"]["seen"].value()}
        for _ in range(2):  # the same once more is no conflict
            change = {"daily_quota": "5", "dkim_selectors": "s9", **seen}
            assert self.edit(client, transport, **change).status_code == 302
        typed = {"name": "Mine", "max_sessions": "3", "host": transport.host, **seen}
        stopped = self.edit(client, transport, **typed)
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        assert dict(stopped.context["meanwhile"].facts) == {
            "Name": transport.name,
            "DKIM selectors": "s9",
            "Sessions at once": "2",
            "Messages a day": "5",
        }
        assert 'value="Mine"' in stopped.text
        transport.refresh_from_db()
        assert (transport.max_sessions, transport.daily_quota) == (2, 5)
        seen = {"seen": stopped.context["form"]["seen"].value()}
        assert self.edit(client, transport, name="Mine", **seen).status_code == 302
        transport.refresh_from_db()
        assert (transport.name, transport.daily_quota) == ("Mine", None)

    def test_another_endpoint_of_a_permission_asks_for_no_secret(self, admin, logged_in, transport):
        grant = add_grant(
            transport=transport,
            credential={"label": "Gmail", "username": "sender@example.com"},
            grant={"provider": "google", "client_id": "app"},
            client_secret=None,
            actor=None,
        )
        OAuthGrant.objects.update(state="given")
        client, moved = logged_in(admin), {"host": "smtp.other.example"}
        page = client.get(reverse("transports:edit", args=[transport.pk]))
        assert "secret" not in page.context["form"].fields
        assert "somebody must sign in again" in page.text
        page = self.edit(client, transport, **moved, secret="typed for nothing")
        assert page.url == reverse("transports:oauth-edit", args=[grant.pk])
        assert "sign in again" in client.get(page.url).text
        grant.refresh_from_db()
        assert grant.state == "waiting"
        assert not Credential.objects.get().secret

    def test_renaming_renames_what_domains_must_publish(
        self, admin, logged_in, transport, stream, settings
    ):
        settings.MAILOPS_RETURN_PATH_HOST = "back.example.com"
        client = logged_in(admin)
        self.edit(client, transport)
        self.edit(client, transport, name="Renamed", dkim_selectors="s2")
        rows = Requirement.objects.filter(domain=stream.domain).order_by("kind", "host")
        assert [(row.kind, row.host, row.value, row.needed_by) for row in rows] == [
            ("dkim_selector", "s2", "", "transport: Renamed"),
            ("return_path", "back.example.com", "", "transport: Renamed"),
            ("sends", "", "signed by the provider", "transport: Renamed"),
            ("spf_include", "", "spf.example.com", "transport: Renamed"),
        ]


class TestDeleteTransport:
    def test_one_in_use_stays(self, admin, logged_in, transport, stream):
        url = reverse("transports:delete", args=[transport.pk])
        response = logged_in(admin).post(url, {"typed_name": transport.name})
        assert response.status_code == 422
        assert Transport.objects.filter(pk=transport.pk).exists()

    def test_wants_the_name(self, admin, logged_in, transport, credential):
        client, url = logged_in(admin), reverse("transports:delete", args=[transport.pk])
        assert client.post(url, {"typed_name": "nope"}).status_code == 422
        assert client.post(url, {"typed_name": transport.name}).status_code == 302
        assert not Transport.objects.exists()

    def test_one_that_sent_stays_and_its_mail_is_not_loaded_to_say_so(
        self, admin, logged_in, transport, credential
    ):
        for _ in range(3):
            make_message(transport=transport)
        client, url = logged_in(admin), reverse("transports:delete", args=[transport.pk])
        with CaptureQueriesContext(connection) as asked:
            page = client.post(url, {"typed_name": transport.name}, follow=True).content.decode()
        assert f"Mail was sent through {transport}: pause it instead." in page
        looks = [one["sql"] for one in asked if 'FROM "outbox_message" ' in one["sql"]]
        assert looks
        assert all("LIMIT 1" in look for look in looks)
        assert not AuditEntry.objects.filter(verb="transport.delete").exists()

    def test_one_that_a_stream_took_meanwhile_stays_for_that(self, admin, transport, stream):
        with pytest.raises(StillNeeded, match="A stream sends through"):
            delete_transport(transport=transport, actor=admin)


class TestTest:
    @pytest.fixture
    def tested(self, settings):
        with SmtpServer(extensions=EXTENSIONS) as server:
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
            yield make_transport(host="127.0.0.1", port=server.port, security="none")

    def test_shows_the_result_in_place_for_htmx(self, oncall, logged_in, tested):
        url = reverse("transports:test", args=[tested.pk])
        page = logged_in(oncall).post(url, headers=HTMX).content.decode()
        assert page.lstrip().startswith('<section class="card stack" id="connection-test"')
        assert "C: EHLO" in page
        assert AuditEntry.objects.get().verb == "transport.test"

    def test_goes_back_to_the_page_without_javascript(self, oncall, logged_in, tested):
        url = reverse("transports:test", args=[tested.pk])
        response = logged_in(oncall).post(url, follow=True)
        assert "C: EHLO" in response.content.decode()

    def test_a_wrong_recipient_is_422(self, oncall, logged_in, tested):
        url = reverse("transports:test", args=[tested.pk])
        assert logged_in(oncall).post(url, {"recipient": "nope"}).status_code == 422

    def test_a_viewer_may_not(self, viewer, logged_in, tested):
        url = reverse("transports:test", args=[tested.pk])
        assert logged_in(viewer).post(url).status_code == 403


class TestCredentials:
    def test_the_first_is_active_and_the_next_stands_by(self, admin, logged_in, transport):
        client, url = logged_in(admin), reverse("transports:credential-add", args=[transport.pk])
        for label in ("March", "April"):
            data = {"label": label, "username": "user", "secret": CANARY, "reference": ""}
            assert client.post(url, data).status_code == 302
        assert dict(Credential.objects.values_list("label", "is_active")) == {
            "March": True,
            "April": False,
        }

    @pytest.mark.parametrize(
        "kept", [{"secret": CANARY}, {"reference": "env:MAILOPS_SECRET_RELAY"}]
    )
    def test_pressed_twice_is_one(self, client_of_admin, credential, monkeypatch, kept):
        monkeypatch.setenv("MAILOPS_SECRET_RELAY", CANARY)
        client, transport = client_of_admin, credential.transport
        url = reverse("transports:credential-add", args=[transport.pk])
        data = {"label": "April", "username": "user", **kept}
        for _ in range(2):
            page = client.post(url, data, follow=True)
            assert page.redirect_chain[0][0] == reverse("transports:rotation", args=[transport.pk])
            assert "April was added. It stands by" in page.text
        assert Credential.objects.count() == 2
        client.post(url, {"label": "April", "username": "user", "secret": "another"})
        assert Credential.objects.count() == 3
        assert (
            AuditEntry.objects.filter(
                verb="credential.add", subject_label__startswith="April"
            ).count()
            == 2
        )

    def test_replaces_no_change_that_was_not_seen(self, admin, logged_in, credential):
        client = logged_in(admin)
        url = reverse("transports:credential-edit", args=[credential.pk])
        given = {"label": "March", "username": "user"}
        given["seen"] = client.get(url).context["form"]["seen"].value()
        for _ in range(2):  # the same once more is no conflict
            change = {"username": "other", "secret": "theirs"}
            assert client.post(url, given | change).status_code == 302
        stopped = client.post(url, given | {"label": "Mine", "secret": "mine"})
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        facts = dict(stopped.context["meanwhile"].facts)
        assert facts.pop("Secret").startswith("set ")
        assert facts == {"Label": "March", "User name": "other"}
        assert 'value="Mine"' in stopped.text
        credential = Credential.objects.get()
        assert (credential.username, credential.reveal().reveal()) == ("other", "theirs")
        given["seen"] = stopped.context["form"]["seen"].value()
        assert client.post(url, given | {"label": "Mine", "secret": "mine"}).status_code == 302
        credential = Credential.objects.get()
        assert (credential.label, credential.reveal().reveal()) == ("Mine", "mine")

    def test_a_secret_that_was_not_seen_is_not_replaced(self, admin, logged_in, credential):
        client = logged_in(admin)
        url = reverse("transports:credential-edit", args=[credential.pk])
        given = {"label": "March", "username": "user"}
        given["seen"] = client.get(url).context["form"]["seen"].value()
        assert client.post(url, given | {"secret": "theirs"}).status_code == 302
        assert client.post(url, given | {"secret": "mine"}).status_code == 422
        assert Credential.objects.get().reveal().reveal() == "theirs"

    def test_the_secret_leaves_no_trace(self, admin, logged_in, transport, caplog):
        caplog.set_level(logging.DEBUG)
        client, url = logged_in(admin), reverse("transports:credential-add", args=[transport.pk])
        data = {"label": "March", "username": "user", "secret": CANARY, "reference": ""}
        pages = [client.post(url, {**data, "label": ""}), client.post(url, data, follow=True)]
        traces = [page.content.decode() for page in pages] + [caplog.text]
        traces += [str(entry.__dict__) for entry in AuditEntry.objects.all()]
        traces += [str(session.get_decoded()) for session in Session.objects.all()]
        traces += [str(credential.__dict__) for credential in Credential.objects.all()]
        assert not any(CANARY in trace for trace in traces)
        assert Credential.objects.get().last_four == CANARY[-4:]

    def test_a_post_that_needs_the_password_first_keeps_no_secret(self, admin, client, transport):
        client.force_login(admin, backend="allauth.account.auth_backends.AuthenticationBackend")
        url = reverse("transports:credential-add", args=[transport.pk])
        response = client.post(url, {"label": "x", "username": "u", "secret": CANARY})
        assert response.status_code == 302
        assert not Credential.objects.exists()
        client.get(url)
        stored = [str(session.get_decoded()) for session in Session.objects.all()]
        assert not any(CANARY in text for text in stored)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"secret": "", "reference": ""},
            {"secret": "x", "reference": "env:MAILOPS_SECRET_X"},
            {"secret": "", "reference": "env:PATH"},
            {"secret": "", "reference": "file:../../etc/passwd"},
            {"secret": "two\nlines"},
            {"username": ""},
            {"username": "a\0b"},
            {"label": ""},
        ],
    )
    def test_nonsense_is_422(self, admin, logged_in, transport, wrong):
        url = reverse("transports:credential-add", args=[transport.pk])
        data = {"label": "March", "username": "user", "secret": "x", "reference": "", **wrong}
        assert logged_in(admin).post(url, data).status_code == 422

    def test_a_reference_is_kept_instead_of_a_secret(
        self, admin, logged_in, transport, monkeypatch
    ):
        monkeypatch.setenv("MAILOPS_SECRET_RELAY", CANARY)
        url = reverse("transports:credential-add", args=[transport.pk])
        data = {"label": "Env", "username": "u", "reference": "env:MAILOPS_SECRET_RELAY"}
        logged_in(admin).post(url, data)
        assert Credential.objects.get().reveal().reveal() == CANARY
        assert bytes(Credential.objects.get().secret) == b""

    def test_changing_the_label_keeps_the_secret(self, admin, logged_in, credential):
        url = reverse("transports:credential-edit", args=[credential.pk])
        logged_in(admin).post(url, {"label": "May", "username": "user"})
        credential = Credential.objects.get()
        assert (credential.label, credential.reveal().reveal()) == ("May", CANARY)

    def test_moves_over_to_what_works_and_rolls_back_by_one_press(
        self, client_of_admin, moving, credential, standby
    ):
        client, transport = client_of_admin, credential.transport
        client.post(reverse("transports:credential-activate", args=[standby.pk]))
        assert transport.active_credential == standby
        page = client.get(reverse("transports:rotation", args=[transport.pk])).text
        assert "Roll back to March" in page
        client.post(reverse("transports:roll-back", args=[transport.pk]))
        assert transport.active_credential == credential
        assert transport.active_credential.reveal().reveal() == CANARY
        page = client.post(reverse("transports:roll-back", args=[transport.pk]), follow=True).text
        assert "no credential to go back to" in page
        verbs = AuditEntry.objects.order_by("id").values_list("verb", flat=True)
        assert list(verbs)[-2:] == ["credential.activate", "credential.roll_back"]

    def test_stays_where_it_is_when_the_new_one_is_refused(
        self, client_of_admin, moving, credential, standby
    ):
        moving.script["AUTH"] = "535 5.7.8 no"
        client, transport = client_of_admin, credential.transport
        url = reverse("transports:credential-activate", args=[standby.pk])
        response = client.post(url)
        assert response.status_code == 422
        assert "535 5.7.8 no" in response.text
        assert transport.active_credential == credential
        client.post(url, {"without_test": "on"})
        assert transport.active_credential == standby

    def test_filters_and_exports_without_a_secret(self, admin, logged_in, credential, standby):
        client = logged_in(admin)
        page = client.get(reverse("transports:credentials"), {"state": "standby"}).text
        assert ("April" in page, "March" in page) == (True, False)
        sheet = client.get(reverse("transports:credential-export"), {"q": "march"})
        lines = sheet.getvalue().decode().splitlines()
        assert len(lines) == 2
        assert "never tested" in lines[1]
        assert CANARY not in lines[1]

    def test_the_one_in_use_is_not_deleted_while_another_stands_by(
        self, admin, logged_in, credential, standby
    ):
        client = logged_in(admin)
        client.post(reverse("transports:credential-delete", args=[credential.pk]))
        assert Credential.objects.count() == 2
        client.post(reverse("transports:credential-delete", args=[standby.pk]))
        client.post(reverse("transports:credential-delete", args=[credential.pk]))
        assert not Credential.objects.exists()

    def test_testing_one_shows_its_own_result(self, oncall, logged_in, standby, settings):
        with SmtpServer() as server:
            pass
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        Transport.objects.update(host="127.0.0.1", port=server.port)
        url = reverse("transports:credential-test", args=[standby.pk])
        page = logged_in(oncall).post(url, follow=True).content.decode()
        assert "The connection was refused." in page


class TestStreams:
    def data(self, transport, **fields):
        return {
            "name": "News",
            "kind": "bulk",
            "domain": make_domain().pk,
            "owner": "",
            "guarantee": "leave",
            "backoff": "1 min, 5 min, 1 h",
            "expiry": "72 h",
            "rate_per_minute": "",
            "environment": "production",
            "routing": "order",
            "first_transport": transport.pk,
            **fields,
        }

    def test_adds_one_with_routes_in_order_and_what_its_domain_must_publish(
        self, admin, logged_in, transport
    ):
        transport.options = {"spf_include": "spf.example.com"}
        transport.save()
        second = make_transport()
        data = self.data(transport, second_transport=second.pk)
        logged_in(admin).post(reverse("transports:stream-add"), data)
        stream = Stream.objects.get()
        assert stream.backoff_seconds == [60, 300, 3600]
        assert stream.expiry_seconds == 72 * 3600
        assert stream.transport == transport
        assert list(stream.routes.order_by("position").values_list("transport", flat=True)) == [
            transport.pk,
            second.pk,
        ]
        includes = Requirement.objects.filter(domain=stream.domain, kind="spf_include")
        assert includes.get().value == "spf.example.com"
        assert AuditEntry.objects.get().after["routes"] == [transport.name, second.name]

    def test_swaps_its_routes(self, admin, logged_in, transport, stream):
        second = make_transport()
        Route.objects.create(stream=stream, transport=second, position=1)
        data = self.data(second, second_transport=transport.pk)
        logged_in(admin).post(reverse("transports:stream-edit", args=[stream.pk]), data)
        assert Stream.objects.get().transport == second

    def test_routes_by_weight(self, admin, logged_in, transport, stream):
        second = make_transport(name="Second")
        weights = {"first_weight": "3", "second_weight": "1"}
        data = self.data(transport, second_transport=second.pk, routing="weight", **weights)
        client = logged_in(admin)
        client.post(reverse("transports:stream-edit", args=[stream.pk]), data)
        assert list(stream.routes.order_by("position").values_list("weight", flat=True)) == [3, 1]
        page = client.get(reverse("transports:stream-detail", args=[stream.pk])).text
        assert "weight 3" in page
        page = client.get(reverse("transports:stream-edit", args=[stream.pk])).text
        assert 'name="first_weight" value="3"' in page
        assert AuditEntry.objects.get().after["weights"] == {transport.name: 3, "Second": 1}

    def test_its_form_asks_first_for_what_has_no_answer_yet(self, admin, logged_in, transport):
        make_domain()
        url = reverse("transports:stream-add")
        page = logged_in(admin).get(url)
        html = page.content.decode()
        assert html.count('<details class="more">') == 2
        assert "---------" not in html
        first, _, later = html.partition('<details class="more">')
        assert 'name="first_transport"' in first
        assert 'name="backoff"' in later
        shown = set(forms_of(html, url)[-1].names) - {"csrfmiddlewaretoken"}
        assert shown == set(page.context["form"].fields)

    def test_what_is_wrong_is_open(self, admin, logged_in, transport):
        data = self.data(transport, backoff="soon")
        page = logged_in(admin).post(reverse("transports:stream-add"), data).content.decode()
        assert page.count('<details class="more" open>') == 1
        assert page.count('<details class="more">') == 1

    def test_says_which_ways_out_are_closed(self, admin, logged_in, transport, stream):
        Route.objects.create(
            stream=stream, transport=make_transport(environment="staging"), position=2
        )
        page = logged_in(admin).get(reverse("transports:stream-detail", args=[stream.pk])).text
        assert "It is for staging, the stream for production" in page

    @pytest.mark.parametrize("kind", ["transactional", "bulk", "demo"])
    def test_presets_fill_in_the_policy(self, admin, logged_in, transport, kind):
        make_domain()
        page = logged_in(admin).get(reverse("transports:stream-add"), {"kind": kind})
        first = {"transactional": "5 s, 30 s, 2 min", "bulk": "1 min, 5 min", "demo": "1 s, 2 s"}
        assert first[kind] in page.content.decode()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""},
            {"kind": "spam"},
            {"routing": "dice"},
            {"routing": "weight", "first_weight": "0"},
            {"environment": "moon"},
            {"environment": "staging"},  # its transport is for production
            {"domain": "0"},
            {"backoff": "soon"},
            {"backoff": ","},
            {"backoff": "0 s"},
            {"backoff": "9 d"},
            {"backoff": ", ".join(["1 s"] * 21)},
            {"expiry": "never"},
            {"expiry": "1 s"},
            {"expiry": "99 d"},
            {"backoff": "1 h", "expiry": "30 min"},
            {"first_transport": ""},
            {"guarantee": "always"},
            {"rate_per_minute": "0"},
        ],
    )
    def test_nonsense_is_422(self, admin, logged_in, transport, wrong):
        data = self.data(transport, **wrong)
        assert logged_in(admin).post(reverse("transports:stream-add"), data).status_code == 422
        assert not Stream.objects.exists()

    def test_a_transport_stands_in_the_list_once(self, admin, logged_in, transport):
        data = self.data(transport, second_transport=transport.pk)
        assert logged_in(admin).post(reverse("transports:stream-add"), data).status_code == 422

    def typed(self, client, url):
        """Return what a browser would send of the form at `url`, and the form."""
        form = client.get(url).context["form"]
        given = {field.html_name: field.value() for field in form}
        return {name: value for name, value in given.items() if value not in (None, False)}

    def test_editing_replaces_no_change_that_was_not_seen(self, admin, logged_in, stream):
        client, url = logged_in(admin), reverse("transports:stream-edit", args=[stream.pk])
        opened = self.typed(client, url)
        second = make_transport(name="Second")
        change = {"rate_per_minute": "60", "second_transport": second.pk, "is_sensitive": "on"}
        assert client.post(url, {**opened, **change}).status_code == 302
        stopped = client.post(url, {**opened, "name": "Mine"})
        assert stopped.status_code == 422
        assert "changed while you wrote" in stopped.text
        assert f"Last saved by {admin}, " in stopped.text
        known = dict(stopped.context["meanwhile"].facts)
        assert known == {
            "Name": stream.name,
            "Messages a minute": "60",
            "Second transport": "Second",
            "Sensitive: store and show no bodies": "yes",
        }
        assert 'value="Mine"' in stopped.text
        stream.refresh_from_db()
        assert (stream.rate_per_minute, stream.routes.count()) == (60, 2)
        again = {**opened, "name": "Mine", "seen": stopped.context["form"]["seen"].value()}
        assert client.post(url, again).status_code == 302
        stream.refresh_from_db()
        assert (stream.name, stream.rate_per_minute) == ("Mine", None)

    def test_editing_alike_is_no_conflict(self, admin, logged_in, stream):
        client, url = logged_in(admin), reverse("transports:stream-edit", args=[stream.pk])
        typed = {**self.typed(client, url), "name": "Mine", "backoff": "1 min, 1 h"}
        for _ in range(2):
            assert client.post(url, typed).status_code == 302

    def test_editing_leaves_the_hours_as_somebody_sets_them_meanwhile(
        self, admin, logged_in, stream, monkeypatch
    ):
        client, url = logged_in(admin), reverse("transports:stream-edit", args=[stream.pk])
        typed = self.typed(client, url)

        def set_hours_and_save(**given):
            change_stream_hours(stream=stream, hours={"window_days": [1, 2]}, actor=None)
            save_stream(**given)

        monkeypatch.setattr(streams, "save_stream", set_hours_and_save)
        assert client.post(url, {**typed, "name": "Mine"}).status_code == 302
        stream.refresh_from_db()
        assert (stream.name, stream.window_days) == ("Mine", [1, 2])

    def test_one_that_is_deleted_while_it_is_saved_stays_so(
        self, admin, logged_in, stream, monkeypatch
    ):
        client, url = logged_in(admin), reverse("transports:stream-edit", args=[stream.pk])
        typed = self.typed(client, url)

        def delete_first(form):
            delete_stream(stream=stream, actor=None)
            return first_come(form)

        monkeypatch.setattr(streams, "first_come", delete_first)
        assert client.post(url, typed).status_code == 404
        assert not Stream.objects.exists()

    def test_deletes_one_that_nothing_belongs_to(self, admin, logged_in, stream):
        url = reverse("transports:stream-delete", args=[stream.pk])
        logged_in(admin).post(url, {"typed_name": stream.name})
        assert not Stream.objects.exists()

    def test_keeps_one_with_its_suppressed_addresses(self, admin, logged_in, stream):
        entry = suppress(address="bob@example.net", stream=stream, reason="unsubscribe")
        url = reverse("transports:stream-delete", args=[stream.pk])
        client = logged_in(admin)
        assert "no suppressed address belongs to it" in client.get(url).content.decode()
        page = client.post(url, {"typed_name": stream.name}, follow=True).content.decode()
        assert "suppressed addresses, alerts or the weekly digest belong to" in page
        assert Stream.objects.exists()
        assert not AuditEntry.objects.filter(verb="stream.delete").exists()
        unsuppress(suppression=entry, reason="They asked to be back.", actor=admin)
        client.post(url, {"typed_name": stream.name})
        assert not Stream.objects.exists()

    def test_keeps_one_with_an_import_of_suppressed_addresses(self, admin, logged_in, stream):
        SuppressionImport.objects.create(file_name="left.csv", stream=stream, reason="unsubscribe")
        url = reverse("transports:stream-delete", args=[stream.pk])
        logged_in(admin).post(url, {"typed_name": stream.name})
        assert Stream.objects.exists()


def test_who_resumes_after_a_fault_hears_of_it_and_how_to_see_that_it_is_mended(
    oncall, logged_in, stream
):
    transport, client = stream.transport, logged_in(oncall)
    detail = reverse("transports:detail", args=[transport.pk])
    transport.pause("fault", "The log-in was refused <535>.")
    assert "test the connection; then resume" in client.get(detail).text
    page = client.post(reverse("transports:resume", args=[transport.pk]), follow=True).text
    assert "It had stopped for this: The log-in was refused &lt;535&gt;." in page
    assert '<a href="#connection-test">Test the connection</a>' in page
    assert "what waited is sent" not in page


@pytest.mark.parametrize("prefix", ["", "stream-"])
class TestPauseAndResume:
    def test_once_each_and_twice_does_no_harm(self, oncall, logged_in, stream, prefix):
        subject = stream if prefix else stream.transport
        client = logged_in(oncall)
        pause = reverse(f"transports:{prefix}pause", args=[subject.pk])
        for _ in range(2):
            assert client.post(pause, {"reason": "Bounces rise."}).status_code == 302
        subject.refresh_from_db()
        assert (subject.state, subject.pause_sentence) == ("paused", "Bounces rise.")
        detail = "transports:stream-detail" if prefix else "transports:detail"
        assert "Bounces rise." in client.get(reverse(detail, args=[subject.pk])).content.decode()
        for _ in range(2):
            client.post(reverse(f"transports:{prefix}resume", args=[subject.pk]))
        subject.refresh_from_db()
        assert subject.state == "running"
        assert AuditEntry.objects.count() == 2

    @pytest.mark.parametrize(
        ("cause", "told"),
        [
            ("person", "Resume it when"),
            ("guardrail", "Look at its incident first"),
            ("fault", "Mend what it says"),
        ],
    )
    def test_the_page_says_once_what_to_do(self, client_of_admin, stream, prefix, cause, told):
        Transport.objects.update(port=25)  # its page warns of that, and has no fix for it
        subject = stream if prefix else stream.transport
        subject.pause(cause, "It had to stop.")
        detail = reverse(f"transports:{prefix}detail", args=[subject.pk])
        page = client_of_admin.get(detail).text
        assert told in page
        assert page.count("What to do:") == 1

    def test_a_pause_that_the_page_did_not_show_stays(self, oncall, logged_in, stream, prefix):
        subject, client = stream if prefix else stream.transport, logged_in(oncall)
        page = reverse(f"transports:{prefix}detail", args=[subject.pk])
        url = reverse(f"transports:{prefix}resume", args=[subject.pk])
        subject.pause("person", "A wrong price.")
        seen = {"seen": subject.pause_mark}
        assert f'name="seen" value="{subject.pause_mark}"' in client.get(page).text
        subject.resume()
        subject.pause("guardrail", "Complaints rise.")
        answer = client.post(url, seen, follow=True)
        assert "paused anew since you looked" in answer.text
        assert "Complaints rise." in answer.text
        subject.refresh_from_db()
        assert subject.pause_cause == "guardrail"
        assert (
            "runs; what waited" in client.post(url, {"seen": subject.pause_mark}, follow=True).text
        )
        assert "was running already" in client.post(url, seen, follow=True).text

    def test_a_viewer_may_not(self, viewer, logged_in, stream, prefix):
        subject = stream if prefix else stream.transport
        client = logged_in(viewer)
        for act in ("pause", "resume"):
            url = reverse(f"transports:{prefix}{act}", args=[subject.pk])
            assert client.post(url).status_code == 403
