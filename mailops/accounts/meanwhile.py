"""Where two people change the same thing at once: the second sees what the first did before it is replaced."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.http import HttpRequest, QueryDict
from psycopg.errors import ForeignKeyViolation, UniqueViolation

from mailops.accounts.models import AuditEntry
from mailops.lib.templatetags.times import at


class ChangedMeanwhile(Exception):
    """Somebody else changed it since it was shown."""


def mark_of(*values: Any) -> str:
    """Return what tells `values` from others; a form holds that of what it shows."""
    return sha256(repr(values).encode()).hexdigest()


def mark_of_fields(row: Model, names: Iterable[str], *more: Any) -> str:
    """Return what tells the values of these fields of `row`, and what comes with them, from others."""
    return mark_of(*(getattr(row, name) for name in names), *more)


def field_of(mark: str) -> forms.CharField:
    """Return the hidden field by which a form holds the `mark` of what it shows."""
    return forms.CharField(max_length=64, required=False, initial=mark, widget=forms.HiddenInput)


def typed_by_one_who_saw(mark: str, typed: QueryDict) -> dict[str, Any]:
    """Return what was typed into a form, with the `mark` of what its page shows now."""
    return {**typed.dict(), "seen": mark}


def expect(seen: str | None, *, was: str, wanted: str = "") -> bool:
    """Raise ChangedMeanwhile where `was`, the mark of what stands there, is neither that `seen` nor the `wanted` one.

    Nothing was seen, None or "", where no form showed it. Return whether what is wanted is something else than what
    stands there: where it isn't, as after a second press, a verb has nothing to write down.
    """
    if seen and was not in {seen, wanted}:
        raise ChangedMeanwhile
    return was != wanted


def tell_saved(request: HttpRequest, sentence: str, *, is_changed: bool) -> None:
    """Say to whoever pressed save what came of it, or that nothing did."""
    if is_changed:
        messages.success(request, sentence)
    else:
        messages.info(request, "Nothing was changed: this is what stands there already.")


@contextmanager
def first_come(form: forms.BaseForm) -> Iterator[None]:
    """Save what a valid `form` says within, in one transaction.

    Where somebody else was first, with a name that may be there once, or deleted what is chosen, nothing is saved, and
    the form has errors that say so.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation | ForeignKeyViolation):
            raise
        form.full_clean()
        if not form.errors:
            form.add_error(None, "Somebody else saved something of this just now. Save it again.")


@dataclass(frozen=True)
class Meanwhile:
    """What a form's page tells of a change in between."""

    facts: list[tuple[str, str]]  # a label, and what stands there by now
    entry: AuditEntry | None = None  # who did it, and when


def meanwhile(
    form: forms.BaseForm, entry: AuditEntry | None, *, untold: Collection[str] = ()
) -> Meanwhile:
    """Return what stands there by now, where something else was typed into `form`, which shows what stands there.

    Of the fields named `untold` it shows nothing.
    """
    fields = [form[name] for name in form.changed_data if name not in untold]
    facts = [
        (str(field.label), _in_words(field.field, field.initial))
        for field in fields
        if not field.is_hidden
    ]
    return Meanwhile(facts, entry)


def last_done(verb: str, subject: Model, *or_verbs: str, **told: Any) -> AuditEntry | None:
    """Return what the audit trail says of the last time that one of the verbs was done to `subject`; `told` are more lookups."""
    trail = AuditEntry.objects.about(type(subject), [subject.pk])
    trail = trail.filter(verb__in=[verb, *or_verbs], **told)
    return trail.select_related("actor").order_by("-at", "-pk").first()


def _in_words(field: Any, value: Any) -> str:
    """Say a form field's `value` as a person reads it."""
    if isinstance(value, datetime):
        return at(value)
    if isinstance(field, forms.BooleanField):
        return "yes" if value else "no"
    if hasattr(field, "queryset"):
        row = field.queryset.model.objects.filter(pk=value).first()
        return str(field.label_from_instance(row) if row else field.empty_label or "none")
    if hasattr(field, "choices"):
        return str(dict(field.choices).get(value, value)) or "none"
    return str(field.prepare_value("" if value is None else value)) or "none"
