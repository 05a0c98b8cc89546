"""Seals every stored secret anew by the first of MAILOPS_SECRET_KEYS, so that older keys can be taken away."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailops.lib.sealed import ids_of, reseal_row, sealed_models
from mailops.lib.secrets import Unsealable

_STEP = 100  # rows from one line of progress to the next


class Command(BaseCommand):
    help = (
        "Seals all stored secrets by the first of MAILOPS_SECRET_KEYS. To change the key: put the new one behind the old"
        " and restart every process; put it in front and restart again; run this; then take the old one away."
        " It may run beside everything else and be stopped at any time: the next run goes on where it was."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        resealed = lost = 0
        for model in sealed_models():
            done, unopened = self._reseal_all(model)
            resealed, lost = resealed + done, lost + unopened
        self.stdout.write(f"{resealed} rows were sealed by the first key.")
        if lost:
            raise CommandError(f"{lost} could not be opened: keep the old keys, or set them again.")
        self.stdout.write("All others were: the older keys are no longer needed for any secret.")

    def _reseal_all(self, model: Any) -> tuple[int, int]:
        name, total = model._meta.label, model._base_manager.count()  # noqa: SLF001
        seen = resealed = lost = 0
        for pk in ids_of(model):
            seen += 1
            try:
                resealed += reseal_row(model, pk)
            except Unsealable as error:
                lost += 1
                self.stderr.write(f"{name} {pk}: {error}")
            if seen % _STEP == 0:
                self.stdout.write(f"{name}: {seen} of {max(seen, total)}")
        self.stdout.write(f"{name}: {seen} of {seen}, {resealed} sealed anew")
        return resealed, lost
