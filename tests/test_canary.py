"""A canary in every secret; every flow, most of them failing; then all that the product wrote is searched for it."""

import base64
import binascii
import json
import logging
import re
import subprocess
import zlib
from io import StringIO
from itertools import cycle
from urllib.parse import quote

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.views.debug import ExceptionReporter

from mailops.accounts.models import AuditEntry, SecondFactor, User
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.working import WorkerProcess
from mailops.incidents.notifying import deliver_due
from mailops.lib import secrets as sealing
from mailops.lib.logs import AsJson, Masking
from mailops.lib.postgres import Server
from mailops.lib.sealed import sealed_models
from mailops.lib.secrets import Secret
from mailops.outbox.models import Event
from mailops.outbox.tokens import current_token_key_id
from mailops.transports import oauth
from mailops.transports.credentials import add_credential, add_grant
from mailops.transports.models import Credential, OAuthGrant, Transport
from mailops.transports.rotation import activate_credential
from mailops.transports.wire import Wire
from tests.examples import make_grant, make_mailbox
from tests.factories import make_channel, make_domain, make_message, make_stream, make_transport
from tests.http_server import HttpServer, QuietHandler
from tests.oauth_server import OAuthServer
from tests.smtp_server import CertificateAuthority, SmtpServer
from tests.transports.api_doubles import OPTIONS

pytestmark = pytest.mark.django_db(transaction=True)

USER = "user@example.com"
SECURE = ("8BITMIME", "STARTTLS", "AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2")


class Canaries:
    """Gives a canary to each secret, and finds any of them in whatever spelling."""

    def __init__(self):
        self.given = {}

    def of(self, what):
        return self.given.setdefault(what, f"canary{len(self.given):02}x7f3a9c5e-{what}")

    def found_in(self, text):
        """Return which of them `text` holds: as they are, in base64 at any offset, in hex, or quoted."""
        return sorted(what for what, needle in self._needles() if needle in text)

    def _needles(self):
        for what, canary in self.given.items():
            core = canary[:18]  # what follows is only its name
            yield what, core
            yield what, quote(core)
            yield what, binascii.hexlify(core.encode()).decode()
            for shift in range(3):
                encoded = base64.b64encode(b" " * shift + core.encode()).decode()
                yield what, encoded[4:20]


