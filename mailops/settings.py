"""All settings, from the environment through lib.env; every wrong value is reported at start, all at once."""

import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from csp.constants import NONCE, NONE, SELF

from mailops.lib import broker
from mailops.lib import env as parse
from mailops.lib.env import Environment
from mailops.lib.installation_keys import KEY_NAMES, kept_keys
from mailops.lib.logs import logging_of, password_in
from mailops.lib.postgres import socket_folder
from mailops.lib.time_zones import zone_name
from mailops.schedule import EVERY

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
DEBUG = False

# --- Where it lives, and what it is called ---------------------------------------------------

MAILOPS_HOME = env.read(
    "MAILOPS_HOME", parse.folder, BASE_DIR / ".mailops", fix="give a folder that you may write to"
)
MAILOPS_PORT = env.read("PORT", parse.port_number, 8000, fix="give a free port, such as 8000")
MAILOPS_BIND = env.read(
    "MAILOPS_BIND", parse.listener, f"127.0.0.1:{MAILOPS_PORT}", fix="give host:port for the pages"
)
# how many proxies of ours a request comes through, each of which adds to X-Forwarded-For whom it saw
MAILOPS_TRUSTED_PROXIES = env.read(
    "MAILOPS_TRUSTED_PROXIES",
    parse.proxies,
    0,
    fix="give how many proxies of yours a request comes through, 0 to 9",
)
# `make up` runs everything, in one log that dates the lines of all processes alike.
MAILOPS_IS_SUPERVISED = env.has("MAILOPS_SUPERVISED")
# The embedded installation: our own PostgreSQL, keys made once, a demo to look at.
MAILOPS_IS_EMBEDDED = not env.has("DATABASE_URL")
MAILOPS_POSTGRES_BIN: Path | None = env.read(
    "MAILOPS_POSTGRES_BIN",
    parse.existing_folder,
    None,
    fix="give the folder of initdb and postgres, or leave it out",
)
MAILOPS_DEMO = env.read("MAILOPS_DEMO", parse.flag, MAILOPS_IS_EMBEDDED, fix="set it to 1 or 0")


def _beside(offset: int) -> str:
    """Return a loopback listener whose port follows PORT, so that two installations don't meet."""
    port = MAILOPS_PORT + offset
    return f"127.0.0.1:{port if port < 65536 else port - 30000}"


