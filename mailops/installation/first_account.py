"""The ready-made account of an embedded installation: made once, its password in a private file."""

import os
import secrets
from pathlib import Path

from mailops.accounts.models import User

EMAIL = "admin@example.com"


def password_file(home: Path) -> Path:
    return home / "admin-password"


def make_first_account(home: Path) -> None:
    """Make an admin where there is no account at all."""
    if User.objects.exists():
        return
    path = password_file(home)
    password = path.read_text().strip() if path.exists() else secrets.token_urlsafe(12)
    # the file first: an account whose password nobody knows would be of no use
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{password}\n")
    User.objects.create_superuser(EMAIL, password, name="Admin")
