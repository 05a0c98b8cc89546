"""Tokens instead of a password: signing in, refreshing ahead of time, and what a withdrawn permission comes to."""

import base64
import json
import queue
import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.lib.sealed import reseal_row
from mailops.lib.secrets import Secret, Unsealable
from mailops.transports import oauth
from mailops.transports.credentials import add_grant, change_grant
from mailops.transports.diagnosis import diagnose
from mailops.transports.kinds import open_session
from mailops.transports.models import Credential, OAuthGrant
from mailops.transports.oauth import NotGranted, refresh, refresh_due, usable_token
from mailops.transports.sessions import SessionFault
from tests.factories import make_transport
from tests.oauth_server import OAuthServer
from tests.smtp_server import CertificateAuthority, SmtpServer

pytestmark = pytest.mark.django_db
MAILBOX = "sender@example.com"
CLIENT_SECRET = "client-secret-7f3a"
OFFERED = ("8BITMIME", "STARTTLS", "AUTH LOGIN XOAUTH2")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tokens(settings):
    with OAuthServer() as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        yield server


@pytest.fixture
def mail(settings, authority, tokens):
    """A submission server that speaks XOAUTH2 as Google and Microsoft do."""

    class Server(SmtpServer):
        def answer(self, verb):
            if verb != "AUTH" or "AUTH" in self.script:
                return super().answer(verb)
            said = base64.b64decode(self.commands[-1].split()[-1]).decode()
            token = said.removeprefix(f"user={MAILBOX}\1auth=Bearer ").removesuffix("\1\1")
            if token in tokens.access_tokens:
                return "235 2.7.0 accepted"
            return "334 eyJzdGF0dXMiOiI0MDAifQ=="

    settings.MAILOPS_EXTRA_CA_FILE = str(authority.file)
    with Server(
        extensions=OFFERED,
        tls=authority.server_context(),
        script={"response": "535 5.7.3 Authentication unsuccessful"},
    ) as server:
        settings.MAILOPS_TRUSTED_RELAYS |= {("127.0.0.1", server.port)}
        yield server


def make_grant(tokens, port=587, **fields):
    transport = make_transport(port=port, security="starttls")
    return add_grant(
        transport=transport,
        credential={"label": "Gmail", "username": MAILBOX},
        grant={
            "provider": "other",
            "client_id": "app",
            "own_token_url": tokens.token_url,
            "own_authorize_url": "https://sign-in.example/auth",
            **fields,
        },
        client_secret=Secret(CLIENT_SECRET),
        actor=None,
    )


@pytest.fixture
def grant(tokens):
    grant = make_grant(tokens)
    oauth.accept_refresh_token(grant, Secret("refresh-1"), actor=None)
    tokens.asked.clear()
    return grant


def age(grant, minutes):
    """Let the access token run out in so many minutes."""
    OAuthGrant.objects.filter(pk=grant.pk).update(
        access_expires_at=timezone.now() + timedelta(minutes=minutes),
        refreshed_at=timezone.now() - timedelta(minutes=50),
    )


