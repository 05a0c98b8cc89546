"""Lets the overview name the digests that did not arrive."""

from django.apps import AppConfig


class DigestsConfig(AppConfig):
    name = "mailops.digests"
    label = "digests"

    def ready(self) -> None:
        from mailops.digests.trouble import troubles  # noqa: PLC0415 - models are ready only now
        from mailops.reports.attention import register_matters  # noqa: PLC0415

        register_matters(troubles)
