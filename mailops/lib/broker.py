"""The embedded broker: kombu's pgmq transport on the product's own PostgreSQL."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from django.db import connection, transaction
from kombu.transport import TRANSPORT_ALIASES, pgmq
from pgmq.install import get_embedded_install_sql

TURN_SECONDS = 0.5
# what libpq calls the parts that pgmq's client takes one by one
_PARTS = ("host", "port", "dbname", "user", "password")


class Channel(pgmq.Channel):
    """kombu's channel on queues that install() has made: it neither makes them nor their triggers.

    Made by every process at its start, they meet: two triggers of one name, and one process dies.
    """

    def _new_queue(self, queue: str, **options: Any) -> None:
        pass

    def _maybe_enable_notify(self, queue: str, queue_name: str | None = None) -> None:
        self.connection._register_notify_queue(queue_name or self._queue_name(queue))  # noqa: SLF001

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Acknowledge a message, and count it as done also where the database is away: else a worker waits for it.

        Its connections come back by themselves, so nothing would end this channel, whose one place stays taken.
        The message shows again when its time is up, as any that is lost.
        """
        try:
            super().basic_ack(delivery_tag, multiple)  # type: ignore[no-untyped-call]
        except psycopg.Error:
            self.qos.ack(delivery_tag)
            raise

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().basic_reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        except psycopg.Error:
            self.qos.ack(delivery_tag)
            raise


class Transport(pgmq.Transport):
    """kombu's transport, but waiting in short turns, so that an idle worker hears it is to stop."""

    Channel = Channel

    def establish_connection(self) -> Any:
        """Connect, or leave nothing behind: a pool goes on trying for minutes, and each further call makes one more.

        A database that comes back would be met by all of them at once.
        """
        try:
            return super().establish_connection()  # type: ignore[no-untyped-call]
        except psycopg.Error:
            self.close_connection(None)
            raise

    def drain_events(self, connection: Any, timeout: float | None = None, **further: Any) -> Any:
        turn = timeout and min(timeout, TURN_SECONDS)
        return super().drain_events(connection, timeout=turn, **further)  # type: ignore[no-untyped-call]


TRANSPORT_ALIASES["pgmq"] = f"{__name__}:Transport"


def transport_options(database: Mapping[str, Any]) -> dict[str, Any]:
    """Return kombu's options for pgmq on this Django database."""
    return {
        "conn_string": connection_string(database),
        "init_extension": False,  # the SQL is installed by install(): no extension needed
        "use_notify": True,
        "wait_time_seconds": 0,  # else a worker blocks on one queue while another has work
        "visibility_timeout": 60,  # tasks stay under it; a lost hint comes back after it
        "pool_size": 4,
        "pool_timeout": 5,
    }


def connection_string(database: Mapping[str, Any]) -> str:
    """Return the string pgmq's client takes apart and joins again.

    It joins without quoting and drops what it doesn't know, so each part is given with its quotes
    on, and the further options (sslmode and the like) ride behind the password.
    """
    names = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
    given = {part: str(database.get(name) or "") for part, name in zip(_PARTS, names, strict=True)}
    given["port"] = given["port"] or "5432"
    quoted = {part: _quoted(value) for part, value in given.items()}
    further = [f"{name}={_quoted(str(value))}" for name, value in _libpq_options(database).items()]
    quoted["password"] = " ".join([quoted["password"], *further])
    return " ".join(f"{part}={_quoted(value)}" for part, value in quoted.items())


def install(queues: Iterable[str]) -> None:
    """Install pgmq's SQL where the database doesn't have it yet, and make the queues."""
    with transaction.atomic(), connection.cursor() as cursor:
        # two installations on one database may start at the same moment
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('install pgmq'))")
        cursor.execute("SELECT to_regnamespace('pgmq') IS NULL")
        if cursor.fetchone()[0]:
            cursor.execute(get_embedded_install_sql())
        for queue in queues:
            # no throttle: else a second hint within 250 ms waits for the next poll
            cursor.execute("SELECT pgmq.create(%s), pgmq.enable_notify_insert(%s, 0)", [queue] * 2)


def _libpq_options(database: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(database.get("OPTIONS", {}))
    return {name: value for name, value in options.items() if isinstance(value, (str, int))}


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
