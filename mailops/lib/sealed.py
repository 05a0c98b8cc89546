"""Rows with sealed columns: each opens in its own place alone, and all are found when the keys change."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.apps import apps
from django.db import models, transaction

from mailops.lib import secrets
from mailops.lib.secrets import Place, Secret, Unsealable


class SealedColumns(models.Model):
    """A row whose `sealed_columns` hold what `lib.secrets` sealed, empty where there is nothing."""

    sealed_columns: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    @property
    def sealed_endpoint(self) -> str:
        """What the secrets are bound to beside the row: where they may be said."""
        return ""

    def place_of(self, column: str) -> Place:
        return Place(
            table=self._meta.db_table,
            column=column,
            row=str(self.pk),
            endpoint=self.sealed_endpoint,
        )

    def seal_into(self, column: str, secret: Secret) -> None:
        """Keep `secret` in `column`, of this object only; the row must have its id."""
        assert column in self.sealed_columns
        setattr(self, column, secrets.seal(secret, self.place_of(column)) if secret else b"")

    def open_from(self, column: str) -> Secret:
        """Return what `column` holds; raise Unsealable."""
        return secrets.unseal(bytes(getattr(self, column)), self.place_of(column))

    def holds(self, column: str, secret: Secret | None) -> bool:
        """Tell whether `column` holds just this, or nothing for None; what can't be opened is something else."""
        sealed = getattr(self, column)
        if not secret or not sealed:
            return not secret and not sealed
        try:
            return self.open_from(column).reveal() == secret.reveal()
        except Unsealable:
            return False

    def lacks_key(self) -> bool:
        """Tell whether a secret of it was sealed by a key that is not here."""
        kept = [bytes(getattr(self, column)) for column in self.sealed_columns]
        return any(sealed and not secrets.has_key_for(sealed) for sealed in kept)

    def reseal(self) -> bool:
        """Seal anew by the first key what an older one sealed; return whether there was any. Raise Unsealable."""
        old = [
            column
            for column in self.sealed_columns
            if (sealed := bytes(getattr(self, column)))
            and not secrets.is_sealed_by_first_key(sealed)
        ]
        for column in old:
            self.seal_into(column, self.open_from(column))
        if old:
            self.save(update_fields=old)
        return bool(old)


def sealed_models() -> list[Any]:
    """Return every model that keeps secrets, of all apps."""
    return [model for model in apps.get_models() if hasattr(model, "reseal")]


def rows_without_key() -> int:
    """Count the rows whose secrets need a key that is not here: the keys of another installation, say."""
    return sum(row.lacks_key() for model in sealed_models() for row in model._base_manager.all())  # noqa: SLF001


def reseal_row(model: Any, pk: int) -> bool:
    """Reseal one row under its lock, so that whoever writes it meanwhile is waited for, not overwritten."""
    with transaction.atomic():
        row = model._base_manager.select_for_update(of=("self",)).filter(pk=pk).first()  # noqa: SLF001
        return row is not None and row.reseal()


def ids_of(model: Any) -> Iterator[int]:
    """Return the ids of all rows, also of those that are added meanwhile."""
    last = 0
    while found := list(
        model._base_manager.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:500]  # noqa: SLF001
    ):
        yield from found
        last = found[-1]
