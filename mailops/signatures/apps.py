"""Lets the overview name the lessons that failed."""

from django.apps import AppConfig


class SignaturesConfig(AppConfig):
    name = "mailops.signatures"
    label = "signatures"

    def ready(self) -> None:
        from mailops.reports.attention import register_matters  # noqa: PLC0415 - models are ready only now
        from mailops.signatures.trouble import troubles  # noqa: PLC0415

        register_matters(troubles)
