"""`python -m bench.profile [recipients]`: where the time of a campaign goes, in Python and in the database.

The profiler slows Python down to about a half, so its figures are good for shares, not for rates.
"""

import sys
from importlib import import_module

import django

from bench.__main__ import surround

if __name__ == "__main__":
    surround()
    django.setup()
    import_module("bench.profiling").main(*map(int, sys.argv[1:]))
