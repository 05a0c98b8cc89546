"""The product's settings over an environment of the tests' own: a home that goes away, fixed keys, no demo.

Of the caller's variables only those count that say on which PostgreSQL the tests run: DATABASE_URL, else
MAILOPS_POSTGRES_BIN.
"""

import os
import tempfile
from base64 import b64encode
from pathlib import Path

# xdist's workers inherit the home that the first process made
home = os.environ.setdefault(
    "MAILOPS_TEST_HOME", f"{tempfile.gettempdir()}/mailops-tests-{os.getpid()}"
)
for name in list(os.environ):
    is_ours = name.startswith("MAILOPS_") or name in {"PORT", "SECRET_KEY", "CELERY_BROKER_URL"}
    if is_ours and name not in {"MAILOPS_TEST_HOME", "MAILOPS_POSTGRES_BIN"}:
        del os.environ[name]
os.environ.update(
    MAILOPS_HOME=home,
    MAILOPS_DEMO="0",
    SECRET_KEY="only-for-tests-" * 4,
    MAILOPS_SECRET_KEYS=b64encode(b"s" * 32).decode(),
    MAILOPS_TOKEN_KEYS=f"k1:{b64encode(b't' * 32).decode()}",
)

from mailops.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT = Path(home) / "static"
