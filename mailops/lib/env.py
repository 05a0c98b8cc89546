"""Reads settings from the environment and reports all wrong values at once, each with its fix."""

import os
from collections.abc import Callable, Mapping
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


class Environment:
    """Reads typed values from `variables`; `finish()` raises ImproperlyConfigured with every problem found."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables
        self.problems: list[str] = []

    def read(self, name: str, parse: Callable[[str], T], default: T, *, fix: str) -> T:
        """Return the parsed value of `name`, or `default` where it is unset, empty or wrong."""
        raw = self._variables.get(name, "").strip()
        if not raw:
            return default
        try:
            return parse(raw)
        except ValueError as error:
            self.problems.append(f"{name}: {error}. Fix: {fix}")
            return default

    def finish(self) -> None:
        """Raise ImproperlyConfigured naming every wrong value, if there is one."""
        if self.problems:
            raise ImproperlyConfigured(
                "These settings are wrong:\n"
                + "\n".join(f"- {problem}" for problem in self.problems)
            )