class TestRefresh:
    def test_asks_ahead_of_time_and_keeps_what_it_gets(self, grant, tokens):
        age(grant, 9)
        assert refresh_due() == 1
        assert tokens.asked == [
            {
                "grant_type": "refresh_token",
                "refresh_token": "refresh-1",
                "client_id": "app",
                "client_secret": CLIENT_SECRET,
            }
        ]
        grant.refresh_from_db()
        assert grant.open_from("access_token").reveal() == "access-token-2"
        assert grant.access_expires_at > timezone.now() + timedelta(minutes=55)

    def test_leaves_alone_what_holds_for_longer(self, grant, tokens):
        age(grant, 11)
        assert refresh_due() == 0
        assert tokens.asked == []

    def test_keeps_a_refresh_token_that_changes(self, grant, tokens):
        tokens.rotates = True
        for _ in range(2):
            age(grant, 1)
            assert refresh_due() == 1
        grant.refresh_from_db()
        assert grant.open_from("refresh_token").reveal() == "refresh-3"

    @pytest.mark.parametrize("error", sorted(oauth.REFUSALS))
    def test_a_refusal_for_good_is_told_and_not_asked_again(self, grant, tokens, error):
        tokens.refuse = (400, error)
        age(grant, 1)
        assert refresh_due() == 0
        assert refresh_due() == 0
        assert len(tokens.asked) == 1
        grant.refresh_from_db()
        assert grant.is_refused
        assert "ign in again" in grant.sentence
        assert AuditEntry.objects.latest("id").verb == "credential.refuse"

    @pytest.mark.parametrize(
        "answer", [(503, "temporarily_unavailable"), (500, b"<html>"), (200, b"{}"), (200, b"[]")]
    )
    def test_any_other_answer_is_asked_again_a_little_later(self, grant, tokens, answer):
        tokens.refuse = answer
        age(grant, 5)
        refresh_due()
        refresh_due()
        assert len(tokens.asked) == 1
        grant.refresh_from_db()
        assert (grant.is_given, grant.failures) == (True, 1)
        assert grant.retry_at > timezone.now()
        assert usable_token(grant).reveal() == "access-token-1"  # the old one still holds

    def test_what_the_provider_says_back_is_masked(self, grant, tokens):
        tokens.refuse = (400, "invalid_grant")
        age(grant, 1)
        refresh_due()
        grant.refresh_from_db()
        assert "said back: **** ****" in grant.detail

    def test_what_the_provider_says_back_is_masked_wherever_it_is_cut(self, grant, tokens):
        padding = "\0" + "x" * 264
        told = {"error": "invalid_grant", "error_description": f"{padding}{CLIENT_SECRET}"}
        tokens.refuse = (400, json.dumps(told).encode())
        age(grant, 1)
        refresh_due()
        grant.refresh_from_db()
        assert grant.is_refused
        assert CLIENT_SECRET[:3] not in grant.detail

    def test_an_answer_that_nests_without_end_is_none(self, grant, tokens):
        tokens.refuse = (200, b"[" * 100_000)
        age(grant, 1)
        assert refresh_due() == 0
        grant.refresh_from_db()
        assert (grant.is_given, grant.failures) == (True, 1)

    def test_a_provider_that_is_not_there_is_asked_again(self, grant, tokens, settings):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset()
        age(grant, 1)
        assert refresh_due() == 0
        grant.refresh_from_db()
        assert grant.sentence == "The provider's token endpoint could not be asked."

    def test_another_endpoint_opens_no_token(self, grant):
        grant.credential.transport.host = "evil.example"
        with pytest.raises(Unsealable):
            grant.open_from("access_token")

    @pytest.mark.django_db(transaction=True)
    def test_of_many_processes_one_asks(self, grant, tokens):
        """Four at once: one gets the lease and holds it until the provider answers, which it does once the others are gone."""
        age(grant, 1)
        tokens.gate = threading.Event()
        done = queue.Queue()

        def ask():
            done.put(refresh(grant.pk))
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert [done.get(timeout=10) for _ in range(3)] == [False] * 3
        tokens.gate.set()
        assert done.get(timeout=10)
        for thread in threads:
            thread.join(10)
        assert len(tokens.asked) == 1


def as_stored(grant):
    return OAuthGrant.objects.select_related("credential__transport").get(pk=grant.pk)


@pytest.fixture
def meanwhile(monkeypatch):
    """Return what takes an act to be done while the provider's next answer is on its way."""
    fetch, acts = oauth.fetching.fetch, []

    def fetch_slowly(*given, **named):
        answer = fetch(*given, **named)
        if acts:
            acts.pop()()
        return answer

    monkeypatch.setattr(oauth.fetching, "fetch", fetch_slowly)
    return acts.append