class Everything(logging.Handler):
    """Writes each record as production does, and each error also as Django's report of it."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.written = []
        self.errors = 0
        self._forms = [Masking(secrets=[]), AsJson(secrets=[])]

    def emit(self, record):
        self.written += [form.format(record) for form in self._forms]
        if record.exc_info and record.exc_info[0]:
            self.errors += 1
            report = ExceptionReporter(getattr(record, "request", None), *record.exc_info)
            self.written += [report.get_traceback_text(), report.get_traceback_html()]


@pytest.fixture
def canaries():
    return Canaries()


@pytest.fixture
def log():
    handler, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(django_settings.LOGGING["root"]["level"])  # as in production
    logging.getLogger("mailops").setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    logging.getLogger("mailops").setLevel(logging.NOTSET)


@pytest.fixture
def servers(settings, tmp_path, canaries):
    """Servers that say back whatever they were told, and refuse."""
    authority = CertificateAuthority(tmp_path)

    class Echo(SmtpServer):
        def answer(self, verb):
            if verb in {"AUTH", "response"}:
                said = self.commands[-1].split()[-1] if self.commands[-1] else ""
                return f"535 5.7.8 {said} {_decoded(said)}"
            return super().answer(verb)

    settings.MAILOPS_EXTRA_CA_FILE = str(authority.file)
    with (
        Echo(extensions=SECURE, tls=authority.server_context()) as mail,
        OAuthServer() as tokens,
        HttpEcho() as api,
    ):
        ports = (mail.port, tokens.port, api.port)
        settings.MAILOPS_TRUSTED_RELAYS = frozenset(("127.0.0.1", port) for port in ports)
        yield mail, tokens, api


class HttpEcho:
    """An API that refuses each call, for one reason or another, and quotes it, head and body."""

    def __enter__(self):
        self.asked = []
        echo, statuses = self, cycle([401, 400, 500])

        class Handler(QuietHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                heads = dict(self.headers.items())
                login = _decoded(heads.get("Authorization", "").removeprefix("Basic "))
                echo.asked.append(f"{heads} {login} {body}")
                octets = json.dumps({"message": f"refused: {login} {heads} {body}"}).encode()
                self.send_response(next(statuses))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            do_GET = do_POST  # noqa: N815 - http.server's name

        self._http = HttpServer(Handler)
        self.port = self._http.port
        self.url = f"http://127.0.0.1:{self.port}/api/"
        return self

    def __exit__(self, *_):
        self._http.close()


def _decoded(said):
    try:
        return base64.b64decode(said, validate=True).decode().replace("\0", " ")
    except ValueError:
        return ""


@pytest.fixture
def browser(admin, logged_in):
    client = logged_in(admin)
    client.raise_request_exception = False
    return client


@pytest.fixture
def planted(canaries, servers, settings, monkeypatch, tmp_path):
    """A canary in each sealed column there is, in each kind's credential, and in what references lead to."""
    mail, tokens, _ = servers
    own = {
        "NotificationChannel": make_channel,
        "OAuthGrant": make_grant,
        "Mailbox": make_mailbox,
        "SecondFactor": lambda: _second_factor(canaries.of("second-factor")),
    }
    for model in sealed_models():
        maker = own.get(model.__name__)
        row = maker() if maker else _any_row(model)
        for column in model.sealed_columns:
            row.seal_into(column, Secret(canaries.of(f"{model.__name__}.{column}")))
        row.save()
    transports = [_transport(kind, servers) for kind in Transport.Kind.values]
    for transport in transports:
        _give(transport, canaries.of(f"kind-{transport.kind}"))
    settings.MAILOPS_SECRET_FOLDER = tmp_path
    (tmp_path / "relay").write_text(canaries.of("file"))
    monkeypatch.setenv("MAILOPS_SECRET_RELAY", canaries.of("environment"))
    for reference in ("file:relay", "env:MAILOPS_SECRET_RELAY", "env:MAILOPS_SECRET_GONE"):
        transport = _transport("smtp", servers)
        transports.append(transport)
        add_credential(
            transport=transport, label="x", username=USER, reference=reference, actor=None
        )
    transports.append(_oauth(tokens, mail, canaries))
    return transports


def _any_row(model):
    if model is Credential:
        return Credential.objects.create(transport=make_transport(), label="x", username=USER)
    fields = {field.name for field in model._meta.concrete_fields}
    owner = {"domain": make_domain} if "domain" in fields else {"transport": make_transport}
    return model._default_manager.create(**{name: make() for name, make in owner.items()})


def _second_factor(secret):
    person = User.objects.create_user("canary@example.com")
    return SecondFactor.objects.get(pk=TOTP.activate(person, secret).instance.pk)


def _transport(kind, servers):
    mail, _, api = servers
    if kind == "smtp":
        return make_transport(port=mail.port, security="starttls")
    options = OPTIONS.get(kind, {}) | {"endpoint_url": api.url}
    options |= {"region": "eu-west-1"} if kind == "amazon_ses" else {}
    return make_transport(kind=kind, host="", options=options)


def _give(transport, secret):
    return add_credential(
        transport=transport, label="x", username=USER, secret=Secret(secret), actor=None
    )


def _oauth(tokens, mail, canaries):
    """A grant whose token endpoint gives canaries, and then refuses with them on its lips."""
    transport = make_transport(port=mail.port, security="starttls")
    grant = add_grant(
        transport=transport,
        credential={"label": "x", "username": USER},
        grant={"provider": "other", "client_id": "app", "own_token_url": tokens.token_url},
        client_secret=Secret(canaries.of("client-secret")),
        actor=None,
    )
    refresh = canaries.of("refresh-token")
    tokens.refresh_tokens = {refresh}
    tokens.name_token = lambda number: canaries.of(f"access-{number}")
    oauth.accept_refresh_token(grant, Secret(refresh), actor=None)
    return transport