MAILOPS_BASE_URL = env.read(
    "MAILOPS_BASE_URL",
    parse.base_url,
    f"http://127.0.0.1:{MAILOPS_PORT}",
    fix="give the public https address; unsubscribe links and webhooks begin with it",
)
MAILOPS_TRACKING_URL = env.read(
    "MAILOPS_TRACKING_URL",
    parse.base_url,
    MAILOPS_BASE_URL,
    fix="give the public https address that links in tracked mail begin with, or leave it out for MAILOPS_BASE_URL",
)
MAILOPS_RETURN_PATH_HOST = env.read(
    "MAILOPS_RETURN_PATH_HOST",
    parse.host_name,
    "bounces.acme.example" if MAILOPS_DEMO else "bounces.mailops.localhost",
    fix="give the host whose MX points at the feedback listener, such as bounces.example.com",
)
MAILOPS_SANDBOX_LISTENER = env.read(
    "MAILOPS_SANDBOX_LISTENER", parse.listener, _beside(1000), fix="give host:port"
)
MAILOPS_FEEDBACK_LISTENER = env.read(
    "MAILOPS_FEEDBACK_LISTENER", parse.listener, _beside(2000), fix="give host:port"
)
MAILOPS_DEMO_NAMESERVER = _beside(3000)
MAILOPS_NAMESERVERS: list[str] = env.read(
    "MAILOPS_NAMESERVERS",
    parse.listeners,
    [MAILOPS_DEMO_NAMESERVER] if MAILOPS_DEMO else [],
    fix="give host:port,…, or leave it out to ask the system's",
)
# lists of spam senders that are asked about sending addresses and about sender domains
MAILOPS_ADDRESS_DNSBLS: list[str] = env.read(
    "MAILOPS_ADDRESS_DNSBLS",
    parse.host_names,
    ["zen.spamhaus.org", "bl.spamcop.net"],
    fix="give the zones of lists, such as zen.spamhaus.org, or the word none",
)
MAILOPS_DOMAIN_DNSBLS: list[str] = env.read(
    "MAILOPS_DOMAIN_DNSBLS",
    parse.host_names,
    ["dbl.spamhaus.org"],
    fix="give the zones of lists, such as dbl.spamhaus.org, or the word none",
)
# the keys of the root that DNSSEC begins with (RFC 9718): those of 2017 and of 2024
MAILOPS_TRUST_ANCHORS: list[str] = env.read(
    "MAILOPS_TRUST_ANCHORS",
    parse.trust_anchors,
    [
        ". 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
        ". 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
    ],
    fix="give zone, key tag, algorithm, digest type and digest, one after another by commas, or the word none",
)
# what runs here, for the charts; empty: git's commit, where this is a checkout
MAILOPS_REVISION: str = env.read("MAILOPS_REVISION", str, "", fix="give a tag or a commit")
# where hours are given without a place: of recipients whose time zone is unknown
MAILOPS_TIME_ZONE: str = env.read(
    "MAILOPS_TIME_ZONE", zone_name, "UTC", fix="give an IANA name such as Europe/Berlin"
)
# later than this nobody expects a scheduled campaign any more: it waits for a person, as after a weekend's outage
MAILOPS_STALE_SCHEDULE_MINUTES: int = env.read(
    "MAILOPS_STALE_SCHEDULE_MINUTES", parse.minutes, 120, fix="give minutes, 15 or more"
)
MAILOPS_TRUSTED_RELAYS: frozenset[tuple[str, int]] = env.read(
    "MAILOPS_TRUSTED_RELAYS",
    parse.host_port_pairs,
    frozenset(),
    fix="give host:port,… for servers that may be spoken to without TLS and inside private ranges",
)
# our own, and nobody can listen in on this machine
if MAILOPS_DEMO or parse.is_loopback(MAILOPS_SANDBOX_LISTENER):
    MAILOPS_TRUSTED_RELAYS |= {parse.host_and_port(MAILOPS_SANDBOX_LISTENER)}
# messages kept in each test inbox, the newest; enough for a demo campaign twice over, about 15 MB
MAILOPS_SANDBOX_KEEP = 5000
# days the account of an imported suppression list is kept: a quarter, in which somebody may ask after a row
MAILOPS_SUPPRESSION_IMPORT_DAYS = 90
# days feedback is kept as it came: as long as somebody may ask why an address was suppressed, or replay it
MAILOPS_RAW_FEEDBACK_DAYS = env.read(
    "MAILOPS_RAW_FEEDBACK_DAYS", parse.days, 90, fix="give days, 1 or more"
)
# days that calls of pictures and links in mail are kept as they came: to see why one was taken for a machine's
MAILOPS_HIT_DAYS = env.read("MAILOPS_HIT_DAYS", parse.days, 7, fix="give days, 1 or more")
# days it is known who looked at which mail; older mail is not looked after any more, and only counts stay
MAILOPS_LOOK_DAYS = env.read("MAILOPS_LOOK_DAYS", parse.days, 92, fix="give days, 1 or more")
# days in which counts may still change and be counted anew: a quarter, since hardly a report comes later; then they are sealed
MAILOPS_COUNT_DAYS = env.read("MAILOPS_COUNT_DAYS", parse.days, 92, fix="give days, 1 or more")
# who reads your mail with what, in percent; what a finding says it touches
MAILOPS_CLIENT_SHARES: dict[str, float] = env.read(
    "MAILOPS_CLIENT_SHARES",
    parse.shares,
    {
        "apple_mail": 48,
        "gmail": 30,
        "outlook_windows": 4,
        "outlook_mac": 1,
        "outlook_web": 2,
        "outlook_new": 2,
        "yahoo": 5,
        "samsung": 2,
    },
    fix="give client=percent,… such as gmail=40,apple_mail=30",
)
# draws pictures of mails, light and dark; empty: none are drawn
MAILOPS_CHROMIUM = env.read(
    "MAILOPS_CHROMIUM", str, shutil.which("chromium") or "", fix="give the path of Chromium"
)
# spam filters, asked what they think of a mail; empty: not asked. They speak no TLS and mostly stand beside us.
MAILOPS_SPAMD = env.read("MAILOPS_SPAMD", parse.listener, "", fix="give host:port of spamd")
MAILOPS_RSPAMD = env.read(
    "MAILOPS_RSPAMD", parse.listener, "", fix="give host:port of rspamd's normal worker"
)
MAILOPS_TRUSTED_RELAYS |= {
    parse.host_and_port(each) for each in (MAILOPS_SPAMD, MAILOPS_RSPAMD) if each
}
# whether the pages that a mail links to are asked for, before it is published; never those of one recipient
MAILOPS_FETCH_LINKS = env.read("MAILOPS_FETCH_LINKS", parse.flag, False, fix="set it to 1 or 0")
# ClamAV's clamd, asked whether a file is infected before a template has it; empty: nobody is asked
MAILOPS_CLAMAV: str = env.read(
    "MAILOPS_CLAMAV",
    parse.listener_or_socket,
    "",
    fix="give host:port or the path of clamd's socket",
)
if MAILOPS_CLAMAV and not MAILOPS_CLAMAV.startswith("/"):
    MAILOPS_TRUSTED_RELAYS |= {parse.host_and_port(MAILOPS_CLAMAV)}  # whoever names it trusts it
