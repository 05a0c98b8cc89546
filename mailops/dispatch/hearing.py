"""The pulse of the loop in which a process hears of work: Celery's own."""

from typing import Any

from celery import bootsteps

from mailops.dispatch.pulse import Pulse

pulse = Pulse()


class Hearing(bootsteps.StartStopStep):  # type: ignore[misc]
    """Has the loop say that it turns while it is connected; for a broker that is away it waits as long as that is."""

    requires = ("celery.worker.consumer:Connection",)

    def start(self, consumer: Any) -> None:
        drain = consumer.connection.drain_events

        def turn_and_drain(**options: Any) -> Any:
            pulse.turn()
            return drain(**options)

        consumer.connection.drain_events = turn_and_drain

    def stop(self, consumer: Any) -> None:  # noqa: ARG002 - Celery's signature
        pulse.rest()
