"""Has PostgreSQL write to its disk what it says is committed: a mark that a crash of the server forgets sends a mail twice."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def commit_durably(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Switch it on for a connection that was just opened, where the server, its database or our role has it off."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT set_config('synchronous_commit', 'on', FALSE)
             WHERE current_setting('synchronous_commit') = 'off'
            """
        )