# MB of a file that goes with a mail, and of all of them: on the way they grow by 37 %, and a mail of 10 MB is too big
MAILOPS_FILE_MB: int = env.read(
    "MAILOPS_FILE_MB", parse.mail_megabytes, 5, fix="give MB, 1 to 7; link to what is larger"
)
MAILOPS_FILES_MB: int = env.read(
    "MAILOPS_FILES_MB", parse.mail_megabytes, 7, fix="give MB, 1 to 7; link to what is larger"
)
MAILOPS_FILE_TYPES: list[str] = env.read(
    "MAILOPS_FILE_TYPES",
    parse.file_endings,
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "webp",
        "pdf",
        "txt",
        "csv",
        "ics",
        "vcf",
        "docx",
        "xlsx",
        "pptx",
        "odt",
        "ods",
    ],
    fix="give endings, without dots, such as png,jpg,pdf",
)
MAILOPS_EXTRA_CA_FILE: Path | None = env.read(
    "MAILOPS_EXTRA_CA_FILE",
    parse.certificates,
    None,
    fix="give a PEM file of the authorities that sign your own relays, trusted beside the system's",
)
MAILOPS_SECRET_FOLDER: Path | None = env.read(
    "MAILOPS_SECRET_FOLDER",
    parse.existing_folder,
    None,
    fix="give the folder that transports may read their secrets from",
)

# --- Keys ------------------------------------------------------------------------------------

_keys = Environment(env.given(*KEY_NAMES))
if not all(map(_keys.has, KEY_NAMES)):
    try:
        _kept = kept_keys(MAILOPS_HOME, make=MAILOPS_IS_EMBEDDED)
        _keys = Environment({**_kept, **env.given(*KEY_NAMES)})
    except (OSError, ValueError) as error:
        env.complain(f"MAILOPS_HOME: {error}", "give a folder that you may write to")
if not MAILOPS_IS_EMBEDDED and not all(map(_keys.has, KEY_NAMES)):
    env.complain(
        f"{', '.join(name for name in KEY_NAMES if not _keys.has(name))}: not given, and with"
        " DATABASE_URL mailops makes no keys by itself",
        "give them; `python -m mailops.lib.installation_keys` prints fresh ones",
    )
SECRET_KEY = _keys.read(
    "SECRET_KEY", parse.long_secret, "-", fix="give 40 random characters or more"
)
MAILOPS_SECRET_KEYS: list[str] = _keys.read(
    "MAILOPS_SECRET_KEYS", parse.keys, [], fix="give key,… : base64 of 32 bytes; the first encrypts"
)
MAILOPS_TOKEN_KEYS: dict[str, str] = _keys.read(
    "MAILOPS_TOKEN_KEYS", parse.named_keys, {}, fix="give id:key,… ; the first signs"
)
env.problems += _keys.problems

# --- Sending ---------------------------------------------------------------------------------

