"""Hypothesis without deadlines: a busy machine is no bug, and what must be quick is measured in CPU time."""

from hypothesis import settings

settings.register_profile("mailops", deadline=None)
settings.load_profile("mailops")
