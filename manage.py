#!/usr/bin/env python
"""Django's command line for mailops."""

import os
import sys

from django.core.management import execute_from_command_line

from mailops.lib.env import WrongSettings

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailops.settings")
    if sys.argv[1:2] == ["up"]:
        # before the settings are read: `up` and all its processes log and serve under one supervisor
        os.environ["MAILOPS_SUPERVISED"] = "1"
    try:
        execute_from_command_line(sys.argv)
    except WrongSettings as wrong:
        sys.exit(str(wrong))
