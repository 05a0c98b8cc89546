"""The product's settings over an environment of the tests' own: a home that goes away, fixed keys, no demo.

Of the caller's variables only those count that say on which PostgreSQL the tests run: DATABASE_URL, else
MAILOPS_POSTGRES_BIN.
"""

import os
import tempfile
from base64 import b64encode
from pathlib import Path

KEPT = "MAILOPS_POSTGRES_BIN"
OTHERS = {"PORT", "SECRET_KEY", "CELERY_BROKER_URL"}

# the first process; those that it starts are given what they need
if "MAILOPS_TEST_HOME" not in os.environ:
    for name in list(os.environ):
        if name in OTHERS or (name.startswith("MAILOPS_") and name != KEPT):
            del os.environ[name]
    os.environ["MAILOPS_TEST_HOME"] = f"{tempfile.gettempdir()}/mailops-tests-{os.getpid()}"
home = os.environ["MAILOPS_TEST_HOME"]
os.environ.update(
    MAILOPS_HOME=home,
    MAILOPS_DEMO="0",
    MAILOPS_NAMESERVERS="127.0.0.1:9",  # nobody: a test that asks DNS brings its own
    SECRET_KEY="only-for-tests-" * 4,
    MAILOPS_SECRET_KEYS=b64encode(b"s" * 32).decode(),
    MAILOPS_TOKEN_KEYS=f"k1:{b64encode(b't' * 32).decode()}",
)

from mailops.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT = Path(home) / "static"
