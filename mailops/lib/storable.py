"""Text from outside, as PostgreSQL can keep it."""

from typing import Any


def storable(text: str, limit: int | None = None) -> str:
    """Return `text` with NULs and half characters replaced, and cut with an ellipsis at `limit` characters."""
    cleaned = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return cleaned if limit is None or len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"


def storable_json(value: Any) -> Any:
    """Return a value for a JSON column with its texts as `storable` gives them, however deep they lie."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable_json(key): storable_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(entry) for entry in value]
    return value
