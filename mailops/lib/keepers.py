"""Tells what keeps a row from being deleted, by one row of it: Django would load all of them to say so."""

from django.db.models import PROTECT, ManyToOneRel, Model


def keeper_of(row: Model) -> type[Model] | None:
    """Return a model of which a row needs `row` to stay (PROTECT), None where there is none."""
    return next((keeper for keeper, name in _keepers(row) if _has(keeper, name, row)), None)


def _keepers(row: Model) -> list[tuple[type[Model], str]]:
    relations = row._meta.get_fields(include_hidden=True)  # noqa: SLF001 - Django's documented name
    return [
        (relation.related_model, relation.field.name)
        for relation in relations
        if isinstance(relation, ManyToOneRel) and relation.on_delete is PROTECT
    ]


def _has(keeper: type[Model], name: str, row: Model) -> bool:
    return keeper._base_manager.filter(**{name: row}).exists()  # noqa: SLF001 - as Django deletes
