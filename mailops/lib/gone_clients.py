"""Has PostgreSQL end its clients that died without a word or are frozen: what they had locked would stop all others."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

PATIENCE = {
    # within a transaction, of which none of ours lasts longer than five seconds: its process is frozen
    "idle_in_transaction_session_timeout": "60s",
    # by TCP: its machine is gone, or the way to it; of no use, and of no harm, over a socket of one machine
    "tcp_keepalives_idle": "30s",
    "tcp_keepalives_interval": "10s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
}


def limit_patience(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Tell the server of a connection that was just opened how long it may be silent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config(name, value, FALSE) FROM unnest(%s::text[], %s::text[]) AS one(name, value)",
            [[*PATIENCE.keys()], [*PATIENCE.values()]],
        )
