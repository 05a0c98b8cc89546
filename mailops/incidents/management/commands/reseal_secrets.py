"""Seals every stored secret anew by the first of MAILOPS_SECRET_KEYS, so that older keys can be taken away.

It stands here because incidents is the highest package that keeps a secret.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from mailops.incidents.models import NotificationChannel
from mailops.lib.secrets import Unsealable
from mailops.transports.models import Credential


class Command(BaseCommand):
    help = "Seals all stored secrets by the first of MAILOPS_SECRET_KEYS; run it after adding a key in front."

    def handle(self, *args: Any, **options: Any) -> None:
        resealed = lost = 0
        for model in (Credential, NotificationChannel):
            for pk in model.objects.values_list("pk", flat=True):
                try:
                    resealed += _reseal(model, pk)
                except Unsealable as error:
                    lost += 1
                    self.stderr.write(f"{model._meta.verbose_name} {pk}: {error}")  # noqa: SLF001
        self.stdout.write(f"{resealed} secrets were sealed by the first key.")
        if lost:
            raise CommandError(f"{lost} could not be opened: keep the old keys, or set them again.")


@transaction.atomic
def _reseal(model: type[Credential | NotificationChannel], pk: int) -> bool:
    row = model._default_manager.select_for_update().get(pk=pk)  # noqa: SLF001
    return row.reseal()