def send_through(transports):
    """Send a message through each, in a delivery's run; every provider refuses and says back what it was told."""
    for transport in transports:
        make_message(stream=make_stream(transport=transport), token_key_id=current_token_key_id())
    worker = WorkerProcess("bulk")
    for _ in range(2):
        run = Delivery(worker, "bulk", should_stop=lambda: False)
        run.run()
        run.finish()
    worker.stop()


def press(browser, canaries, transports):
    """Use the forms and buttons that take or use a secret: well, with nonsense, and where we break down."""
    pages = []
    smtp = transports[0]
    typed = canaries.of("typed")
    add = reverse("transports:credential-add", args=[smtp.pk])
    given = {"label": "Typed", "username": USER, "secret": typed}
    pages += [browser.post(add, given | {"label": ""}), browser.post(add, given, follow=True)]
    oauth_add = reverse("transports:oauth-add", args=[smtp.pk]) + "?provider=google"
    app = {"label": "App", "username": USER, "client_id": "app", "client_secret": typed}
    pages += [
        browser.post(oauth_add, app | {"refresh_token": typed, "username": "no"}),
        browser.post(oauth_add, app | {"refresh_token": typed}, follow=True),
    ]
    hook = reverse("incidents:channel-add", args=["webhook"])
    named = {"name": "Typed", "least_level": "warn", "url": f"https://hooks.example/{typed}"}
    pages += [browser.post(hook, named | {"name": ""}), browser.post(hook, named, follow=True)]
    for credential in Credential.objects.all():
        pages.append(
            browser.post(reverse("transports:credential-test", args=[credential.pk]), follow=True)
        )
    url = reverse("transports:credential-edit", args=[smtp.active_credential.pk])
    pages += [browser.post(url, {"label": "", "secret": typed}), browser.get(url)]
    for act in ("activate", "delete"):
        url = reverse(f"transports:credential-{act}", args=[smtp.credentials.last().pk])
        pages += [browser.get(url), browser.post(url, follow=True)]
    return pages


def look(browser):
    names = ["list", "export", "credentials", "credential-export", "streams"]
    urls = [reverse(f"transports:{name}") for name in names]
    urls += [reverse("accounts:audit"), reverse("incidents:channels"), reverse("outbox:list")]
    for transport in Transport.objects.all():
        urls.append(reverse("transports:detail", args=[transport.pk]))
    for transport in Transport.objects.filter(kind="smtp")[:3]:
        urls += [
            reverse(f"transports:{name}", args=[transport.pk]) for name in ("edit", "rotation")
        ]
    urls += [reverse("transports:oauth-sign-in", args=[g.pk]) for g in OAuthGrant.objects.all()]
    return [browser.get(url) for url in urls]


