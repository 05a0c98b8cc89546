"""Lends the audiences' contacts to the template editor."""

from django.apps import AppConfig


class AudiencesConfig(AppConfig):
    name = "mailops.audiences"
    label = "audiences"

    def ready(self) -> None:
        from mailops.audiences.lending import Lender  # noqa: PLC0415 - models are ready only now
        from mailops.content.people import register_people  # noqa: PLC0415

        register_people(Lender())