class TestWhatAnAnswerFinds:
    """Somebody signs in, or changes the app, while a token is asked for."""

    @pytest.fixture
    def sign_in(self, grant, tokens):
        def sign_in():
            tokens.refuse, tokens.refresh_tokens = None, {"refresh-2"}
            oauth.accept_refresh_token(as_stored(grant), Secret("refresh-2"), actor=None)

        return sign_in

    @pytest.fixture
    def change(self, grant):
        def change(**changed):
            secret = changed.pop("client_secret", None)
            own = {"label": "Gmail", "username": MAILBOX}
            change_grant(
                grant=as_stored(grant),
                credential=own,
                changed=changed,
                client_secret=secret,
                actor=None,
            )

        return change

    @pytest.mark.parametrize("refusal", [None, (400, "invalid_grant"), (503, "busy")])
    def test_a_new_sign_in_stands(self, grant, tokens, meanwhile, sign_in, refusal):
        age(grant, 1)
        tokens.refuse = refusal
        meanwhile(sign_in)
        assert not refresh(grant.pk)
        stored = as_stored(grant)
        assert stored.open_from("refresh_token").reveal() == "refresh-2"
        assert stored.open_from("access_token").reveal() == max(tokens.access_tokens)
        assert (stored.state, stored.sentence, stored.failures) == ("given", "", 0)
        assert not AuditEntry.objects.filter(verb="credential.refuse").exists()

    @pytest.mark.parametrize("refusal", [None, (400, "invalid_grant")])
    def test_forgotten_tokens_stay_forgotten(self, grant, tokens, meanwhile, change, refusal):
        age(grant, 1)
        tokens.refuse = refusal
        meanwhile(lambda: change(client_id="another"))
        assert not refresh(grant.pk)
        stored = as_stored(grant)
        assert (stored.state, bytes(stored.refresh_token)) == ("waiting", b"")
        assert bytes(stored.access_token) == b""

    @pytest.mark.parametrize("rotates", [True, False])
    def test_tokens_are_kept_though_the_keys_were_changed(
        self, grant, tokens, meanwhile, settings, rotates
    ):
        new = base64.b64encode(bytes([7]) * 32).decode()

        def change_keys():
            settings.MAILOPS_SECRET_KEYS = [new, *settings.MAILOPS_SECRET_KEYS]
            assert reseal_row(OAuthGrant, grant.pk)

        tokens.rotates = rotates
        age(grant, 1)
        meanwhile(change_keys)
        assert refresh(grant.pk)
        settings.MAILOPS_SECRET_KEYS = [new]
        kept = as_stored(grant).open_from("refresh_token").reveal()
        assert kept == ("refresh-2" if rotates else "refresh-1")

    def test_a_change_of_an_app_that_was_deleted_is_told(self, grant, change):
        stored = as_stored(grant)
        Credential.objects.all().delete()
        own = {"label": "Gmail", "username": MAILBOX}
        with pytest.raises(OAuthGrant.DoesNotExist):
            change_grant(grant=stored, credential=own, changed={}, client_secret=None, actor=None)

    def test_a_new_client_secret_is_not_refused_for_the_old_one(
        self, grant, tokens, meanwhile, change
    ):
        age(grant, 1)
        tokens.refuse = (400, "invalid_client")
        meanwhile(lambda: change(client_secret=Secret("another")))
        refresh(grant.pk)
        assert as_stored(grant).is_given

    def test_a_sign_in_with_the_app_of_before_is_none(self, grant, meanwhile, change):
        meanwhile(lambda: change(client_id="another"))
        with pytest.raises(oauth.NotGranted, match="changed meanwhile"):
            oauth.accept_refresh_token(as_stored(grant), Secret("refresh-1"), actor=None)
        assert as_stored(grant).state == "waiting"

    def test_a_change_of_the_app_keeps_tokens_that_came_since_it_was_read(self, grant, tokens):
        read = as_stored(grant)
        tokens.rotates = True
        age(grant, 1)
        assert refresh(grant.pk)
        own = {"label": "Gmail", "username": MAILBOX}
        change_grant(grant=read, credential=own, changed={}, client_secret=None, actor=None)
        assert as_stored(grant).open_from("refresh_token").reveal() == "refresh-2"