MAILOPS_HEARTBEAT_SECONDS = env.read(
    "MAILOPS_HEARTBEAT_SECONDS",
    parse.number(least=0.1, most=600),
    5.0,
    fix="give seconds; how often a worker says it lives",
)
MAILOPS_DEAD_AFTER_SECONDS = env.read(
    "MAILOPS_DEAD_AFTER_SECONDS",
    parse.number(least=0.2, most=3600),
    30.0,
    fix="give seconds; several heartbeats at least",
)
if MAILOPS_DEAD_AFTER_SECONDS < 2 * MAILOPS_HEARTBEAT_SECONDS:  # the living would be taken for dead
    env.complain(
        f"MAILOPS_DEAD_AFTER_SECONDS: {MAILOPS_DEAD_AFTER_SECONDS:g} is less than two heartbeats of"
        f" {MAILOPS_HEARTBEAT_SECONDS:g} s",
        "give several of MAILOPS_HEARTBEAT_SECONDS",
    )
# where workers note how far the database has come; several machines that share it must share the file, too
MAILOPS_EPOCH_FILE: Path = env.read(
    "MAILOPS_EPOCH_FILE",
    parse.file_beside_others,
    MAILOPS_HOME / "epochs",
    fix="give a file in a folder that outlives the database and every process",
)
# how long a stopping worker waits for the replies to bodies it has sent; `make up` stops in five
MAILOPS_STOP_GRACE_SECONDS = env.read(
    "MAILOPS_STOP_GRACE_SECONDS",
    parse.number(least=0, most=3600),
    2.5 if MAILOPS_IS_SUPERVISED else 30.0,
    fix="give seconds",
)
# how long a peer may take, as a share of what RFC 5321 gives it in each phase
MAILOPS_SMTP_PATIENCE = env.read(
    "MAILOPS_SMTP_PATIENCE",
    parse.number(least=0.01, most=10),
    1.0,
    fix="give a share such as 0.5, or leave it out",
)

# --- Database and broker ---------------------------------------------------------------------

_embedded_database = {
    "NAME": "mailops",
    "USER": "mailops",
    "HOST": str(socket_folder(MAILOPS_HOME)),
}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        **env.read(
            "DATABASE_URL",
            parse.database,
            _embedded_database,
            fix="give postgresql://user:password@host:5432/name",
        ),
    }
}
# libpq would wait two minutes for each address of a server that says nothing
_connecting = {"connect_timeout": 10}  # seconds
# nor would the system tell for hours that a server is gone without a word, or that a firewall forgot a quiet connection
_connecting |= {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_connecting |= {"tcp_user_timeout": 60_000}  # milliseconds
DATABASES["default"]["OPTIONS"] = _connecting | DATABASES["default"].get("OPTIONS", {})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY_BROKER_URL = env.read(
    "CELERY_BROKER_URL",
    parse.broker_url,
    "pgmq://database",
    fix="leave it out to use the database, or give a redis:// or amqp:// URL",
)
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    broker.transport_options(DATABASES["default"])
    if CELERY_BROKER_URL.startswith("pgmq")
    else {"visibility_timeout": 60, "socket_connect_timeout": 5, "socket_timeout": 5}
    if CELERY_BROKER_URL.startswith("redis")
    else {}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # the broker comes back, whenever that is
CELERY_BROKER_POOL_LIMIT = 4
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {
    name: {} for name in ("transactional", "bulk", "housekeeping")
}
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_IGNORE_RESULT = True
# A task is a hint and safe to repeat, so it is given back only when done.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # pgmq carries none; the workers' rows tell who lives
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Celery doesn't end connections after each task: see mailops.celery. Opened anew, with all catalogs to be read again, one
# costs several milliseconds, which is more than most ticks.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BEAT_SCHEDULE_FILENAME = str(MAILOPS_HOME / "beat")
CELERY_BEAT_SCHEDULER = "mailops.lib.beat:Scheduler"
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    # stale hints are dropped: after an outage of the workers, a minute of ticks is enough
    task: {"task": task, "schedule": seconds, "options": {"expires": 60}}
    for task, seconds in EVERY.items()
}

