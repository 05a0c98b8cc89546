"""A team's control room for sending e-mail."""

from mailops.celery import app as celery_app

__all__ = ["celery_app"]
