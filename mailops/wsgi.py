"""The WSGI entry point: webhook calls are answered before Django, which answers all else."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailops.settings")

_django = get_wsgi_application()

from mailops.feedback.front_door import FrontDoor  # noqa: E402 - its models need Django set up

application = FrontDoor(_django)
