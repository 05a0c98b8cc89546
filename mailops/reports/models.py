"""Counts, folded from the outbox's tallies."""

from typing import ClassVar

from django.db import models

from mailops.outbox.models import CountKey


class Count(CountKey):
    """How often something happened in a quarter of an hour; the sum of all tallies of that key."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=CountKey.KEY, nulls_distinct=False, name="count_key_once"
            )
        ]