class TestUsableToken:
    def test_asks_at_once_where_the_clock_ran_out(self, grant, tokens):
        age(grant, -5)
        assert usable_token(grant).reveal() == "access-token-2"

    def test_asks_for_another_where_sessions_fail_but_not_at_each(self, grant, tokens):
        age(grant, 30)
        assert usable_token(grant, is_doubted=True).reveal() == "access-token-2"
        assert usable_token(grant, is_doubted=True).reveal() == "access-token-2"
        assert len(tokens.asked) == 1

    def test_waits_for_whoever_asks_just_now(self, grant, tokens):
        age(grant, -5)
        OAuthGrant.objects.update(refreshing_until=timezone.now() + timedelta(seconds=20))
        with pytest.raises(NotGranted) as raised:
            usable_token(grant)
        assert not raised.value.is_final
        assert tokens.asked == []

    def test_a_process_that_died_asking_stops_nobody_for_long(self, grant, tokens):
        age(grant, -5)
        OAuthGrant.objects.update(refreshing_until=timezone.now() - timedelta(seconds=1))
        assert usable_token(grant).reveal() == "access-token-2"


class TestClockAhead:
    """The database's clock was ahead for a while, and what it wrote then stands."""

    TOMORROW = timedelta(days=1)

    def test_a_lease_and_a_wait_of_then_stop_nobody(self, grant, tokens):
        age(grant, -5)
        then = timezone.now() + self.TOMORROW
        OAuthGrant.objects.update(retry_at=then, refreshing_until=then)
        assert usable_token(grant).reveal() == "access-token-2"

    def test_a_token_of_then_is_asked_for_anew(self, grant, tokens):
        then = timezone.now() + self.TOMORROW
        OAuthGrant.objects.update(refreshed_at=then, access_expires_at=then + timedelta(hours=1))
        assert refresh_due() == 1
        assert refresh_due() == 0

    def test_a_session_takes_no_token_of_then(self, grant, tokens):
        then = timezone.now() + self.TOMORROW
        OAuthGrant.objects.update(refreshed_at=then, access_expires_at=then + timedelta(hours=1))
        assert usable_token(grant, is_doubted=True).reveal() == "access-token-2"


class TestSession:
    @pytest.fixture
    def signed_in(self, tokens, mail):
        grant = make_grant(tokens, mail.port)
        oauth.accept_refresh_token(grant, Secret("refresh-1"), actor=None)
        return grant

    def test_logs_in_with_the_token(self, signed_in, mail):
        session = open_session(signed_in.credential.transport)
        session.open()
        session.close()
        assert session.is_logged_in
        said = base64.b64decode(
            next(line for line in mail.commands if "XOAUTH2" in line).split()[-1]
        )
        assert said == f"user={MAILBOX}\1auth=Bearer access-token-1\1\1".encode()

    def test_is_made_without_a_word_to_the_provider(self, signed_in, mail, tokens):
        age(signed_in, -5)
        tokens.asked.clear()
        sessions = [open_session(signed_in.credential.transport) for _ in range(2)]
        assert tokens.asked == []
        for session in sessions:
            session.open()
            session.close()
        assert [session.is_logged_in for session in sessions] == [True, True]
        assert len(tokens.asked) == 1, "the second finds what the first asked for"

    def test_says_when_it_is_opened_why_there_is_no_token(self, signed_in, mail, tokens):
        age(signed_in, -5)
        tokens.refuse = (503, "busy")
        with pytest.raises(SessionFault) as raised:
            open_session(signed_in.credential.transport).open()
        assert raised.value.cause == "oauth_away"

    def test_hears_a_refusal_to_its_end(self, signed_in, mail, tokens):
        tokens.access_tokens.clear()
        session = open_session(signed_in.credential.transport)
        with pytest.raises(SessionFault) as raised:
            session.open()
        assert raised.value.cause == "oauth_refused"
        assert raised.value.reply.code == 535
        assert mail.commands[-1] == ""

    def test_a_withdrawn_permission_is_its_own_cause(self, signed_in, tokens, mail):
        tokens.refresh_tokens.clear()
        age(signed_in, -1)
        found = diagnose(signed_in.credential.transport)
        assert found.cause == "oauth_revoked"
        assert "Sign in again" in found.detail
        assert not any("AUTH" in line for line in mail.commands)

    def test_a_provider_that_is_silent_is_no_withdrawal(self, signed_in, tokens, mail):
        tokens.refuse = (503, "busy")
        age(signed_in, -1)
        assert diagnose(signed_in.credential.transport).cause == "oauth_away"

    def test_a_server_without_xoauth2_gets_no_token(self, signed_in, mail):
        mail.extensions = ("STARTTLS", "AUTH PLAIN LOGIN")
        assert diagnose(signed_in.credential.transport).cause == "oauth_not_offered"

    def test_no_token_crosses_in_clear_text(self, signed_in, mail):
        transport = signed_in.credential.transport
        transport.security = "none"
        transport.save()
        signed_in.seal_into("access_token", Secret("access-token-1"))
        signed_in.save()
        assert diagnose(transport).cause == "clear_text_auth"
        assert not any("AUTH" in line for line in mail.commands)


