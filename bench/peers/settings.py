"""Django's settings for the peers: what a team that tunes them would set."""

import os
from typing import Any

SECRET_KEY = "of no use to anybody: nothing here listens"  # noqa: S105
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "post_office",
    "bench.peers",
]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["BENCH_DATABASE"],
        "USER": "mailops",
        "HOST": os.environ["BENCH_DATABASE_HOST"],
        "CONN_MAX_AGE": 60,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
USE_I18N = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [("django.template.loaders.locmem.Loader", {})],
                )
            ]
        },
    }
]

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = "127.0.0.1"
EMAIL_PORT = int(os.environ["BENCH_SINK_PORT"])
EMAIL_TIMEOUT = 60
DEFAULT_FROM_EMAIL = "Ada & Sons <news@news.bench.example>"

# Tried with 1,000 to 5,000 a batch and 1 to 10 threads: its threads share one interpreter, so more of them cost time.
POST_OFFICE = {
    "BATCH_SIZE": int(os.environ.get("BENCH_BATCH_SIZE", "2500")),
    "THREADS_PER_PROCESS": int(os.environ.get("BENCH_THREADS", "5")),
    "LOG_LEVEL": 1,  # failures only: a log row for each mail is a fifth of its time
    "SENDING_ORDER": ["id"],
    "BATCH_DELIVERY_TIMEOUT": 600,
}
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"null": {"class": "logging.NullHandler"}},
    "loggers": {"post_office": {"handlers": ["null"], "level": "ERROR", "propagate": False}},
}
