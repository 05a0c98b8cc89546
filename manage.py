#!/usr/bin/env python
"""Django's command line for mailops."""

import os
import sys

from django.core.management import execute_from_command_line

from mailops.lib.env import WrongSettings

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailops.settings")
    try:
        execute_from_command_line(sys.argv)
    except WrongSettings as wrong:
        sys.exit(str(wrong))
