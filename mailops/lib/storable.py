"""Text from outside, as PostgreSQL can keep it."""


def storable(text: str, limit: int | None = None) -> str:
    """Return `text` with NULs and half characters replaced, and cut with an ellipsis at `limit` characters."""
    cleaned = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return cleaned if limit is None or len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"
