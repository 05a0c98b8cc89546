"""The apps, and how their pages are served."""

from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF

from mailops.settings.environment import (
    BASE_DIR,
    MAILOPS_BASE_URL,
    MAILOPS_HOME,
    MAILOPS_IS_SUPERVISED,
    MAILOPS_PORT,
    MAILOPS_TRACKING_URL,
    further_hosts,
)

DEBUG = False

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
MIDDLEWARE = [
    "mailops.accounts.body_sizes.BodySizeMiddleware",
    # above all that answers by itself, so that it says the same of every answer
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "mailops.lib.private_pages.PrivatePagesMiddleware",
    "mailops.installation.views.HealthMiddleware",  # above those that ask by which name it was called
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "mailops.tracking.cookies.NoCookiesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "mailops.accounts.ended_log_ins.EndedLogInMiddleware",
    "mailops.lib.sound_requests.SoundRequestMiddleware",  # below those its error pages need
    "mailops.lib.gone_rows.GoneRowMiddleware",
    "mailops.lib.wrong_methods.WrongMethodMiddleware",
    "mailops.accounts.unopened.UnopenedMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "mailops.accounts.library_pages.LibraryPagesMiddleware",
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
ALLOWED_HOSTS = [
    urlsplit(MAILOPS_BASE_URL).hostname or "",
    urlsplit(MAILOPS_TRACKING_URL).hostname or "",
    "127.0.0.1",
    "localhost",
    "[::1]",
    *further_hosts,
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
