"""The installation's own keys: given by the environment, else made once and kept in its home, mode 0600."""

import base64
import json
import os
import secrets
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

FILE_NAME = "secrets.json"
KEY_NAMES = ("SECRET_KEY", "MAILOPS_SECRET_KEYS", "MAILOPS_TOKEN_KEYS")


def make_keys() -> dict[str, str]:
    """Return fresh values for the three variables, as the environment would give them."""
    fresh = (secrets.token_urlsafe(50), _random_key(), f"k1:{_random_key()}")
    return dict(zip(KEY_NAMES, fresh, strict=True))


def kept_keys(home: Path, *, make: bool) -> dict[str, str]:
    """Return the keys kept in `home`; where there are none, make them if told to, else return none.

    Raises OSError where the file can't be read or written, ValueError where it isn't ours.
    """
    path = home / FILE_NAME
    if make and not path.exists():
        _write_once(path, json.dumps(make_keys(), indent=2))
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text())
    except ValueError:
        raise ValueError(f"{path} is not JSON") from None
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise ValueError(f"{path} does not map names to keys")
    return kept


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _write_once(path: Path, text: str) -> None:
    """Write a whole file or none, and let the first of several processes win.

    It is on the disk when this returns, whoever wrote it: what its keys seal must not outlast them.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        os.unlink(temporary)  # noqa: PTH108
    _keep_names(path.parent)
    _keep_names(path.parent.parent)


def _keep_names(folder: Path) -> None:
    """Have the names in `folder` written to the disk, where we may read it and its file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}={value}\n" for name, value in make_keys().items())
