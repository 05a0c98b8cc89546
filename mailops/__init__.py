"""A team's control room for sending e-mail."""

import gc

# at its default the collector looks through all modules again and again while they load: a sixth of every start
gc.set_threshold(50_000, 20, 20)

from mailops.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
