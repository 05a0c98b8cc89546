"""The Celery app: it carries hints to three queues, never truth."""

import os

from celery import Celery
from celery.signals import beat_init, task_prerun, task_revoked, worker_ready
from django.db import close_old_connections

from mailops.lib.clock import tell_of_wrong_clock

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailops.settings")
# a worker shows no pages: `prepare` checks them, and importing them is half of a worker's start
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("mailops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["consumer"].add("mailops.dispatch.hearing:Hearing")

# Celery would open a connection for each task (settings.CELERY_DB_REUSE_MAX); here it is kept as for a request: up to
# CONN_MAX_AGE, no longer than it works, and asked first whether it does.
task_prerun.connect(close_old_connections)
# where a process starts, and where a task came too late
for signal in (beat_init, worker_ready, task_revoked):
    signal.connect(tell_of_wrong_clock)
