#!/usr/bin/env python
"""Django's command line for mailops."""

import os
import sys

from django.core.management import execute_from_command_line

from mailops.lib.command_line import ending_in_a_sentence

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailops.settings")
    if sys.argv[1:2] == ["up"]:
        # before the settings are read: `up` and all its processes log and serve under one supervisor
        os.environ["MAILOPS_SUPERVISED"] = "1"
    with ending_in_a_sentence():
        execute_from_command_line(sys.argv)
