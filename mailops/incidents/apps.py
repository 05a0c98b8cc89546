"""Sees to it that an installation has its thresholds, that reports show what incidents know, and ties streams to channels."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class IncidentsConfig(AppConfig):
    name = "mailops.incidents"
    label = "incidents"

    def ready(self) -> None:
        # after each migrate, not in one migration: a threshold that a later version brings comes the same way
        post_migrate.connect(_add_missing_thresholds, sender=self)
        from mailops.incidents.lines import threshold_lines  # noqa: PLC0415 - models are ready only now
        from mailops.incidents.spans import incident_spans  # noqa: PLC0415 - models are ready only now
        from mailops.incidents.ties import ties  # noqa: PLC0415 - models are ready only now
        from mailops.incidents.trouble import troubles  # noqa: PLC0415 - models are ready only now
        from mailops.reports.attention import register_matters  # noqa: PLC0415
        from mailops.reports.marks import register_spans  # noqa: PLC0415
        from mailops.reports.threshold_lines import register_limits  # noqa: PLC0415
        from mailops.transports.ties import register_ties  # noqa: PLC0415

        register_matters(troubles)
        register_spans(incident_spans)
        register_limits(threshold_lines)
        register_ties(ties)


def _add_missing_thresholds(using: str, **_: Any) -> None:
    from mailops.incidents.thresholds import add_missing  # noqa: PLC0415 - models are ready only now

    add_missing(using=using)