def break_down(browser, canaries, monkeypatch, transports):
    """Let our own code fail where a secret is in hand."""
    typed, pages = canaries.of("typed"), []
    add = reverse("transports:credential-add", args=[transports[0].pk])

    def fail(*_given, **_named):
        raise RuntimeError("on purpose")

    for owner, name in ((sealing, "seal"), (sealing, "AESGCM"), (Credential, "_save_secret")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            pages.append(browser.post(add, {"label": "x", "username": USER, "secret": typed}))
            assert pages[-1].status_code == 500
    send = Wire.send

    def fail_at_login(wire, data, **named):  # the frames above hold its line
        return fail() if data.startswith(b"AUTH") else send(wire, data, **named)

    transports[0].refresh_from_db()
    transports[0].resume()
    Transport.objects.filter(pk=transports[0].pk).update(failures=0, backoff_until=None)
    with monkeypatch.context() as patch:
        patch.setattr(Wire, "send", fail_at_login)
        worker = WorkerProcess("bulk")
        make_message(
            stream=make_stream(transport=transports[0]), token_key_id=current_token_key_id()
        )
        run = Delivery(worker, "bulk", should_stop=lambda: False)
        run.run()
        run.finish()
        worker.stop()
    return pages


def commands(settings):
    out = StringIO()
    settings.MAILOPS_SECRET_KEYS = [
        base64.b64encode(b"n" * 32).decode(),
        *settings.MAILOPS_SECRET_KEYS,
    ]
    call_command("rotate_keys", stdout=out, stderr=out)
    for transport in Transport.objects.filter(kind="smtp"):
        for options in ([], ["--json"]):
            try:
                call_command("check_transport", transport.name, *options, stdout=out, stderr=out)
            except (CommandError, SystemExit) as error:
                out.write(str(error))
    settings.MAILOPS_SECRET_KEYS = settings.MAILOPS_SECRET_KEYS[1:]
    try:
        call_command("rotate_keys", stdout=out, stderr=out)
    except CommandError as error:
        out.write(str(error))
    settings.MAILOPS_SECRET_KEYS = [
        base64.b64encode(b"n" * 32).decode(),
        *settings.MAILOPS_SECRET_KEYS,
    ]
    return out.getvalue()


def dump():
    """Return the whole database, broker included, as pg_dump writes it, and what is packed in it unpacked."""
    database = connection.settings_dict
    where = [f"--host={database['HOST']}", f"--username={database['USER']}"]
    where += [f"--port={database['PORT']}"] if database["PORT"] else []
    binary = Server(django_settings.MAILOPS_HOME).binaries / "pg_dump"
    done = subprocess.run(
        [binary, *where, database["NAME"]], check=True, capture_output=True, timeout=60
    )
    text = done.stdout.decode(errors="replace")
    return text + "".join(_unpacked(text))


def _unpacked(text):
    for found in re.finditer(r"\\x(789c[0-9a-f]+|7801[0-9a-f]+|78da[0-9a-f]+)", text):
        try:
            yield zlib.decompress(bytes.fromhex(found[1])).decode(errors="replace")
        except zlib.error:
            continue


def test_the_finder_finds(canaries):
    canary = canaries.of("one")
    spellings = [canary, base64.b64encode(f"\0user\0{canary}".encode()).decode()]
    spellings += [f"user=x\1auth=Bearer {canary}\1\1", canary.encode().hex()]
    spellings += [base64.b64encode(spellings[2].encode()).decode()]
    for shift in range(3):
        spellings.append(base64.b64encode(b"x" * shift + canary.encode()).decode())
    for spelling in spellings:
        assert set(canaries.found_in(f"… {spelling} …")) == {"one"}, spelling
    assert canaries.found_in("canary00y") == []


@pytest.fixture
def outputs(capfd, log):
    """Return what went to the log and to both streams, so far."""

    def read():
        output = capfd.readouterr()
        return {"log": log.written, "stdout": output.out, "stderr": output.err}

    return read


@pytest.mark.whole
def test_no_secret_is_written_anywhere(canaries, planted, servers, outputs, request):
    mail, tokens, api = servers
    settings, patches, browser, log = (
        request.getfixturevalue(name) for name in ("settings", "monkeypatch", "browser", "log")
    )
    written = {}
    send_through(planted)
    smtp = planted[0]
    # refused, goes back
    activate_credential(credential=_give(smtp, canaries.of("new")), actor=None)
    smtp.resume()
    send_through([smtp])
    tokens.refuse = (400, "invalid_grant")
    OAuthGrant.objects.update(access_expires_at=None)
    oauth.refresh_due()
    written["break downs"] = break_down(browser, canaries, patches, planted)
    written["presses"] = press(browser, canaries, planted)
    deliver_due()
    written["pages"] = look(browser)
    written["commands"] = commands(settings)
    written["objects"] = [
        f"{row!r} {vars(row)}" for m in sealed_models() for row in m.objects.all()
    ]
    written["dump"] = dump()

    told = mail.commands, api.asked, tokens.asked
    assert len({what for text in map(str, told) for what in canaries.found_in(text)}) > 10
    assert log.errors >= 4
    assert AuditEntry.objects.filter(verb="credential.fall_back").exists()
    assert Event.objects.exists()
    written |= outputs()
    leaks = []
    for where, texts in written.items():
        for text in [texts] if isinstance(texts, str) else texts:
            body = text if isinstance(text, str) else b"".join(text).decode(errors="replace")
            found = canaries.found_in(body)
            leaks += [(where, set(found), _around(body, canaries))] if found else []
    assert leaks == []


def _around(text, canaries):
    for _, needle in canaries._needles():
        if (at := text.find(needle)) >= 0:
            return text[max(0, at - 300) : at + 100]
    return ""
