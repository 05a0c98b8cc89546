"""The Celery app: it carries hints to three queues, never truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailops.settings")
# a worker shows no pages: `prepare` checks them, and importing them is half of a worker's start
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("mailops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
