"""Lets the overview name the digests that did not arrive, and ties a stream to the digest that goes through it."""

from django.apps import AppConfig


class DigestsConfig(AppConfig):
    name = "mailops.digests"
    label = "digests"

    def ready(self) -> None:
        from mailops.digests.trouble import troubles  # noqa: PLC0415 - models are ready only now
        from mailops.digests.way import ties  # noqa: PLC0415 - models are ready only now
        from mailops.reports.attention import register_matters  # noqa: PLC0415
        from mailops.transports.ties import register_ties  # noqa: PLC0415

        register_matters(troubles)
        register_ties(ties)
