"""The ready-made account of an embedded installation: made once, its password in a private file."""

import os
import secrets
import shlex
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from mailops.accounts.models import User

EMAIL = "admin@example.com"


def password_file(home: Path) -> Path:
    return home / "admin-password"


def make_first_account(home: Path) -> None:
    """Make an admin where there is no account at all."""
    if User.objects.exists():
        return
    path = password_file(home)
    kept = path.read_text().strip() if path.exists() else ""
    password = kept or secrets.token_urlsafe(12)  # a full disk may have left an empty file
    # the file first: an account whose password nobody knows would be of no use
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{password}\n")
    User.objects.create_superuser(EMAIL, password, name="Admin")


def is_without_account() -> bool:
    """Tell whether nobody can log in yet; leaves no connection to those who are forked later."""
    try:
        return not User.objects.exists()
    except DatabaseError:  # it is only told, and mailops runs
        return False
    finally:
        connection.close()


def how_to_make_one() -> str:
    """Return what to type in another shell, so that the account comes into this installation and no other."""
    command = ".venv/bin/python manage.py createsuperuser"
    if not settings.MAILOPS_IS_EMBEDDED:
        return f"{command}, with the same variables set as here"
    if settings.MAILOPS_HOME == settings.BASE_DIR / ".mailops":
        return command
    return f"MAILOPS_HOME={shlex.quote(str(settings.MAILOPS_HOME))} {command}"