# --- Pages -----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "csp",
    "django_htmx",
    "template_partials",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "anymail",
    "mailops.lib",
    "mailops.accounts",
    "mailops.domains",
    "mailops.sandbox",
    "mailops.transports",
    "mailops.suppressions",
    "mailops.content",
    "mailops.audiences",
    "mailops.campaigns",
    "mailops.outbox",
    "mailops.tracking",
    "mailops.dispatch",
    "mailops.feedback",
    "mailops.reports",
    "mailops.signatures",
    "mailops.incidents",
    "mailops.digests",
    "mailops.rollouts",
    "mailops.installation",
]
# Where the counts of failed log-ins are kept: as few as the default's 300 would be pushed out by wrong names.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

MIDDLEWARE = [
    "mailops.accounts.body_sizes.BodySizeMiddleware",
    "mailops.installation.views.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "mailops.tracking.cookies.NoCookiesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "mailops.lib.sound_requests.SoundRequestMiddleware",  # below those its error pages need
    "mailops.lib.gone_rows.GoneRowMiddleware",
    "mailops.lib.wrong_methods.WrongMethodMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "mailops.accounts.time_zone.TimeZoneMiddleware",
]
ROOT_URLCONF = "mailops.urls"
WSGI_APPLICATION = "mailops.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

_is_https = MAILOPS_BASE_URL.startswith("https://")
_more_hosts: list[str] = env.read("MAILOPS_ALLOWED_HOSTS", parse.listed, [], fix="give host,…")
ALLOWED_HOSTS = [
    urlsplit(MAILOPS_BASE_URL).hostname or "",
    urlsplit(MAILOPS_TRACKING_URL).hostname or "",
    "127.0.0.1",
    "localhost",
    "[::1]",
    *_more_hosts,
]
CSRF_TRUSTED_ORIGINS = [MAILOPS_BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SESSION_COOKIE_NAME = f"mailops_session_{MAILOPS_PORT}"  # cookies know no ports: two on one host
CSRF_COOKIE_NAME = f"mailops_csrf_{MAILOPS_PORT}"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "mailops.lib.old_forms.form_too_old"
if _is_https:
    # mailops itself speaks http behind the proxy that holds the certificate
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
X_FRAME_OPTIONS = "SAMEORIGIN"  # previews of mail stand in sandboxed frames on our own pages
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF, NONCE],  # the nonce, sent only where a page asks, is CodeMirror's
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [SELF],
        "base-uri": [NONE],
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_FORMS = {
    "login": "mailops.accounts.entrance_forms.LogIn",
    "change_password": "mailops.accounts.entrance_forms.ChangePassword",
    "reset_password_from_key": "mailops.accounts.entrance_forms.SetPassword",
    "reauthenticate": "mailops.accounts.entrance_forms.Reauthenticate",
}
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "mailops.accounts.links.PasswordLinks"  # noqa: S105
ACCOUNT_ADAPTER = "mailops.accounts.adapter.AccountAdapter"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # an admin gave the address; there is no mail to verify it by
MFA_TOTP_ISSUER = "mailops"
# browsers offer passkeys over http only on localhost, so nothing is lost by allowing it
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = MAILOPS_BASE_URL.startswith("http://")
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "name"]},
    },
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = MAILOPS_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
# under `make up` they are collected, compressed and named by their content, for long caching
WHITENOISE_USE_FINDERS = not MAILOPS_IS_SUPERVISED
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if MAILOPS_IS_SUPERVISED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- Logs ------------------------------------------------------------------------------------

MAILOPS_LOG = env.read(
    "MAILOPS_LOG", parse.word_of("readable", "json"), "readable", fix="set it to readable or json"
)
_database_password = DATABASES["default"].get("PASSWORD", "")
_secrets = [
    SECRET_KEY,
    *MAILOPS_SECRET_KEYS,
    *MAILOPS_TOKEN_KEYS.values(),
    _database_password,
    quote(_database_password),
    password_in(CELERY_BROKER_URL),
]
DEFAULT_EXCEPTION_REPORTER_FILTER = "mailops.lib.error_reports.NothingSecret"
LOGGING = logging_of(
    form=MAILOPS_LOG,
    secrets=_secrets,
    # under `make up` all processes write into one log, which dates the lines of all alike
    is_dated=not MAILOPS_IS_SUPERVISED,
)

env.finish()
