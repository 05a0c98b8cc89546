"""Ties streams to what the campaigns that leave through them need."""

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "mailops.campaigns"
    label = "campaigns"

    def ready(self) -> None:
        from mailops.campaigns.fitting import ties  # noqa: PLC0415 - models are ready only now
        from mailops.transports.ties import register_ties  # noqa: PLC0415

        register_ties(ties)
