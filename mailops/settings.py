"""All settings, from the environment through lib.env; every wrong value is reported at start, all at once."""

from pathlib import Path
from typing import Any

from mailops.lib.env import Environment

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()

DEBUG = False
MAILOPS_HOME = env.read(
    "MAILOPS_HOME", Path, BASE_DIR / ".mailops", fix="give a folder that can be written to"
)
SECRET_KEY = env.read(
    "SECRET_KEY", str, "not-yet-secret-placeholder-to-be-replaced-by-ops-0123456789", fix=""
)
MAILOPS_BASE_URL = env.read("MAILOPS_BASE_URL", str, "http://127.0.0.1:8000", fix="")
MAILOPS_RETURN_PATH_HOST = env.read(
    "MAILOPS_RETURN_PATH_HOST", str, "bounces.mailops.localhost", fix=""
)
MAILOPS_SANDBOX_LISTENER = env.read("MAILOPS_SANDBOX_LISTENER", str, "127.0.0.1:2525", fix="")
MAILOPS_FEEDBACK_LISTENER = env.read("MAILOPS_FEEDBACK_LISTENER", str, "127.0.0.1:2526", fix="")
# messages kept in each test inbox, the newest; enough for a demo campaign twice over, about 15 MB
MAILOPS_SANDBOX_KEEP = 5000
MAILOPS_TRUSTED_RELAYS: frozenset[tuple[str, int]] = frozenset()
MAILOPS_SECRET_KEYS: list[str] = ["not-yet-secret-placeholder-0123456789"]
MAILOPS_SECRET_FOLDER: Path | None = None
MAILOPS_NAMESERVERS: list[str] = []
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
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
    "mailops.dispatch",
    "mailops.feedback",
    "mailops.reports",
    "mailops.incidents",
    "mailops.rollouts",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": env.read("PGHOST", str, "/tmp/pg", fix=""),  # noqa: S108
        "NAME": env.read("PGDATABASE", str, "mailops", fix=""),
        "USER": "mailops",
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]

CELERY_BROKER_URL = "memory://"
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_IGNORE_RESULT = True
CELERY_BEAT_SCHEDULE: dict[str, Any] = {}

env.finish()
