"""The demo's people: one for each role, their random passwords in a private file."""

import os
import secrets
from pathlib import Path

from mailops.accounts.models import Role, User

CAST = {
    Role.OPERATOR: "Olga Operator",
    Role.EDITOR: "Edgar Editor",
    Role.ONCALL: "Nora Night",
    Role.VIEWER: "Victor Viewer",
}


def password_file(home: Path) -> Path:
    return home / "demo-passwords"


def hire_cast(home: Path) -> User:
    """Make the accounts that are missing; return the operator, who did everything else in the demo."""
    missing = {
        role: secrets.token_urlsafe(12)
        for role in CAST
        if not User.objects.filter(email=_email(role)).exists()
    }
    if missing:
        # the file first: an account whose password nobody knows would be of no use
        path = password_file(home)
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
            file.writelines(f"{_email(role)} {password}\n" for role, password in missing.items())
    for role, password in missing.items():
        User.objects.create_user(_email(role), password, name=CAST[Role(role)], role=role)
    return User.objects.get(email=_email(Role.OPERATOR))


def _email(role: str) -> str:
    return f"{role}@example.com"