class TestPages:
    def sign_in(self, client, grant, tokens, code="code-1"):
        """Go to the provider's page, give consent, and return to the address it sends the browser to."""
        page = client.get(reverse("transports:oauth-sign-in", args=[grant.pk]))
        asked = {n: v[0] for n, v in parse_qs(urlsplit(page.context["url"]).query).items()}
        tokens.codes[code] = asked["code_challenge"]
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"].endswith("/transports/oauth/signed-in/")
        return {"state": asked["state"], "code": code}

    def test_walks_from_the_form_to_tokens(self, admin, logged_in, tokens):
        client, transport = logged_in(admin), make_transport()
        form = {
            "label": "Mailbox",
            "username": MAILBOX,
            "client_id": "app",
            "client_secret": CLIENT_SECRET,
            "own_authorize_url": "https://sign-in.example/auth",
            "own_token_url": tokens.token_url,
        }
        url = reverse("transports:oauth-add", args=[transport.pk]) + "?provider=other"
        response = client.post(url, form)
        grant = OAuthGrant.objects.get()
        assert response.url == reverse("transports:oauth-sign-in", args=[grant.pk])
        back = self.sign_in(client, grant, tokens)
        page = client.get(reverse("transports:oauth-callback"), back, follow=True).text
        assert "Signed in: Mailbox has its tokens." in page
        grant.refresh_from_db()
        assert grant.is_given
        assert CLIENT_SECRET not in page
        verbs = AuditEntry.objects.order_by("id").values_list("verb", flat=True)
        assert list(verbs) == ["credential.add", "credential.sign_in"]

    def test_takes_an_answer_once_and_only_its_own(self, admin, logged_in, grant, tokens):
        client, url = logged_in(admin), reverse("transports:oauth-callback")
        back = self.sign_in(client, grant, tokens)
        for wrong in ({}, {"state": "x", "code": "code-1"}, {"code": "code-1"}):
            assert "not begun here" in client.get(url, wrong, follow=True).text
        assert tokens.asked == []
        client.get(url, back)
        assert len(tokens.asked) == 1
        assert "not begun here" in client.get(url, back, follow=True).text
        assert len(tokens.asked) == 1

    def test_says_why_a_sign_in_was_declined(self, admin, logged_in, grant, tokens):
        client = logged_in(admin)
        back = self.sign_in(client, grant, tokens)
        given = {"state": back["state"], "error": "access_denied"}
        page = client.get(reverse("transports:oauth-callback"), given, follow=True).text
        assert "The sign-in was declined." in page

    @pytest.mark.parametrize("state", ["refused", "waiting"])
    def test_signing_in_again_lets_go_what_the_lack_had_stopped(
        self, admin, logged_in, grant, tokens, state
    ):
        transport = grant.credential.transport
        OAuthGrant.objects.update(state=state, sentence="Withdrawn.")
        transport.pause("fault", "The permission is gone.")
        client = logged_in(admin)
        page = client.get(reverse("transports:credential", args=[grant.credential_id])).text
        is_gone = state == "refused"
        assert ("The permission to send is gone" if is_gone else "Nobody has signed in") in page
        back = self.sign_in(client, grant, tokens)
        client.get(reverse("transports:oauth-callback"), back)
        transport.refresh_from_db()
        assert not transport.is_paused

    def test_a_refresh_token_is_tried_at_once(self, admin, logged_in, grant, tokens):
        client, url = (
            logged_in(admin),
            reverse("transports:oauth-edit", args=[grant.pk]),
        )
        form = {
            "label": "Gmail",
            "username": MAILBOX,
            "client_id": "app",
            "own_authorize_url": grant.own_authorize_url,
            "own_token_url": grant.own_token_url,
        }
        page = client.post(url, {**form, "refresh_token": "nonsense"}, follow=True).text
        assert "the refresh token gave none" in page
        page = client.post(url, {**form, "refresh_token": "refresh-1"}, follow=True).text
        assert "its token works" in page

    def test_pressed_twice_is_one(self, admin, logged_in, tokens):
        client, transport = logged_in(admin), make_transport()
        given = {"label": "Mailbox", "username": MAILBOX, "client_id": "app"}
        given |= {"client_secret": CLIENT_SECRET, "own_token_url": tokens.token_url}
        given["own_authorize_url"] = "https://sign-in.example/auth"
        url = reverse("transports:oauth-add", args=[transport.pk]) + "?provider=other"
        for _ in range(2):
            answer = client.post(url, given)
            grant = OAuthGrant.objects.get()
            assert answer.url == reverse("transports:oauth-sign-in", args=[grant.pk])
        assert client.post(url, given | {"client_secret": "another"}).status_code == 302
        assert OAuthGrant.objects.count() == 2

    def test_replaces_no_change_that_was_not_seen(self, admin, logged_in, grant):
        client, url = logged_in(admin), reverse("transports:oauth-edit", args=[grant.pk])
        form = client.get(url).context["form"]
        names = ("label", "username", "client_id", "own_authorize_url", "own_token_url", "seen")
        given = {name: form[name].value() for name in names}
        for _ in range(2):  # the same once more is no conflict
            change = {"client_id": "theirs", "client_secret": "their secret"}
            assert client.post(url, given | change).status_code == 302
        stopped = client.post(url, given | {"label": "Mine", "client_secret": "my secret"})
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        assert dict(stopped.context["meanwhile"].facts) == {
            "Label": "Gmail",
            "Client id": "theirs",
            "Client secret": "one is kept",
        }
        assert "their secret" not in stopped.text
        assert "my secret" not in stopped.text
        grant.refresh_from_db()
        assert (grant.client_id, grant.credential.label) == ("theirs", "Gmail")
        given["seen"] = stopped.context["form"]["seen"].value()
        assert client.post(url, given | {"label": "Mine"}).status_code == 302
        grant = OAuthGrant.objects.get()
        assert (grant.client_id, grant.credential.label) == ("app", "Mine")

    def test_another_client_forgets_the_tokens(self, admin, logged_in, grant):
        url = reverse("transports:oauth-edit", args=[grant.pk])
        form = {
            "label": "Gmail",
            "username": MAILBOX,
            "client_id": "another",
            "own_authorize_url": grant.own_authorize_url,
            "own_token_url": grant.own_token_url,
        }
        logged_in(admin).post(url, form)
        grant.refresh_from_db()
        assert (grant.state, bytes(grant.refresh_token)) == ("waiting", b"")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"username": "nobody"},
            {"client_id": ""},
            {"client_id": "a b"},
            {"own_token_url": "http://tokens.example/"},
            {"own_token_url": "https://user@tokens.example/"},
            {"own_token_url": "https://:password@tokens.example/"},
            {"own_token_url": "https://tokens.example/a token"},
            {"own_token_url": "https://[::1"},
            {"own_authorize_url": "javascript:alert(1)"},
            {"client_secret": "two\nlines"},
            {"expires_on": "soon"},
        ],
    )
    def test_nonsense_is_422(self, admin, logged_in, wrong):
        url = reverse("transports:oauth-add", args=[make_transport().pk]) + "?provider=other"
        form = {
            "label": "x",
            "username": MAILBOX,
            "client_id": "app",
            "own_authorize_url": "https://sign-in.example/",
            "own_token_url": "https://tokens.example/",
        }
        assert logged_in(admin).post(url, {**form, **wrong}).status_code == 422
        assert not Credential.objects.exists()

    def test_an_expiry_is_asked_for_where_secrets_expire(self, admin, logged_in):
        url = reverse("transports:oauth-add", args=[make_transport().pk])
        client = logged_in(admin)

        def asks(provider):
            return "expires_on" in client.get(url, {"provider": provider}).context["form"].fields

        assert {one: asks(one) for one in ("google", "microsoft", "other")} == {
            "google": False,
            "microsoft": True,
            "other": True,
        }

    @pytest.mark.parametrize(
        ("provider", "tenant", "expected"),
        [
            ("google", "", ("accounts.google.com", "https://mail.google.com/")),
            ("microsoft", "", ("login.microsoftonline.com/common/", "offline_access")),
            ("microsoft", "acme", ("login.microsoftonline.com/acme/", "offline_access")),
        ],
    )
    def test_knows_both_providers(self, admin, logged_in, provider, tenant, expected):
        host, scope = expected
        url = reverse("transports:oauth-add", args=[make_transport().pk]) + f"?provider={provider}"
        form = {"label": "x", "username": MAILBOX, "client_id": "app", "tenant": tenant}
        page = logged_in(admin).post(url, form, follow=True)
        parts = urlsplit(page.context["url"])
        assert (parts.netloc + parts.path).startswith(host)
        asked = parse_qs(parts.query)
        assert asked["scope"][0].endswith(scope)
        assert asked["login_hint"] == [MAILBOX]
        assert asked["access_type" if provider == "google" else "response_type"]

    def test_microsoft_is_asked_for_reading_only_where_bounces_are_read(self, admin, logged_in):
        client = logged_in(admin)
        url = reverse("transports:oauth-add", args=[make_transport().pk]) + "?provider=microsoft"
        form = {"label": "x", "username": MAILBOX, "client_id": "app", "tenant": ""}
        page = client.post(url, {**form, "reads_mail": "on"}, follow=True)
        asked = parse_qs(urlsplit(page.context["url"]).query)["scope"][0].split()
        assert {one.rpartition("/")[2] for one in asked} == {"IMAP.AccessAsUser.All", "SMTP.Send", "offline_access"}  # fmt: skip
        grant = OAuthGrant.objects.get()
        assert grant.reads_mail
        edit = reverse("transports:oauth-edit", args=[grant.pk])
        assert client.get(edit).context["form"]["reads_mail"].value() is True
        OAuthGrant.objects.update(state=OAuthGrant.State.GIVEN)
        assert client.post(edit, {**form, "reads_mail": "on"}).url.endswith(
            f"/credentials/{grant.credential_id}/"
        )
        assert "sign-in" in client.post(edit, form).url  # less is asked for than was permitted
        grant.refresh_from_db()
        assert not grant.reads_mail

    def test_only_who_may_configure_signs_in(self, operator, logged_in, grant):
        client = logged_in(operator)
        for name in ("oauth-edit", "oauth-sign-in"):
            url = reverse(f"transports:{name}", args=[grant.pk])
            assert client.get(url).status_code == 403
        assert client.get(reverse("transports:oauth-callback")).status_code == 403
